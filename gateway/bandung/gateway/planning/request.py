"""A typed request to a statement: the same plan as from SQL."""

from __future__ import annotations

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Output, Presentation, Statement, Statistic, StatisticKind
from bandung.gateway.planning import resolve
from bandung.gateway.planning.resolve import Find


def plan_table(
    dataset: str,
    group_by: tuple[str, ...],
    filters: tuple[tuple[str, str], ...],
    statistics: tuple[Statistic, ...],
    find: Find,
) -> tuple[Statement, Epoch]:
    """Return the statement of a typed request, and the epoch it asks.

    Raises:
        Refusal: UNKNOWN_DATASET, UNKNOWN_COLUMN, WRONG_ROLE, UNKNOWN_CODE; BAD_REQUEST without a statistic, or
            for one that does not exist.
    """
    epoch = resolve.dataset(dataset, find)
    declared = epoch.dataset
    if not statistics:
        raise Refusal(ErrorKind.BAD_REQUEST, "Ask for at least one statistic.")
    grouped = tuple(dict.fromkeys(resolve.dimension(name, declared).name for name in group_by))
    wanted = tuple(dict.fromkeys(_resolved(statistic, epoch) for statistic in statistics))
    compared = tuple((resolve.dimension(name, declared), value) for name, value in filters)
    statement = Statement(
        epoch=epoch.id,
        group_by=grouped,
        filters=tuple((column.name, resolve.code(value, column)) for column, value in compared),
        statistics=wanted,
        presentation=Presentation(tuple(Output(name, name) for name in (*grouped, *(s.name for s in wanted)))),
    )
    return statement, epoch


def _resolved(statistic: Statistic, epoch: Epoch) -> Statistic:
    kinds = {kind.value for kind in StatisticKind}
    counts = statistic.kind == StatisticKind.COUNT.value
    if statistic.kind not in kinds or counts == bool(statistic.measure):
        raise Refusal(ErrorKind.BAD_REQUEST, "A statistic is count, or sum or mean of a measure.")
    if counts:
        return statistic
    return Statistic(statistic.kind, resolve.measure(statistic.measure, epoch.dataset).name)
