"""The `sqlalchemy` connector: any database with a SQLAlchemy dialect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from psycopg import Error as PsycopgError
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from bandung.connectors.base import (
    Capabilities,
    CellQuery,
    ContributionQuery,
    HistogramQuery,
    OptionError,
    Profile,
    RowQuery,
    SourceError,
    Stop,
    Stopped,
    View,
)
from bandung.connectors.braking import braked
from bandung.connectors.embedded import only_cells
from bandung.connectors.options import Options
from bandung.connectors.profile import profile
from bandung.connectors.relation import Relation, joined
from bandung.connectors.schemas import cell_schema, conform, contribution_schema, histogram_schema, row_schema
from bandung.connectors.sql import Emitter, Statement

_KNOWN = frozenset({"url", "url_env", "url_file", "schema", "keys_schema", "timeout_s", "connections"})
_LIVE = frozenset({"postgresql"})
"""Dialects on which live epochs are tested to give the same integers as a snapshot."""

_ROWS_PER_BATCH = 20_000


class SqlAlchemyConnector:
    """One database; a relation is a table or view in it.

    Reading happens in read-only transactions (PostgreSQL, SQLite; elsewhere the database account must be
    read-only). A request that is given up is cancelled in the database where the driver can.
    """

    def __init__(self, engine: sa.Engine, namespace: str | None, key_namespace: str | None) -> None:
        self._engine = engine
        self._namespace = namespace
        self._key_namespace = key_namespace
        self._relations: dict[str, Relation] = {}
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, options: Mapping[str, str], base: Path, environment: Mapping[str, str]) -> SqlAlchemyConnector:
        """Open the database that `url_env`, `url_file` or (without a password) `url` names; see `registry.Opener`."""
        read = Options("sqlalchemy", options, _KNOWN)
        url = _url(read, base, environment)
        try:
            engine = sa.create_engine(
                url,
                pool_size=read.whole("connections", 8),
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args=_connect_args(url, read.whole("timeout_s", 300)),
                execution_options=_read_only(url),
            )
        except (SQLAlchemyError, ImportError) as error:
            raise OptionError(f"sqlalchemy: there is no driver for {url.drivername}") from error
        if url.get_backend_name() == "sqlite":
            event.listen(engine, "connect", _only_queries)
        return cls(engine, read.text("schema"), read.text("keys_schema", read.text("schema")))

    @property
    def capabilities(self) -> Capabilities:
        """Live, and with keys beside the data, on the dialects where that is tested."""
        dialect = self._engine.dialect
        live = dialect.name in _LIVE
        return Capabilities(live=live, writes_keys=live and dialect.driver == "psycopg")

    def schema(self, relation: str) -> pa.Schema:
        """Return the table's columns with their plain types."""
        return self._relation(relation).schema

    def profile(self, view: View, nesting: tuple[tuple[str, str], ...], stop: Stop) -> Profile:
        """Verify a declaration, in one transaction; see `Connector.profile`."""
        relation = self._joined(view)
        with self._reading(stop) as connection:

            def run(statement: Statement) -> Sequence[Sequence[Any]]:
                return connection.execute(statement).all()

            return profile(view, nesting, relation.schema, Emitter(relation), run)

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        """Aggregate into cells; see `CellQuery`."""
        statement = Emitter(self._joined(query.view)).cells(query)
        schema = cell_schema(query)
        return conform(self._table(statement, schema, stop), schema, (*query.group_by, "key"))

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        """Count units and find the largest contributions; see `ContributionQuery`."""
        statement = Emitter(self._joined(query.view)).contributions(query)
        schema = contribution_schema(query)
        return only_cells(conform(self._table(statement, schema, stop), schema, query.group_by), query)

    def histogram(self, query: HistogramQuery, stop: Stop) -> pa.Table:
        """Count values in bins; see `HistogramQuery`."""
        statement = Emitter(self._joined(query.view)).histogram(query)
        schema = histogram_schema(query)
        return conform(self._table(statement, schema, stop), schema, query.group_by)

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        """Stream rows from a server-side cursor; see `RowQuery`."""
        relation = self._joined(query.view)
        schema = row_schema(query, relation.schema)
        statement = Emitter(relation).rows(query)
        return pa.RecordBatchReader.from_batches(schema, self._stream(statement, schema, stop))

    def write_keys(self, view: View, table: str, keys: pa.RecordBatchReader, stop: Stop) -> None:
        """Replace the record-key table in one transaction, beside the data or in `keys_schema`."""
        if view.unit is None or not self.capabilities.writes_keys:
            raise SourceError("record keys cannot be written here")
        with self._errors(stop), self._engine.connect() as connection:
            connection.execution_options(postgresql_readonly=False)
            with connection.begin(), braked(stop, _canceller(connection)):
                _replace_keys(connection, table, self._key_namespace, keys)

    def close(self) -> None:
        """Close the pool of connections; one that is still read from is closed when its reader is dropped."""
        self._closed = True
        self._engine.dispose()

    def _relation(self, name: str) -> Relation:
        with self._lock:
            if name not in self._relations:
                with self._errors(Stop()):
                    self._relations[name] = self._reflect(name)
            return self._relations[name]

    def _joined(self, view: View) -> Relation:
        return joined(self._relation(view.relation), [(join, self._relation(join.relation)) for join in view.joins])

    def _reflect(self, name: str) -> Relation:
        found = sa.inspect(self._engine).get_columns(name, schema=self._namespace)
        types = {str(column["name"]): _plain(column["type"]) for column in found}
        schema = pa.schema([pa.field(column, type_ or pa.string()) for column, type_ in types.items()])
        as_text = frozenset(column for column, type_ in types.items() if type_ is None)
        return Relation(name, schema, as_text, self._namespace, self._key_namespace)

    def _table(self, statement: Statement, schema: pa.Schema, stop: Stop) -> pa.Table:
        with self._reading(stop) as connection:
            return pa.Table.from_batches([_batch(connection.execute(statement).all(), schema)])

    def _stream(self, statement: Statement, schema: pa.Schema, stop: Stop) -> Iterator[pa.RecordBatch]:
        with self._reading(stop) as connection, _streamed(connection, statement) as result:
            for rows in result.partitions(_ROWS_PER_BATCH):
                yield _batch(rows, schema)

    @contextmanager
    def _reading(self, stop: Stop) -> Generator[sa.Connection]:
        with self._errors(stop), self._engine.connect() as connection:
            try:
                with braked(stop, _canceller(connection)):
                    yield connection
            finally:
                if stop.stopped or self._closed:
                    # A late cancellation must not reach the next borrower; after `close` there will be none.
                    connection.invalidate()

    @contextmanager
    def _errors(self, stop: Stop) -> Generator[None]:
        try:
            yield
        except (SQLAlchemyError, PsycopgError, pa.ArrowException) as error:
            if stop.stopped:
                raise Stopped from error
            raise SourceError(str(error)) from error
        if stop.stopped:
            raise Stopped


def _url(options: Options, base: Path, environment: Mapping[str, str]) -> sa.URL:
    named = [name for name in ("url", "url_env", "url_file") if options.text(name)]
    if len(named) != 1:
        raise OptionError("sqlalchemy: give exactly one of url_env, url_file and url")
    text = options.text(named[0]) or ""
    if named[0] == "url_env":
        if text not in environment:
            raise OptionError(f"sqlalchemy: the environment variable {text} is not set")
        text = environment[text]
    elif named[0] == "url_file":
        try:
            text = (base / text).read_text().strip()
        except OSError as error:
            raise OptionError(f"sqlalchemy: the file {text} cannot be read") from error
    try:
        url = sa.make_url(text)
    except ArgumentError as error:
        raise OptionError(f"sqlalchemy: {named[0]} does not give a database URL") from error
    if named[0] == "url" and url.password is not None:
        raise OptionError("sqlalchemy: a URL with a password belongs in url_env or url_file")
    return url


def _connect_args(url: sa.URL, timeout_s: int) -> dict[str, Any]:
    if url.get_backend_name() == "postgresql":
        return {"options": f"-c statement_timeout={timeout_s * 1000}", "connect_timeout": 30}
    return {}


def _read_only(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "postgresql":
        return {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    return {}


def _only_queries(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _plain(type_: sa.types.TypeEngine[Any]) -> pa.DataType | None:
    """Return the plain type of a database column (see `literals.plain`)."""
    if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float):
        whole = type_.scale == 0 and type_.precision is not None and type_.precision <= 18
        return pa.int64() if whole else pa.float64()
    if isinstance(type_, sa.Enum):
        return None
    known = ((sa.Boolean, pa.bool_()), (sa.Integer, pa.int64()), (sa.Float, pa.float64()), (sa.String, pa.string()))
    return next((plain for kind, plain in known if isinstance(type_, kind)), None)


def _streamed(connection: sa.Connection, statement: Statement) -> sa.CursorResult[*tuple[Any, ...]]:
    return connection.execution_options(stream_results=True).execute(statement)


def _batch(rows: Sequence[sa.Row[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [_array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_integer(type_):
        return pa.array([None if value is None else int(value) for value in values], type_)
    return pa.array(values, type_)


def _canceller(connection: sa.Connection) -> Callable[[], None]:
    """Return what stops the statement under way: psycopg's `cancel`, SQLite's `interrupt`, or nothing."""
    driver: Any = connection.connection.driver_connection
    action: Callable[[], None] | None = getattr(driver, "cancel", None) or getattr(driver, "interrupt", None)

    def cancel() -> None:
        # Without an action the statement runs out, and its answer is thrown away.
        with suppress(connection.dialect.loaded_dbapi.Error):
            if action is not None:
                action()

    return cancel


def _replace_keys(connection: sa.Connection, name: str, namespace: str | None, keys: pa.RecordBatchReader) -> None:
    unit = sa.BigInteger() if pa.types.is_integer(keys.schema.field("unit").type) else sa.Text()
    staged = _keys_clause(f"{name}_staged", namespace, unit)
    complete = _keys_clause(name, namespace, unit, primary_key=True)
    connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
    staged.drop(connection, checkfirst=True)
    staged.create(connection)
    _copy(connection, staged, keys)
    complete.drop(connection, checkfirst=True)
    complete.create(connection)
    distinct = sa.select(staged.c.unit, staged.c.record_key).distinct()
    connection.execute(sa.insert(complete).from_select(["unit", "record_key"], distinct))
    staged.drop(connection)


def _copy(connection: sa.Connection, table: sa.Table, keys: pa.RecordBatchReader) -> None:
    """Fill a table by PostgreSQL's COPY: 30 times as fast as INSERT."""
    driver: Any = connection.connection.driver_connection
    name = connection.dialect.identifier_preparer.format_table(table)
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} (unit, record_key) FROM STDIN") as copy:
        for batch in keys:
            for row in zip(batch["unit"].to_pylist(), batch["record_key"].to_pylist(), strict=True):
                copy.write_row(row)


def _keys_clause(
    name: str, namespace: str | None, unit: sa.types.TypeEngine[Any], *, primary_key: bool = False
) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("unit", unit, primary_key=primary_key, autoincrement=False, nullable=False),
        sa.Column("record_key", sa.BigInteger, nullable=False),
        schema=namespace,
    )
