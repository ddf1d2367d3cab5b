"""Published epochs in the gateway's database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, Engine, func, insert, select

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Receipt
from bandung.gateway.domain.view import ViewEpoch, over
from bandung.gateway.store.codec import decode, encode
from bandung.gateway.store.database import epoch as epochs
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.projection import Projection

_PUBLISHED = cast("type[Epoch | ViewEpoch]", Epoch | ViewEpoch)


class SqlCatalogue:
    """The catalogue. Sees what other processes publish at the next call. Safe for use by several threads."""

    def __init__(self, engine: Engine, ledger: SqlLedger) -> None:
        self._engine = engine
        self._ledger = ledger
        self._current = Projection(engine, epochs, _read)
        self._over: dict[str, tuple[ViewEpoch, Epoch, Epoch | None]] = {}

    def current(self, dataset: str) -> Epoch | None:
        """Return the dataset's current epoch, or None if it is not published or was withdrawn."""
        return self._resolved(dataset, self._current.now())

    def all_current(self) -> tuple[Epoch, ...]:
        """Return every dataset's current epoch, by name."""
        current = self._current.now()
        resolved = (self._resolved(name, current) for name in sorted(current))
        return tuple(epoch for epoch in resolved if epoch is not None)

    def next_number(self, dataset: str) -> int:
        """Return the number that the dataset's next epoch takes; numbers of withdrawn epochs are not used again."""
        with self._engine.connect() as connection:
            return _next_number(connection, dataset)

    def all_ever(self) -> tuple[Epoch, ...]:
        """Return every epoch that was ever published, the oldest first; no views."""
        documents = select(epochs.c.document).where(epochs.c.document.is_not(None)).order_by(epochs.c.entry)
        with self._engine.connect() as connection:
            found = [decode(_PUBLISHED, document) for document in connection.scalars(documents)]
        return tuple(epoch for epoch in found if isinstance(epoch, Epoch))

    def publish(self, epoch: Epoch | ViewEpoch, commit: Commit) -> Receipt:
        """Make the epoch current and record it in one transaction.

        Raises:
            Refusal: BAD_REQUEST if the epoch's number is not the next one.
        """
        document = encode(epoch)
        name = epoch.name

        def write(connection: Connection, entry: int) -> None:
            if epoch.number != _next_number(connection, name):
                raise Refusal(ErrorKind.BAD_REQUEST, f"Epoch {epoch.id} is not the next one of its dataset.")
            row = {"entry": entry, "dataset": name, "number": epoch.number, "document": document}
            connection.execute(insert(epochs), row)

        return self._ledger.submit(commit, write, document)

    def withdraw(self, dataset: str, commit: Commit) -> Receipt:
        """Stop the dataset from being queried, until it is published anew, and record it in one transaction.

        Raises:
            Refusal: UNKNOWN_DATASET if it is not published, or withdrawn already.
        """

        def write(connection: Connection, entry: int) -> None:
            newest = select(epochs).where(epochs.c.dataset == dataset).order_by(epochs.c.entry.desc()).limit(1)
            row = connection.execute(newest).first()
            if row is None or row.document is None:
                raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {dataset}.")
            connection.execute(insert(epochs), {"entry": entry, "dataset": dataset, "number": row.number})

        return self._ledger.submit(commit, write)

    def _resolved(self, name: str, current: Mapping[str, Epoch | ViewEpoch]) -> Epoch | None:
        """Return what is asked under the name; a view stands over its base's current epoch, or nowhere."""
        found = current.get(name)
        if not isinstance(found, ViewEpoch):
            return found
        base = current.get(found.view.of)
        if not isinstance(base, Epoch):
            return None
        known = self._over.get(name)
        if known is None or known[0] is not found or known[1] is not base:
            known = self._over[name] = (found, base, over(found, base))
        return known[2]


def _next_number(connection: Connection, dataset: str) -> int:
    newest = select(func.coalesce(func.max(epochs.c.number), 0)).where(epochs.c.dataset == dataset)
    return connection.execute(newest).scalar_one() + 1


def _read(row: Any) -> tuple[str, Epoch | ViewEpoch | None]:
    return row.dataset, None if row.document is None else decode(_PUBLISHED, row.document)
