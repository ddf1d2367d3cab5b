"""What a question would give and cost, said before anything is executed or spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from bandung.gateway.domain.noise import CELL_SIZES, Noise, half_width

if TYPE_CHECKING:
    from bandung.gateway.planning.check import CheckedPlan

EXPLAIN_SCHEMA: Final = pa.schema(
    [
        pa.field("aspect", pa.utf8(), nullable=False),
        pa.field("subject", pa.utf8(), nullable=False),
        pa.field("cell_size", pa.int64()),
        pa.field("value", pa.utf8(), nullable=False),
    ]
)
"""The answer to EXPLAIN: one row for each thing that is said of one subject; `cell_size` where it depends on one."""

_NUMBER_BYTES: Final = 8
_STATUS_BYTES: Final = 10
_FRAME_BYTES: Final = 1_500


@dataclass(frozen=True, slots=True)
class Described:
    """What a permitted request would give.

    Attributes:
        schema: of the answer, fields as they will be sent.
        parameters: the column that each placeholder is compared with.
    """

    schema: pa.Schema
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planned(Described):
    """What a request would give and cost; nothing was executed.

    Attributes:
        cost: what would be charged, by unit (`tables`, `nano_rho`): 0 if the answer is already released.
        left: what the caller's own quotas and budgets leave, by unit.
        agreement: id and version of the agreement that covers the request, and its purpose.
        policy: public name of the release policy.
        cells: rows of the answer before LIMIT and HAVING; None while parameters are unbound.
        bytes_about: size of the answer, roughly; None while parameters are unbound.
        released: the answer is in the ledger already.
        noise: what will be published of the noise; empty while parameters are unbound.
    """

    cost: Mapping[str, int]
    left: Mapping[str, int]
    epoch: str
    agreement: str
    agreement_version: int
    purpose: str
    policy: str
    cells: int | None
    bytes_about: int | None
    released: bool
    noise: Noise


def bytes_about(plans: Iterable[CheckedPlan], statistics: int) -> int:
    """Return the rough size of an answer: codes, numbers and statuses of every cell, and the frame around them."""
    total = _FRAME_BYTES
    for checked in plans:
        codes = sum(4 + sum(map(len, codes)) / max(1, len(codes)) for codes in checked.codes)
        total += round(checked.cells * (codes + statistics * _NUMBER_BYTES + _STATUS_BYTES))
    return total


def explained(planned: Planned) -> pa.Table:
    """Return what was planned as a table with `EXPLAIN_SCHEMA`."""
    aspects, subjects, sizes, values = zip(*_rows(planned), strict=True)
    return pa.table([list(aspects), list(subjects), list(sizes), list(values)], schema=EXPLAIN_SCHEMA)


def _rows(planned: Planned) -> Iterator[tuple[str, str, int | None, str]]:
    yield "decision", "request", None, "allowed"
    yield "rule", "agreement", None, f"{planned.agreement} version {planned.agreement_version}: {planned.purpose}"
    yield "rule", "policy", None, planned.policy
    yield "epoch", "dataset", None, planned.epoch
    yield "released", "answer", None, "yes" if planned.released else "no"
    for unit, amount in planned.cost.items():
        yield "cost", unit, None, str(amount)
        if unit in planned.left:
            yield "left", unit, None, str(planned.left[unit])
    if planned.cells is not None:
        yield "size", "cells", None, str(planned.cells)
        yield "size", "bytes about", None, str(planned.bytes_about)
    for statistic, published in planned.noise.items():
        yield from _errors(statistic, published)


def _errors(statistic: str, published: Mapping[str, float]) -> Iterator[tuple[str, str, int | None, str]]:
    """The half-width of the 95 % interval: once where it is the same in every cell, else by the cell's size."""
    everywhere = half_width(published)
    if everywhere is not None:
        yield "error 95 %", statistic, None, _number(everywhere)
    for size in CELL_SIZES:
        error = half_width(published, size)
        if error is None:
            continue
        if everywhere is None:
            yield "error 95 %", statistic, size, _number(error)
        elif statistic in {"count", "units"}:
            yield "relative error 95 %", statistic, size, f"{100 * error / size:.2g} %"


def _number(value: float) -> str:
    return f"{value:.4g}"
