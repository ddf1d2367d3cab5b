"""A ledger that failed to write once writes and answers nothing more, and loses nothing that it acknowledged."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import event

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.errors import ErrorKind, Refusal
from tests.support.ledgers import a_commit, a_ledger, an_answer, an_engine

ROOT = Path(__file__).parents[2]


def refusal_of(action, *arguments):
    with pytest.raises(Refusal) as refused:
        action(*arguments)
    return refused.value


def assert_sealed(ledger):
    for action in (
        lambda: ledger.commit(a_commit()),
        lambda: ledger.answer("plan/1"),
        lambda: ledger.remaining("tables", 1),
        lambda: ledger.entries(0, 1),
        ledger.head,
        ledger.checkpoint,
    ):
        assert refusal_of(action).kind is ErrorKind.SEALED


def fail_at(engine, statement):
    """Make the disk fail at the next such statement."""

    def fail(_connection, _cursor, text, *_):
        if text == statement:
            raise sqlite3.OperationalError("disk I/O error: /secret/path")

    event.listen(engine, "before_cursor_execute", fail)


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT"])
def test_a_failed_write_seals_the_ledger_until_a_restart(tmp_path, statement, caplog):
    with an_engine(tmp_path) as engine, a_ledger(tmp_path, engine) as opened:
        receipt = opened.ledger.commit(a_commit(Charge("tables", 1, 5)))
        fail_at(engine, statement)
        with caplog.at_level(logging.CRITICAL):
            refusal = refusal_of(opened.ledger.commit, a_commit(Charge("tables", 1, 5)))
        assert refusal.kind is ErrorKind.SEALED
        assert "/secret" not in refusal.message
        assert "disk I/O error" in refusal.private
        assert "disk I/O error" in caplog.text
        assert_sealed(opened.ledger)
    with a_ledger(tmp_path) as again:
        assert again.ledger.head() == (1, receipt.root)
        assert again.ledger.remaining("tables", 5) == 4
        assert again.ledger.commit(a_commit()).index == 1
        assert again.ledger.verify() == ()


def test_everybody_who_waits_is_told_that_the_ledger_is_sealed(tmp_path):
    with an_engine(tmp_path) as engine, a_ledger(tmp_path, engine) as opened:
        fail_at(engine, "COMMIT")
        kinds = []
        threads = [
            threading.Thread(target=lambda: kinds.append(refusal_of(opened.ledger.commit, a_commit()).kind))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert kinds == [ErrorKind.SEALED] * 20


def test_a_mistake_in_an_attached_write_seals_rather_than_hangs(tmp_path, monkeypatch):
    died = []
    monkeypatch.setattr(threading, "excepthook", died.append)

    def mistaken(_connection, _entry):
        raise ZeroDivisionError

    with a_ledger(tmp_path) as opened:
        assert refusal_of(opened.ledger.submit, a_commit(), mistaken).kind is ErrorKind.SEALED
        assert_sealed(opened.ledger)
    assert died[0].exc_type is ZeroDivisionError
    with a_ledger(tmp_path) as again:
        assert again.ledger.head()[0] == 0


def test_a_database_that_turned_read_only_seals(tmp_path):
    with an_engine(tmp_path) as engine:
        connections = []
        event.listen(engine, "checkout", lambda connection, *_: connections.append(connection))
        with a_ledger(tmp_path, engine) as opened:
            opened.ledger.commit(a_commit())
            for connection in connections:
                connection.execute("PRAGMA query_only = ON")
            assert refusal_of(opened.ledger.commit, a_commit()).kind is ErrorKind.SEALED
            assert_sealed(opened.ledger)


class Fuse:
    """Breaks a database off in the middle of a statement, after so many of its own instructions (in threes)."""

    def __init__(self, engine):
        self._left = 0
        event.listen(engine, "checkout", lambda connection, *_: connection.set_progress_handler(self._burn, 3))

    def light(self, left):
        self._left = left

    def _burn(self):
        self._left -= 1
        return self._left == 0


def sealed_by_interruption(directory, step):
    """Break the second of two commits off at a step, look after a restart, and say whether it was broken off."""
    with an_engine(directory) as engine:
        fuse = Fuse(engine)
        with a_ledger(directory, engine) as opened:
            opened.ledger.commit(a_commit(Charge("tables", 1, 5)))
            fuse.light(step)
            sealed = None
            try:
                opened.ledger.commit(a_commit(Charge("tables", 1, 5), Charge("all", 1, 5), answer=an_answer()))
            except Refusal as refusal:
                sealed = refusal.kind
            fuse.light(0)
            if sealed:
                assert_sealed(opened.ledger)
    with a_ledger(directory) as again:
        size = again.ledger.head()[0]
        # Who was told that the ledger is sealed may find the whole request written, or nothing of it.
        assert size == 2 or (size == 1 and sealed)
        assert again.ledger.remaining("tables", 5) == 5 - size
        assert again.ledger.remaining("all", 5) == 6 - size
        assert (again.ledger.answer("plan/1") is None) == (size == 1)
        assert again.ledger.verify() == ()
    return sealed


def test_an_interruption_at_any_step_loses_nothing_and_leaves_nothing_half_done(tmp_path):
    outcomes = [sealed_by_interruption(tmp_path / str(step), step) for step in range(1, 150, 5)]
    assert set(outcomes) == {ErrorKind.SEALED, None}
    assert outcomes.count(ErrorKind.SEALED) > 10


def test_a_full_disk_seals_and_what_was_acknowledged_is_there_after_a_restart(tmp_path):
    with a_ledger(tmp_path) as opened:
        opened.ledger.commit(a_commit())
    child = subprocess.run(
        [sys.executable, str(ROOT / "tests/support/full_disk.py"), str(tmp_path), "400000"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *acknowledged, told, told_again = child.stdout.split()
    assert len(acknowledged) > 5
    assert (told, told_again) == (ErrorKind.SEALED.spec.code, ErrorKind.SEALED.spec.code)
    with a_ledger(tmp_path) as again:
        assert all(again.ledger.answer(f"plan/{count}") for count in acknowledged)
        assert again.ledger.verify() == ()
        again.ledger.commit(a_commit())
