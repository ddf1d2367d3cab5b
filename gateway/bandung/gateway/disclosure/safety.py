"""Which cells are safe: enough units, and no contributor that the others could estimate.

A cell is first *certified* from what one pass over the rows tells together with facts verified at publication;
only where that proves nothing is the exact number of units, and their largest contributions, asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bandung.connectors.base import ContributionQuery
from bandung.connectors.base import Measure as SourceMeasure
from bandung.gateway.disclosure.cells import Padded
from bandung.gateway.domain.policy import TableBuilder
from bandung.gateway.planning.check import CheckedPlan, source_measures, source_query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.dataset import Epoch

CELLS_NAMED_MAX = 500
"""Beyond this many cells the closer look asks for all of them, which is cheaper than naming each."""


@dataclass(frozen=True, slots=True, eq=False)
class Contributors:
    """A measure's contributors in each cell of the padded table.

    Attributes:
        rows: rows with a value.
        fingerprint: sum of their record keys modulo 2^64.
        total: sum of absolute values (for a signed measure by unit: a lower bound of the units' sum).
        largest: the largest contribution of a unit, or where `exact` is false, an upper bound of it.
        exact: where the closer look was taken.
    """

    rows: NDArray[np.int64]
    fingerprint: NDArray[np.uint64]
    total: NDArray[np.int64]
    largest: NDArray[np.int64]
    exact: NDArray[np.bool_]


def uncertified(checked: CheckedPlan, epoch: Epoch, cells: pa.Table) -> ContributionQuery | None:
    """Return the closer look that the cells need, or None if every cell is decided already.

    With H the most rows of one unit: n < k rows are fewer than k units, and n >= k H rows are at least k units. A
    cell's sum passes the p %-rule if total - 2 x >= p x, and dominance if n x <= k % of the total, with x its largest
    row, provided that each unit has one row. Otherwise contributions must be added up by unit.
    """
    policy, rows_per_unit = epoch.dataset.policy, epoch.facts.rows_per_unit_max
    query = source_query(checked, epoch)
    padded = Padded.on(checked.keys, cells, query.group_by)
    rows = padded.integers("rows")
    open_cells = (rows >= policy.min_units) & (rows < policy.min_units * rows_per_unit)
    for measure in query.measures:
        enough = _rows(padded, measure) >= policy.min_units
        open_cells |= enough if rows_per_unit > 1 else enough & ~_certified(padded, measure, policy)
    named = tuple(key for key, is_open in zip(checked.keys, open_cells.tolist(), strict=True) if is_open)
    if not named:
        return None
    return ContributionQuery(
        view=query.view,
        group_by=query.group_by,
        where=query.where,
        measures=query.measures,
        top=max(2, policy.dominance_n) if query.measures else 0,
        cells=named if query.group_by and len(named) <= CELLS_NAMED_MAX else None,
    )


def enough_units(
    cells: Padded, looked: Padded | None, epoch: Epoch, measure: SourceMeasure | None
) -> NDArray[np.bool_]:
    """Return where the cells have at least `min_units` units (with a value, if a measure is given)."""
    policy, rows_per_unit = epoch.dataset.policy, epoch.facts.rows_per_unit_max
    rows = _rows(cells, measure) if measure else cells.integers("rows")
    certain = rows >= policy.min_units * rows_per_unit
    if looked is None:
        return certain
    units = looked.integers(f"{measure.name}.units" if measure else "units")
    return np.where(looked.present, units >= policy.min_units, certain)


def contributors(cells: Padded, looked: Padded | None, epoch: Epoch, measure: SourceMeasure) -> Contributors:
    """Return the measure's contributors in each cell."""
    exact = looked.present if looked else np.zeros(len(cells.rows), dtype=np.bool_)
    by_row = cells.integers(f"{measure.name}.max")
    largest = np.where(exact, looked.integers(f"{measure.name}.top1"), by_row) if looked else by_row
    total = _total(cells, measure)
    if measure.signed and epoch.facts.rows_per_unit_max > 1:
        total = np.abs(cells.integers(f"{measure.name}.sum"))  # rows of one unit may cancel, so their total is too lax
    fingerprint = cells.fingerprints(f"{measure.name}.key" if measure.optional else "key")
    return Contributors(_rows(cells, measure), fingerprint, total, largest, exact)


def sensitive(
    of: Contributors, looked: Padded | None, policy: TableBuilder, measure: SourceMeasure
) -> NDArray[np.bool_]:
    """Return where a sum gives a contributor away; what was certified does not.

    The p %-rule: total - x1 - x2 < p/100 x1; dominance: x1 + … + xn > k/100 total (Hundepool et al., Statistical
    Disclosure Control, 2012, section 4.2).
    """
    if looked is None:
        return np.zeros(len(of.rows), dtype=np.bool_)
    top = [looked.integers(f"{measure.name}.top{rank + 1}") for rank in range(max(2, policy.dominance_n))]
    total = of.total.astype(np.float64)
    by_p = total - top[0] - top[1] < policy.p_percent / 100 * top[0]
    by_dominance = np.sum(top[: policy.dominance_n], axis=0) > policy.dominance_k_percent / 100 * total
    return of.exact & (by_p | by_dominance)


def _certified(cells: Padded, measure: SourceMeasure, policy: TableBuilder) -> NDArray[np.bool_]:
    total = _total(cells, measure).astype(np.float64)
    largest = cells.integers(f"{measure.name}.max").astype(np.float64)
    by_p = total - 2 * largest >= policy.p_percent / 100 * largest
    return by_p & (policy.dominance_n * largest <= policy.dominance_k_percent / 100 * total)


def _total(cells: Padded, measure: SourceMeasure) -> NDArray[np.int64]:
    return cells.integers(f"{measure.name}.abs" if measure.signed else f"{measure.name}.sum")


def _rows(cells: Padded, measure: SourceMeasure) -> NDArray[np.int64]:
    return cells.integers(f"{measure.name}.rows" if measure.optional else "rows")


__all__ = ["Contributors", "contributors", "enough_units", "sensitive", "source_measures", "uncertified"]
