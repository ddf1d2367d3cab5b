"""What the source is asked for a table under `differential-privacy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bandung.connectors.base import CellQuery, ContributionQuery, HistogramQuery
from bandung.connectors.base import Measure as SourceMeasure
from bandung.gateway.disclosure.aggregates import Aggregate, AggregateKind, declared
from bandung.gateway.disclosure.open_keys import open_dimension
from bandung.gateway.disclosure.spending import allotment, binned, bins
from bandung.gateway.domain.dataset import Mode

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.planning.check import CheckedPlan


@dataclass(frozen=True, slots=True)
class Questions:
    """What the source is asked; its answers make a `Raw`.

    Attributes:
        contributions: for a count of units that may have several rows.
        histograms: one for each measure with a quantile, by name.
        keys: the units of each key, where the table has an open dimension.
    """

    cells: CellQuery
    contributions: ContributionQuery | None
    histograms: tuple[HistogramQuery, ...]
    keys: ContributionQuery | None


def questions(checked: CheckedPlan, epoch: Epoch) -> Questions:
    """Return what the source is asked for a table.

    Raises:
        Refusal: NOT_UNDER_POLICY if the table spends too little to be split, or has an open dimension and another one
            or quantiles; TOO_LARGE if it needs more cells or bins than the policy's `cells_max` leaves.
    """
    plan, dataset = checked.plan, epoch.dataset
    opened = open_dimension(checked, epoch)
    drawn = allotment(checked, epoch)
    # No noise depends on who the records are: without a key the source need not add keys up.
    view = replace(epoch.view, key=None)
    measured = {found.measure for found in drawn if found.kind is not AggregateKind.HISTOGRAM and found.measure}
    of_units = Aggregate(AggregateKind.UNITS) in drawn
    return Questions(
        CellQuery(view, plan.group_by, plan.filters, tuple(_source(name, drawn, epoch) for name in sorted(measured))),
        ContributionQuery(view, plan.group_by, plan.filters, (), 0) if of_units else None,
        tuple(
            HistogramQuery(view, plan.group_by, plan.filters, name, over.low, over.width, over.count)
            for name, over in ((name, bins(declared(dataset, name), checked, epoch)) for name in binned(drawn))
        ),
        ContributionQuery(view, (opened,), plan.filters, (), 0) if opened else None,
    )


def _source(name: str, drawn: Mapping[Aggregate, int], epoch: Epoch) -> SourceMeasure:
    """A measure as the source needs to know it: clamped, so that one row moves no sum by more than declared.

    Publication verified a copy's values to be within the declared range, so that clamping them to all of it changes
    nothing, and what is stored of finest cells will do. Whether that is so is for declarations to say, not for the
    data's own extremes: the time that an answer takes must not tell of a single record.
    """
    measure = declared(epoch.dataset, name)
    bounds = measure.bounds_steps
    verified = epoch.dataset.mode is Mode.SNAPSHOT and bounds == measure.range_steps
    squares = Aggregate(AggregateKind.SQUARES, name) in drawn
    return SourceMeasure(name, optional=measure.optional, bounds=None if verified else bounds, squares=squares)
