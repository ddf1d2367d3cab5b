"""The gateway's own columnar copy of a dataset, inside the country: one DuckDB file per epoch.

Layout, chosen by measurement on 10 M rows (`docs/datasets.md`): dimensions are ENUMs in code-list order, measures
64-bit fixed-point integers, the unit a dense integer from 0 (the identifier itself is dropped), the record key its low
32 bits, whose sums stay in 64 bits, and rows sorted by the dimensions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from bandung.connectors.base import KeyColumn, Profile, SourceError, Stop
from bandung.connectors.embedded import Embedded
from bandung.gateway.disclosure.keys import FINGERPRINT_BITS
from bandung.gateway.domain.dataset import Dataset, Dimension, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.store.finest_cells import add_up, quoted, summaries, text

RELATION = "data"
RECORD_KEY = KeyColumn("record_key")
"""Where a snapshot's record key stands."""

_DENSE_BITS_MAX = 16
"""Tables whose codes take at most this many bits together are summed by position, not by hash: a third faster. Beyond,
the room for every position, for every thread and every call under way, would cost more memory than it is worth."""

_Config = dict[str, str | bool | int | float | list[str]]


class SnapshotFiles:
    """Writes, verifies and opens snapshots: `<directory>/<dataset>/<number>.duckdb`. Fills `ports.SnapshotWriter`.

    Args:
        memory_mib_max: most memory of the engine for one snapshot; writing spills to disk beyond it.
        threads_max: most threads of one query.
    """

    def __init__(self, directory: Path, memory_mib_max: int, threads_max: int) -> None:
        self._directory = directory
        self._limits: _Config = {
            "memory_limit": f"{memory_mib_max}MiB",
            "threads": threads_max,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    def write(self, dataset: Dataset, number: int, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> str:
        """Write rows (`RowQuery` schema, every declared column and the record key) and return the relation.

        The file appears complete or not at all, and is read-only from then on.

        Raises:
            Refusal: DATA_VIOLATES_DECLARATION if a row does not fit the declaration.
        """
        path = self._path(dataset.name, number)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with TemporaryDirectory(prefix=".writing-", dir=path.parent) as scratch:
            complete = Path(scratch, "epoch.duckdb")
            try:
                self._write(dataset, rows, schema, Path(scratch), complete)
            except (duckdb.ConversionException, duckdb.ConstraintException) as error:
                raise Refusal(ErrorKind.DATA_VIOLATES_DECLARATION, private=str(error)) from error
            except duckdb.Error as error:
                raise SourceError(str(error)) from error
            complete.chmod(0o400)
            _sync(complete)
            complete.replace(path)
        _sync(path.parent)
        return RELATION

    def profile(self, dataset: Dataset, number: int, nesting: Sequence[tuple[str, str]], stop: Stop) -> Profile:
        """Return the verified facts of a snapshot that was written.

        Raises:
            SourceError: the engine failed.
            Stopped: `stop` was set.
        """
        embedded = self.open(dataset.name, number)
        try:
            return embedded.profile(dataset.snapshot_view(RELATION), nesting, stop)
        finally:
            embedded.close()

    def open(self, dataset: str, number: int) -> Embedded:
        """Open a snapshot read-only, its engine locked down.

        Raises:
            SourceError: it is not there or not readable.
        """
        try:
            config: _Config = {**self._limits, "perfect_ht_threshold": _DENSE_BITS_MAX}
            database = duckdb.connect(str(self._path(dataset, number)), read_only=True, config=config)
            database.execute("SET python_enable_replacements=false")
            database.execute("SET enable_external_access=false")
            database.execute("SET lock_configuration=true")
            finest, leading = summaries(database)
            return Embedded(database, RELATION, verified=True, finest=finest, leading=leading)
        except duckdb.Error as error:
            raise SourceError(str(error)) from error

    def _path(self, dataset: str, number: int) -> Path:
        return self._directory / dataset / f"{number}.duckdb"

    def _write(
        self, dataset: Dataset, rows: Iterable[pa.RecordBatch], schema: pa.Schema, scratch: Path, complete: Path
    ) -> None:
        config: _Config = {**self._limits, "temp_directory": str(scratch / "spill")}
        with duckdb.connect(str(scratch / "staged.duckdb"), config=config) as database:
            _stage(database, dataset, rows, schema)
            database.execute(f"ATTACH {text(str(complete))} AS epoch")
            database.execute(_arranged(dataset))
            add_up(database, dataset, RELATION)
            database.execute("DETACH epoch")


def _stage(
    database: duckdb.DuckDBPyConnection, dataset: Dataset, rows: Iterable[pa.RecordBatch], schema: pa.Schema
) -> None:
    columns = ", ".join(_definition(column) for column in dataset.columns)
    unit = "BIGINT" if pa.types.is_integer(schema.field("unit").type) else "VARCHAR"
    database.execute(f"CREATE TABLE staged (unit {unit} NOT NULL, record_key BIGINT NOT NULL, {columns})")
    for batch in rows:
        database.register("batch", pa.Table.from_batches([batch]))
        database.execute("INSERT INTO staged BY NAME SELECT * FROM batch")
        database.unregister("batch")


def _definition(column: Dimension | Measure) -> str:
    name = quoted(column.name)
    if isinstance(column, Dimension) and column.open:
        return f"{name} VARCHAR NOT NULL"
    if isinstance(column, Dimension):
        codes = ", ".join(text(code.code) for code in column.codes)
        return f"{name} ENUM({codes}) NOT NULL"
    return f"{name} BIGINT{'' if column.optional else ' NOT NULL'}"


def _arranged(dataset: Dataset) -> str:
    """Return the statement that copies staged rows into the epoch's table in its final layout."""
    columns = "".join(f", staged.{quoted(column.name)}" for column in dataset.columns)
    order = ", ".join(quoted(column.name) for column in dataset.dimensions)
    return f"""
        CREATE TABLE epoch.{RELATION} AS
        WITH units AS (SELECT unit, row_number() OVER () - 1 AS number FROM (SELECT DISTINCT unit FROM staged))
        SELECT units.number AS unit,
               CAST(record_key & {2**FINGERPRINT_BITS - 1} AS UINTEGER) AS record_key{columns}
        FROM staged JOIN units ON staged.unit = units.unit
        {f"ORDER BY {order}" if order else ""}"""  # noqa: S608


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
