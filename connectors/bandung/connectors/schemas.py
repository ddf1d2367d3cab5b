"""The exact Arrow schemas of the four requests, and the door through which every answer passes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bandung.connectors.base import (
    Banded,
    CellQuery,
    Column,
    ContributionQuery,
    FixedPoint,
    HistogramQuery,
    Join,
    KeyTable,
    Measure,
    Recode,
    RowQuery,
    SourceError,
    View,
)
from bandung.connectors.literals import plain

EXACT = pa.decimal128(38, 0)
"""The type of every sum: 38 decimal digits, exact in every engine."""


def cell_schema(query: CellQuery) -> pa.Schema:
    """Return the schema that `CellQuery` promises."""
    fields = [pa.field(name, pa.string()) for name in query.group_by]
    fields += [pa.field("rows", pa.int64()), pa.field("key", EXACT)]
    for measure in query.measures:
        fields += _measure_fields(measure)
    return pa.schema(fields)


def contribution_schema(query: ContributionQuery) -> pa.Schema:
    """Return the schema that `ContributionQuery` promises."""
    fields = [pa.field(name, pa.string()) for name in query.group_by]
    fields.append(pa.field("units", pa.int64()))
    for measure in query.measures:
        fields.append(pa.field(f"{measure.name}.units", pa.int64()))
        fields += [pa.field(f"{measure.name}.top{rank}", EXACT) for rank in range(1, query.top + 1)]
    return pa.schema(fields)


def histogram_schema(query: HistogramQuery) -> pa.Schema:
    """Return the schema that `HistogramQuery` promises."""
    fields = [pa.field(name, pa.string()) for name in query.group_by]
    return pa.schema([*fields, pa.field("bin", pa.int64()), pa.field("rows", pa.int64())])


def row_schema(query: RowQuery, source: pa.Schema) -> pa.Schema:
    """Return the schema that `RowQuery` promises over a relation with these columns."""
    fields = [pa.field("unit", unit_type(query.view, source))]
    if query.view.key is not None:
        fields.append(pa.field("record_key", pa.int64()))
    fields += [pa.field(name, _value_type(query.view, name, source)) for name in query.columns]
    return pa.schema(fields)


def joined_schema(schema: pa.Schema, join: Join, other: pa.Schema) -> pa.Schema:
    """Return the columns there are once another relation is joined; see `Join` for their names."""
    fields = {field.name: field for field in schema}
    for field in other:
        name = f"{join.name}.{field.name}"
        fields[name] = field.with_name(name)
    return pa.schema(fields.values())


def unit_type(view: View, source: pa.Schema) -> pa.DataType:
    """Return the type of a view's unit: the source's plain type, or int64 for row numbers."""
    return pa.int64() if view.unit is None else source_type(source, view.unit)


def source_type(source: pa.Schema, name: str) -> pa.DataType:
    """Return the plain type of a source column; text for a column that is not there."""
    index = source.get_field_index(name)
    return pa.string() if index < 0 else plain(source.field(index).type) or pa.string()


def conform(table: pa.Table, schema: pa.Schema, never_null: Sequence[str]) -> pa.Table:
    """Return the table under the promised schema, columns taken by position.

    Args:
        never_null: columns in which a NULL means that the data no longer hold the declaration.

    Raises:
        SourceError: such a NULL, or a value that does not fit.
    """
    try:
        columns = [pc.cast(column, field.type) for column, field in zip(table.itercolumns(), schema, strict=True)]
    except pa.ArrowInvalid as error:
        raise SourceError(f"an answer does not fit its schema: {error}") from error
    conformed = pa.Table.from_arrays(columns, schema=schema)
    for name in never_null:
        if conformed[name].null_count:
            raise SourceError(f"rows outside the declaration: {name} is missing")
    return conformed


def keys_may_be_missing(view: View) -> bool:
    """Whether rows without a record key are possible: the key table may lag behind the data."""
    return isinstance(view.key, KeyTable)


def _measure_fields(measure: Measure) -> list[pa.Field]:
    name = measure.name
    fields = [pa.field(f"{name}.sum", EXACT), pa.field(f"{name}.max", pa.int64())]
    if measure.signed:
        fields.append(pa.field(f"{name}.abs", EXACT))
    if measure.optional:
        fields += [pa.field(f"{name}.rows", pa.int64()), pa.field(f"{name}.key", EXACT)]
    if measure.squares:
        fields.append(pa.field(f"{name}.squares", EXACT))
    if measure.nonzero:
        fields.append(pa.field(f"{name}.nonzero", pa.int64()))
    return fields


def _value_type(view: View, name: str, source: pa.Schema) -> pa.DataType:
    match view.expression(name):
        case Column(name=column):
            return source_type(source, column)
        case FixedPoint():
            return pa.int64()
        case Recode() | Banded():
            return pa.string()
