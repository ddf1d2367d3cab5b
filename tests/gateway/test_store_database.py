"""The database refuses strangers and the future, and nothing that was written can be taken back."""

import sqlite3
import stat

import pytest

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import EventKind
from bandung.gateway.store.agreements import SqlAgreements
from bandung.gateway.store.catalogue import SqlCatalogue
from bandung.gateway.store.database import open_database
from tests.support.builders import an_agreement, an_epoch
from tests.support.ledgers import a_commit, a_ledger, an_answer, an_engine


@pytest.fixture
def written(tmp_path):
    """A database with a row in every table but `job`, and its path."""
    with a_ledger(tmp_path) as opened:
        opened.ledger.commit(a_commit(Charge("tables", 3, 10), answer=an_answer()))
        SqlCatalogue(opened.engine, opened.ledger).publish(an_epoch(), a_commit(kind=EventKind.DATASET_PUBLISHED))
        SqlAgreements(opened.engine, opened.ledger).put(an_agreement(), a_commit(kind=EventKind.AGREEMENT_CHANGED))
        yield tmp_path / "gateway.db"


def run(path, statement):
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "table", ["ledger_entry", "ledger_checkpoint", "released_answer", "epoch", "agreement", "ledger_tile"]
)
def test_rows_cannot_be_deleted(written, table):
    assert run(written, f"SELECT count(*) FROM {table}") != [(0,)]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run(written, f"DELETE FROM {table}")


@pytest.mark.parametrize(
    "change",
    [
        "ledger_entry SET document = x'00'",
        "ledger_entry SET salt = x'00'",
        "ledger_checkpoint SET note = 'x'",
        "released_answer SET content = x'00'",
        "epoch SET document = NULL",
        "agreement SET document = 'x'",
        "agreement SET version = 7",
    ],
)
def test_rows_cannot_be_changed(written, change):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run(written, f"UPDATE {change}")


@pytest.mark.parametrize("hashes", ["x'00'", "zeroblob(96)", "zeroblob(128)", "substr(hashes, 1, 32)", "x''"])
def test_a_tile_only_grows(written, hashes):
    with pytest.raises(sqlite3.IntegrityError, match="a tile only grows"):
        run(written, f"UPDATE ledger_tile SET hashes = {hashes}")


@pytest.mark.parametrize("change", ["UPDATE charged_scope SET spent = spent - 1", "DELETE FROM charged_scope"])
def test_charges_are_never_refunded(written, change):
    with pytest.raises(sqlite3.IntegrityError, match="never refunded"):
        run(written, change)


def test_a_row_of_no_ledger_entry_cannot_be_written(written):
    connection = sqlite3.connect(written)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("INSERT INTO agreement VALUES (99, 'x', 1, 'x')")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.commit()
    connection.close()


def test_what_is_committed_is_synced_to_the_disk(tmp_path):
    with an_engine(tmp_path) as engine, engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}


def test_only_the_owner_can_read_the_database(written):
    files = [written, *written.parent.glob("gateway.db-*")]
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def refusal_of(path):
    with pytest.raises(Refusal) as refused:
        open_database(path)
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION
    return refused.value


def test_a_database_of_an_unknown_schema_version_is_refused_untouched(tmp_path):
    with an_engine(tmp_path):
        pass
    path = tmp_path / "gateway.db"
    run(path, "UPDATE schema_version SET version = 2")
    assert "schema version [2]" in refusal_of(path).detail
    assert run(path, "SELECT version FROM schema_version") == [(2,)]


def test_a_database_of_another_program_is_refused_untouched(tmp_path):
    path = tmp_path / "gateway.db"
    run(path, "CREATE TABLE theirs (x)")
    assert "another program" in refusal_of(path).detail
    assert run(path, "SELECT name FROM sqlite_master") == [("theirs",)]


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path):
    path = tmp_path / "gateway.db"
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    before = path.read_bytes()
    refusal_of(path)
    assert path.read_bytes() == before
