"""The carrier of a real courier: from the driver's calls to the own gateway's `TrainingService`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from bandung.federation.courier.carriage import Carrier, CarrierRefused, CarrierUnavailableError
from bandung.federation.domain.calls import BadCall, Propose, Proposed, Step, Stepped, read_call
from bandung.gateway.client import GatewayClient, GatewayError, Identity

if TYPE_CHECKING:
    from bandung.federation.courier.config import CourierConfig
    from bandung.gateway.client.jobs import StepKind
    from bandung.gateway.client.values import JobStatus, StepResult

_PASSING: Final = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"})
_TOO_MANY_CALLS: Final = "B105"
_MALFORMED: Final = "B211"


class Training(Protocol):
    """What the carrier needs of a gateway's client."""

    def propose(self, document: bytes) -> JobStatus:
        """Make a job known and say where it stands."""
        ...

    def step(
        self, job: str, kind: StepKind, round_number: int, cohort: Sequence[str], coefficients: Sequence[float]
    ) -> StepResult:
        """Ask for one step."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class GatewayCarrier:
    """Carries calls to the own gateway. It neither sees rows nor adds anything of its own."""

    def __init__(self, gateway: Training) -> None:
        self._gateway = gateway

    def carry(self, payload: bytes) -> bytes:
        """Carry one call and bring back the gateway's answer.

        Raises:
            CarrierRefused: the gateway refused, by its code; B211 if the payload is no call.
            CarrierUnavailableError: the gateway is not there, is draining or sealed, or was too slow.
        """
        try:
            match read_call(payload):
                case Propose(document):
                    status = self._gateway.propose(document)
                    return Proposed(status.decision, status.reason).to_bytes()
                case Step(job, kind, number, cohort, coefficients):
                    result = self._gateway.step(job, kind, number, cohort, coefficients)
                    return Stepped(result.receipt, result.masked, result.metrics).to_bytes()
        except BadCall as error:
            raise CarrierRefused(_MALFORMED, str(error)) from error
        except GatewayError as error:
            if not error.refused or error.status in _PASSING or error.code == _TOO_MANY_CALLS:
                raise CarrierUnavailableError(error.message) from error
            raise CarrierRefused(error.code, error.message) from error

    def close(self) -> None:
        """Give up the connection."""
        self._gateway.close()


def open_carrier(config: CourierConfig) -> Carrier:
    """Make the carrier of a courier from its configuration.

    Raises:
        OSError: the credentials cannot be read.
    """
    files = config.gateway_credentials
    return GatewayCarrier(GatewayClient(config.gateway, Identity(files.ca, files.certificate, files.key)))
