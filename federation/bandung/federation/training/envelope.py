"""The envelope in which a step goes to a country and what came of it comes back, inside a message of Flower."""

from dataclasses import dataclass
from typing import Final

from flwr.app import ConfigRecord, RecordDict

_RECORD: Final = "bandung"


@dataclass(frozen=True)
class Answered:
    """The gateway released `payload`."""

    payload: bytes


@dataclass(frozen=True)
class Declined:
    """The gateway refused, by `code` and `reason`."""

    code: str
    reason: str


@dataclass(frozen=True)
class Undelivered:
    """The step did not reach the gateway, or its answer did not come back."""

    reason: str


Outcome = Answered | Declined | Undelivered


def request_record(payload: bytes) -> RecordDict:
    """Wrap the bytes of a step: one ConfigRecord, so that Flower moves three objects and not six."""
    return RecordDict({_RECORD: ConfigRecord({"payload": payload})})


def requested(content: RecordDict) -> bytes | None:
    """Unwrap a step; None if it is not one."""
    payload = _fields(content).get("payload")
    return payload if isinstance(payload, bytes) else None


def outcome_record(outcome: Outcome) -> RecordDict:
    """Wrap what came of a step."""
    match outcome:
        case Answered(payload):
            record = ConfigRecord({"kind": "answer", "payload": payload})
        case Declined(code, reason):
            record = ConfigRecord({"kind": "refused", "code": code, "reason": reason})
        case Undelivered(reason):
            record = ConfigRecord({"kind": "lost", "reason": reason})
    return RecordDict({_RECORD: record})


def outcome_of(content: RecordDict) -> Outcome:
    """Unwrap what came of a step; anything but a well-formed envelope is `Undelivered`."""
    match _fields(content):
        case {"kind": "answer", "payload": bytes(payload)}:
            return Answered(payload)
        case {"kind": "refused", "code": str(code), "reason": str(reason)}:
            return Declined(code, reason)
        case {"kind": "lost", "reason": str(reason)}:
            return Undelivered(reason)
        case _:
            return Undelivered("the node's reply was malformed")


def _fields(content: RecordDict) -> dict[str, object]:
    record = content.get(_RECORD)
    return dict(record) if isinstance(record, ConfigRecord) else {}
