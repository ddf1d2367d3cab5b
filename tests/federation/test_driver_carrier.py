"""What the courier carries, and how a gateway's words reach the driver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.federation.courier.carriage import CarrierRefused, CarrierUnavailableError
from bandung.federation.courier.carrier import GatewayCarrier
from bandung.federation.domain.calls import BadCall, Propose, Proposed, Step, Stepped, read_call
from bandung.gateway.client import GatewayError
from bandung.gateway.client.jobs import Decision, StepKind
from bandung.gateway.client.values import JobStatus, StepResult


class Gateway:
    """Answers with what it was given, or fails with it."""

    def __init__(self, error=None):
        self.error = error
        self.asked = []
        self.closed = False

    def propose(self, document):
        self._ask(document)
        return JobStatus("d" * 64, Decision.PENDING, "")

    def step(self, job, kind, round_number, cohort, coefficients):
        self._ask((job, kind, round_number, tuple(cohort), tuple(coefficients)))
        return StepResult(b"\x01" * 24, {}, ("fit",), "7:ab", 10, 20)

    def close(self):
        self.closed = True

    def _ask(self, what):
        self.asked.append(what)
        if self.error:
            raise self.error


STEP = Step("d" * 64, StepKind.NEWTON, 3, ("BGD", "IDN"), (0.1, 1e-300, -5e-324))


def test_a_step_reaches_the_gateway_to_the_last_bit():
    gateway = Gateway()
    answer = Stepped.from_bytes(GatewayCarrier(gateway).carry(STEP.to_bytes()))
    assert gateway.asked == [(STEP.job, STEP.kind, STEP.round, STEP.cohort, STEP.coefficients)]
    assert answer == Stepped("7:ab", b"\x01" * 24)


def test_a_proposal_comes_back_with_the_country_s_decision():
    answer = Proposed.from_bytes(GatewayCarrier(Gateway()).carry(Propose(b"{}").to_bytes()))
    assert answer.decision is Decision.PENDING


@pytest.mark.parametrize(
    "error",
    [
        GatewayError("", "UNAVAILABLE", "no route"),
        GatewayError("", "UNKNOWN", "TLS"),
        GatewayError("B406", "UNAVAILABLE", "draining"),
        GatewayError("B405", "UNAVAILABLE", "sealed"),
        GatewayError("B404", "DEADLINE_EXCEEDED", "slow"),
        GatewayError("B105", "RESOURCE_EXHAUSTED", "busy"),
    ],
    ids=lambda error: error.message,
)
def test_what_passes_is_not_a_refusal(error):
    with pytest.raises(CarrierUnavailableError):
        GatewayCarrier(Gateway(error)).carry(STEP.to_bytes())


@pytest.mark.parametrize("code", ["B303", "B305", "B306", "B401"])
def test_a_refusal_keeps_its_code_and_its_words(code):
    error = GatewayError(code, "RESOURCE_EXHAUSTED", f"{code}: no, and why")
    with pytest.raises(CarrierRefused, match="no, and why") as refused:
        GatewayCarrier(Gateway(error)).carry(STEP.to_bytes())
    assert refused.value.code == code


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'{"call":"query"}', b'{"call":"step"}', b"[" * 100_000, STEP.to_bytes().replace(b"newton", b"sgd")],
    ids=["empty", "list", "unknown", "incomplete", "deep", "kind"],
)
def test_a_payload_that_is_no_call_never_reaches_the_gateway(payload):
    gateway = Gateway()
    with pytest.raises(CarrierRefused, match="B211"):
        GatewayCarrier(gateway).carry(payload)
    assert gateway.asked == []


def test_closing_the_carrier_closes_the_connection():
    gateway = Gateway()
    GatewayCarrier(gateway).close()
    assert gateway.closed


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8), st.binary(max_size=48))
def test_calls_and_answers_are_what_they_were(values, masked):
    step = Step("d" * 64, StepKind.EVALUATE, 1, ("IDN",), tuple(values))
    back = read_call(step.to_bytes())
    assert isinstance(back, Step)
    assert np.array(back.coefficients).tobytes() == np.array(step.coefficients).tobytes()
    assert Stepped.from_bytes(Stepped("r", masked, {"rmse.local": 0.1}).to_bytes()).masked == masked


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_from_a_country_are_read_or_refused(payload):
    for read in (Proposed.from_bytes, Stepped.from_bytes, read_call):
        with pytest.raises(BadCall):
            read(payload)
