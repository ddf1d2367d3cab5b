"""The one writer: requests from all threads become durable in groups, one transaction and one fsync each.

While a group is being written the next one gathers, so groups grow with the load and a lone request waits for
nobody. A caller hears of its request only after COMMIT has returned. Whatever goes wrong in between, the writer
seals itself: it does not know what is on disk, so it writes nothing more.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bandung.gateway.domain.checkpoint import BadCheckpoint, Checkpoint, LogSigner
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Receipt
from bandung.gateway.domain.merkle import Frontier, consistency_proof, verify_consistency
from bandung.gateway.store.merkle import Tampered, Tree, stored_node, verified_tree
from bandung.gateway.store.statements import Statements

Write = Callable[[Connection, int], None]
"""Writes a row that belongs to the ledger entry of that index; a Refusal undoes it and the whole request."""

_GROUP_MAX = 512
_log = logging.getLogger(__name__)


class AnswerTaken(Exception):
    """The request's answer key holds an answer to the same request already; nothing was written."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One commit on its way to the disk."""

    commit: Commit
    salt: bytes
    document: bytes
    leaf: bytes
    write: Write | None
    done: Future[Receipt] = field(default_factory=Future[Receipt])


_Outcome = int | Refusal | AnswerTaken


class Sequencer:
    """Makes requests durable, in one order. Safe for use by several threads, beside other processes."""

    def __init__(self, engine: Engine, signer: LogSigner) -> None:
        self._engine = engine
        self._signer = signer
        self._tree = Tree(Frontier(), {})
        self._statements = Statements(engine)
        self._queue: SimpleQueue[Request | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._shut: ErrorKind | None = None
        self._why = ""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def check_open(self) -> None:
        """Pass if the ledger is in order.

        Raises:
            Refusal: SEALED, or DRAINING after `close`.
        """
        if self._shut is not None:
            raise Refusal(self._shut, private=self._why)

    def submit(self, request: Request) -> Receipt:
        """Write the request and return once it is durable.

        Raises:
            Refusal: SEALED; DRAINING after `close`; QUOTA_EXHAUSTED, STEP_OUT_OF_ORDER, or what `write` raised.
            AnswerTaken: see there.
        """
        with self._gate:
            self.check_open()
            self._queue.put(request)
        return request.done.result()

    def seal(self, why: str) -> None:
        """Write nothing more, until a restart finds the ledger in order."""
        with self._gate:
            if self._shut is not ErrorKind.SEALED:
                self._shut, self._why = ErrorKind.SEALED, why
                _log.critical("the ledger is sealed: %s", why)

    def close(self) -> None:
        """Write what was submitted, then stop."""
        with self._gate:
            self._shut = self._shut or ErrorKind.DRAINING
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        group: list[Request] = []
        try:
            with self._engine.connect() as connection:
                while group := self._next_group():
                    self._make_durable(connection, group)
        except (SQLAlchemyError, sqlite3.Error, Tampered, BadCheckpoint) as error:
            self.seal(f"{type(error).__name__}: {error}")
        finally:
            if group:
                self.seal("the writer failed")
            self._refuse(group)

    def _next_group(self) -> list[Request]:
        """Wait for a request and return it with all that wait behind it; empty when closing."""
        first = self._queue.get()
        group = [] if first is None else [first]
        while group and len(group) < _GROUP_MAX:
            try:
                request = self._queue.get_nowait()
            except Empty:
                break
            if request is None:
                self._queue.put(None)
                break
            group.append(request)
        return group

    def _refuse(self, group: list[Request]) -> None:
        """Tell everybody who waits that nothing will be written."""
        with self._gate:
            waiting = [request for request in group if not request.done.done()]
            while not self._queue.empty():
                request = self._queue.get_nowait()
                waiting += [request] if request is not None else []
        for request in waiting:
            request.done.set_exception(Refusal(self._shut or ErrorKind.SEALED, private=self._why))

    def _make_durable(self, connection: Connection, group: list[Request]) -> None:
        try:
            outcomes = self._write(connection, group)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            # The state on disk is unknown: let go of the connection rather than talk to it again.
            connection.invalidate()
            raise
        size, root = self._tree.frontier.size, self._tree.frontier.root().hex()
        for request, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, int):
                request.done.set_result(Receipt(outcome, request.leaf.hex(), size, root))
            else:
                request.done.set_exception(outcome)

    def _write(self, connection: Connection, group: list[Request]) -> list[_Outcome]:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        cursor = connection.connection.cursor()
        self._catch_up(connection, cursor)
        outcomes = [self._admit(connection, request) for request in group]
        if any(isinstance(outcome, int) for outcome in outcomes):
            frontier = self._tree.frontier
            note = self._signer.sign(Checkpoint(frontier.size, frontier.root()))
            self._statements.put_tile.run_many(cursor, self._tree.take_changed())
            self._statements.put_checkpoint.run(cursor, size=frontier.size, note=note)
        return outcomes

    def _catch_up(self, connection: Connection, cursor: Any) -> None:
        """Take over what other processes appended since, if it extends what is known here."""
        known = self._tree.frontier
        size = self._statements.newest_size.run(cursor).fetchone()[0] or 0
        if size == known.size:
            return
        self._tree = verified_tree(connection, self._signer.verifier)
        now = self._tree.frontier
        proof = consistency_proof(stored_node(connection), known.size, now.size) if 0 < known.size < now.size else ()
        if not verify_consistency((known.size, known.root()), (now.size, now.root()), proof):
            raise Tampered(f"the ledger of {now.size} entries does not extend the {known.size} known entries")

    def _admit(self, connection: Connection, request: Request) -> _Outcome:
        """Write one request's rows, or none of them."""
        cursor = connection.connection.cursor()
        cursor.execute("SAVEPOINT request")
        try:
            self._write_request(connection, cursor, request)
        except (Refusal, AnswerTaken) as refused:
            cursor.execute("ROLLBACK TO request")
            outcome: _Outcome = refused
        else:
            outcome = self._tree.append(request.leaf)
        cursor.execute("RELEASE request")
        return outcome

    def _write_request(self, connection: Connection, cursor: Any, request: Request) -> None:
        entry, answer, statements = self._tree.frontier.size, request.commit.answer, self._statements
        if answer is not None:
            taken = statements.answered_request.run(cursor, key=answer.key).fetchone()
            if taken is not None and taken[0] == answer.request_digest:
                raise AnswerTaken
            if taken is not None:
                raise Refusal(ErrorKind.STEP_OUT_OF_ORDER)
        for charge in request.commit.charges:
            values = {"scope": charge.scope, "amount": charge.amount, "cap": charge.cap}
            if statements.charge.run(cursor, **values).rowcount != 1:
                raise charge.over_cap()
        statements.put_entry.run(cursor, position=entry, salt=request.salt, document=request.document)
        if answer is not None:
            values = {"key": answer.key, "request_digest": answer.request_digest, "content": answer.content}
            statements.put_answer.run(cursor, entry=entry, **values)
        if request.write is not None:
            request.write(connection, entry)
