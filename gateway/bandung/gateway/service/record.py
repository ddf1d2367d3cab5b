"""Whatever goes wrong is on the record, with what it owes, before it gets out."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bandung.connectors.base import SourceError, Stopped
from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind
from bandung.gateway.service.ports import Clock, Ledger


class Attempt:
    """What a request owes: nothing until execution begins, then its charges, whatever happens.

    Attributes:
        about: what the record of a failure tells besides its code; public declarations and digests.
    """

    def __init__(self) -> None:
        self.charges: tuple[Charge, ...] = ()
        self.about: Mapping[str, object] = {}

    def begin(self, charges: tuple[Charge, ...], ledger: Ledger) -> None:
        """Note the charges and let execution begin.

        Raises:
            Refusal: QUOTA_EXHAUSTED if a scope has too little left; the durable charge decides in the end.
        """
        afford(charges, ledger)
        self.charges = charges

    def settle(self) -> None:
        """Note that the charges are durable, by this attempt or a simultaneous one: they are owed no more."""
        self.charges = ()


def afford(charges: tuple[Charge, ...], ledger: Ledger) -> None:
    """Look whether charges could be paid now.

    Raises:
        Refusal: QUOTA_EXHAUSTED if a scope has too little left.
    """
    for charge in charges:
        left = ledger.remaining(charge.scope, charge.cap)
        if left < charge.amount:
            raise charge.over_cap(left)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes events, and records attempts that come to nothing.

    Attributes:
        refused, failed: kinds of event for an attempt that was refused, and for one that failed or was
            refused after execution had begun.
    """

    ledger: Ledger
    clock: Clock
    refused: EventKind
    failed: EventKind

    def event(self, kind: EventKind, principal_uri: str, exchange: str, body: Mapping[str, object]) -> Event:
        """Make an event of now."""
        return Event(kind, self.clock.now(), exchange, principal_uri, body)

    @contextmanager
    def attempt(self, principal_uri: str, exchange: str) -> Generator[Attempt, None, None]:
        """Run an attempt; on any exception commit its event and charges first.

        Raises:
            Refusal: CANCELLED if the request was given up; PROTECTED with private detail if the source failed;
                any refusal of the attempt itself. Other exceptions pass through, on the record as INTERNAL.
        """
        attempt = Attempt()
        try:
            yield attempt
        except Refusal as refusal:
            self._record(attempt, refusal, principal_uri, exchange)
            raise
        except (Stopped, SourceError) as error:
            refusal = _as_refusal(error)
            self._record(attempt, refusal, principal_uri, exchange)
            raise refusal from error
        except Exception:
            self._record(attempt, Refusal(ErrorKind.INTERNAL), principal_uri, exchange)
            raise

    def _record(self, attempt: Attempt, refusal: Refusal, principal_uri: str, exchange: str) -> None:
        if refusal.kind is ErrorKind.SEALED:
            return  # nothing can be written, and nothing was answered
        kind = self.failed if attempt.charges else self.refused
        charges = () if refusal.kind is ErrorKind.QUOTA_EXHAUSTED else attempt.charges
        body = {**attempt.about, "code": refusal.code}
        event = self.event(kind, principal_uri, exchange, body)
        try:
            self.ledger.commit(Commit(event, charges))
        except Refusal as over:
            if over.kind is not ErrorKind.QUOTA_EXHAUSTED:
                raise
            # Others took what was left of the quota meanwhile: nothing can be charged, yet it did happen.
            self.ledger.commit(Commit(event))


def _as_refusal(error: Stopped | SourceError) -> Refusal:
    if isinstance(error, Stopped):
        return Refusal(ErrorKind.CANCELLED)
    return Refusal(ErrorKind.PROTECTED, private=str(error))
