"""Result schemas that the Flight SQL specification fixes, nullability included, and tables that have them.

A wrong one is not a cosmetic fault: the Go driver behind ADBC panics on it and is gone for the whole process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa


def _required(name: str, type_: pa.DataType) -> pa.Field:
    return pa.field(name, type_, nullable=False)


_UNION = [
    _required("string_value", pa.string()),
    _required("bool_value", pa.bool_()),
    _required("bigint_value", pa.int64()),
    _required("int32_bitmask", pa.int32()),
    _required("string_list", pa.list_(pa.string())),
    _required("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
]
_VALUE = pa.dense_union(_UNION)
_CHILD = {str: 0, bool: 1, int: 2}

SQL_INFO = pa.schema([_required("info_name", pa.uint32()), _required("value", _VALUE)])
CATALOGS = pa.schema([_required("catalog_name", pa.string())])
DB_SCHEMAS = pa.schema([pa.field("catalog_name", pa.string()), _required("db_schema_name", pa.string())])
TABLES = pa.schema(
    [
        pa.field("catalog_name", pa.string()),
        pa.field("db_schema_name", pa.string()),
        _required("table_name", pa.string()),
        _required("table_type", pa.string()),
    ]
)
TABLES_WITH_SCHEMA = TABLES.append(_required("table_schema", pa.binary()))
TABLE_TYPES = pa.schema([_required("table_type", pa.string())])
PRIMARY_KEYS = pa.schema(
    [
        pa.field("catalog_name", pa.string()),
        pa.field("db_schema_name", pa.string()),
        _required("table_name", pa.string()),
        _required("column_name", pa.string()),
        _required("key_sequence", pa.int32()),
        pa.field("key_name", pa.string()),
    ]
)
FOREIGN_KEYS = pa.schema(
    [
        pa.field("pk_catalog_name", pa.string()),
        pa.field("pk_db_schema_name", pa.string()),
        _required("pk_table_name", pa.string()),
        _required("pk_column_name", pa.string()),
        pa.field("fk_catalog_name", pa.string()),
        pa.field("fk_db_schema_name", pa.string()),
        _required("fk_table_name", pa.string()),
        _required("fk_column_name", pa.string()),
        _required("key_sequence", pa.int32()),
        pa.field("fk_key_name", pa.string()),
        pa.field("pk_key_name", pa.string()),
        _required("update_rule", pa.uint8()),
        _required("delete_rule", pa.uint8()),
    ]
)
XDBC_TYPES = pa.schema(
    [
        _required("type_name", pa.string()),
        _required("data_type", pa.int32()),
        pa.field("column_size", pa.int32()),
        pa.field("literal_prefix", pa.string()),
        pa.field("literal_suffix", pa.string()),
        pa.field("create_params", pa.list_(_required("item", pa.string()))),
        _required("nullable", pa.int32()),
        _required("case_sensitive", pa.bool_()),
        _required("searchable", pa.int32()),
        pa.field("unsigned_attribute", pa.bool_()),
        _required("fixed_prec_scale", pa.bool_()),
        pa.field("auto_increment", pa.bool_()),
        pa.field("local_type_name", pa.string()),
        pa.field("minimum_scale", pa.int32()),
        pa.field("maximum_scale", pa.int32()),
        _required("sql_data_type", pa.int32()),
        pa.field("datetime_subcode", pa.int32()),
        pa.field("num_prec_radix", pa.int32()),
        pa.field("interval_precision", pa.int32()),
    ]
)


def table(schema: pa.Schema, rows: Iterable[Sequence[Any]] = ()) -> pa.Table:
    """Return a table of exactly this schema from rows of values."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def sql_info(entries: Sequence[tuple[int, str | bool | int]], bitmasks: frozenset[int]) -> pa.Table:
    """Return the SqlInfo table of these entries.

    Args:
        bitmasks: ids whose number goes into the union's 32-bit child instead of the 64-bit one.
    """
    children: list[list[Any]] = [[] for _ in _UNION]
    codes: list[int] = []
    offsets: list[int] = []
    for name, value in entries:
        code = 3 if name in bitmasks else _CHILD[type(value)]
        codes.append(code)
        offsets.append(len(children[code]))
        children[code].append(value)
    arrays = [pa.array(values, field.type) for values, field in zip(children, _UNION, strict=True)]
    loose = pa.UnionArray.from_dense(pa.array(codes, pa.int8()), pa.array(offsets, pa.int32()), arrays)
    # from_dense makes the children nullable; the same buffers under the exact type are what is specified.
    exact = pa.Array.from_buffers(_VALUE, len(entries), loose.buffers()[:3], children=arrays)
    return pa.Table.from_arrays([pa.array([name for name, _ in entries], pa.uint32()), exact], schema=SQL_INFO)
