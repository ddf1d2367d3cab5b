"""Ledger entries: what happened, in what order, committed to by a Merkle tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bandung.gateway.domain.budget import Charge


class EventKind(Enum):
    """What is recorded. An unknown kind is never written."""

    GATEWAY_STARTED = "gateway.started"
    DATASET_PUBLISHED = "dataset.published"
    DATASET_WITHDRAWN = "dataset.withdrawn"
    AGREEMENT_CHANGED = "agreement.changed"
    CALL_REFUSED = "call.refused"
    QUERY_ANSWERED = "query.answered"
    QUERY_REPEATED = "query.repeated"
    QUERY_EXPLAINED = "query.explained"
    QUERY_REFUSED = "query.refused"
    QUERY_FAILED = "query.failed"
    JOB_PROPOSED = "job.proposed"
    JOB_DECIDED = "job.decided"
    JOB_REJECTED = "job.rejected"
    STEP_ANSWERED = "step.answered"
    STEP_REPEATED = "step.repeated"
    STEP_REFUSED = "step.refused"
    STEP_FAILED = "step.failed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, before it has a place in the ledger.

    Attributes:
        exchange: id that both sides of an exchange know (16 random bytes, hexadecimal).
        principal: URI of who asked, or `local:<user>` for a command at the gateway's own console.
        body: JSON-able; digests and public declarations, never data; literals only as keyed digests.
    """

    kind: EventKind
    at: str
    exchange: str
    principal: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer kept for repeats: bytes exactly as first released.

    Attributes:
        key: `plan/<digest>`, `step/<job>/<round>/newton` or `step/<job>/evaluate`.
        request_digest: SHA-256 of the request that it answers; a repeat must be the same request.
        content: Arrow IPC stream bytes.
    """

    key: str
    request_digest: str
    content: bytes
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One durable transaction: an event, what it charges, and the answer it releases."""

    event: Event
    charges: tuple[Charge, ...] = ()
    answer: StoredAnswer | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an event stands in the ledger. Holding one means the record is durable.

    Attributes:
        index: 0-based leaf index.
        leaf: RFC 9162 leaf hash, hexadecimal.
        size, root: tree size and root hash (hexadecimal) of the commit that made it durable.
    """

    index: int
    leaf: str
    size: int
    root: str

    @property
    def id(self) -> str:
        """Short name: `<index>:<first 16 hexadecimal digits of the leaf>`."""
        return f"{self.index}:{self.leaf[:16]}"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A durable event with its place."""

    index: int
    event: Event
    leaf: str


class AlreadyAnswered(Exception):
    """The answer's key holds an answer to the same request already; the first one stands.

    Attributes:
        stored: the first answer with its receipt: the one to serve, recorded as a repeat.
    """

    def __init__(self, stored: StoredAnswer) -> None:
        self.stored = stored
        super().__init__(f"already answered: {stored.key}")
