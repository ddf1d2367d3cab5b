"""The sqlalchemy connector on a real PostgreSQL: secrets, types, cancellation, read-only transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from bandung.connectors.base import (
    Banded,
    CellQuery,
    Column,
    FixedPoint,
    Join,
    JoinProfile,
    KeyColumn,
    OptionError,
    Recode,
    RowQuery,
    SourceError,
    Stop,
    Stopped,
    View,
)
from bandung.connectors.sqlalchemy import SqlAlchemyConnector
from tests.support.postgres import Databases


@pytest.fixture
def url(postgres: Databases) -> str:
    return postgres()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def connector(url: str) -> Iterator[SqlAlchemyConnector]:
    connector = SqlAlchemyConnector.open({"url_env": "U"}, Path(), {"U": url})
    yield connector
    connector.close()


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_the_databases_own_types_become_plain_ones(engine: sa.Engine, connector: SqlAlchemyConnector):
    run(
        engine,
        "CREATE TYPE colour AS ENUM ('red', 'None')",
        """CREATE TABLE odd (a smallint, b numeric(10, 0), c numeric(10, 2), d real, e char(3), f boolean,
                              g uuid, h date, i colour)""",
        """INSERT INTO odd VALUES (1, 2, 3.25, 4.5, 'x', true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
                                  '1987-06-01', 'None')""",
    )
    kinds = [field.type for field in connector.schema("odd")]
    whole, real, text = pa.int64(), pa.float64(), pa.string()
    assert kinds == [whole, whole, real, real, text, pa.bool_(), text, text, text]
    view = View(
        "odd",
        (
            ("colour", Recode("i", (("none", ("None",)),), "_U")),
            ("day", Recode("h", (("june", ("1987-06-01",)),))),
            ("flag", Recode("f", (("yes", ("true",)), ("no", (0,))))),
            ("whole", Recode("b", (("two", ("2",)),))),
            ("sum", FixedPoint(("a", "c"), decimals=2)),
            ("refused", FixedPoint(("a", "c"), missing_values=(3.25,))),
            ("no_number", Banded(FixedPoint(("e",), missing_values=(1.0,)), (("low", 0, 9),), "_U")),
        ),
        "g",
    )
    rows = connector.rows(RowQuery(view, tuple(name for name, _ in view.columns)), Stop()).read_all()
    (row,) = rows.to_pylist()
    assert row == {
        "unit": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "colour": "none",
        "day": "june",
        "flag": "yes",
        "whole": "two",
        "sum": 425,
        "refused": None,
        "no_number": None,
    }


def test_a_request_given_up_stops_the_query_in_the_database(engine: sa.Engine, connector: SqlAlchemyConnector):
    run(
        engine,
        """CREATE VIEW endless AS SELECT a.i AS id, b.i AS k FROM generate_series(1, 100000) a(i),
           generate_series(1, 1000000) b(i)""",
    )
    connector.schema("endless")
    stop = Stop()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        connector.cells(CellQuery(View("endless", (), "id", KeyColumn("k")), (), (), ()), stop)
    assert time.monotonic() - started < 10
    with engine.connect() as connection:
        busy = sa.text("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%endless%'")
        for _ in range(50):
            if connection.execute(busy).scalar_one() <= 1:
                break
            time.sleep(0.1)
        assert connection.execute(busy).scalar_one() <= 1  # this very query


def test_rows_can_be_given_up_half_way_and_the_connection_is_not_lent_again(
    engine: sa.Engine, connector: SqlAlchemyConnector
):
    run(engine, "CREATE TABLE many AS SELECT i AS id FROM generate_series(1, 100000) s(i)")
    stop = Stop()
    reader = connector.rows(RowQuery(View("many", (), "id"), ()), stop)
    assert reader.read_next_batch().num_rows == 20_000
    stop.set()
    with pytest.raises(Stopped):
        reader.read_all()
    assert connector.profile(View("many", (), "id"), (), Stop()).rows == 100_000


def test_a_reader_that_is_dropped_gives_its_connection_back(engine: sa.Engine, url: str):
    run(engine, "CREATE TABLE many AS SELECT i AS id FROM generate_series(1, 100000) s(i)")
    connector = SqlAlchemyConnector.open({"url_env": "U", "connections": "1"}, Path(), {"U": url})
    for _ in range(15):
        connector.rows(RowQuery(View("many", (), "id"), ()), Stop()).read_next_batch()
    assert connector.profile(View("many", (), "id"), (), Stop()).rows == 100_000
    connector.close()


def test_reading_cannot_write(engine: sa.Engine, connector: SqlAlchemyConnector):
    run(engine, "CREATE SEQUENCE seen", "CREATE VIEW spy AS SELECT nextval('seen') AS id")
    with pytest.raises(SourceError, match="read-only"):
        connector.profile(View("spy", (), "id"), (), Stop())


def test_a_statement_has_a_time_limit(engine: sa.Engine, url: str):
    run(engine, "CREATE VIEW endless AS SELECT a.i AS id FROM generate_series(1, 1000000000) a(i)")
    connector = SqlAlchemyConnector.open({"url_env": "U", "timeout_s": "1"}, Path(), {"U": url})
    with pytest.raises(SourceError):
        connector.profile(View("endless", (), "id"), (), Stop())
    connector.close()


def test_keys_can_stand_in_a_schema_of_their_own(engine: sa.Engine, url: str):
    run(engine, "CREATE SCHEMA census", "CREATE SCHEMA keys", "CREATE TABLE census.p AS SELECT 1 AS id")
    options = {"url_env": "U", "schema": "census", "keys_schema": "keys"}
    connector = SqlAlchemyConnector.open(options, Path(), {"U": url})
    keys = pa.table({"unit": pa.array([1, 1], pa.int64()), "record_key": pa.array([-5, -5], pa.int64())})
    connector.write_keys(View("p", (), "id"), "k", keys.to_reader(), Stop())
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT unit, record_key FROM keys.k")).all() == [(1, -5)]
    connector.close()


def test_keys_that_cannot_be_completed_leave_the_old_ones(engine: sa.Engine, connector: SqlAlchemyConnector):
    run(engine, "CREATE TABLE p AS SELECT 1 AS id")
    good = pa.table({"unit": pa.array([1], pa.int64()), "record_key": pa.array([1], pa.int64())})
    bad = pa.table({"unit": pa.array([1, 1], pa.int64()), "record_key": pa.array([1, 2], pa.int64())})
    connector.write_keys(View("p", (), "id"), "k", good.to_reader(), Stop())
    with pytest.raises(SourceError):
        connector.write_keys(View("p", (), "id"), "k", bad.to_reader(), Stop())
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT unit, record_key FROM k")).all() == [(1, 1)]


def test_texts_that_one_side_holds_equal_multiply_no_row(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'source.db'}"
    engine = sa.create_engine(url)
    run(
        engine,
        "CREATE TABLE p (id integer, town text COLLATE NOCASE)",
        "CREATE TABLE towns (town text, region text)",
        "CREATE TABLE loose (town text COLLATE NOCASE, region text)",
        "INSERT INTO p VALUES (1, 'a'), (2, 'B'), (3, 'c')",
        "INSERT INTO towns VALUES ('a', 'x'), ('A', 'y'), ('b', 'z')",
        "INSERT INTO loose SELECT * FROM towns",
    )
    engine.dispose()
    connector = SqlAlchemyConnector.open({"url": url}, Path(), {})
    for relation, regions, repeated in (("towns", ["x", None, None], 0), ("loose", [None, "z", None], 1)):
        join = Join(relation, "town", (("town", "town"),))
        view = View("p", (("region", Column("town.region")),), "id", joins=(join,))
        rows = connector.rows(RowQuery(view, ("region",)), Stop()).read_all().sort_by("unit")
        assert rows["region"].to_pylist() == regions
        assert connector.profile(view, (), Stop()).joins == {"town": JoinProfile(repeated, regions.count(None))}
    connector.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "postgresql://me:secret@host/db"},
        {"url": "not a url"},
        {"url": "nosuchdatabase://host"},
        {"url_env": "UNSET"},
        {"url_file": "missing.txt"},
        {"url": "sqlite://", "url_env": "U"},
        {"url": "sqlite://", "timeout_s": "soon"},
        {"url": "sqlite://", "colour": "red"},
    ],
)
def test_a_wrong_option_is_refused_without_repeating_a_secret(options: dict[str, str], tmp_path: Path):
    with pytest.raises(OptionError) as caught:
        SqlAlchemyConnector.open(options, tmp_path, {"U": "sqlite://"})
    assert "secret" not in str(caught.value)


def test_the_url_can_stand_in_a_file(tmp_path: Path, engine: sa.Engine, url: str):
    run(engine, "CREATE TABLE p AS SELECT 1 AS id")
    (tmp_path / "url.txt").write_text(f"{url}\n")
    connector = SqlAlchemyConnector.open({"url_file": "url.txt"}, tmp_path, {})
    assert connector.schema("p").names == ["id"]
    connector.close()


def test_a_database_that_is_down_is_a_source_error(tmp_path: Path):
    connector = SqlAlchemyConnector.open({"url": f"postgresql+psycopg:///x?host={tmp_path}"}, tmp_path, {})
    with pytest.raises(SourceError):
        connector.schema("p")
    connector.close()
