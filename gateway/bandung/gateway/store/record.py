"""What a leaf of the ledger commits to: the whole transaction, in canonical JSON, under a salt."""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

import rfc8785

from bandung.gateway.domain.ledger import Commit, Event, EventKind
from bandung.gateway.domain.merkle import leaf_hash

SALT_BYTES = 16

_SAFE_INTEGER = 2**53


def document_of(commit: Commit, attached: str | None = None) -> bytes:
    """Return the commit's canonical JSON (RFC 8785): the event, its charges, the digests of what is stored with it.

    Args:
        attached: text of the row that the same transaction writes into another table.

    Raises:
        ValueError: the event's body is not JSON, or a charge is below zero.
    """
    event = commit.event
    if any(charge.amount < 0 for charge in commit.charges):
        raise ValueError("a charge is never below zero")
    document: dict[str, Any] = {
        "at": event.at,
        "body": dict(event.body),
        "exchange": event.exchange,
        "kind": event.kind.value,
        "principal": event.principal,
    }
    if commit.charges:
        document["charges"] = [{"amount": c.amount, "cap": c.cap, "scope": c.scope} for c in commit.charges]
    if commit.answer is not None:
        document["answer"] = answer_digest(commit.answer.key, commit.answer.request_digest, commit.answer.content)
    if attached is not None:
        document["attached"] = text_digest(attached)
    return canonical(document)


def canonical(value: Any) -> bytes:
    """Return canonical JSON (RFC 8785).

    The standard library writes the same bytes in a tenth of the time as long as there are no floats, no integers
    beyond 2^53 and no object keys beyond ASCII; only what has some goes through the full algorithm.

    Raises:
        ValueError: the value is not JSON.
    """
    if _is_simple(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return rfc8785.dumps(value)


def _is_simple(value: Any) -> bool:
    match value:
        case str() | bool() | None:
            return True
        case int():
            return abs(value) < _SAFE_INTEGER
        case list() | tuple():
            return all(map(_is_simple, cast(list[Any], value)))
        case dict():
            items = cast(dict[Any, Any], value).items()
            return all(isinstance(key, str) and key.isascii() and _is_simple(member) for key, member in items)
        case _:
            return False


def text_digest(text: str) -> str:
    """Return the SHA-256 of a stored text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def answer_digest(key: str, request_digest: str, content: bytes) -> dict[str, str]:
    """Return how an answer stands in a document."""
    return {"content": hashlib.sha256(content).hexdigest(), "key": key, "request": request_digest}


def event_of(document: bytes) -> Event:
    """Return the event that a document records."""
    fields = json.loads(document)
    return Event(EventKind(fields["kind"]), fields["at"], fields["exchange"], fields["principal"], fields["body"])


def leaf_of(salt: bytes, document: bytes) -> bytes:
    """Return the RFC 9162 leaf hash over SHA-256(salt ‖ document): it says nothing to who lacks the salt."""
    return leaf_hash(hashlib.sha256(salt + document).digest())
