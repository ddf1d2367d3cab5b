"""How far noise will move the statistics of a table: from declarations alone, so it can be told before spending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, sqrt
from typing import TYPE_CHECKING

from bandung.gateway.disclosure.aggregates import Aggregate, AggregateKind, centre, contributors, declared, reach, units
from bandung.gateway.disclosure.noise import Noise, half_width
from bandung.gateway.disclosure.spending import bins, noises
from bandung.gateway.domain.plan import Statistic, StatisticKind
from bandung.gateway.domain.policy import DifferentialPrivacy

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch, Measure
    from bandung.gateway.planning.check import CheckedPlan


@dataclass(frozen=True, slots=True)
class Expected:
    """How far the noise will move a statistic.

    Attributes:
        scale: of the distribution of the noise on what is added up for it, in the statistic's own unit.
        standard_error_max: the largest standard error, in the form that its key in `Release.noise` says.
        form: that key; `variance` stands for the root of the variance.
        factor: standard errors in half a 95 % interval.
    """

    scale: float
    standard_error_max: float
    form: str
    factor: float

    def standard_error(self, records: int) -> float:
        """Return the standard error in a cell of so many records; of a quantile as a share of them."""
        if "_root_" in self.form:
            return self.standard_error_max / sqrt(records)
        divided = "_times_" in self.form or self.form.endswith("_of_rank")
        return self.standard_error_max / records if divided else self.standard_error_max

    def half_width(self, records: int) -> float:
        """Return half the width of the 95 % interval in a cell of so many records."""
        return self.factor * self.standard_error(records)

    def published(self) -> Mapping[str, float]:
        """Return the statistic's entry of `Release.noise`."""
        amount = self.standard_error_max**2 if self.form == "variance" else self.standard_error_max
        return {"scale": self.scale, self.form: amount}


def expected(checked: CheckedPlan, epoch: Epoch) -> Mapping[str, Expected]:
    """Return how far each statistic of a table will be off, by its name; spends and reveals nothing.

    Raises:
        Refusal: NOT_UNDER_POLICY or TOO_LARGE, as `questions` does.
    """
    drawn = noises(checked, epoch)
    return {statistic.name: _expected(statistic, checked, epoch, drawn) for statistic in checked.plan.statistics}


def _expected(statistic: Statistic, checked: CheckedPlan, epoch: Epoch, drawn: Mapping[Aggregate, Noise]) -> Expected:
    factor = half_width(epoch.dataset.policy_as(DifferentialPrivacy).mechanism, 1.0)
    kind = StatisticKind(statistic.kind)
    if kind in {StatisticKind.COUNT, StatisticKind.UNITS}:
        counted = drawn[units(epoch.dataset) if kind is StatisticKind.UNITS else Aggregate(AggregateKind.ROWS)]
        return Expected(counted.scale, counted.standard_error, "variance", factor)
    measure = declared(epoch.dataset, statistic.measure)
    if kind is StatisticKind.QUANTILE:
        binned = drawn[Aggregate(AggregateKind.HISTOGRAM, measure.name)]
        share, count = float(statistic.share), bins(measure, checked, epoch).count
        rank = binned.standard_error * sqrt(count) * max(share, 1 - share)
        return Expected(binned.scale, rank, "standard_error_max_of_rank", factor)
    main = _main(kind, measure, drawn)
    step = 10.0 ** -(measure.decimals * (1 if kind in {StatisticKind.SUM, StatisticKind.MEAN} else 2))
    error, form = _error(kind, measure, drawn)
    if kind is StatisticKind.STDDEV:
        # Roots of numbers that differ by d differ by at most the root of d.
        return Expected(main.scale * main.grid * step, sqrt(error * step), form, factor)
    return Expected(main.scale * main.grid * step, error * step, form, factor)


def _main(kind: StatisticKind, measure: Measure, drawn: Mapping[Aggregate, Noise]) -> Noise:
    """The noise of what is added up for the statistic."""
    whole = Aggregate(AggregateKind.SUM, measure.name)
    if kind is StatisticKind.SUM and whole in drawn:
        return drawn[whole]
    summed = kind in {StatisticKind.SUM, StatisticKind.MEAN}
    return drawn[Aggregate(AggregateKind.DEVIATIONS if summed else AggregateKind.SQUARES, measure.name)]


def _error(kind: StatisticKind, measure: Measure, drawn: Mapping[Aggregate, Noise]) -> tuple[float, str]:
    """The largest standard error in steps, and its form.

    A mean is at most w from the centre and a variance at most w²; see `estimates` for the errors of ratios.
    """
    error, w = _main(kind, measure, drawn).standard_error, reach(measure)
    if kind is StatisticKind.SUM and Aggregate(AggregateKind.SUM, measure.name) in drawn:
        return error, "standard_error_max"
    by, of_count = "contributors" if measure.optional else "count", drawn[contributors(measure)].standard_error
    if kind is StatisticKind.SUM:
        return hypot(error, centre(measure) * of_count), "standard_error_max"
    if kind is StatisticKind.MEAN:
        return hypot(error, w * of_count), f"standard_error_max_times_{by}"
    of_total = drawn[Aggregate(AggregateKind.DEVIATIONS, measure.name)].standard_error
    root = "root_" if kind is StatisticKind.STDDEV else ""
    return hypot(error, 2 * w * of_total, w**2 * of_count), f"standard_error_max_times_{root}{by}"
