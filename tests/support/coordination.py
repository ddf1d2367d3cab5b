"""A coordinator in memory: countries reached through the real carrier, faults by wish, a journal that is not a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bandung.connectors.base import Stop
from bandung.federation.courier.carriage import CarrierRefused, CarrierUnavailableError
from bandung.federation.courier.carrier import GatewayCarrier
from bandung.federation.domain.calls import Propose, Step, read_call
from bandung.federation.domain.model_card import ModelCard
from bandung.federation.training.exchange import Answer, Json, Lost, Refused, Reply, Traffic
from bandung.gateway.client import GatewayError
from bandung.gateway.client.values import JobStatus, StepResult
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.domain.job import StepKind
from bandung.gateway.service.training import StepRequest
from tests.support.training import Country


class DeskClient:
    """Stands for the gateway's client of one country's courier: same calls, no network."""

    def __init__(self, country: Country) -> None:
        self._country = country
        self._exchanges = 0

    def propose(self, document: bytes) -> JobStatus:
        country = self._country
        record = self._call(lambda exchange: country.desk.propose(country.courier, document, exchange))
        return JobStatus(record.signed.digest, record.decision, record.reason)

    def step(
        self, job: str, kind: StepKind, round_number: int, cohort: Sequence[str], coefficients: Sequence[float]
    ) -> StepResult:
        request = StepRequest(job, kind, round_number, tuple(cohort), tuple(coefficients))
        country = self._country
        answer = self._call(lambda exchange: country.desk.step(country.courier, request, exchange, Stop()))
        values, schema, receipt = answer.vector.values, answer.vector.schema, answer.receipt.id
        if kind is StepKind.EVALUATE:
            return StepResult(b"", dict(zip(schema, values.tolist(), strict=True)), schema, receipt, 0, 0)
        return StepResult(values.astype("<u8").tobytes(), {}, schema, receipt, 0, 0)

    def close(self) -> None: ...

    def _call(self, act: Callable[[str], Any]) -> Any:
        self._exchanges += 1
        try:
            return act(f"{self._country.member}-{self._exchanges}")
        except Refusal as refusal:
            raise GatewayError(refusal.code, refusal.kind.spec.status.value, refusal.message) from refusal


class Crash(Exception):
    """The coordinator dies here."""


class MemoryExchange:
    """Carries calls to countries in memory, through the real carrier and the real codec.

    `fault(member, call)` may return `"before"` (lost on the way there) or `"after"` (the gateway has answered, the
    answer is lost), or raise `Crash`.
    """

    def __init__(self, reached: Mapping[str, Country]) -> None:
        self.countries = reached
        self.carriers = {m: GatewayCarrier(DeskClient(c)) for m, c in reached.items()}
        self.fault: Callable[[str, Propose | Step], str | None] = lambda _member, _call: None
        self.seen: list[tuple[str, Propose | Step, bytes]] = []
        self._traffic: dict[str, Traffic] = {}

    def nodes(self) -> Mapping[str, int]:
        return {m: i for i, (m, c) in enumerate(self.countries.items(), 1) if not c.down}

    def ask(
        self, requests: Mapping[str, bytes], timeout_s: float, on_reply: Callable[[str, Reply], None]
    ) -> Mapping[str, Reply]:
        replies = {}
        for member, payload in requests.items():
            replies[member] = self._reply(member, payload)
            on_reply(member, replies[member])
        return replies

    def traffic(self) -> Mapping[str, Traffic]:
        return self._traffic

    def steps(self, kind: StepKind = StepKind.NEWTON) -> list[tuple[str, Step, bytes]]:
        """Steps that were answered, in order."""
        return [(m, call, got) for m, call, got in self.seen if isinstance(call, Step) and call.kind is kind]

    def _reply(self, member: str, payload: bytes) -> Reply:
        call = read_call(payload)
        fault = self.fault(member, call)
        if self.countries[member].down or fault == "before":
            return Lost("not there")
        try:
            answer = self.carriers[member].carry(payload)
        except CarrierRefused as refusal:
            return Refused(refusal.code, refusal.reason)
        except CarrierUnavailableError as error:
            return Lost(str(error))
        self.seen.append((member, call, answer))
        so_far = self._traffic.get(member, Traffic())
        self._traffic[member] = Traffic(so_far.sent_bytes + len(payload), so_far.received_bytes + len(answer))
        return Lost("the answer did not come back") if fault == "after" else Answer(answer)


class MemoryJournal:
    """A journal whose checkpoint passes through JSON, as on disk."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.stored: str | None = None
        self.written: Json | None = None

    def event(self, event: Mapping[str, Any]) -> None:
        self.events.append(json.loads(json.dumps(event)))

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.stored = json.dumps(state)

    def load_checkpoint(self) -> Json | None:
        return json.loads(self.stored) if self.stored else None

    def card(self, card: Mapping[str, Any]) -> None:
        self.written = json.loads(json.dumps(card))

    @property
    def phases(self) -> list[str]:
        """Phases in order, repeats folded."""
        names = [e["phase"] for e in self.events if e["type"] == "phase"]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    @property
    def state(self) -> Json:
        return next(e for e in reversed(self.events) if e["type"] == "state")

    @property
    def model(self) -> ModelCard:
        assert self.written is not None, self.events[-3:]
        return ModelCard.from_json(self.written)


def no_wait(seconds: float) -> None:
    """Waits for nothing."""
