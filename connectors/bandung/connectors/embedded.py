"""Executing requests in an embedded DuckDB database: files and the gateway's own snapshots."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.dialects import postgresql

from bandung.connectors.base import (
    CellQuery,
    ContributionQuery,
    HistogramQuery,
    Join,
    Profile,
    RowQuery,
    SourceError,
    Stop,
    Stopped,
    View,
)
from bandung.connectors.braking import braked
from bandung.connectors.literals import plain
from bandung.connectors.profile import profile
from bandung.connectors.relation import Finest, Leading, Relation, joined
from bandung.connectors.schemas import cell_schema, conform, contribution_schema, histogram_schema, row_schema
from bandung.connectors.sql import Emitter, Statement

_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")
"""DuckDB reads PostgreSQL's dialect; numbered parameters are its own form of bound literals."""

_ROWS_PER_BATCH = 65_536


class Embedded:
    """One relation of an open DuckDB database, with what is joined to it.

    Safe for use by several threads at once: each call has a cursor.

    Args:
        database: an open connection, which this object closes.
        relation: table or view in it.
        joins: what is joined to it, and in which table or view of the database that stands.
        registered: Arrow data sets that a cursor must register, by name.
        verified: see `relation.Relation`.
        finest: table of finest cells, and which of its columns are dimensions; see `relation.Finest`.
        leading: table of their leading units, and how many are listed; see `relation.Leading`.
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        relation: str,
        registered: Mapping[str, object] | None = None,
        *,
        joins: Sequence[tuple[Join, str]] = (),
        verified: bool = False,
        finest: tuple[str, frozenset[str]] | None = None,
        leading: tuple[str, int] | None = None,
    ) -> None:
        self._database = database
        self._relation = relation
        self._registered = dict(registered or {})
        self._lock = threading.Lock()
        cells = None if finest is None else Finest(self._described(finest[0], verified=True), finest[1])
        own = replace(self._described(relation, verified=verified), finest=cells)
        whole = joined(own, [(join, self._described(table)) for join, table in joins])
        self.schema = whole.schema
        """Plain column types of the relation, and of what is joined."""
        self._emitter = Emitter(whole)
        self._leading: tuple[Leading, Emitter] | None = None
        if cells is not None and leading is not None:
            units = Leading(self._described(leading[0], verified=True), cells.dimensions, leading[1])
            self._leading = units, Emitter(units.relation)

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        """Aggregate into cells; see `CellQuery`."""
        query = replace(query, view=self._here(query.view))
        table = self._table(self._emitter.cells(query), stop)
        return conform(table, cell_schema(query), (*query.group_by, "key"))

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        """Count units and find the largest contributions; see `ContributionQuery`."""
        query = replace(query, view=self._here(query.view))
        if self._leading is None or not self._leading[0].answers(query):
            return self._of_rows(query, stop)
        return self._led(*self._leading, query, stop)

    def histogram(self, query: HistogramQuery, stop: Stop) -> pa.Table:
        """Count values in bins; see `HistogramQuery`."""
        query = replace(query, view=self._here(query.view))
        return conform(self._table(self._emitter.histogram(query), stop), histogram_schema(query), query.group_by)

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        """Stream rows in bounded memory; see `RowQuery`."""
        query = replace(query, view=self._here(query.view))
        schema = row_schema(query, self.schema)
        return pa.RecordBatchReader.from_batches(schema, self._stream(self._emitter.rows(query), schema, stop))

    def profile(self, view: View, nesting: Sequence[tuple[str, str]], stop: Stop) -> Profile:
        """Verify a declaration; see `Profile`."""
        with self._cursor(stop) as cursor:

            def run(statement: Statement) -> Sequence[Sequence[Any]]:
                text, parameters = compiled(statement)
                return cursor.execute(text, parameters).fetchall()

            return profile(self._here(view), nesting, self.schema, self._emitter, run)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _led(self, leading: Leading, emitter: Emitter, query: ContributionQuery, stop: Stop) -> pa.Table:
        """Answer from leading units, and from the rows for the cells that these leave open."""
        rests = leading.rests(query)
        table = self._table(emitter.contributions(query, rests), stop)
        if not rests:
            return _contributions(table, query)
        *columns, last = table.column_names
        decided = table[last].to_pylist()
        table = table.select(columns)
        found = _contributions(table.filter(pa.array(decided, pa.bool_())), query)
        left_open = _contributions(table.filter(pa.array([not each for each in decided], pa.bool_())), query)
        if not left_open.num_rows:
            return found
        cells = tuple(zip(*(left_open[name].to_pylist() for name in query.group_by), strict=True))
        query = replace(query, cells=cells or None)
        return pa.concat_tables([found, self._of_rows(query, stop)])

    def _of_rows(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        return _contributions(self._table(self._emitter.contributions(query), stop), query)

    def _described(self, relation: str, *, verified: bool = False) -> Relation:
        with self._cursor(Stop()) as cursor:
            found = cursor.sql(f"SELECT * FROM {_quoted(relation)} LIMIT 0").to_arrow_table().schema  # noqa: S608
        schema = pa.schema([pa.field(field.name, plain(field.type) or pa.string()) for field in found])
        as_text = frozenset(field.name for field in found if plain(field.type) is None)
        return Relation(relation, schema, as_text, top_lists=True, verified=verified)

    def _here(self, view: View) -> View:
        return replace(view, relation=self._relation)

    def _table(self, statement: Statement, stop: Stop) -> pa.Table:
        text, parameters = compiled(statement)
        with self._cursor(stop) as cursor:
            return cursor.sql(text, params=parameters).to_arrow_table()

    def _stream(self, statement: Statement, schema: pa.Schema, stop: Stop) -> Iterator[pa.RecordBatch]:
        text, parameters = compiled(statement)
        with self._cursor(stop) as cursor:
            for batch in cursor.sql(text, params=parameters).to_arrow_reader(_ROWS_PER_BATCH):
                columns = [pc.cast(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    @contextmanager
    def _cursor(self, stop: Stop) -> Generator[duckdb.DuckDBPyConnection]:
        """Lend a cursor that `stop` interrupts; engine errors become `SourceError` or `Stopped`."""
        try:
            with self._lock:
                cursor = self._database.cursor()
            with cursor, braked(stop, _interrupter(cursor)):
                for name, data in self._registered.items():
                    cursor.register(name, data)
                yield cursor
        except (duckdb.Error, pa.ArrowException) as error:
            if stop.stopped:
                raise Stopped from error
            raise SourceError(str(error)) from error
        if stop.stopped:
            raise Stopped


def compiled(statement: Statement) -> tuple[str, list[Any]]:
    """Return the statement's text for DuckDB and its parameters in order."""
    text = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return text.string, [text.params[name] for name in text.positiontup or ()]


def _contributions(table: pa.Table, query: ContributionQuery) -> pa.Table:
    return only_cells(conform(table, contribution_schema(query), query.group_by), query)


def only_cells(table: pa.Table, query: ContributionQuery) -> pa.Table:
    """Return the rows of a contribution answer that were asked for."""
    if query.cells is None or not query.group_by:
        return table if query.cells is None or query.cells else table.slice(0, 0)
    wanted = set(query.cells)
    columns = [table[name].to_pylist() for name in query.group_by]
    return table.filter(pa.array([cell in wanted for cell in zip(*columns, strict=True)], pa.bool_()))


def _interrupter(cursor: duckdb.DuckDBPyConnection) -> Callable[[], None]:
    def interrupt() -> None:
        with suppress(duckdb.Error):
            cursor.interrupt()

    return interrupt


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
