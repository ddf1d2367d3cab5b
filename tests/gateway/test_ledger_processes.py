"""Several processes write one ledger, and a process killed at any moment loses nothing that it acknowledged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ledgers import a_commit, a_ledger

ROOT = Path(__file__).parents[2]


def a_writer(directory, threads, commits, acknowledge="after"):
    program = str(ROOT / "tests/support/ledger_writer.py")
    return subprocess.Popen(
        [sys.executable, program, str(directory), str(threads), str(commits), acknowledge],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def lost_after_a_kill(directory, acknowledge, after):
    """Kill a writer in full flight after so many acknowledgements and return what it acknowledged but lost."""
    writer = a_writer(directory, 8, 10**6, acknowledge)
    acknowledged = [writer.stdout.readline().strip() for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.stdout.read().split()
    writer.stdout.close()
    assert writer.wait(60) == -signal.SIGKILL
    with a_ledger(directory) as opened:
        size = opened.ledger.head()[0]
        assert opened.ledger.verify() == ()
        assert 10**6 - opened.ledger.remaining("all", 10**6) == size
        recorded = {entry.event.exchange for entry in opened.ledger.entries(0, size)}
        answered = {exchange for exchange in recorded if opened.ledger.answer(f"plan/{exchange}")}
    assert recorded == answered
    return set(acknowledged) - recorded


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    for after in (1, 40, 150):
        assert lost_after_a_kill(tmp_path, "after", after) == set()


def test_the_torture_finds_a_writer_that_acknowledges_too_early(tmp_path):
    assert any(lost_after_a_kill(tmp_path, "before", after) for after in (40, 41, 42))


def test_two_processes_write_one_ledger(tmp_path):
    with a_ledger(tmp_path) as opened:
        writers = [a_writer(tmp_path, 4, 25) for _ in range(2)]
        own = [opened.ledger.commit(a_commit(exchange=f"own-{number}")) for number in range(50)]
        acknowledged = [line for writer in writers for line in writer.communicate(timeout=120)[0].split()]
        assert [writer.returncode for writer in writers] == [0, 0]
        own += [opened.ledger.commit(a_commit(exchange="own-last"))]
        entries = opened.ledger.entries(0, 1000)
        assert opened.ledger.head()[0] == len(entries) == 251
        assert [entries[receipt.index].leaf for receipt in own] == [receipt.leaf for receipt in own]
        assert {entry.event.exchange for entry in entries} >= set(acknowledged)
        assert len(acknowledged) == 200
        assert opened.ledger.remaining("all", 200) == 0
        assert opened.ledger.verify() == ()


@pytest.mark.parametrize("commits", [0, 7])
def test_a_ledger_sees_what_another_process_wrote_before_its_own_next_commit(tmp_path, commits):
    with a_ledger(tmp_path) as opened, a_ledger(tmp_path) as other:
        for _ in range(commits):
            other.ledger.commit(a_commit())
        assert opened.ledger.head() == other.ledger.head()
        assert opened.ledger.commit(a_commit()).index == commits
        assert other.ledger.commit(a_commit()).index == commits + 1
