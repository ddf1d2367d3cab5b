"""Keys of an open dimension: texts without a public code list, shown only where enough units have them."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bandung.gateway.disclosure.cells import ForeignCell
from bandung.gateway.disclosure.noise import popular
from bandung.gateway.disclosure.spending import share_of_keys
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import StatisticKind
from bandung.gateway.domain.policy import DifferentialPrivacy

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.release import Raw
    from bandung.gateway.planning.check import CheckedPlan


def open_dimension(checked: CheckedPlan, epoch: Epoch) -> str | None:
    """Return the table's open dimension, or None.

    Raises:
        Refusal: NOT_UNDER_POLICY for several of them or one with quantiles, TOO_LARGE if not even one key would fit.
    """
    opened = [dimension.name for dimension in epoch.dataset.opened(checked.plan.group_by)]
    if not opened:
        return None
    if len(opened) > 1:
        raise Refusal(ErrorKind.NOT_UNDER_POLICY, f"Group by one of {' and '.join(opened)}: they are open.")
    if any(statistic.kind == StatisticKind.QUANTILE.value for statistic in checked.plan.statistics):
        raise Refusal(ErrorKind.NOT_UNDER_POLICY, f"{opened[0]} is open: ask for quantiles by other dimensions.")
    if not _keys_max(checked, epoch):
        raise Refusal(ErrorKind.TOO_LARGE, "The table has too many cells for each key.")
    return opened[0]


def with_keys(checked: CheckedPlan, epoch: Epoch, raw: Raw) -> tuple[CheckedPlan, Raw]:
    """Return the plan padded to the keys that are found, and what the source says of those; as given if none is open.

    If more keys are found than the policy's `cells_max` has room for, those with the largest noisy numbers are kept.
    Keys stand in the order of their text, which tells nothing of the data.

    Raises:
        Refusal: as `open_dimension` does.
        Unconfirmed: as `popular` does.
    """
    name = open_dimension(checked, epoch)
    if name is None:
        return checked, raw
    found = _found(name, checked, epoch, raw.keys)
    codes = tuple(
        found if each == name else codes for each, codes in zip(checked.plan.group_by, checked.codes, strict=True)
    )
    contributions = None if raw.contributions is None else _only(raw.contributions, name, found)
    kept = replace(raw, cells=_only(raw.cells, name, found), contributions=contributions)
    return replace(checked, codes=codes), kept


def _found(name: str, checked: CheckedPlan, epoch: Epoch, units: pa.Table | None) -> tuple[str, ...]:
    if units is None:
        raise ForeignCell("the units of the keys were not asked for")
    dataset, policy = epoch.dataset, epoch.dataset.policy_as(DifferentialPrivacy)
    counts: dict[str, int] = dict(zip(units.column(name).to_pylist(), units.column("units").to_pylist(), strict=True))
    share = share_of_keys(checked, epoch)
    passed = popular(policy.mechanism, counts, dataset.unit_rows_max, share, policy.atto_delta_per_table)
    largest = sorted(passed, key=lambda key: (-passed[key], key))[: _keys_max(checked, epoch)]
    return tuple(sorted(largest))


def _keys_max(checked: CheckedPlan, epoch: Epoch) -> int:
    cells_for_each = prod(len(codes) for codes in checked.codes if codes)
    return epoch.dataset.policy_as(DifferentialPrivacy).cells_max // cells_for_each


def _only(table: pa.Table, name: str, keys: tuple[str, ...]) -> pa.Table:
    options = pc.SetLookupOptions(pa.array(keys, pa.utf8()))
    return table.filter(pc.call_function("is_in", [table.column(name)], options))
