"""What a carrier promises, and the carrying of one message.

Both ways of being a node, our courier and a stock `flower-supernode` running our ClientApp, call
`carry_message`, so that they cannot differ.
"""

import importlib
import logging
from collections.abc import Callable
from typing import Protocol, cast

from flwr.app import RecordDict

from bandung.federation.courier.config import CourierConfig
from bandung.federation.training.envelope import (
    Answered,
    Declined,
    Outcome,
    Undelivered,
    outcome_record,
    requested,
)

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


def open_carrier(config: CourierConfig) -> Carrier:
    """Make the carrier that `config.carrier` names.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module has no such function.
    """
    module, _, attribute = config.carrier.partition(":")
    factory = cast("Callable[[CourierConfig], Carrier]", getattr(importlib.import_module(module), attribute))
    return factory(config)


def carry_message(content: RecordDict, carrier: Carrier) -> RecordDict:
    """Carry one message and wrap what came of it. Never raises: a failure is an answer, too, and at once."""
    payload = requested(content)
    if payload is None:
        return outcome_record(Declined("malformed", "the message was not a training step"))
    return outcome_record(_carry(payload, carrier))


def _carry(payload: bytes, carrier: Carrier) -> Outcome:
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
