"""Drafts a declaration from a file: its columns guessed from what they hold, to be completed by the custodian."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bandung.connectors.base import Column, RowQuery, SourceError, Stop, View
from bandung.gateway.cli.console import Failure
from bandung.gateway.domain.dataset import Source
from bandung.gateway.domain.declaration import BASE_OPTION
from bandung.gateway.service.check_dataset import TO_COMPLETE
from bandung.gateway.store.sources import Sources

_CODES_MAX = 40
_WHOLE_NUMBER_CODES_MAX = 12
_DECIMALS_MAX = 4
_CODE_LENGTH_MAX = 60


@dataclass(slots=True)
class _Seen:
    """What was seen of one source column."""

    type: pa.DataType
    values: set[str | int] = field(default_factory=set[str | int])
    missing: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    decimals: int = 0

    @property
    def number(self) -> bool:
        return pa.types.is_integer(self.type) or pa.types.is_floating(self.type)

    def look(self, column: pa.Array) -> None:
        self.missing += column.null_count
        present = column.drop_null()
        if self.number and len(present):
            numbers = present.to_numpy(zero_copy_only=False)
            self.minimum = min(self.minimum, float(numbers.min()))
            self.maximum = max(self.maximum, float(numbers.max()))
            while self.decimals < _DECIMALS_MAX and not _whole(numbers * 10.0**self.decimals):
                self.decimals += 1
        if not pa.types.is_floating(self.type) and len(self.values) <= _CODES_MAX:
            self.values.update(present.unique().to_pylist())


def draft(data: Path, country: str, unit: str | None) -> str:
    """Return a declaration of a file as TOML text.

    Raises:
        Failure: the file cannot be read, or has no such column.
        Refusal: SOURCE_UNAVAILABLE or BAD_DECLARATION.
    """
    seen, rows_max = _look(data, unit)
    columns = [text for name, column in seen.items() if name != unit for text in _column(name, column)]
    return "\n".join([*_head(data, country, unit, rows_max), *columns, *_TAIL])


def _look(data: Path, unit: str | None) -> tuple[dict[str, _Seen], int]:
    """Return what was seen of each column, and the most rows of one unit."""
    connector = Sources({}).open(Source("files", {BASE_OPTION: str(data.resolve().parent)}, data.name))
    try:
        schema = connector.schema(data.name)
        if unit is not None and unit not in schema.names:
            raise Failure(f"{data} has no column {unit!r}; it has: {', '.join(schema.names)}.")
        view = View(data.name, tuple((name, Column(name)) for name in schema.names), None)
        seen = {name: _Seen(schema.field(name).type) for name in schema.names}
        for batch in connector.rows(RowQuery(view, tuple(schema.names)), Stop()):
            for name, column in seen.items():
                column.look(batch.column(name))
        rows_max = connector.profile(View(data.name, (), unit), (), Stop()).rows_per_unit_max if unit else 1
    except SourceError as error:
        raise Failure(f"{data} cannot be read: {error}") from error
    finally:
        connector.close()
    return seen, rows_max


def _whole(numbers: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(numbers - np.round(numbers)) < 1e-6))


def _head(data: Path, country: str, unit: str | None, rows_max: int) -> Iterable[str]:
    name = _name(data.stem)
    yield f"# Drafted from {data.name}. Complete what says {TO_COMPLETE}, then: bandung dataset check FILE"
    yield "[dataset]"
    yield "# SQL name."
    yield f"name = {json.dumps(name)}"
    for key in ("title", "description", "licence", "period"):
        yield f'{key} = "{TO_COMPLETE}"'
    yield f"country = {json.dumps(country)}"
    yield ""
    yield "[source]"
    yield 'connector = "files"'
    yield f"relation = {json.dumps(data.name, ensure_ascii=False)}"
    yield ""
    yield "# Who or what is protected, and the column that identifies it (several rows may belong to one unit)."
    yield "[unit]"
    yield 'name = "person"'
    yield "rows = true" if unit is None else f"column = {json.dumps(unit, ensure_ascii=False)}"
    if rows_max > 1:
        yield "# The most rows of one unit that occur. It is public: declare the most that can occur."
        yield f"rows_max = {rows_max}"


_TAIL = (
    "",
    "# What must hold before anything leaves; the defaults are those of a cautious statistical office.",
    "[policy]",
    'kind = "table-builder"',
    "",
    "# Training jobs may use this dataset only if this says so.",
    "[training]",
    "allowed = false",
    "",
)


def _column(name: str, seen: _Seen) -> Iterable[str]:
    few = 0 < len(seen.values) <= (_WHOLE_NUMBER_CODES_MAX if seen.number else _CODES_MAX)
    if few and all(len(str(value)) <= _CODE_LENGTH_MAX and str(value).strip() for value in seen.values):
        yield from _dimension(name, seen)
    elif seen.number and math.isfinite(seen.minimum):
        yield from _measure(name, seen)
    else:
        yield ""
        yield f"# {json.dumps(name, ensure_ascii=False)} is left out: too many different values for a code list."


def _dimension(name: str, seen: _Seen) -> Iterable[str]:
    yield from _opening(name, "dimension", "These codes occur in the data. List every code that may exist.")
    yield "codes = ["
    bare = {str(value).strip() for value in seen.values}
    for value in sorted(seen.values, key=lambda value: (isinstance(value, str), value)):
        # Spaces at the ends belong to the data, not to their meaning; not so where only they tell two values apart.
        text = str(value).strip() if len(bare) == len(seen.values) else str(value)
        code = json.dumps(text, ensure_ascii=False)
        yield f"  {{ code = {code}, label = {code}, values = [{json.dumps(value, ensure_ascii=False)}] }},"
    yield "]"
    if seen.missing:
        yield "# Rows without a value are a category of their own."
        yield 'missing = "missing"'


def _measure(name: str, seen: _Seen) -> Iterable[str]:
    yield from _opening(name, "measure", f"{TO_COMPLETE}: widen the range to what can occur, not only to what did.")
    yield '# Numbers that stand for no value, as -99 or 999: missing_values = [-99], with missing = "allowed".'
    yield f"range = [{math.floor(seen.minimum)}, {math.ceil(seen.maximum)}]"
    yield f'unit = "{TO_COMPLETE}"'
    if seen.decimals:
        yield f"decimals = {seen.decimals}"
    if seen.missing:
        yield 'missing = "allowed"'


def _opening(name: str, role: str, advice: str) -> Iterable[str]:
    yield ""
    yield f"# {advice}"
    yield f"[columns.{_name(name)}]"
    yield f'role = "{role}"'
    yield f"label = {json.dumps(name, ensure_ascii=False)}"
    if _name(name) != name:
        yield f"source = {json.dumps(name, ensure_ascii=False)}"


def _name(text: str) -> str:
    """Return the nearest SQL name: lower-case letters, digits, underscores."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_NAME_LENGTH_MAX]
    return name if re.match("[a-z]", name) else f"c_{name}"[:_NAME_LENGTH_MAX]


_NAME_LENGTH_MAX = 40
