"""The `table-builder` policy: raw cells to a release.

What is withheld is a null in a row of its own; rows are all the cells of the public code lists, so that nothing is
told by which rows there are. Empty cells and cells of too few units look the same; cells that cannot exist, as the
declaration says in public, say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, sqrt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bandung.gateway.disclosure import ons
from bandung.gateway.disclosure.cells import ForeignCell, OutOfRange, Padded, key_columns
from bandung.gateway.disclosure.keys import uniforms
from bandung.gateway.disclosure.ptable import PTable, maximum_entropy
from bandung.gateway.disclosure.safety import Safety, Thresholds, uncertified
from bandung.gateway.disclosure.structure import impossible
from bandung.gateway.domain.dataset import Measure
from bandung.gateway.domain.plan import Statistic, StatisticKind
from bandung.gateway.domain.policy import TableBuilder
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.check import CheckedPlan, source_measures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.connectors.base import Measure as SourceMeasure
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.noise import Noise

__all__ = ["protect", "published_noise", "uncertified"]

NORMAL, SUPPRESSED, CANNOT_EXIST = "A", "Q", "M"
"""SDMX code list CL_OBS_STATUS: normal value; missing value, suppressed; missing value, data cannot exist."""
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

    A count is perturbed by the published table, decided by the cell's fingerprint. A sum is changed, decided likewise,
    by at most `sum_noise` times its largest contribution, or sqrt(3 V) times the mean of its values that are not zero,
    whichever is more, and rounded to the measure's decimals: divided by that mean, it tells how many contribute no
    better than a count. A mean is the protected sum divided by the protected count of its contributors. See
    `Release.noise` for what is published of the noise; it depends on declarations alone, since a cell's own largest
    contribution is secret.

    Raises:
        SourceError: the source's cells are not what was published: foreign codes, rows without a record key, or
            values outside the declared ranges.
    """
    cells = Padded.on(checked, raw.cells)
    looked = Padded.on(checked, raw.contributions) if raw.contributions is not None else None
    thresholds = Thresholds.sticky(epoch.dataset.policy_as(TableBuilder), dataset_key)
    protector = _Protector(Safety(epoch, cells, looked, thresholds), dataset_key)
    measures = {measure.name: measure for measure in source_measures(checked.plan, epoch)}
    sums = {name: protector.sum(measure) for name, measure in measures.items()}
    columns: dict[str, _Column] = {}
    for statistic in checked.plan.statistics:
        measure = measures.get(statistic.measure)
        if measure is None:
            columns[statistic.name] = protector.count(None)
        elif statistic.kind == StatisticKind.SUM.value:
            columns[statistic.name] = sums[measure.name]
        else:
            columns[statistic.name] = protector.mean(sums[measure.name], measure)
    empty = impossible(checked, epoch.dataset)
    if cells.integers("rows")[empty].any():
        raise ForeignCell("records where none can be")
    return Release(_table(checked, columns, empty), published_noise(checked.plan.statistics, epoch))


class _Protector:
    """Makes a table's columns; the counts of the same records are drawn once."""

    def __init__(self, safety: Safety, dataset_key: bytes) -> None:
        self._safety = safety
        self._policy = safety.epoch.dataset.policy_as(TableBuilder)
        self._dataset_key = dataset_key
        self._counts: dict[str, _Column] = {}

    def count(self, measure: SourceMeasure | None) -> _Column:
        of = measure.name if measure and measure.optional else ""
        if of not in self._counts:
            rows, fingerprints = self._safety.rows(measure), self._safety.fingerprints(measure)
            shown = self._safety.enough_units(measure if of else None)
            self._counts[of] = _Column(self._perturbed(rows, fingerprints), shown)
        return self._counts[of]

    def _perturbed(self, rows: NDArray[np.int64], fingerprints: NDArray[np.uint64]) -> NDArray[np.int64]:
        if self._policy.ons is not None:
            return ons.perturb(self._policy.ons, rows, fingerprints)
        uniform = uniforms(self._dataset_key, fingerprints, rows, StatisticKind.COUNT.value)
        return _ptable(self._policy).perturb(rows, uniform)

    def sum(self, measure: SourceMeasure) -> _Column:
        declared = _declared(self._safety.epoch, measure.name)
        if (self._safety.cells.integers(f"{measure.name}.max") > max(map(abs, declared.range_steps))).any():
            raise OutOfRange(measure.name)
        rows, fingerprints = self._safety.rows(measure), self._safety.fingerprints(measure)
        uniform = uniforms(self._dataset_key, fingerprints, rows, f"sum({declared.values_of})")
        mean = np.maximum(self._safety.mean_size(measure), 1)
        width = np.maximum(self._policy.sum_noise * self._safety.largest(measure), _count_width(self._policy) * mean)
        noise = np.rint(width * (2 * uniform - 1)).astype(np.int64)
        shown = self._safety.sum_safe(measure) & ~self._safety.tells_everybody(measure)
        total = self._safety.cells.integers(f"{measure.name}.sum") + noise
        return _Column(total / 10.0**declared.decimals, shown)

    def mean(self, total: _Column, measure: SourceMeasure) -> _Column:
        count = self.count(measure)
        shown = total.shown & count.shown & (count.values > 0)
        return _Column(total.values / np.where(count.values > 0, count.values, 1), shown)


def _ptable(policy: TableBuilder) -> PTable:
    return maximum_entropy(policy.noise_max, policy.noise_variance, policy.noise_js)


def _count_variance(policy: TableBuilder) -> float:
    if policy.ons is not None:
        return ons.mean_square(policy.ons, policy.min_units)
    return _ptable(policy).variance(policy.min_units, policy.noise_variance)


def _count_width(policy: TableBuilder) -> float:
    """Uniform noise of this half-width has the variance of a count's noise."""
    return sqrt(3 * policy.noise_variance)


def _table(checked: CheckedPlan, columns: Mapping[str, _Column], empty: NDArray[np.bool_]) -> pa.Table:
    withheld = ~np.logical_and.reduce([column.shown for column in columns.values()]) & ~empty
    return pa.table(
        {
            **key_columns(checked),
            **{name: column.array() for name, column in columns.items()},
            "OBS_STATUS": _statuses(np.select([empty, withheld], [2, 1], 0), (NORMAL, SUPPRESSED, CANNOT_EXIST)),
            "CONF_STATUS": _statuses(withheld.astype(np.int64), (FREE, CONFIDENTIAL)),
        }
    )


def _statuses(places: NDArray[np.int64], codes: tuple[str, ...]) -> pa.Array:
    return pa.array(codes, pa.utf8()).take(pa.array(places))


def published_noise(statistics: tuple[Statistic, ...], epoch: Epoch) -> Noise:
    """Return what is published of the noise on each statistic; it depends on declarations alone."""
    return {statistic.name: _noise_of(statistic, epoch) for statistic in statistics}


def _noise_of(statistic: Statistic, epoch: Epoch) -> Mapping[str, float]:
    """The variance of a count; for a sum, the standard error if all values stood at the declared bound.

    A mean m = S / n is off by (noise of S - m noise of n) / n, so its error is at most that of its sum, plus the
    declared bound times that of its count, by the released count of its contributors.
    """
    policy = epoch.dataset.policy_as(TableBuilder)
    variance = _count_variance(policy)
    if statistic.kind == StatisticKind.COUNT.value:
        return {"variance": variance}
    measure = _declared(epoch, statistic.measure)
    bound, step = max(map(abs, measure.range_steps)), 10.0**-measure.decimals
    width = max(policy.sum_noise * epoch.dataset.unit_rows_max, _count_width(policy)) * bound
    error = sqrt(_rounded_variance(width)) * step
    if statistic.kind == StatisticKind.SUM.value:
        return {"standard_error_max": error}
    # COUNT(*) counts records without a value too, so it does not tell how many contributors an optional measure has.
    by = "contributors" if measure.optional else "count"
    return {f"standard_error_max_times_{by}": error + bound * step * sqrt(variance)}


def _rounded_variance(width: float) -> float:
    """The variance of a uniform number in (-width, width), rounded to a whole one."""
    last = floor(width + 0.5)
    inner = (last - 1) * last * (2 * last - 1) / 6
    return (inner + last**2 * (width - last + 0.5)) / width


def _declared(epoch: Epoch, name: str) -> Measure:
    column = epoch.dataset.column(name)
    if not isinstance(column, Measure):
        raise TypeError(f"{name} is no measure")
    return column
