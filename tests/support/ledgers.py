"""Real ledgers in temporary directories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.job import Decision, Family, Job, JobRecord, SignedJob, Term
from bandung.gateway.domain.ledger import Commit, Event, EventKind, StoredAnswer
from bandung.gateway.store.database import open_database
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.system import SystemRandomness
from tests.support.builders import ANI, NOW

TRUST_DOMAIN = "idn.bandung.example"
ORIGIN = f"{TRUST_DOMAIN}/ledger"


@dataclass(frozen=True)
class Opened:
    directory: Path
    engine: Engine
    secrets: FileSecrets
    ledger: SqlLedger


@contextmanager
def an_engine(directory: Path) -> Iterator[Engine]:
    """The database of a node's directory, open."""
    engine = open_database(directory / "gateway.db")
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def a_ledger(directory: Path, engine: Engine | None = None) -> Iterator[Opened]:
    """A node's ledger, open; on the given engine, or on one of its own."""
    if engine is None:
        with an_engine(directory) as own, a_ledger(directory, own) as opened:
            yield opened
        return
    secrets = FileSecrets(directory, SystemRandomness())
    ledger = SqlLedger(engine, TRUST_DOMAIN, secrets.ledger_key(), SystemRandomness())
    try:
        yield Opened(directory, engine, secrets, ledger)
    finally:
        ledger.close()


def a_commit(
    *charges: Charge,
    answer: StoredAnswer | None = None,
    kind: EventKind = EventKind.QUERY_ANSWERED,
    exchange: str = "ab" * 16,
    **body: object,
) -> Commit:
    """A commit of an answered query, with what a test wants to tell apart in its body."""
    return Commit(Event(kind, NOW, exchange, ANI.uri, body), charges, answer)


def an_answer(key: str = "plan/1", request_digest: str = "d1", content: bytes = b"content") -> StoredAnswer:
    """An answer to store."""
    return StoredAnswer(key, request_digest, content)


def a_job_record(**changes: Any) -> JobRecord:
    """A proposed job over two countries, not decided."""
    job = Job(
        name="yield",
        purpose="tests",
        family=Family.GAUSSIAN,
        members=("IDN", "PHL"),
        datasets=(("IDN", "farms"), ("PHL", "rice")),
        target=Term("output", "log"),
        features=(Term("size", "log"), Term("variety", "code", "high")),
        rounds_max=10,
        tolerance=1e-8,
        cohort_min=2,
        country_intercepts=True,
        holdout=0.2,
        train_units=(("PHL", 12),),
        on_loss="pause",
        author="spiffe://idn.bandung.example/analyst/ani",
        created="2026-01-01T00:00:00.000Z",
    )
    return replace(JobRecord(SignedJob(job, "d" * 64, b"\x00signed\xff"), Decision.PENDING), **changes)
