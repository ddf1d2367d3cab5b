"""Tickets and prepared handles: sealed, bound to their principal, expiring; the gateway keeps no state for them.

Any replica that holds the ticket key can serve them. A leaked one is useless to anybody else, because the principal is
part of what the seal authenticates (ChaCha20-Poly1305, RFC 8439, with the principal as associated data).
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal
from bandung.gateway.service.ports import Clock, Randomness

_NONCE_BYTES = 12


class Purpose(Enum):
    """What a handle is good for, and how long."""

    TICKET = dt.timedelta(minutes=15)
    PREPARED = dt.timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Handle:
    """A statement on its way.

    Attributes:
        parameters: bound codes; None while nothing is bound.
    """

    sql: str
    parameters: tuple[str, ...] | None = None


class Sealer:
    """Seals and opens handles. Safe for use by several threads at once.

    Args:
        key: 32 secret bytes, the same on every replica.
    """

    def __init__(self, key: bytes, clock: Clock, randomness: Randomness) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._clock = clock
        self._randomness = randomness

    def seal(self, purpose: Purpose, principal: Principal, handle: Handle) -> bytes:
        """Return the handle sealed for this principal and purpose."""
        expires = self._now() + purpose.value
        content = {"sql": handle.sql, "parameters": handle.parameters, "expires": expires.isoformat()}
        nonce = self._randomness.bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, json.dumps(content).encode(), _bound_to(purpose, principal))

    def open(self, purpose: Purpose, principal: Principal, sealed: bytes) -> Handle:
        """Return what was sealed.

        Raises:
            Refusal: BAD_HANDLE if it was not sealed here, for this principal and purpose, or has expired; which of
                these is not told.
        """
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            found = json.loads(self._cipher.decrypt(nonce, content, _bound_to(purpose, principal)))
        except (InvalidTag, ValueError):
            raise Refusal(ErrorKind.BAD_HANDLE) from None
        if self._now() >= dt.datetime.fromisoformat(found["expires"]):
            raise Refusal(ErrorKind.BAD_HANDLE, private="expired")
        parameters = found["parameters"]
        return Handle(found["sql"], None if parameters is None else tuple(parameters))

    def _now(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self._clock.now())


def _bound_to(purpose: Purpose, principal: Principal) -> bytes:
    return f"{purpose.name}\n{principal.uri}".encode()
