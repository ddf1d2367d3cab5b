"""Which cells are safe: enough units, no contributor whom others could estimate, no sum that tells everybody's value.

A cell is first *certified* from what one pass over the rows tells together with declared bounds that publication
verified of a copy; only where that proves nothing is the exact number of units, and their largest contributions,
asked for. What needs that closer look and did not get one is not safe.

A bare threshold says of whoever is one below it whether the last one is there. So a cell's own is drawn, by the
dataset's key and the cell's records, where the least and the greatest that it can be decide differently: always the
same for the same records, and another one with a record more or less. Being shown is then a graded matter of how many
units there are, by 1 / (spread + 1) for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bandung.connectors.base import ContributionQuery
from bandung.connectors.base import Measure as SourceMeasure
from bandung.gateway.disclosure.cells import Padded
from bandung.gateway.disclosure.exact import is_negative, percentage
from bandung.gateway.disclosure.keys import threshold_draws
from bandung.gateway.domain.dataset import Measure, Mode
from bandung.gateway.domain.policy import CellRules, TableBuilder
from bandung.gateway.planning.check import CheckedPlan, source_query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.dataset import Epoch

CELLS_NAMED_MAX = 500
"""Beyond this many cells the closer look asks for all of them, which is cheaper than naming each."""


def uncertified(checked: CheckedPlan, epoch: Epoch, cells: pa.Table, dataset_key: bytes) -> ContributionQuery | None:
    """Return the closer look that the cells need, or None if every cell is decided already.

    Raises:
        SourceError: the cells are not those of the plan.
    """
    policy = epoch.dataset.policy_as(TableBuilder)
    query = source_query(checked, epoch)
    safety = Safety(epoch, Padded.on(checked, cells), None, Thresholds.sticky(policy, dataset_key))
    needed = safety.enough_rows(None) & ~safety.enough_units(None)
    least: list[int | None] = []
    for measure in query.measures:
        if safety.rows_are_units and policy.dominance_n <= 2:
            undecided, enough = safety.second_matters(measure)
            least.append(enough)
        else:
            undecided = safety.enough_rows(measure) & ~safety.sum_safe(measure)
        needed |= undecided
    places = np.flatnonzero(needed).tolist()
    if not places:
        return None
    named = query.group_by and len(places) <= CELLS_NAMED_MAX
    return ContributionQuery(
        view=query.view,
        group_by=query.group_by,
        where=query.where,
        measures=query.measures,
        top=max(2, policy.dominance_n) if query.measures else 0,
        cells=tuple(checked.keys[place] for place in places) if named else None,
        least=tuple(least),
        units_enough=policy.min_units + policy.threshold_spread,
    )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much of what counts, units or steps, a cell needs: from `least` to `spread` more.

    Attributes:
        dataset_key: decides for each cell; nothing where there is no spread.
    """

    least: int
    spread: int = 0
    dataset_key: bytes = b""

    @classmethod
    def sticky(cls, policy: TableBuilder, dataset_key: bytes) -> Thresholds:
        """Return those that the policy declares."""
        return cls(policy.min_units, policy.threshold_spread, dataset_key)


@dataclass(frozen=True, slots=True, eq=False)
class Safety:
    """What is known of a table's cells: from the first pass, and from the closer look where one was taken.

    A unit is certain to have no more rows than declared only in a copy; what stood in a live source at publication
    may have changed. Without a unit column each row is a unit, as declared.
    """

    epoch: Epoch
    cells: Padded
    looked: Padded | None
    thresholds: Thresholds

    def rows(self, measure: SourceMeasure | None) -> NDArray[np.int64]:
        """Return the rows of each cell, with a value if a measure is given."""
        return self.cells.integers(f"{measure.name}.rows" if measure and measure.optional else "rows")

    def fingerprints(self, measure: SourceMeasure | None) -> NDArray[np.uint64]:
        """Return the sum of these rows' record keys modulo 2^32.

        Raises:
            KeyMissing: rows without a key.
        """
        name = f"{measure.name}.key" if measure and measure.optional else "key"
        return self.cells.fingerprints(name, self.rows(measure))

    def largest(self, measure: SourceMeasure) -> NDArray[np.int64]:
        """Return the largest contribution of a unit: by the closer look, else of one row.

        Where rows are units the first pass knows it, and a look that left small contributions of another measure out
        may have left this one out with them.
        """
        by_row = self.cells.integers(f"{measure.name}.max")
        if self.looked is None:
            return by_row
        found = np.where(self.looked.present, self.looked.integers(f"{measure.name}.top1"), by_row)
        return np.maximum(found, by_row) if self.rows_are_units else found

    def mean_size(self, measure: SourceMeasure) -> NDArray[np.float64]:
        """Return the mean absolute value of the rows that are not zero, in steps; 0 where there are none."""
        size = self.cells.integers(f"{measure.name}.{'abs' if measure.signed else 'sum'}")
        return size / np.maximum(self.cells.integers(f"{measure.name}.nonzero"), 1)

    def enough_rows(self, measure: SourceMeasure | None) -> NDArray[np.bool_]:
        """Return where the cells have rows for as many units as they need (with a value, if a measure is given)."""
        rows = self.rows(measure)
        return self._reached(measure, "units", lambda needed: rows >= needed)

    def enough_units(self, measure: SourceMeasure | None) -> NDArray[np.bool_]:
        """Return where the cells certainly have as many units as they need (with a value, if a measure is given).

        With H the most rows of one unit, n >= k H rows are at least k units.
        """
        rows, most = self.rows(measure), self._rows_per_unit()
        units = rows // most if most else np.zeros(len(rows), dtype=np.int64)
        if self.looked is not None and not self.rows_are_units:
            units = np.where(self.looked.present, self._units(self.looked, measure), units)
        return self._reached(measure, "units", lambda needed: units >= needed)

    def sum_safe(self, measure: SourceMeasure) -> NDArray[np.bool_]:
        """Return where a sum may be shown: enough units, no contributor given away, not everybody's value told."""
        by_contributors = self._contributors_certain(measure)
        if self.looked is not None:
            by_contributors = np.where(
                self.looked.present, ~self._contributor_shown(self.looked, measure), by_contributors
            )
        return self.enough_units(None) & self.enough_units(measure) & by_contributors

    @property
    def rows_are_units(self) -> bool:
        """Whether each row is certainly a unit, so that the first pass tells units and the largest contribution."""
        return self._rows_per_unit() == 1

    def second_matters(self, measure: SourceMeasure) -> tuple[NDArray[np.bool_], int | None]:
        """Return the cells whose sum the second largest contribution decides, and from which amount it can.

        Only where rows are units, and only for dominance of at most two. Below the amount, which is the least of all
        these cells, a second contribution changes nothing; None if there is no such cell.
        """
        open_ = self.enough_units(None) & self.enough_units(measure) & ~self._contributors_certain(measure)
        places = np.flatnonzero(open_)
        room = _room(self._policy, self.total(measure)[places], self.largest(measure)[places])
        places, room = places[room >= 0], room[room >= 0]
        undecided = np.zeros(len(open_), dtype=np.bool_)
        undecided[places] = True
        return undecided, int(room.min()) + 1 if len(places) else None

    def tells_everybody(self, measure: SourceMeasure) -> NDArray[np.bool_]:
        """Return where a sum is so near its least or greatest possible value that it tells nearly everybody's.

        The sum of a yes-or-no column is the number of those with a yes: it needs as many of them, and of those with a
        no, as a cell needs units. In steps of the last carried digit: S - n min < k H or n max - S < k H.
        """
        declared, per_unit = _declared(self.epoch, measure.name), self.epoch.dataset.unit_rows_max
        least, greatest = declared.range_steps
        total, rows = self.cells.integers(f"{measure.name}.sum"), self.rows(measure)

        def far(needed: NDArray[np.int64]) -> NDArray[np.bool_]:
            below = is_negative((1, total), (-least, rows), (-per_unit, needed))
            return ~(below | is_negative((-1, total), (greatest, rows), (-per_unit, needed)))

        return ~self._reached(measure, f"sum({declared.values_of})", far)

    def _reached(
        self, measure: SourceMeasure | None, rule: str, reached: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
    ) -> NDArray[np.bool_]:
        """Return where a cell has reached its threshold, which is drawn only where that can matter.

        Args:
            reached: where, by what is known of the cells, these thresholds are; more of them never reach more.
        """
        rows, of = self.rows(measure), self.thresholds
        needed = np.full(len(rows), of.least + of.spread, dtype=np.int64)
        certain = reached(needed)
        if not of.spread:
            return certain
        open_ = np.flatnonzero(reached(needed - of.spread) & ~certain)
        if not open_.size:
            return certain
        fingerprints = self.fingerprints(measure)[open_]
        needed[open_] = of.least + threshold_draws(of.dataset_key, fingerprints, rows[open_], rule, of.spread)
        return reached(needed)

    @property
    def _policy(self) -> CellRules:
        return self.epoch.dataset.policy_as(CellRules)

    def _rows_per_unit(self) -> int | None:
        """The most rows that a unit certainly has at most, or None if that is not known."""
        dataset = self.epoch.dataset
        if dataset.unit_column is None:
            return 1
        return dataset.unit_rows_max if dataset.mode is Mode.SNAPSHOT else None

    def _units(self, looked: Padded, measure: SourceMeasure | None) -> NDArray[np.int64]:
        return looked.integers(f"{measure.name}.units" if measure else "units")

    def total(self, measure: SourceMeasure) -> NDArray[np.int64]:
        """Return the sum of the units' contributions, or less: rows of one unit may cancel each other."""
        total = self.cells.integers(f"{measure.name}.sum")
        if not measure.signed:
            return total
        by_row, single = self.cells.integers(f"{measure.name}.abs"), self.rows_are_units
        if self.looked is not None and not single:
            single = self.looked.present & (self._units(self.looked, measure) == self.rows(measure))
        return np.where(single, by_row, np.abs(total))

    def _contributors_certain(self, measure: SourceMeasure) -> NDArray[np.bool_]:
        """Where the rules hold because they do so for the largest row in the place of each large contributor."""
        if not self.rows_are_units:
            return np.zeros(len(self.cells.rows), dtype=np.bool_)
        row = self.cells.integers(f"{measure.name}.max")
        return ~_sensitive(self._policy, self.total(measure), [row] * max(2, self._policy.dominance_n))

    def _contributor_shown(self, looked: Padded, measure: SourceMeasure) -> NDArray[np.bool_]:
        ranks = range(1, max(2, self._policy.dominance_n) + 1)
        top = [looked.integers(f"{measure.name}.top{rank}") for rank in ranks]
        top[0] = self.largest(measure)
        return _sensitive(self._policy, self.total(measure), top)


def _sensitive(policy: CellRules, total: NDArray[np.int64], top: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Return where a sum gives a contributor away.

    The p %-rule: total - x1 - x2 < p/100 x1; dominance: x1 + … + xn > k/100 total (Hundepool et al., Statistical
    Disclosure Control, 2012, section 4.2).
    """
    p, k = percentage(policy.p_percent), percentage(policy.dominance_k_percent)
    by_p = is_negative((p.denominator, total), (-p.denominator - p.numerator, top[0]), (-p.denominator, top[1]))
    largest = [(-k.denominator, contribution) for contribution in top[: policy.dominance_n]]
    return by_p | is_negative((k.numerator, total), *largest)


def _room(policy: CellRules, total: NDArray[np.int64], largest: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the most that a second contributor can have without making a sum sensitive; below 0 if it is anyway.

    `_sensitive` solved for x2, rounded down: with dominance of one, x1 alone decides that rule.
    """
    p, k = percentage(policy.p_percent), percentage(policy.dominance_k_percent)
    whole, top = total.astype(object), largest.astype(object)
    by_p = (p.denominator * whole - (p.denominator + p.numerator) * top) // p.denominator
    by_k = (k.numerator * whole - k.denominator * top) // k.denominator
    return np.minimum(by_p, by_k) if policy.dominance_n == 2 else np.where(by_k < 0, by_k, by_p)


def _declared(epoch: Epoch, name: str) -> Measure:
    column = epoch.dataset.column(name)
    if not isinstance(column, Measure):
        raise TypeError(f"{name} is no measure")
    return column
