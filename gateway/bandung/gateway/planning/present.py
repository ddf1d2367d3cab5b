"""How a release is shown: names, order, limit. Applied after protection, so it can reveal nothing more."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Direction, Statement, StatisticKind

STATUS_FIELDS = (pa.field("OBS_STATUS", pa.utf8(), nullable=False), pa.field("CONF_STATUS", pa.utf8(), nullable=False))


def result_schema(statement: Statement, epoch: Epoch) -> pa.Schema:
    """Return the answer's schema.

    Dimensions are utf8 and never null; counts int64, sums and means float64, null where suppressed; then
    `OBS_STATUS` and `CONF_STATUS`, utf8, never null.
    """
    dimensions = {dimension.name for dimension in epoch.dataset.dimensions}
    fields = [
        _field(output.source, output.alias, dimension=output.source in dimensions)
        for output in statement.presentation.outputs
    ]
    return pa.schema([*fields, *STATUS_FIELDS])


def present(release: pa.Table, statement: Statement, epoch: Epoch) -> pa.Table:
    """Return the release's table as the statement wants to see it, with exactly `result_schema`."""
    shown = _sorted(release, statement, epoch)
    if statement.presentation.limit is not None:
        shown = shown.slice(0, statement.presentation.limit)
    schema = result_schema(statement, epoch)
    sources = [output.source for output in statement.presentation.outputs] + [field.name for field in STATUS_FIELDS]
    return pa.table([shown.column(source).combine_chunks() for source in sources], schema=schema)


def _sorted(release: pa.Table, statement: Statement, epoch: Epoch) -> pa.Table:
    """Sort by what is asked, dimensions in code-list order; nulls last, ties in the release's own order."""
    order = statement.presentation.order_by
    if not order:
        return release
    columns = {f"{i}": _sort_key(release, source, epoch) for i, (source, _) in enumerate(order)}
    columns["row"] = pa.array(range(release.num_rows), pa.int64())
    keys = [
        (f"{i}", "descending" if direction is Direction.DESCENDING else "ascending", "at_end")
        for i, (_, direction) in enumerate(order)
    ]
    options = pc.SortOptions([*keys, ("row", "ascending", "at_end")])
    return release.take(pc.call_function("sort_indices", [pa.table(columns)], options))


def _sort_key(release: pa.Table, source: str, epoch: Epoch) -> pa.ChunkedArray | pa.Array:
    dimension = next((entry for entry in epoch.dataset.dimensions if entry.name == source), None)
    if dimension is None:
        return release.column(source)
    codes = pa.array([entry.code for entry in dimension.codes], pa.utf8())
    return pc.call_function("index_in", [release.column(source)], pc.SetLookupOptions(codes))


def _field(source: str, alias: str, *, dimension: bool) -> pa.Field:
    if dimension:
        return pa.field(alias, pa.utf8(), nullable=False)
    return pa.field(alias, pa.int64() if source == StatisticKind.COUNT.value else pa.float64())
