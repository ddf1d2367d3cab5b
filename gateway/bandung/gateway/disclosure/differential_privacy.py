"""The `differential-privacy` policy: what the source is asked, and its answers to a release.

Every cell of the public code lists gets noise, empty ones too; so do the cells of those keys of an open dimension that
enough units have. Nothing is withheld: a null says that a cell's noisy
count is too small for the statistic to mean anything, which is no secret.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bandung.gateway.disclosure import estimates
from bandung.gateway.disclosure.aggregates import (
    Aggregate,
    AggregateKind,
    centre,
    contributors,
    declared,
    reach,
    units,
)
from bandung.gateway.disclosure.cells import ForeignCell, Padded, key_columns, places
from bandung.gateway.disclosure.estimates import Estimate, Noisy
from bandung.gateway.disclosure.expected_error import expected
from bandung.gateway.disclosure.noise import Draws, half_width, whole_half_width
from bandung.gateway.disclosure.open_keys import open_dimension, with_keys
from bandung.gateway.disclosure.source_questions import Questions, questions
from bandung.gateway.disclosure.spending import binned, bins, noises
from bandung.gateway.domain.plan import Statistic, StatisticKind
from bandung.gateway.domain.policy import DifferentialPrivacy
from bandung.gateway.domain.release import Raw, Release

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.dataset import Epoch, Measure
    from bandung.gateway.planning.check import CheckedPlan

__all__ = ["Questions", "drawing", "expected", "protect", "questions"]

Drawing = dict[Aggregate, Draws]
"""Noise that is being drawn and that no release has taken yet."""

NORMAL, MISSING, FREE = "A", "O", "F"
"""SDMX code lists CL_OBS_STATUS (normal value; missing value, no reason told apart, unreliable data among them) and
CL_CONF_STATUS (free for publication)."""


@contextmanager
def drawing(checked: CheckedPlan, epoch: Epoch) -> Generator[Drawing]:
    """Let a table's noise be drawn while its source works. What no release has taken by the end is thrown away.

    Raises:
        Unconfirmed: OpenDP's account of the noise is above the plan's budget.
    """
    draws = {} if open_dimension(checked, epoch) else _begun(checked, epoch)
    try:
        yield draws
    finally:
        for left in draws.values():
            left.stop()


def protect(checked: CheckedPlan, epoch: Epoch, raw: Raw, draws: Drawing | None = None) -> Release:
    """Return the release of a table's raw cells; each call takes fresh noise and costs the plan's budget anew.

    Counts are whole numbers and may be negative: they are unbiased. Sums are unbiased as well. Means, variances and
    standard deviations (divisor n - 1) and quantiles are post-processed; see `estimates`. Where the noisy count is
    below four of its standard errors they are null, with OBS_STATUS `O`.

    Args:
        draws: noise that is being drawn; it is taken from there, so that none is used twice.

    Raises:
        SourceError: the source's cells are not what was published.
        Unconfirmed: OpenDP's account of the noise is above the plan's budget.
    """
    checked, raw = with_keys(checked, epoch, raw)
    table = _Table(checked, epoch, raw, draws or _begun(checked, epoch))
    columns = {statistic.name: table.column(statistic) for statistic in checked.plan.statistics}
    return Release(_arrow(checked, columns), expected(checked, epoch))


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A statistic: its values, half the width of their intervals, and where there are any."""

    values: NDArray[np.int64] | NDArray[np.float64]
    half_widths: NDArray[np.float64]
    given: NDArray[np.bool_]

    def root(self) -> _Column:
        values = self.values.astype(np.float64)
        return _Column(np.sqrt(values), estimates.root_half_width(values, self.half_widths), self.given)

    def arrays(self, name: str) -> dict[str, pa.Array]:
        return {
            name: pa.array(self.values, mask=~self.given),
            f"{name}.ci95": pa.array(self.half_widths, pa.float64(), mask=~self.given),
        }


def _begun(checked: CheckedPlan, epoch: Epoch) -> Drawing:
    """Begin to draw the noise of all aggregates, as many numbers of each as the table has."""

    def size(found: Aggregate) -> int:
        of_bins = found.kind is AggregateKind.HISTOGRAM
        measure = declared(epoch.dataset, found.measure) if of_bins else None
        return checked.cells * (bins(measure, checked, epoch).count if measure else 1)

    return {found: noise.draw(size(found)) for found, noise in noises(checked, epoch).items()}


class _Table:
    """Takes the noise of each aggregate of a table once, when first asked for it."""

    def __init__(self, checked: CheckedPlan, epoch: Epoch, raw: Raw, draws: Drawing) -> None:
        self._checked = checked
        self._epoch = epoch
        self._raw = raw
        self._cells = Padded.on(checked, raw.cells)
        self._noises = noises(checked, epoch)
        self._draws = draws
        self._drawn: dict[Aggregate, NDArray[Any]] = {}
        self._mechanism = epoch.dataset.policy_as(DifferentialPrivacy).mechanism

    def column(self, statistic: Statistic) -> _Column:
        match StatisticKind(statistic.kind):
            case StatisticKind.COUNT:
                return self._count(Aggregate(AggregateKind.ROWS))
            case StatisticKind.UNITS:
                return self._count(units(self._epoch.dataset))
            case kind:
                return self._of_measure(kind, declared(self._epoch.dataset, statistic.measure), statistic.share)

    def _of_measure(self, kind: StatisticKind, measure: Measure, share: str) -> _Column:
        match kind:
            case StatisticKind.SUM:
                return self._sum(measure)
            case StatisticKind.MEAN:
                return self._mean(measure)
            case StatisticKind.QUANTILE:
                return self._quantile(measure, float(share))
            case _:
                found = self._variance(measure)
                return found if kind is StatisticKind.VARIANCE else found.root()

    def _count(self, aggregate: Aggregate) -> _Column:
        values = self._integers(aggregate)
        return self._everywhere(values, whole_half_width(self._mechanism, self._noises[aggregate].standard_error))

    def _sum(self, measure: Measure) -> _Column:
        step = 10**measure.decimals
        whole = Aggregate(AggregateKind.SUM, measure.name)
        if whole in self._noises:
            total, error = self._integers(whole), self._noises[whole].standard_error
        else:
            count, deviations = contributors(measure), Aggregate(AggregateKind.DEVIATIONS, measure.name)
            total = self._integers(deviations) + centre(measure) * self._integers(count).astype(object)
            error = hypot(self._noises[deviations].standard_error, centre(measure) * self._noises[count].standard_error)
        values = (total.astype(object) / step).astype(np.float64)
        return self._everywhere(values, whole_half_width(self._mechanism, error) / step)

    def _mean(self, measure: Measure) -> _Column:
        middle, (low, high) = centre(measure), measure.bounds_steps
        count, total = self._noisy(contributors(measure)), self._noisy_of(AggregateKind.DEVIATIONS, measure)
        found = estimates.mean(count, total, low - middle, high - middle)
        return self._estimated(replace(found, values=found.values + middle), 10.0**measure.decimals)

    def _variance(self, measure: Measure) -> _Column:
        count, total = self._noisy(contributors(measure)), self._noisy_of(AggregateKind.DEVIATIONS, measure)
        squares = self._noisy_of(AggregateKind.SQUARES, measure)
        return self._estimated(estimates.variance(count, total, squares, reach(measure)), 100.0**measure.decimals)

    def _quantile(self, measure: Measure, share: float) -> _Column:
        counts = self._noisy_of(AggregateKind.HISTOGRAM, measure)
        values, widths, given = estimates.quantile(
            counts, share, bins(measure, self._checked, self._epoch), half_width(self._mechanism, 1.0)
        )
        return _Column(values / 10.0**measure.decimals, widths / 10.0**measure.decimals, given)

    def _everywhere(self, values: NDArray[Any], width: float) -> _Column:
        return _Column(values, np.full(len(values), width, np.float64), np.ones(len(values), np.bool_))

    def _estimated(self, found: Estimate, steps: float) -> _Column:
        widths = half_width(self._mechanism, found.standard_errors)
        return _Column(found.values / steps, widths / steps, found.given)

    def _noisy_of(self, kind: AggregateKind, measure: Measure) -> Noisy:
        return self._noisy(Aggregate(kind, measure.name))

    def _noisy(self, aggregate: Aggregate) -> Noisy:
        return Noisy(self._integers(aggregate).astype(np.float64), self._noises[aggregate].standard_error)

    def _integers(self, aggregate: Aggregate) -> NDArray[Any]:
        if aggregate not in self._drawn:
            self._drawn[aggregate] = self._draws.pop(aggregate).added_to(self._exact(aggregate))
        return self._drawn[aggregate]

    def _exact(self, aggregate: Aggregate) -> NDArray[Any]:
        """The aggregate without noise: int64, or Python integers where they may be larger."""
        name = aggregate.measure
        match aggregate.kind:
            case AggregateKind.ROWS:
                return self._cells.integers(f"{name}.rows" if name else "rows")
            case AggregateKind.UNITS:
                return Padded.on(self._checked, _answered(self._raw.contributions)).integers("units")
            case AggregateKind.HISTOGRAM:
                return self._histogram(name)
            case AggregateKind.SUM:
                return self._cells.exact(f"{name}.sum")
            case AggregateKind.DEVIATIONS:
                return self._deviations(declared(self._epoch.dataset, name))
            case AggregateKind.SQUARES:
                return self._squares(declared(self._epoch.dataset, name))

    def _deviations(self, measure: Measure) -> NDArray[Any]:
        """The sum of x - c: S - c n."""
        count = self._exact(contributors(measure)).astype(object)
        return self._cells.exact(f"{measure.name}.sum") - centre(measure) * count

    def _squares(self, measure: Measure) -> NDArray[Any]:
        """The sum of (x - c)²: Q - 2 c S + n c²."""
        count, middle = self._exact(contributors(measure)).astype(object), centre(measure)
        total, squares = self._cells.exact(f"{measure.name}.sum"), self._cells.exact(f"{measure.name}.squares")
        return squares - 2 * middle * total + middle**2 * count

    def _histogram(self, name: str) -> NDArray[np.int64]:
        table = self._raw.histograms[binned(self._noises).index(name)]
        count = bins(declared(self._epoch.dataset, name), self._checked, self._epoch).count
        place, rows = table.column("bin").to_numpy(), table.column("rows").to_numpy()
        if ((place < 0) | (place >= count)).any():
            raise ForeignCell("no such bin")
        counts = np.zeros((len(self._cells.rows), count), np.int64)
        np.add.at(counts, (places(self._checked.plan.group_by, self._checked.codes, table), place), rows)
        return counts


def _answered(table: pa.Table | None) -> pa.Table:
    if table is None:
        raise ForeignCell("a question was not answered")
    return table


def _arrow(checked: CheckedPlan, columns: Mapping[str, _Column]) -> pa.Table:
    given = np.logical_and.reduce([column.given for column in columns.values()])
    arrays = key_columns(checked)
    for name, column in columns.items():
        arrays |= column.arrays(name)
    arrays["OBS_STATUS"] = pa.array(np.where(given, NORMAL, MISSING).tolist(), pa.utf8())
    arrays["CONF_STATUS"] = pa.array([FREE] * len(given), pa.utf8())
    return pa.table(arrays)
