"""How releases are shown: levels joined, HAVING, order, limit, names. After protection, so it reveals no more."""

from __future__ import annotations

from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Direction, Operator, Statement, StatisticKind, Threshold
from bandung.gateway.domain.policy import DifferentialPrivacy
from bandung.gateway.planning.resolve import TOTAL

STATUS_FIELDS = (pa.field("OBS_STATUS", pa.utf8(), nullable=False), pa.field("CONF_STATUS", pa.utf8(), nullable=False))
INTERVAL: Final = "ci95"
"""Of a statistic's companion in a release, after a dot: half-width of its 95 % interval."""

_COUNTS: Final = frozenset({StatisticKind.COUNT.value, StatisticKind.UNITS.value})
_COMPARE: Final = {
    Operator.EQUAL: "equal",
    Operator.UNEQUAL: "not_equal",
    Operator.BELOW: "less",
    Operator.AT_MOST: "less_equal",
    Operator.ABOVE: "greater",
    Operator.AT_LEAST: "greater_equal",
}


def result_schema(statement: Statement, epoch: Epoch) -> pa.Schema:
    """Return the answer's schema.

    Dimensions are utf8 and never null; counts int64, other statistics float64, null where suppressed; under
    `differential-privacy` then, for each statistic's column, the half-width of its 95 % interval, float64, under the
    column's name with `_ci95`; then `OBS_STATUS` and `CONF_STATUS`, utf8, never null.
    """
    return pa.schema([field for _, field in _columns(statement, epoch)])


def present(releases: tuple[pa.Table, ...], statement: Statement, epoch: Epoch) -> pa.Table:
    """Return the tables of a statement's levels as one, as the statement wants to see it, with `result_schema`.

    Args:
        releases: one for each of `statement.levels`.
    """
    table = _joined(releases, statement, epoch)
    if statement.presentation.having:
        table = table.filter(reduce(_both, (_holds(table, held) for held in statement.presentation.having)))
    shown = _sorted(table, statement.presentation.order_by, epoch)
    if statement.presentation.limit is not None:
        shown = shown.slice(0, statement.presentation.limit)
    columns = _columns(statement, epoch)
    return pa.table(
        [shown.column(source).combine_chunks() for source, _ in columns], schema=pa.schema([f for _, f in columns])
    )


def _columns(statement: Statement, epoch: Epoch) -> list[tuple[str, pa.Field]]:
    """Each column of the answer: its name in the release, and its field."""
    dimensions = {dimension.name for dimension in epoch.dataset.dimensions}
    outputs = statement.presentation.outputs
    shown = [(out.source, _field(out.source, out.alias, dimension=out.source in dimensions)) for out in outputs]
    if isinstance(epoch.dataset.policy, DifferentialPrivacy):
        shown += [
            (f"{out.source}.{INTERVAL}", pa.field(f"{out.alias}_{INTERVAL}", pa.float64()))
            for out in outputs
            if out.source not in dimensions
        ]
    return [*shown, *((field.name, field) for field in STATUS_FIELDS)]


def _field(source: str, alias: str, *, dimension: bool) -> pa.Field:
    if dimension:
        return pa.field(alias, pa.utf8(), nullable=False)
    return pa.field(alias, pa.int64() if source in _COUNTS else pa.float64())


def _joined(releases: tuple[pa.Table, ...], statement: Statement, epoch: Epoch) -> pa.Table:
    """All levels in one table, each total after the parts that it adds up."""
    if len(releases) == 1:
        return releases[0]
    names = releases[0].column_names
    tables = [_with_totals(release, statement.group_by).select(names) for release in releases]
    order = tuple((name, Direction.ASCENDING) for name in statement.group_by)
    return _sorted(pa.concat_tables(tables), order, epoch)


def _with_totals(release: pa.Table, group_by: tuple[str, ...]) -> pa.Table:
    table = release.replace_schema_metadata(None)
    for name in group_by:
        if name not in table.column_names:
            table = table.append_column(name, pa.array([TOTAL] * table.num_rows, pa.utf8()))
    return table


def _holds(table: pa.Table, held: Threshold) -> pa.ChunkedArray:
    """Where a released value compares as it should; null, hence not shown, where it is withheld."""
    return pc.call_function(_COMPARE[held.operator], [table.column(held.source).cast(pa.float64()), held.number])


def _both(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.call_function("and", [left, right])


def _sorted(table: pa.Table, order: tuple[tuple[str, Direction], ...], epoch: Epoch) -> pa.Table:
    """Sort by what is asked, dimensions in code-list order if any, totals after codes; nulls last, ties as they are."""
    if not order:
        return table
    columns = {f"{i}": _sort_key(table, source, epoch) for i, (source, _) in enumerate(order)}
    columns["row"] = pa.array(range(table.num_rows), pa.int64())
    keys = [
        (f"{i}", "descending" if direction is Direction.DESCENDING else "ascending", "at_end")
        for i, (_, direction) in enumerate(order)
    ]
    options = pc.SortOptions([*keys, ("row", "ascending", "at_end")])
    return table.take(pc.call_function("sort_indices", [pa.table(columns)], options))


def _sort_key(table: pa.Table, source: str, epoch: Epoch) -> pa.ChunkedArray | pa.Array:
    dimension = next((entry for entry in epoch.dataset.dimensions if entry.name == source), None)
    if dimension is None or dimension.open:
        return table.column(source)
    codes = pa.array([*(entry.code for entry in dimension.codes), TOTAL], pa.utf8())
    return pc.call_function("index_in", [table.column(source)], pc.SetLookupOptions(codes))
