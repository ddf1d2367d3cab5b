"""What a table under `differential-privacy` is made of: the few noisy integers of each cell that it spends on.

Values are clamped to [lo, hi], by declaration; their centre is c = floor((lo + hi) / 2) and w = hi - c, so that no
clamped value is further than w from c. Neighbouring datasets differ by one unit with all of its rows, of which it has
at most H, by declaration and verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bandung.gateway.disclosure.noise import Sensitivity
from bandung.gateway.domain.dataset import Dataset, Measure
from bandung.gateway.domain.plan import Plan, Statistic, StatisticKind

if TYPE_CHECKING:
    from collections.abc import Iterator


class AggregateKind(Enum):
    """What is added up in a cell; each is drawn noise for once, whatever statistics need it."""

    ROWS = "rows"
    UNITS = "units"
    SUM = "sum"
    DEVIATIONS = "deviations"
    SQUARES = "squares"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate.

    Attributes:
        measure: empty for all rows, and for units.
    """

    kind: AggregateKind
    measure: str = ""


def declared(dataset: Dataset, name: str) -> Measure:
    """Return a measure of the dataset.

    Raises:
        TypeError: there is no such measure.
    """
    column = dataset.column(name)
    if not isinstance(column, Measure):
        raise TypeError(f"{name} is no measure")
    return column


def centre(measure: Measure) -> int:
    """Return c, in steps of the last carried digit."""
    low, high = measure.bounds_steps
    return (low + high) // 2


def reach(measure: Measure) -> int:
    """Return w, in steps: the furthest that a clamped value is from the centre; at least 1."""
    return max(1, measure.bounds_steps[1] - centre(measure))


def contributors(measure: Measure) -> Aggregate:
    """Return what counts the rows with a value: all of them unless values may be missing."""
    return Aggregate(AggregateKind.ROWS, measure.name if measure.optional else "")


def units(dataset: Dataset) -> Aggregate:
    """Return what counts units: rows, where a unit has no more than one."""
    return Aggregate(AggregateKind.ROWS if dataset.unit_rows_max == 1 else AggregateKind.UNITS)


def aggregates(plan: Plan, dataset: Dataset) -> tuple[Aggregate, ...]:
    """Return each aggregate that the plan's statistics need, once.

    A sum whose count is drawn as well is c times the count plus the sum of deviations from c: never less exact, since
    w² + c² <= (w + |c|)², and then sum, count and mean of a table agree.
    """
    needed = dict.fromkeys(found for statistic in plan.statistics for found in _needed(statistic, dataset))
    for statistic in plan.statistics:
        if statistic.kind == StatisticKind.SUM.value:
            counted = contributors(declared(dataset, statistic.measure)) in needed
            kind = AggregateKind.DEVIATIONS if counted else AggregateKind.SUM
            needed[Aggregate(kind, statistic.measure)] = None
    return tuple(sorted(needed, key=lambda found: (list(AggregateKind).index(found.kind), found.measure)))


def _needed(statistic: Statistic, dataset: Dataset) -> Iterator[Aggregate]:
    """What a statistic cannot do without; a sum can do with one of two."""
    match StatisticKind(statistic.kind):
        case StatisticKind.COUNT:
            yield Aggregate(AggregateKind.ROWS)
        case StatisticKind.UNITS:
            yield units(dataset)
        case StatisticKind.SUM:
            pass
        case StatisticKind.QUANTILE:
            yield Aggregate(AggregateKind.HISTOGRAM, statistic.measure)
        case StatisticKind.MEAN:
            yield contributors(declared(dataset, statistic.measure))
            yield Aggregate(AggregateKind.DEVIATIONS, statistic.measure)
        case StatisticKind.VARIANCE | StatisticKind.STDDEV:
            yield contributors(declared(dataset, statistic.measure))
            yield Aggregate(AggregateKind.DEVIATIONS, statistic.measure)
            yield Aggregate(AggregateKind.SQUARES, statistic.measure)


def sensitivity(aggregate: Aggregate, dataset: Dataset, cells: int) -> Sensitivity:
    """Return how far a unit with all of its at most H rows can move an aggregate, over all cells of the table.

    - Rows, and rows in bins: H ones fall anywhere; worst together, L1 = L2 = H.
    - Units: a one in each of k = min(H, cells) cells at most; L1 = k, L2² = k.
    - Sums of numbers of size at most B, one for each row: L1 <= H B, and L2 <= L1. B is max(|lo|, |hi|) for values,
      w for deviations from the centre, w² for their squares.

    Args:
        cells: of the table, or more.
    """
    rows = dataset.unit_rows_max
    places = min(rows, cells)
    match aggregate.kind:
        case AggregateKind.ROWS | AggregateKind.HISTOGRAM:
            return Sensitivity(rows, rows**2, rows)
        case AggregateKind.UNITS:
            return Sensitivity(places, places, places)
        case AggregateKind.SUM:
            total = rows * max(1, *map(abs, declared(dataset, aggregate.measure).bounds_steps))
        case AggregateKind.DEVIATIONS:
            total = rows * reach(declared(dataset, aggregate.measure))
        case AggregateKind.SQUARES:
            total = rows * reach(declared(dataset, aggregate.measure)) ** 2
    return Sensitivity(total, total**2, places)
