"""Stores Arrow tables in real sources: files of three formats, PostgreSQL, SQLite."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import sqlalchemy as sa

from bandung.connectors.base import Connector
from bandung.connectors.files import FilesConnector
from bandung.connectors.sqlalchemy import SqlAlchemyConnector

Load = Callable[[pa.Table], tuple[Connector, str]]

FORMATS = ("csv", "parquet", "arrow")


def write_file(table: pa.Table, path: Path) -> Path:
    """Write a table in the format that the suffix says."""
    match path.suffix:
        case ".csv":
            pyarrow.csv.write_csv(table, path)
        case ".parquet":
            pyarrow.parquet.write_table(table, path)
        case _:
            pyarrow.feather.write_feather(table, path)
    return path


def files(directory: Path, format_: str) -> Load:
    """Load into files of one format."""
    numbers = itertools.count()

    def load(table: pa.Table) -> tuple[Connector, str]:
        name = f"rows-{next(numbers)}.{format_}"
        write_file(table, directory / name)
        return FilesConnector.open({}, directory, {}), name

    return load


def database(url: str) -> Load:
    """Load into tables of one database."""
    numbers = itertools.count()

    def load(table: pa.Table) -> tuple[Connector, str]:
        name = f"Rows {next(numbers)}"
        write_table(url, name, table)
        return SqlAlchemyConnector.open({"url_env": "DATABASE_URL"}, Path(), {"DATABASE_URL": url}), name

    return load


def write_table(url: str, name: str, table: pa.Table) -> None:
    """Create a database table with the rows."""
    kinds = {pa.int64(): sa.BigInteger, pa.float64(): sa.Double, pa.string(): sa.Text, pa.bool_(): sa.Boolean}
    columns = [sa.Column(field.name, kinds[field.type], nullable=True) for field in table.schema]
    target = sa.Table(name, sa.MetaData(), *columns)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        target.create(connection)
        if table.num_rows:
            connection.execute(sa.insert(target), table.to_pylist())
    engine.dispose()
