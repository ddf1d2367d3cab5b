"""The ledger: the only way to make something durable, hence the only way to answer."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from bandung.gateway.domain.checkpoint import BadCheckpoint, Checkpoint, LogSigner
from bandung.gateway.domain.ledger import AlreadyAnswered, Commit, LedgerEntry, Receipt, StoredAnswer
from bandung.gateway.domain.merkle import EMPTY_ROOT
from bandung.gateway.service.ports import Randomness
from bandung.gateway.store.audit import findings
from bandung.gateway.store.database import charged_scope, ledger_checkpoint, ledger_entry, released_answer, snapshot
from bandung.gateway.store.merkle import Tampered, verified_tree
from bandung.gateway.store.record import SALT_BYTES, document_of, event_of, leaf_of
from bandung.gateway.store.sequencer import AnswerTaken, Request, Sequencer, Write
from bandung.gateway.store.statements import Prepared


class SqlLedger:
    """A ledger in the gateway's database. Safe for use by several threads, beside other processes.

    Opening it holds the stored tree against the newest signed checkpoint. If they disagree, and from the first
    write that fails, the ledger is sealed: every method but `verify` and `close` raises `Refusal` SEALED until a
    restart finds it in order.

    Args:
        trust_domain: of this country; the log's origin is `<trust domain>/ledger`.
        key: signs the checkpoints; always the same one.
    """

    def __init__(self, engine: Engine, trust_domain: str, key: Ed25519PrivateKey, randomness: Randomness) -> None:
        self._engine = engine
        self._randomness = randomness
        self._signer = LogSigner(f"{trust_domain}/ledger", key)
        self._sequencer = Sequencer(engine, self._signer)
        self._answer = Prepared(engine, _answer_statement())
        self._spent = Prepared(engine, _SPENT)
        self._newest_checkpoint = Prepared(engine, _NEWEST_CHECKPOINT)
        try:
            with snapshot(engine) as connection:
                verified_tree(connection, self._signer.verifier)
        except (SQLAlchemyError, Tampered, BadCheckpoint) as error:
            self._sequencer.seal(f"{type(error).__name__}: {error}")

    def commit(self, commit: Commit) -> Receipt:
        """Write event, charges and answer in one durable transaction; return once it is on disk.

        Raises:
            Refusal: QUOTA_EXHAUSTED if a charge is over its cap, STEP_OUT_OF_ORDER if the answer's key holds the
                answer to another request: nothing is written, and a refusal must be committed instead.
                SEALED if the ledger cannot be written; DRAINING after `close`.
            AlreadyAnswered: the answer's key holds an answer to the same request: nothing is written; serve that
                one, on the record as a repeat.
            ValueError: the event's body is not JSON, or a charge is below zero.
        """
        return self.submit(commit)

    def submit(self, commit: Commit, write: Write | None = None, attached: str | None = None) -> Receipt:
        """Commit together with a row of another table.

        Args:
            write: inserts the row; what it raises as `Refusal` undoes the whole request and is raised here.
            attached: the row's text, to which the entry then commits.

        Raises:
            Refusal, AlreadyAnswered, ValueError: as `commit` does.
        """
        salt, document = self._randomness.bytes(SALT_BYTES), document_of(commit, attached)
        request = Request(commit, salt, document, leaf_of(salt, document), write)
        try:
            return self._sequencer.submit(request)
        except AnswerTaken as taken:
            stored = self.answer(commit.answer.key) if commit.answer else None
            if stored is None:
                raise
            raise AlreadyAnswered(stored) from taken

    def answer(self, key: str) -> StoredAnswer | None:
        """Return the stored answer with the receipt of its first release, or None."""
        row = self._one(self._answer, key=key)
        if row is None:
            return None
        entry, request_digest, content, salt, document, note = row
        checkpoint = self._signer.verifier.parse(note)
        receipt = Receipt(entry, leaf_of(salt, document).hex(), checkpoint.size, checkpoint.root.hex())
        return StoredAnswer(key, request_digest, content, receipt)

    def remaining(self, scope: str, cap: int) -> int:
        """Return what may still be charged to the scope under this cap; never below zero."""
        row = self._one(self._spent, scope=scope)
        return max(0, cap - (row[0] if row else 0))

    def spent_under(self, scope: str) -> dict[str, int]:
        """Return what was charged to the scope and to each one below it, in the scopes' order."""
        self._sequencer.check_open()
        name = charged_scope.c.name
        # A slash ends a scope's own name, and a zero is the next character after it.
        below = (name == scope) | ((name > f"{scope}/") & (name < f"{scope}0"))
        with self._engine.connect() as connection:
            rows = connection.execute(select(charged_scope).where(below).order_by(name)).all()
        return {row.name: row.spent for row in rows}

    def entries(self, start: int, count: int) -> tuple[LedgerEntry, ...]:
        """Return up to `count` entries from index `start`, ascending."""
        self._sequencer.check_open()
        position = ledger_entry.c.position
        wanted = select(ledger_entry).where(position >= start).order_by(position).limit(count)
        with self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        return tuple(
            LedgerEntry(row.position, event_of(row.document), leaf_of(row.salt, row.document).hex()) for row in rows
        )

    def head(self) -> tuple[int, str]:
        """Return size and root hash (hexadecimal) of the Merkle tree."""
        checkpoint = self._signer.verifier.parse(self.checkpoint())
        return checkpoint.size, checkpoint.root.hex()

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint (C2SP tlog-checkpoint)."""
        row = self._one(self._newest_checkpoint)
        return row[0] if row else self._signer.sign(Checkpoint(0, EMPTY_ROOT))

    def verify(self) -> tuple[str, ...]:
        """Walk the whole ledger and return everything that does not hold, in words; empty if all is in order.

        Reads every entry: some seconds for each 100 000 of them. Works on a sealed ledger too.
        """
        with snapshot(self._engine) as connection:
            return tuple(findings(connection, self._signer.verifier))

    def close(self) -> None:
        """Write what is under way, then accept nothing more."""
        self._sequencer.close()

    def _one(self, statement: Prepared, **values: object) -> Any:
        """Return the first row, by the driver alone: these reads stand in the way of every call."""
        self._sequencer.check_open()
        with closing(self._engine.raw_connection()) as connection:
            return statement.run(connection.cursor(), **values).fetchone()


def _answer_statement() -> Any:
    """Select an answer with what its receipt is made of: its entry, and the checkpoint that made that durable."""
    answer = released_answer.c
    durable = (
        select(ledger_checkpoint.c.note)
        .where(ledger_checkpoint.c.size > answer.entry)
        .order_by(ledger_checkpoint.c.size)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            answer.entry, answer.request_digest, answer.content, ledger_entry.c.salt, ledger_entry.c.document, durable
        )
        .join(ledger_entry, ledger_entry.c.position == answer.entry)
        .where(answer.key == bindparam("key"))
    )


_SPENT = select(charged_scope.c.spent).where(charged_scope.c.name == bindparam("scope"))
_NEWEST_CHECKPOINT = select(ledger_checkpoint.c.note).order_by(ledger_checkpoint.c.size.desc()).limit(1)
