"""How far noise will move the statistics of a table: from declarations alone, so it can be told before spending."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, sqrt
from typing import TYPE_CHECKING

from bandung.gateway.disclosure.aggregates import Aggregate, AggregateKind, centre, contributors, declared, reach, units
from bandung.gateway.disclosure.noise import Noise as Drawn
from bandung.gateway.disclosure.noise import half_width
from bandung.gateway.disclosure.open_keys import open_dimension
from bandung.gateway.disclosure.spending import bins, noises
from bandung.gateway.domain.noise import CI95
from bandung.gateway.domain.plan import Statistic, StatisticKind
from bandung.gateway.domain.policy import DifferentialPrivacy

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch, Measure
    from bandung.gateway.domain.noise import Noise
    from bandung.gateway.planning.check import CheckedPlan


def expected(checked: CheckedPlan, epoch: Epoch) -> Noise:
    """Return how far the noise will move each statistic of a table; spends and reveals nothing.

    Beside the form that the statistic's kind has there is `scale`, that of the distribution of the noise on what is
    added up for it, in the statistic's own unit, and how wide the answer's intervals are.

    Raises:
        Refusal: NOT_UNDER_POLICY or TOO_LARGE, as `questions` does.
    """
    open_dimension(checked, epoch)
    drawn = noises(checked, epoch)
    wide = {CI95: half_width(epoch.dataset.policy_as(DifferentialPrivacy).mechanism, 1.0)}
    return {found.name: {**_expected(found, checked, epoch, drawn), **wide} for found in checked.plan.statistics}


def _expected(
    statistic: Statistic, checked: CheckedPlan, epoch: Epoch, drawn: Mapping[Aggregate, Drawn]
) -> Mapping[str, float]:
    kind = StatisticKind(statistic.kind)
    if kind in {StatisticKind.COUNT, StatisticKind.UNITS}:
        counted = drawn[units(epoch.dataset) if kind is StatisticKind.UNITS else Aggregate(AggregateKind.ROWS)]
        return {"scale": counted.scale, "variance": counted.standard_error**2}
    measure = declared(epoch.dataset, statistic.measure)
    if kind is StatisticKind.QUANTILE:
        binned = drawn[Aggregate(AggregateKind.HISTOGRAM, measure.name)]
        share, count = float(statistic.share), bins(measure, checked, epoch).count
        rank = binned.standard_error * sqrt(count) * max(share, 1 - share)
        return {"scale": binned.scale, "standard_error_max_of_rank": rank}
    main = _main(kind, measure, drawn)
    step = 10.0 ** -(measure.decimals * (1 if kind in {StatisticKind.SUM, StatisticKind.MEAN} else 2))
    error, form = _error(kind, measure, drawn)
    # Roots of numbers that differ by d differ by at most the root of d.
    amount = sqrt(error * step) if kind is StatisticKind.STDDEV else error * step
    return {"scale": main.scale * main.grid * step, form: amount}


def _main(kind: StatisticKind, measure: Measure, drawn: Mapping[Aggregate, Drawn]) -> Drawn:
    """The noise of what is added up for the statistic."""
    whole = Aggregate(AggregateKind.SUM, measure.name)
    if kind is StatisticKind.SUM and whole in drawn:
        return drawn[whole]
    summed = kind in {StatisticKind.SUM, StatisticKind.MEAN}
    return drawn[Aggregate(AggregateKind.DEVIATIONS if summed else AggregateKind.SQUARES, measure.name)]


def _error(kind: StatisticKind, measure: Measure, drawn: Mapping[Aggregate, Drawn]) -> tuple[float, str]:
    """The largest standard error in steps, and its form.

    A mean is at most w from the centre and a variance at most w²; see `estimates` for the errors of ratios.
    """
    error, w = _main(kind, measure, drawn).standard_error, reach(measure)
    if kind is StatisticKind.SUM and Aggregate(AggregateKind.SUM, measure.name) in drawn:
        return error, "standard_error"
    by, of_count = "contributors" if measure.optional else "count", drawn[contributors(measure)].standard_error
    if kind is StatisticKind.SUM:
        return hypot(error, centre(measure) * of_count), "standard_error"
    if kind is StatisticKind.MEAN:
        return hypot(error, w * of_count), f"standard_error_max_times_{by}"
    of_total = drawn[Aggregate(AggregateKind.DEVIATIONS, measure.name)].standard_error
    root = "root_" if kind is StatisticKind.STDDEV else ""
    return hypot(error, 2 * w * of_total, w**2 * of_count), f"standard_error_max_times_{root}{by}"
