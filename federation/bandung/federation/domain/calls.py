"""What travels between a driver and a country's courier: small JSON objects, in both directions."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from bandung.gateway.client.jobs import Decision, StepKind


class BadCall(ValueError):
    """The bytes are none of the calls or answers of this module."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Make a job known. Repeating it changes nothing and tells where the job stands."""

    document: bytes

    def to_bytes(self) -> bytes:
        """Return the call as JSON."""
        return _dump({"call": "propose", "document": self.document.decode()})


@dataclass(frozen=True, slots=True)
class Step:
    """Ask for one step; see `StepRequest` in training.proto."""

    job: str
    kind: StepKind
    round: int
    cohort: tuple[str, ...]
    coefficients: tuple[float, ...]

    def to_bytes(self) -> bytes:
        """Return the call as JSON; coefficients keep every bit."""
        return _dump(
            {
                "call": "step",
                "job": self.job,
                "kind": self.kind.value,
                "round": self.round,
                "cohort": list(self.cohort),
                "coefficients": list(self.coefficients),
            }
        )


@dataclass(frozen=True, slots=True)
class Proposed:
    """Where a job stands at a country."""

    decision: Decision
    reason: str

    def to_bytes(self) -> bytes:
        """Return the answer as JSON."""
        return _dump({"decision": self.decision.value, "reason": self.reason})

    @classmethod
    def from_bytes(cls, payload: bytes) -> Proposed:
        """Read the answer.

        Raises:
            BadCall: it is not one.
        """
        match _load(payload):
            case {"decision": str(decision), "reason": str(reason)} if decision in {d.value for d in Decision}:
                return cls(Decision(decision), reason)
            case _:
                raise BadCall("not an answer to a proposal")


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a country released for a step.

    Attributes:
        masked: sums of a Newton step, 24 bytes each; empty for an evaluation.
        metrics: of an evaluation, by name.
    """

    receipt: str
    masked: bytes = b""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])

    def to_bytes(self) -> bytes:
        """Return the answer as JSON."""
        masked = base64.b64encode(self.masked).decode()
        return _dump({"receipt": self.receipt, "masked": masked, "metrics": dict(self.metrics)})

    @classmethod
    def from_bytes(cls, payload: bytes) -> Stepped:
        """Read the answer.

        Raises:
            BadCall: it is not one.
        """
        match _load(payload):
            case {"receipt": str(receipt), "masked": str(masked), "metrics": dict(metrics)}:
                return cls(receipt, _unbase64(masked), _numbers(cast("dict[str, object]", metrics)))
            case _:
                raise BadCall("not an answer to a step")


def read_call(payload: bytes) -> Propose | Step:
    """Read a call at the courier.

    Raises:
        BadCall: it is not one.
    """
    match _load(payload):
        case {"call": "propose", "document": str(document)}:
            return Propose(document.encode())
        case {
            "call": "step",
            "job": str(job),
            "kind": str(kind),
            "round": int(number),
            "cohort": list(cohort),
            "coefficients": list(coefficients),
        } if kind in {k.value for k in StepKind}:
            members = tuple(str(member) for member in cast("list[object]", cohort))
            return Step(job, StepKind(kind), number, members, _floats(cast("list[object]", coefficients)))
        case _:
            raise BadCall("neither a proposal nor a step")


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _load(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadCall("not JSON") from error


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadCall("not base64") from error


def _floats(values: list[object]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values if isinstance(value, int | float))
    if len(numbers) != len(values):
        raise BadCall("a coefficient is not a number")
    return numbers


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    return dict(zip(values, _floats(list(values.values())), strict=True))
