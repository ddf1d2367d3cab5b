"""Agreements in the gateway's database: every version is kept, the newest is served."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select

from bandung.gateway.domain.agreement import Agreement
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Receipt
from bandung.gateway.store.codec import decode, encode
from bandung.gateway.store.database import agreement as agreements
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.projection import Projection


class SqlAgreements:
    """The agreements. Sees what other processes put at the next call. Safe for use by several threads."""

    def __init__(self, engine: Engine, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._newest = Projection(engine, agreements, _read)

    def all(self) -> tuple[Agreement, ...]:
        """Return every agreement at its newest version, oldest agreement first."""
        return tuple(self._newest.now().values())

    def put(self, agreement: Agreement, commit: Commit) -> Receipt:
        """Store a new version and record it in one transaction.

        Raises:
            Refusal: BAD_REQUEST if the version is not the one after the newest (1 for a new agreement).
        """
        document = encode(agreement)

        def write(connection: Connection, entry: int) -> None:
            newest = select(func.coalesce(func.max(agreements.c.version), 0)).where(agreements.c.id == agreement.id)
            expected = connection.execute(newest).scalar_one() + 1
            if agreement.version != expected:
                detail = f"Version {agreement.version} of agreement {agreement.id!r}: the next one is {expected}."
                raise Refusal(ErrorKind.BAD_REQUEST, detail)
            row = {"entry": entry, "id": agreement.id, "version": agreement.version, "document": document}
            connection.execute(insert(agreements), row)

        return self._ledger.submit(commit, write, document)


def _read(row: Any) -> tuple[str, Agreement]:
    agreement = decode(Agreement, row.document)
    return agreement.id, agreement
