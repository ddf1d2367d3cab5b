"""What SQL clients ask about the gateway and its tables: catalogues, schemas, tables, types, keys, capabilities.

One catalogue (the member id), one schema (`main`), one table type. Datasets are visible as everywhere else: only
those that are open to the caller exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bandung.gateway.domain.dataset import Dataset, Dimension, Epoch, Measure
from bandung.gateway.server import sql_schemas as fixed
from bandung.gateway.server.flight_pb import flight_sql_pb2 as sql
from bandung.gateway.server.frames import schema_message
from bandung.gateway.version import __version__

DB_SCHEMA = "main"
TABLE_TYPE = "TABLE"

# Ids of SqlInfo in the Flight SQL specification.
_NAME, _VERSION, _ARROW_VERSION, _READ_ONLY, _SQL, _SUBSTRAIT = 0, 1, 2, 3, 4, 5
_TRANSACTION, _CANCEL, _STATEMENT_TIMEOUT, _TRANSACTION_TIMEOUT = 8, 9, 100, 101
_DDL_CATALOG, _DDL_SCHEMA, _DDL_TABLE, _IDENTIFIER_CASE, _IDENTIFIER_QUOTE, _QUOTED_CASE = 500, 501, 502, 503, 504, 505
_CASE_INSENSITIVE, _CASE_SENSITIVE = 1, 3
_BITMASKS = frozenset({_TRANSACTION, _STATEMENT_TIMEOUT, _TRANSACTION_TIMEOUT})
_INFO: tuple[tuple[int, str | bool | int], ...] = (
    (_NAME, "Bandung gateway"),
    (_VERSION, __version__),
    (_ARROW_VERSION, pa.__version__),
    (_READ_ONLY, True),
    (_SQL, True),
    (_SUBSTRAIT, False),
    (_TRANSACTION, 0),
    (_CANCEL, True),
    (_STATEMENT_TIMEOUT, 0),
    (_TRANSACTION_TIMEOUT, 0),
    (_DDL_CATALOG, False),
    (_DDL_SCHEMA, False),
    (_DDL_TABLE, False),
    (_IDENTIFIER_CASE, _CASE_INSENSITIVE),
    (_IDENTIFIER_QUOTE, '"'),
    (_QUOTED_CASE, _CASE_SENSITIVE),
)
# JDBC type codes; searchable = 3: in every predicate, 0: in none.
_XDBC = (("VARCHAR", 12, "'", 3), ("BIGINT", -5, None, 0), ("DOUBLE", 8, None, 0))


@dataclass(frozen=True, slots=True)
class SqlMetadata:
    """Answers one kind of metadata command.

    Attributes:
        schema: result schema of the parsed command.
        rows: result for the parsed command, the member id, and the datasets open to the caller.
    """

    message: type[Any]
    schema: Callable[[Any], pa.Schema]
    rows: Callable[[Any, str, Iterable[Epoch]], pa.Table]


def table_schema(dataset: Dataset, member: str) -> pa.Schema:
    """Return the declared columns as Arrow fields: text for dimensions, numbers for measures, with their labels."""
    return pa.schema([_field(column, dataset.name, member) for column in dataset.columns])


def _field(column: Dimension | Measure, dataset: str, member: str) -> pa.Field:
    if isinstance(column, Dimension):
        type_, type_name, remarks, nullable = pa.string(), "VARCHAR", column.label, False
    else:
        type_, type_name = (pa.float64(), "DOUBLE") if column.decimals else (pa.int64(), "BIGINT")
        remarks, nullable = f"{column.label} [{column.unit_of_measurement}]", column.optional
    metadata = {
        "ARROW:FLIGHT:SQL:CATALOG_NAME": member,
        "ARROW:FLIGHT:SQL:SCHEMA_NAME": DB_SCHEMA,
        "ARROW:FLIGHT:SQL:TABLE_NAME": dataset,
        "ARROW:FLIGHT:SQL:TYPE_NAME": type_name,
        "ARROW:FLIGHT:SQL:REMARKS": remarks,
        "ARROW:FLIGHT:SQL:IS_READ_ONLY": "1",
        "ARROW:FLIGHT:SQL:IS_SEARCHABLE": "1" if isinstance(column, Dimension) else "0",
    }
    return pa.field(column.name, type_, nullable=nullable, metadata=metadata)


def _like(pattern: str, text: str) -> bool:
    """SQL LIKE with `%` and `_`; an empty pattern matches everything.

    Not by a regular expression: the pattern is a caller's, and one of many `%` would keep the whole process busy
    (Python's engine goes back and forth, and lets no other thread run meanwhile). Here every character is looked at
    once; bit i of `reached` says that the pattern so far fits the first i characters of the text.
    """
    everywhere = (1 << len(text) + 1) - 1
    reached = 1
    for character in pattern:
        if character == "%":
            reached = everywhere & -(reached & -reached)
        elif character == "_":
            reached = everywhere & reached << 1
        else:
            reached = sum(1 << i + 1 for i, c in enumerate(text) if c == character and reached >> i & 1)
        if not reached:
            return False
    return not pattern or bool(reached >> len(text))


def _in_catalog(command: Any, member: str) -> bool:
    return not command.HasField("catalog") or command.catalog == member


def _catalogs(_command: Any, member: str, _epochs: Iterable[Epoch]) -> pa.Table:
    return fixed.table(fixed.CATALOGS, [(member,)])


def _db_schemas(command: Any, member: str, _epochs: Iterable[Epoch]) -> pa.Table:
    matches = _in_catalog(command, member) and _like(command.db_schema_filter_pattern, DB_SCHEMA)
    return fixed.table(fixed.DB_SCHEMAS, [(member, DB_SCHEMA)] if matches else [])


def _tables_schema(command: Any) -> pa.Schema:
    return fixed.TABLES_WITH_SCHEMA if command.include_schema else fixed.TABLES


def _tables(command: Any, member: str, epochs: Iterable[Epoch]) -> pa.Table:
    here = _in_catalog(command, member) and _like(command.db_schema_filter_pattern, DB_SCHEMA)
    here = here and (not command.table_types or TABLE_TYPE in command.table_types)
    found = [e.dataset for e in epochs if here and _like(command.table_name_filter_pattern, e.dataset.name)]
    rows: list[tuple[object, ...]] = [(member, DB_SCHEMA, dataset.name, TABLE_TYPE) for dataset in found]
    if command.include_schema:
        schemas = [schema_message(table_schema(dataset, member)) for dataset in found]
        rows = [(*row, schema) for row, schema in zip(rows, schemas, strict=True)]
    return fixed.table(_tables_schema(command), rows)


def _table_types(_command: Any, _member: str, _epochs: Iterable[Epoch]) -> pa.Table:
    return fixed.table(fixed.TABLE_TYPES, [(TABLE_TYPE,)])


def _sql_info(command: Any, _member: str, _epochs: Iterable[Epoch]) -> pa.Table:
    return fixed.sql_info([entry for entry in _INFO if not command.info or entry[0] in command.info], _BITMASKS)


def _xdbc(command: Any, _member: str, _epochs: Iterable[Epoch]) -> pa.Table:
    wanted = command.data_type if command.HasField("data_type") else None
    rows = [_xdbc_row(*entry) for entry in _XDBC if wanted in (None, entry[1])]
    return fixed.table(fixed.XDBC_TYPES, rows)


def _xdbc_row(name: str, code: int, quote: str | None, searchable: int) -> tuple[object, ...]:
    numeric = quote is None
    values: dict[str, object] = {
        "type_name": name,
        "data_type": code,
        "literal_prefix": quote,
        "literal_suffix": quote,
        "nullable": 1,
        "case_sensitive": not numeric,
        "searchable": searchable,
        "unsigned_attribute": False if numeric else None,
        "fixed_prec_scale": False,
        "auto_increment": False if numeric else None,
        "sql_data_type": code,
        "num_prec_radix": 10 if numeric else None,
    }
    return tuple(values.get(field.name) for field in fixed.XDBC_TYPES)


def _fixed(schema: pa.Schema) -> Callable[[Any], pa.Schema]:
    return lambda _command: schema


def _empty(schema: pa.Schema) -> Callable[[Any, str, Iterable[Epoch]], pa.Table]:
    return lambda _command, _member, _epochs: fixed.table(schema)


COMMANDS: dict[str, SqlMetadata] = {
    "CommandGetCatalogs": SqlMetadata(sql.CommandGetCatalogs, _fixed(fixed.CATALOGS), _catalogs),
    "CommandGetDbSchemas": SqlMetadata(sql.CommandGetDbSchemas, _fixed(fixed.DB_SCHEMAS), _db_schemas),
    "CommandGetTables": SqlMetadata(sql.CommandGetTables, _tables_schema, _tables),
    "CommandGetTableTypes": SqlMetadata(sql.CommandGetTableTypes, _fixed(fixed.TABLE_TYPES), _table_types),
    "CommandGetSqlInfo": SqlMetadata(sql.CommandGetSqlInfo, _fixed(fixed.SQL_INFO), _sql_info),
    "CommandGetXdbcTypeInfo": SqlMetadata(sql.CommandGetXdbcTypeInfo, _fixed(fixed.XDBC_TYPES), _xdbc),
    "CommandGetPrimaryKeys": SqlMetadata(
        sql.CommandGetPrimaryKeys, _fixed(fixed.PRIMARY_KEYS), _empty(fixed.PRIMARY_KEYS)
    ),
    "CommandGetExportedKeys": SqlMetadata(
        sql.CommandGetExportedKeys, _fixed(fixed.FOREIGN_KEYS), _empty(fixed.FOREIGN_KEYS)
    ),
    "CommandGetImportedKeys": SqlMetadata(
        sql.CommandGetImportedKeys, _fixed(fixed.FOREIGN_KEYS), _empty(fixed.FOREIGN_KEYS)
    ),
    "CommandGetCrossReference": SqlMetadata(
        sql.CommandGetCrossReference, _fixed(fixed.FOREIGN_KEYS), _empty(fixed.FOREIGN_KEYS)
    ),
}
"""Every metadata command that is served, by its name in Flight SQL. Keys are empty: datasets have none that leave."""
