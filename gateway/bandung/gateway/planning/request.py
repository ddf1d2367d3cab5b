"""A typed request to a statement: the same plans as from SQL."""

from __future__ import annotations

from bandung.gateway.domain.dataset import Dataset, Epoch, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Comparison, Output, Presentation, Statement, Statistic, StatisticKind
from bandung.gateway.planning import resolve
from bandung.gateway.planning.resolve import Find

_COUNTS = {StatisticKind.COUNT, StatisticKind.UNITS}


def plan_table(
    dataset: str,
    group_by: tuple[str, ...],
    filters: tuple[Comparison, ...],
    statistics: tuple[Statistic, ...],
    find: Find,
    rollup: tuple[str, ...] = (),
) -> tuple[Statement, Epoch]:
    """Return the statement of a typed request, and the epoch it asks.

    Args:
        rollup: dimensions of a declared hierarchy, the coarsest first, that are rolled up beside `group_by`.

    Raises:
        Refusal: UNKNOWN_DATASET, UNKNOWN_COLUMN, WRONG_ROLE, UNKNOWN_CODE; NOT_IN_GRAMMAR for a rollup over no declared
            hierarchy; BAD_REQUEST without a statistic, or for one that does not exist.
    """
    epoch = resolve.dataset(dataset, find)
    declared = epoch.dataset
    if not statistics:
        raise Refusal(ErrorKind.BAD_REQUEST, "Ask for at least one statistic.")
    beside = tuple(resolve.dimension(name, declared).name for name in group_by)
    rolled = resolve.hierarchy(rollup, declared)
    if set(beside) & set(rolled):
        raise Refusal(ErrorKind.BAD_REQUEST, "A dimension is either grouped or rolled up.")
    levels = resolve.levels((*beside, *rolled), rolled)
    wanted = tuple(dict.fromkeys(_resolved(statistic, declared) for statistic in statistics))
    statement = Statement(
        epoch=epoch.id,
        levels=levels,
        filters=tuple(_compared(held, declared) for held in filters),
        statistics=wanted,
        presentation=Presentation(tuple(Output(name, name) for name in (*levels[0], *(s.name for s in wanted)))),
    )
    return statement, epoch


def _compared(held: Comparison, declared: Dataset) -> Comparison:
    column = resolve.filtered(held.column, declared)
    if not held.values:
        raise Refusal(ErrorKind.BAD_REQUEST, f"The filter of {column.name} has neither codes nor a range.")
    for value in held.values:
        if isinstance(column, Measure):
            resolve.steps(str(value), column)
        else:
            resolve.code(str(value), column)
    return Comparison(column.name, resolve.operator(held.operator, column), held.values)


def _resolved(statistic: Statistic, declared: Dataset) -> Statistic:
    kinds = {kind.value: kind for kind in StatisticKind}
    kind = kinds.get(statistic.kind)
    if kind is None or (kind in _COUNTS) == bool(statistic.measure):
        raise Refusal(ErrorKind.BAD_REQUEST, "A statistic is count or units, or another one of a measure.")
    if (kind is StatisticKind.QUANTILE) != bool(statistic.share):
        raise Refusal(ErrorKind.BAD_REQUEST, "A quantile has a share, and nothing else has.")
    measure = resolve.measure(statistic.measure, declared).name if statistic.measure else ""
    return Statistic(kind.value, measure, resolve.share(statistic.share) if statistic.share else "")
