"""The two ends of a carriage: what a carrier promises, and the envelope in which its answer travels.

Both ways of being a node, our courier and a stock `flower-supernode` running our ClientApp, call
`carry_message`, so that they cannot differ.
"""

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from flwr.app import ConfigRecord, RecordDict

from bandung.federation.courier.config import CourierConfig

_RECORD: Final = "bandung"
_logger = logging.getLogger(__name__)


class CarrierRefused(Exception):
    """The gateway refused the step: it will refuse it again, for the reason given.

    Args:
        code: The gateway's error code, such as `"BG-2041"`.
        reason: Public words of the refusal.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class CarrierUnavailableError(Exception):
    """The gateway could not be reached or did not answer in time; the same step may be sent again."""


class Carrier(Protocol):
    """Takes the bytes of a training step to the country's own gateway and brings back what it released."""

    def carry(self, payload: bytes) -> bytes:
        """Carry one step.

        Raises:
            CarrierRefused: The gateway refused.
            CarrierUnavailableError: The gateway is not there.
        """
        ...

    def close(self) -> None:
        """Give up the connection."""
        ...


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


def open_carrier(config: CourierConfig) -> Carrier:
    """Make the carrier that `config.carrier` names.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such function.
    """
    module, _, attribute = config.carrier.partition(":")
    factory = cast("Callable[[CourierConfig], Carrier]", getattr(importlib.import_module(module), attribute))
    return factory(config)


def request_record(payload: bytes) -> RecordDict:
    """Wrap the bytes of a step: one ConfigRecord, three Flower objects in all."""
    return RecordDict({_RECORD: ConfigRecord({"payload": payload})})


def carry_message(content: RecordDict, carrier: Carrier) -> RecordDict:
    """Carry one message and wrap what came of it. Never raises: a failure is an answer, too, and at once."""
    return _wrap(_carry(content, carrier))


def outcome(content: RecordDict) -> Outcome:
    """Unwrap a reply; anything but a well-formed envelope is `Undelivered`."""
    match _fields(content):
        case {"kind": "answer", "payload": bytes(payload)}:
            return Answered(payload)
        case {"kind": "refused", "code": str(code), "reason": str(reason)}:
            return Declined(code, reason)
        case {"kind": "lost", "reason": str(reason)}:
            return Undelivered(reason)
        case _:
            return Undelivered("the node's reply was malformed")


def _carry(content: RecordDict, carrier: Carrier) -> Outcome:
    match _fields(content):
        case {"payload": bytes(payload)}:
            return _carried(payload, carrier)
        case _:
            return Declined("malformed", "the message was not a training step")


def _carried(payload: bytes, carrier: Carrier) -> Outcome:
    try:
        return Answered(carrier.carry(payload))
    except CarrierRefused as refusal:
        return Declined(refusal.code, refusal.reason)
    except CarrierUnavailableError as error:
        return Undelivered(str(error))
    except Exception:
        # The last line of the node: a defect here must neither end it nor send its words to the coordinator.
        _logger.exception("the carrier failed")
        return Undelivered("the node's carrier failed")


def _wrap(result: Outcome) -> RecordDict:
    match result:
        case Answered(payload):
            record = ConfigRecord({"kind": "answer", "payload": payload})
        case Declined(code, reason):
            record = ConfigRecord({"kind": "refused", "code": code, "reason": reason})
        case Undelivered(reason):
            record = ConfigRecord({"kind": "lost", "reason": reason})
    return RecordDict({_RECORD: record})


def _fields(content: RecordDict) -> dict[str, object]:
    record = content.get(_RECORD)
    return dict(record) if isinstance(record, ConfigRecord) else {}
