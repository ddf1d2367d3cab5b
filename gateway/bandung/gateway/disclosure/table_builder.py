"""The `table-builder` policy: raw cells to a release.

What is withheld is a null in a row of its own; rows are all the cells of the public code lists, so that nothing is
told by which rows there are. Empty cells and cells of too few units look the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bandung.gateway.disclosure.cells import Padded
from bandung.gateway.disclosure.keys import uniforms
from bandung.gateway.disclosure.ptable import maximum_entropy
from bandung.gateway.disclosure.safety import contributors, enough_units, sensitive, uncertified
from bandung.gateway.domain.dataset import Measure
from bandung.gateway.domain.plan import Statistic, StatisticKind
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.check import CheckedPlan, source_measures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.connectors.base import Measure as SourceMeasure
    from bandung.gateway.domain.dataset import Epoch

__all__ = ["protect", "uncertified"]

NORMAL, SUPPRESSED = "A", "Q"
"""SDMX code list CL_OBS_STATUS: normal value; missing value, suppressed."""
FREE, CONFIDENTIAL = "F", "C"
"""SDMX code list CL_CONF_STATUS: free for publication; confidential statistical information."""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A protected statistic: its values, and where they may be shown."""

    values: NDArray[np.int64] | NDArray[np.float64]
    shown: NDArray[np.bool_]

    def array(self) -> pa.Array:
        return pa.array(self.values, mask=~self.shown)


def protect(checked: CheckedPlan, epoch: Epoch, raw: Raw, dataset_key: bytes) -> Release:
    """Return the release of a plan's raw cells.

    A count is perturbed by the published table, decided by the cell's fingerprint. A sum is changed by at most
    `sum_noise` times its largest contribution, decided likewise, and rounded to the measure's decimals. A mean is the
    protected sum divided by the protected count of its contributors. See `Release.noise` for what is published of
    the noise; the bound on a sum is that of the declared range, since a cell's own largest contribution is secret.

    Raises:
        OutOfRange: the source's sums do not fit the declared ranges.
    """
    group_by = checked.plan.group_by
    cells = Padded.on(checked.keys, raw.cells, group_by)
    looked = Padded.on(checked.keys, raw.contributions, group_by) if raw.contributions is not None else None
    protector = _Protector(epoch, dataset_key, cells, looked)
    measures = {measure.name: measure for measure in source_measures(checked.plan, epoch)}
    columns = {s.name: protector.column(s, measures) for s in checked.plan.statistics}
    return Release(_table(checked, columns), _noise(checked.plan.statistics, epoch))


@dataclass(frozen=True, slots=True, eq=False)
class _Protector:
    epoch: Epoch
    dataset_key: bytes
    cells: Padded
    looked: Padded | None

    def column(self, statistic: Statistic, measures: Mapping[str, SourceMeasure]) -> _Column:
        if statistic.kind == StatisticKind.COUNT.value:
            return self._count(self.cells.fingerprints("key"), self.cells.integers("rows"), None)
        measure = measures[statistic.measure]
        total = self._sum(measure)
        return total if statistic.kind == StatisticKind.SUM.value else self._mean(total, measure)

    def _count(
        self, fingerprints: NDArray[np.uint64], rows: NDArray[np.int64], measure: SourceMeasure | None
    ) -> _Column:
        policy = self.epoch.dataset.policy
        shown = enough_units(self.cells, self.looked, self.epoch, measure)
        table = maximum_entropy(policy.noise_max, policy.noise_variance, policy.noise_js)
        uniform = uniforms(self.dataset_key, fingerprints, rows, StatisticKind.COUNT.value)
        return _Column(table.perturb(rows, uniform), shown)

    def _sum(self, measure: SourceMeasure) -> _Column:
        policy = self.epoch.dataset.policy
        of = contributors(self.cells, self.looked, self.epoch, measure)
        shown = enough_units(self.cells, self.looked, self.epoch, measure)
        shown &= enough_units(self.cells, self.looked, self.epoch, None)
        shown &= ~sensitive(of, self.looked, policy, measure)
        uniform = uniforms(self.dataset_key, of.fingerprint, of.rows, f"sum({measure.name})")
        noise = np.rint(policy.sum_noise * (2 * uniform - 1) * of.largest).astype(np.int64)
        scale = 10.0 ** _declared(self.epoch, measure.name).decimals
        return _Column((self.cells.integers(f"{measure.name}.sum") + noise) / scale, shown)

    def _mean(self, total: _Column, measure: SourceMeasure) -> _Column:
        of = contributors(self.cells, self.looked, self.epoch, measure)
        count = self._count(of.fingerprint, of.rows, measure)
        shown = total.shown & count.shown & (count.values > 0)
        return _Column(total.values / np.where(count.values > 0, count.values, 1), shown)


def _table(checked: CheckedPlan, columns: Mapping[str, _Column]) -> pa.Table:
    withheld = ~np.logical_and.reduce([column.shown for column in columns.values()])
    dimensions = {
        name: pa.array([key[i] for key in checked.keys], pa.utf8()) for i, name in enumerate(checked.plan.group_by)
    }
    return pa.table(
        {
            **dimensions,
            **{name: column.array() for name, column in columns.items()},
            "OBS_STATUS": pa.array(np.where(withheld, SUPPRESSED, NORMAL).tolist(), pa.utf8()),
            "CONF_STATUS": pa.array(np.where(withheld, CONFIDENTIAL, FREE).tolist(), pa.utf8()),
        }
    )


def _noise(statistics: tuple[Statistic, ...], epoch: Epoch) -> Mapping[str, Mapping[str, float]]:
    return {statistic.name: _noise_of(statistic, epoch) for statistic in statistics}


def _noise_of(statistic: Statistic, epoch: Epoch) -> Mapping[str, float]:
    """The variance of a count; for a sum, the standard error if one unit's rows all stood at the declared bound.

    A mean's relative error is at most that of its sum and of its count together.
    """
    policy = epoch.dataset.policy
    if statistic.kind == StatisticKind.COUNT.value:
        return {"variance": policy.noise_variance}
    measure = _declared(epoch, statistic.measure)
    bound = max(abs(measure.minimum), abs(measure.maximum)) * epoch.facts.rows_per_unit_max
    error = policy.sum_noise / sqrt(3) * bound
    if statistic.kind == StatisticKind.SUM.value:
        return {"standard_error_max": error}
    # With at least k contributors, |sum noise| / count and |mean| |count noise| / count are largest at k.
    least = max(1, policy.min_units - policy.noise_max)
    return {"standard_error_max": (error + bound * sqrt(policy.noise_variance)) / least}


def _declared(epoch: Epoch, name: str) -> Measure:
    column = epoch.dataset.column(name)
    if not isinstance(column, Measure):
        raise TypeError(f"{name} is no measure")
    return column
