"""Governed views: other columns over a published dataset's rows, under that dataset's policy and budget.

A view has no rows, no key, no policy and no budget of its own. It is put over whichever epoch of its base is current,
so that publishing the base anew, or withdrawing it, takes the view along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bandung.connectors.base import Banded, Column, Expression, FixedPoint, Recode
from bandung.gateway.domain.dataset import Dataset, Dimension, Epoch, Facts, Measure, Mode
from bandung.gateway.domain.declaration_columns import FIXED_POINT_MAX
from bandung.gateway.domain.policy import PublishedTables, TrainingRules


@dataclass(frozen=True, slots=True)
class ViewMeasure:
    """The sum of some measures of the base, or one of them under another name; nothing else.

    A scaled or shifted measure would have other noise than the measure itself, and the two together would tell more
    than either: what is to be scaled is scaled after protection, by whoever asked.
    """

    name: str
    label: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GovernedView:
    """A view's declaration.

    Attributes:
        of: name of the base.
        columns: dimensions whose expressions recode the base's codes or band the base's measures, and measures.
        digest: SHA-256 of the declaration's canonical form, hexadecimal.
    """

    name: str
    title: str
    description: str
    of: str
    columns: tuple[Dimension | ViewMeasure, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class ViewEpoch:
    """A published version of a view's declaration.

    Attributes:
        published_at: RFC 3339, UTC.
    """

    number: int
    view: GovernedView
    published_at: str

    @property
    def name(self) -> str:
        """Name that the view is asked by."""
        return self.view.name

    @property
    def id(self) -> str:
        """`<view>@<number>`."""
        return f"{self.view.name}@{self.number}"


def over(published: ViewEpoch, base: Epoch) -> Epoch | None:
    """Return what is asked when the view is: the base's epoch with the view's columns; None if it does not fit."""
    view, dataset = published.view, base.dataset
    if any(problems(view, dataset)):
        return None
    columns = tuple(_declared(column, dataset) for column in view.columns)
    expressions = tuple((column.name, _over_copy(column.expression)) for column in columns)
    return Epoch(
        id=f"{published.id}/{base.id}",
        number=base.number,
        dataset=replace(
            dataset,
            name=view.name,
            title=view.title,
            description=view.description,
            columns=columns,
            training=TrainingRules(),
            digest=view.digest,
            base=dataset.name,
        ),
        facts=Facts(base.facts.rows, base.facts.units, base.facts.rows_per_unit_max, {}),
        view=replace(base.view, columns=expressions),
        published_at=published.published_at,
        base=base.id,
    )


def problems(view: GovernedView, dataset: Dataset) -> Iterator[str]:
    """Say what keeps the view from standing over the dataset, as `key.path: reason`."""
    if dataset.mode is not Mode.SNAPSHOT:
        yield f"view.of: {dataset.name} is live; a view needs the gateway's own copy"
    if isinstance(dataset.policy, PublishedTables):
        yield f"view.of: {dataset.name} shows its registered tables, and nothing else"
    for column in view.columns:
        for reason in _column_problems(column, dataset):
            yield f"columns.{column.name}: {reason}"


def _column_problems(column: Dimension | ViewMeasure, dataset: Dataset) -> Iterator[str]:
    if isinstance(column, ViewMeasure):
        yield from _sum_problems(column.sources, dataset)
        return
    match column.expression:
        case Recode() as recode:
            yield from _recode_problems(recode, dataset)
        case Banded() as banded:
            yield from _band_problems(column, banded, dataset)
        case Column():
            yield "a view's dimension has codes or bands; open ones are its base's alone"


def _recode_problems(recode: Recode, dataset: Dataset) -> Iterator[str]:
    below = dataset.column(recode.column)
    if not isinstance(below, Dimension):
        yield f"{recode.column} is not a dimension of {dataset.name}"
        return
    known = {entry.code for entry in below.codes}
    listed = [value for _, values in recode.codes for value in values]
    if unknown := sorted({str(value) for value in listed} - known):
        yield f"{recode.column} has no code {', '.join(unknown)}"
    if forgotten := sorted(known - {str(value) for value in listed}):
        yield f"no code stands for {', '.join(forgotten)} of {recode.column}"


def _band_problems(column: Dimension, banded: Banded, dataset: Dataset) -> Iterator[str]:
    number = banded.number
    found = list(_measures(number.columns, dataset))
    if len(number.columns) != 1 or not found:
        yield f"bands are over one measure of {dataset.name}"
        return
    below, (least, greatest) = found[0], found[0].range_steps
    if below.decimals != number.decimals:
        yield f"{below.name} has {below.decimals} decimals; give the bands as many"
    elif not (banded.bands and banded.bands[0][1] <= least and greatest < banded.bands[-1][2]):
        yield f"the bands must cover the range of {below.name}, {below.minimum:g} to {below.maximum:g}"
    if below.optional != (column.missing is not None):
        yield f"{below.name} {'may' if below.optional else 'cannot'} be missing"


def _sum_problems(sources: Sequence[str], dataset: Dataset) -> Iterator[str]:
    found = list(_measures(sources, dataset))
    if len(found) != len(sources) or len(set(sources)) != len(sources):
        yield f"its sources must be different measures of {dataset.name}"
        return
    if len({(measure.decimals, measure.unit_of_measurement) for measure in found}) > 1:
        yield "measures that are added must have the same unit and the same decimals"
    elif sum(max(map(abs, measure.range_steps)) for measure in found) > FIXED_POINT_MAX:
        yield "the sum is too large to be carried exactly"


def _measures(names: Sequence[str], dataset: Dataset) -> Iterator[Measure]:
    for name in names:
        column = dataset.column(name)
        if isinstance(column, Measure):
            yield column


def _declared(column: Dimension | ViewMeasure, dataset: Dataset) -> Dimension | Measure:
    if isinstance(column, Dimension):
        return column
    added = list(_measures(column.sources, dataset))
    bounds = [measure.bounds or (measure.minimum, measure.maximum) for measure in added]
    return Measure(
        name=column.name,
        label=column.label,
        expression=FixedPoint(column.sources, decimals=added[0].decimals),
        minimum=sum(measure.minimum for measure in added),
        maximum=sum(measure.maximum for measure in added),
        unit_of_measurement=added[0].unit_of_measurement,
        optional=any(measure.optional for measure in added),
        bounds=(sum(low for low, _ in bounds), sum(high for _, high in bounds))
        if any(measure.bounds for measure in added)
        else None,
        adds=tuple(sorted(column.sources)),
    )


def _over_copy(expression: Expression) -> Expression:
    """Return the expression over the base's copy, where numbers stand in steps of their last carried digit."""
    match expression:
        case Banded(number=number):
            return replace(expression, number=replace(number, decimals=0))
        case FixedPoint():
            return replace(expression, decimals=0)
        case _:
            return expression
