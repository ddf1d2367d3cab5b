"""The `files` connector: Parquet, CSV and Arrow files, aggregated by an embedded DuckDB."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from bandung.connectors.base import (
    Capabilities,
    CellQuery,
    ContributionQuery,
    HistogramQuery,
    Join,
    OptionError,
    Profile,
    RowQuery,
    SourceError,
    Stop,
    View,
)
from bandung.connectors.csv_form import CsvForm
from bandung.connectors.embedded import Embedded
from bandung.connectors.options import Options

_SUFFIXES = {
    "csv": (".csv", ".tsv", ".txt", ".dat"),
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".feather", ".ipc"),
}
_KNOWN = {field.name for field in fields(CsvForm)} | {"format", "memory_mb", "threads"}
_CSV_TYPES = ("BIGINT", "DOUBLE", "VARCHAR")


class FilesConnector:
    """Files of one directory; a relation is a file, or a pattern such as `census-*.parquet`.

    Nothing but the files of the relation and of what is joined to it can be read, and no configuration changed, by
    any statement.
    """

    def __init__(self, options: Options, base: Path) -> None:
        self._base = base
        self._format = options.choice("format", _SUFFIXES)
        self._csv = CsvForm.of(options)
        self._config: dict[str, Any] = {
            "memory_limit": f"{options.whole('memory_mb', 1024)}MiB",
            "threads": options.whole("threads", 2),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._scans: dict[str, str] = {}
        self._opened: dict[tuple[str, tuple[Join, ...]], Embedded] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, options: Mapping[str, str], base: Path, environment: Mapping[str, str]) -> FilesConnector:
        """Open the connector; files are opened when a relation is first used. See `registry.Opener`."""
        del environment
        return cls(Options("files", options, _KNOWN), base)

    @property
    def capabilities(self) -> Capabilities:
        """Live if the file brings its record keys; none can be written into it."""
        return Capabilities(live=True, writes_keys=False)

    def schema(self, relation: str) -> pa.Schema:
        """Return the file's columns with their plain types."""
        return self._file(relation).schema

    def profile(self, view: View, nesting: tuple[tuple[str, str], ...], stop: Stop) -> Profile:
        """Verify a declaration; see `Connector.profile`."""
        return self._file(view.relation, view.joins).profile(view, nesting, stop)

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        """Aggregate into cells; see `CellQuery`."""
        return self._file(query.view.relation, query.view.joins).cells(query, stop)

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        """Count units and find the largest contributions; see `ContributionQuery`."""
        return self._file(query.view.relation, query.view.joins).contributions(query, stop)

    def histogram(self, query: HistogramQuery, stop: Stop) -> pa.Table:
        """Count values in bins; see `HistogramQuery`."""
        return self._file(query.view.relation, query.view.joins).histogram(query, stop)

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        """Stream rows; row numbers follow the order of the file. See `RowQuery`."""
        return self._file(query.view.relation, query.view.joins).rows(query, stop)

    def write_keys(self, view: View, table: str, keys: pa.RecordBatchReader, stop: Stop) -> None:
        """Refuse: files are never written."""
        raise SourceError("files cannot hold record keys")

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for opened in self._opened.values():
                opened.close()
            self._opened.clear()

    def _file(self, relation: str, joins: tuple[Join, ...] = ()) -> Embedded:
        with self._lock:
            if (relation, joins) not in self._opened:
                self._opened[relation, joins] = self._open(relation, joins)
            return self._opened[relation, joins]

    def _open(self, relation: str, joins: tuple[Join, ...]) -> Embedded:
        named = dict.fromkeys([relation, *(join.relation for join in joins)])
        paths = {name: self._paths(name) for name in named}
        formats = {name: self._format or _format(found[0]) for name, found in paths.items()}
        tables = {name: f"relation{number}" for number, name in enumerate(named)}
        registered: dict[str, object] = {}
        try:
            database = self._database([path for name in named if formats[name] != "arrow" for path in paths[name]])
            for name, table in tables.items():
                if formats[name] == "arrow":
                    registered[table] = ds.dataset([str(path) for path in paths[name]], format="ipc")
                    continue
                if name not in self._scans:
                    self._scans[name] = self._scan(database, paths[name], formats[name])
                _create_view(database, table, self._scans[name])
            database.execute("SET lock_configuration=true")
            placed = [(join, tables[join.relation]) for join in joins]
            return Embedded(database, tables[relation], registered, joins=placed)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise SourceError(str(error)) from error

    def _paths(self, relation: str) -> list[Path]:
        if Path(relation).is_absolute() or ".." in Path(relation).parts:
            raise OptionError(f"files: {relation} is not below the declaration's directory")
        paths = sorted(self._base.glob(relation)) if "*" in relation else [self._base / relation]
        if not paths or not all(path.is_file() for path in paths):
            raise SourceError(f"there is no file {relation} in {self._base}")
        return [path.resolve() for path in paths]

    def _database(self, paths: list[Path]) -> duckdb.DuckDBPyConnection:
        database = duckdb.connect(config=self._config)
        database.execute(f"SET allowed_paths={_listed([str(path) for path in paths])}")
        database.execute("SET python_enable_replacements=false")
        database.execute("SET enable_external_access=false")
        return database

    def _scan(self, database: duckdb.DuckDBPyConnection, paths: list[Path], format_: str) -> str:
        files = _listed([str(path) for path in paths])
        if format_ == "parquet":
            return f"read_parquet({files})"
        settings = _settings(self._csv)
        options = ", ".join([files, *settings])
        guessed = f"read_csv({options}, sample_size=-1, auto_type_candidates={_listed(_CSV_TYPES)})"
        try:
            found = database.execute(f"DESCRIBE SELECT * FROM {guessed}").fetchall()  # noqa: S608
        except duckdb.InvalidInputException:
            # The engine's own words would show rows.
            raise SourceError(self._csv.misfit(paths)) from None
        # Every value was looked at once; later reads take the types as they are.
        text = self._csv.text
        types = ", ".join(f"{_text(name)}: {_text('VARCHAR' if name in text else type_)}" for name, type_, *_ in found)
        named = [setting for setting in settings if not setting.startswith("names=")]
        return f"read_csv({', '.join([files, *named])}, auto_detect=false, columns={{{types}}})"


def _format(path: Path) -> str:
    for format_, suffixes in _SUFFIXES.items():
        if path.suffix.lower() in suffixes:
            return format_
    listed = "; ".join(f"{format_}: {' '.join(suffixes)}" for format_, suffixes in _SUFFIXES.items())
    raise OptionError(
        f"files: {path.name} is no file that can be read ({listed}); save it as one of these, or, if it is one "
        "of another name, set format to csv, parquet or arrow"
    )


def _settings(form: CsvForm) -> list[str]:
    """Return what `read_csv` is told about the form of the text."""
    settings = [
        f"encoding={_text(form.encoding)}",
        f"delim={_text(form.delimiter)}",
        f"decimal_separator={_text(form.decimal)}",
        f"quote={_text(form.quote)}",
        f"escape={_text(form.quote)}",
        f"header={str(form.header).lower()}",
        f"skip={form.skip_lines}",
        f"nullstr={_listed(['', *form.null])}",
    ]
    return [*settings, f"names={_listed(form.names)}"] if form.names else settings


def _create_view(database: duckdb.DuckDBPyConnection, name: str, scan: str) -> None:
    database.execute(f"CREATE VIEW {name} AS SELECT * FROM {scan}")  # noqa: S608


def _listed(values: tuple[str, ...] | list[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]" if values else "[]::VARCHAR[]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
