"""The whole ledger, recomputed from its entries and held against all that is stored beside them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from bandung.gateway.domain.checkpoint import BadCheckpoint, Checkpoint, LogVerifier
from bandung.gateway.domain.merkle import HASH_BYTES, TILE_LEVELS, TILE_WIDTH, Frontier
from bandung.gateway.store.database import (
    agreement,
    charged_scope,
    epoch,
    job,
    ledger_checkpoint,
    ledger_entry,
    ledger_tile,
    released_answer,
)
from bandung.gateway.store.merkle import Tree, stored_tile
from bandung.gateway.store.record import answer_digest, leaf_of, text_digest

_ATTACHED = (epoch, agreement, job)


def findings(connection: Connection, verifier: LogVerifier) -> Iterator[str]:
    """Yield everything that does not hold: entries, tree, checkpoints, charges, answers, attached rows.

    The entries are the one source, and the signed checkpoints vouch for them: who changes an entry must change
    every tile above it, and then lacks the key for the checkpoints.

    Args:
        connection: sees one moment (`database.snapshot`).
    """
    audit = _Audit(connection, verifier)
    yield from audit.walk()
    yield from audit.compare_totals()


class _Audit:
    """One walk over the ledger."""

    def __init__(self, connection: Connection, verifier: LogVerifier) -> None:
        self._connection = connection
        self._verifier = verifier
        self._tree = Tree(Frontier(), {})
        self._spent: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def walk(self) -> Iterator[str]:
        """Compare entry by entry, a tile's worth at a time."""
        while rows := self._rows(ledger_entry, ledger_entry.c.position):
            notes = {row.size: row.note for row in self._rows(ledger_checkpoint, ledger_checkpoint.c.size - 1)}
            answers = {row.entry: row for row in self._rows(released_answer, released_answer.c.entry)}
            attached = {row.entry: row for table in _ATTACHED for row in self._rows(table, table.c.entry)}
            for row in rows:
                if row.position != self._tree.frontier.size:
                    yield f"entry {self._tree.frontier.size} is missing"
                    return
                self._tree.append(leaf_of(row.salt, row.document))
                document = json.loads(row.document)
                self._add_charges(document)
                yield from self._compare_answer(row.position, document, answers.get(row.position))
                yield from self._compare_attached(row.position, document, attached.get(row.position))
                yield from self._compare_checkpoint(notes.get(row.position + 1))
            yield from self._compare_tiles()

    def compare_totals(self) -> Iterator[str]:
        """Compare what can only be known at the end: sums, and rows that no entry speaks of."""
        size = self._tree.frontier.size
        if self._scalar(func.coalesce(func.max(ledger_checkpoint.c.size), 0)) != size:
            yield f"the newest checkpoint is not of the {size} entries"
        hashes = sum(size >> TILE_LEVELS * level for level in range(size.bit_length()))
        if self._scalar(func.coalesce(func.sum(func.length(ledger_tile.c.hashes)), 0)) != hashes * HASH_BYTES:
            yield f"the tiles do not hold exactly the {hashes} hashes of the tree"
        if self._scalar(func.count(released_answer.c.entry)) != self._counts["answer"]:
            yield "there are answers that no entry released"
        if sum(self._scalar(func.count(table.c.document)) for table in _ATTACHED) != self._counts["attached"]:
            yield "there are epochs, agreements or jobs that no entry recorded"
        stored = Counter({row.name: row.spent for row in self._connection.execute(select(charged_scope))})
        for scope in sorted(stored.keys() | self._spent.keys()):
            if stored[scope] != self._spent[scope]:
                yield f"scope {scope} has {stored[scope]} charged, its entries say {self._spent[scope]}"

    def _rows(self, table: Any, place: Any) -> Any:
        """Return the rows of the next 256 leaves; `place` is the leaf index that a row belongs to."""
        start = self._tree.frontier.size
        wanted = select(table).where(place >= start, place < start + TILE_WIDTH).order_by(place)
        return self._connection.execute(wanted).all()

    def _add_charges(self, document: dict[str, Any]) -> None:
        for charge in document.get("charges", ()):
            self._spent[charge["scope"]] += charge["amount"]

    def _compare_answer(self, entry: int, document: dict[str, Any], row: Any) -> Iterator[str]:
        if "answer" in document:
            self._counts["answer"] += 1
            if row is None or answer_digest(row.key, row.request_digest, row.content) != document["answer"]:
                yield f"the answer of entry {entry} is not the one that was released"

    def _compare_attached(self, entry: int, document: dict[str, Any], row: Any) -> Iterator[str]:
        if "attached" in document:
            self._counts["attached"] += 1
            if row is None or row.document is None or text_digest(row.document) != document["attached"]:
                yield f"the epoch, agreement or job of entry {entry} is not the one that was recorded"

    def _compare_checkpoint(self, note: str | None) -> Iterator[str]:
        if note is None:
            return
        size, root = self._tree.frontier.size, self._tree.frontier.root()
        try:
            if self._verifier.verify(note) != Checkpoint(size, root):
                yield f"the checkpoint of size {size} does not fit the entries"
        except BadCheckpoint as error:
            yield f"the checkpoint of size {size}: {error}"

    def _compare_tiles(self) -> Iterator[str]:
        for level, position, hashes in self._tree.take_changed():
            if not stored_tile(self._connection, level, position).startswith(hashes):
                yield f"tile {level}/{position} does not fit the entries"

    def _scalar(self, column: Any) -> Any:
        return self._connection.execute(select(column)).scalar()
