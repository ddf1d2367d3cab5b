"""What a driver of a training job may do: ask countries, and keep a journal. Flower is behind it, unseen.

A driver is a function `drive(job_bytes, exchange, journal) -> None`. It is run again from the start after a
crash; what it must remember is in its checkpoint.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Json = dict[str, Any]
"""A JSON object."""


class JobState(StrEnum):
    """The states that events of type `"state"` announce."""

    SUBMITTED = "SUBMITTED"
    """Accepted; its ServerApp has not started yet."""
    RUNNING = "RUNNING"
    """A ServerApp drives it."""
    PAUSED = "PAUSED"
    """It waits for somebody to resume it; nothing is lost."""
    COMPLETED = "COMPLETED"
    """The model card is there."""
    FAILED = "FAILED"
    """It ended without a model."""


RESTING_STATES = frozenset({JobState.PAUSED, JobState.COMPLETED, JobState.FAILED})
"""The states in which nobody works on a job. A driver must announce one of them before it returns."""


@dataclass(frozen=True)
class Answer:
    """A member's gateway released `payload`."""

    payload: bytes


@dataclass(frozen=True)
class Refused:
    """A member's gateway refused, and will refuse the same step again.

    Attributes:
        code: The gateway's error code.
        reason: Public words of the refusal.
    """

    code: str
    reason: str


@dataclass(frozen=True)
class Lost:
    """No answer: the node is away, its gateway is, or the time is over. The gateway may have done the step."""

    reason: str


Reply = Answer | Refused | Lost


@dataclass(frozen=True)
class Traffic:
    """Payload bytes exchanged with one member so far, Flower's framing not counted."""

    sent_bytes: int = 0
    received_bytes: int = 0


class Exchange(Protocol):
    """The way to the countries."""

    def nodes(self) -> Mapping[str, int]:
        """Return the members whose nodes are connected now: member id to Flower's node id."""
        ...

    def ask(
        self, requests: Mapping[str, bytes], timeout_s: float, on_reply: Callable[[str, Reply], None]
    ) -> Mapping[str, Reply]:
        """Send one payload to each member and wait for the replies.

        Args:
            requests: Payload by member id.
            timeout_s: Seconds until a member that has not answered is `Lost`.
            on_reply: Called with each reply as it comes, in the calling thread.

        Returns:
            Exactly one reply for every key of `requests`. A member that is not connected, or that goes away
            while it is waited for, is `Lost` without waiting for the end of the time.
        """
        ...

    def traffic(self) -> Mapping[str, Traffic]:
        """Return what was exchanged with each member since this driver started."""
        ...


class Journal(Protocol):
    """The memory of one job, at the coordinator. Durable: what was written survives a crash."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Append one progress event, a JSON object with a key `type`.

        `{"type": "state", "state": <JobState>, "reason": …}` changes the job's state; all other types are the
        driver's own. The keys `n` and `at` are the journal's.
        """
        ...

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint, a JSON object."""
        ...

    def load_checkpoint(self) -> Json | None:
        """Return the last checkpoint, or None if there is none."""
        ...

    def card(self, card: Mapping[str, Any]) -> None:
        """Write the model card, a JSON object."""
        ...
