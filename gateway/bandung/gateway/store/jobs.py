"""Training jobs in the gateway's database: every decision is kept, the newest is served."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, insert

from bandung.gateway.domain.job import JobRecord
from bandung.gateway.domain.ledger import Commit, Receipt
from bandung.gateway.store.codec import decode, encode
from bandung.gateway.store.database import job as jobs
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.projection import Projection


class SqlJobs:
    """The jobs. Sees what other processes put at the next call. Safe for use by several threads."""

    def __init__(self, engine: Engine, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._newest = Projection(engine, jobs, _read)

    def get(self, digest: str) -> JobRecord | None:
        """Return the job as this country knows it."""
        return self._newest.now().get(digest)

    def all(self) -> tuple[JobRecord, ...]:
        """Return every job, the one that was proposed last first."""
        return tuple(self._newest.now().values())[::-1]

    def put(self, record: JobRecord, commit: Commit) -> Receipt:
        """Store the job's new state and record it in one transaction."""
        document = encode(record)

        def write(connection: Connection, entry: int) -> None:
            connection.execute(insert(jobs), {"entry": entry, "digest": record.signed.digest, "document": document})

        return self._ledger.submit(commit, write, document)


def _read(row: Any) -> tuple[str, JobRecord]:
    record = decode(JobRecord, row.document)
    return record.signed.digest, record
