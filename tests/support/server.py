"""A real server on loopback with real certificates, in front of small desks held in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bandung.connectors.base import Stop
from bandung.gateway.domain.agreement import Agreement, AgreementState
from bandung.gateway.domain.budget import Account
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Decision, Family, Job, JobRecord, SignedJob, StepKind, Term
from bandung.gateway.domain.ledger import Event, EventKind, LedgerEntry, Receipt
from bandung.gateway.domain.party import Principal
from bandung.gateway.domain.release import ReleasedVector
from bandung.gateway.server.door import Limits
from bandung.gateway.server.listener import Desks, Server, ServerConfig, serve
from bandung.gateway.service.budget import DatasetBudget
from bandung.gateway.service.dry_run import Described, Planned
from bandung.gateway.service.query import Answer
from bandung.gateway.service.training import StepAnswer
from bandung.gateway.store.system import SystemClock, SystemRandomness
from tests.support.builders import NOW, an_agreement, an_epoch
from tests.support.pki import LOOPBACK, Country, Files

_ROWS = {"large": 60_000, "huge": 1_000_000}
SECRET = "unit-4711-income-99999"
RECEIPT = Receipt(7, "ab" * 32, 8, "cd" * 32)
SCHEMA = pa.schema(
    [
        pa.field("region", pa.string(), nullable=False),
        pa.field("count", pa.int64()),
        pa.field("OBS_STATUS", pa.string(), nullable=False),
    ]
)


@dataclass
class MemoryQueries:
    """Answers any text; words in it choose what goes wrong. Remembers what it was asked.

    `refused`: a refusal with a position; `garbled`: one whose words are not ASCII; `broken`: an exception with a
    secret in its text; `slow`: works until it is stopped; `large`, `huge`: about 1 and 20 MB; `?`: a placeholder.
    """

    recorded: list[tuple[str, str, str, str]] = field(default_factory=list)
    asked: list[tuple[str, Any, tuple[str, ...], str]] = field(default_factory=list)
    working: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    sealed: bool = False

    def describe(
        self,
        principal: Principal,
        request: Any,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Described:
        return self.plan(principal, request, exchange, parameters, nano_rho)

    def plan(
        self,
        principal: Principal,
        request: Any,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Planned:
        text = request if isinstance(request, str) else request.dataset
        if "refused" in text:
            raise Refusal(ErrorKind.UNKNOWN_COLUMN, "Asked for: nope.", position=(1, 8), private=SECRET)
        if "garbled" in text:
            raise Refusal(ErrorKind.SYNTAX)
        if "broken" in text:
            raise RuntimeError(SECRET)
        return Planned(
            schema=SCHEMA,
            parameters=("region",) * text.count("?"),
            cost={"tables": 1},
            left={"tables": 499},
            epoch="persons@1",
            agreement="test-1",
            agreement_version=1,
            purpose="tests",
            policy="table-builder",
            cells=2,
            bytes_about=1600,
            released=False,
            noise={"count": {"variance": 3.0}},
        )

    def answer(
        self,
        principal: Principal,
        request: Any,
        parameters: tuple[str, ...],
        exchange: str,
        stop: Stop,
        nano_rho: int | None = None,
    ) -> Answer:
        self.asked.append((principal.uri, request, parameters, exchange))
        planned = self.plan(principal, request, exchange)
        if len(parameters) != len(planned.parameters):
            raise Refusal(ErrorKind.BAD_PARAMETER)
        if isinstance(request, str) and "slow" in request:
            self._work_until(stop)
        rows = next((rows for word, rows in _ROWS.items() if isinstance(request, str) and word in request), 2)
        columns = [["N", "S"] * (rows // 2), [120, None] * (rows // 2), ["A", "Q"] * (rows // 2)]
        table = pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
        metadata = {
            "bandung.member": "IDN",
            "bandung.epoch": "persons@1",
            "bandung.policy": "table-builder",
            "bandung.noise": json.dumps({"count": {"variance": 3.0}}),
            "bandung.cost": json.dumps({"tables": 1}),
            "bandung.left": json.dumps({"tables": 499}),
            "bandung.release": RECEIPT.id,
            "bandung.receipt": RECEIPT.id,
        }
        return Answer(table.replace_schema_metadata(metadata), RECEIPT)

    def record_refusal(self, principal_uri: str, refusal: Refusal, exchange: str, method: str) -> None:
        if self.sealed:
            raise Refusal(ErrorKind.SEALED)
        self.recorded.append((principal_uri, refusal.code, exchange, method))

    def _work_until(self, stop: Stop) -> None:
        done = threading.Event()
        with stop.brake(done.set):
            self.working.release()
            done.wait(30)
        self.stopped.release()
        raise Refusal(ErrorKind.CANCELLED)


class MemoryBudgets:
    """One account of whoever asks."""

    def show(self, principal: Principal) -> tuple[DatasetBudget, ...]:
        account = Account(f"tables/persons:2026/{principal.uri}", 3, 500)
        return (DatasetBudget("persons@1", "table-builder", (account,)),)


@dataclass
class MemoryCatalogue:
    """Published epochs, open to everybody."""

    epochs: tuple[Epoch, ...] = field(default_factory=lambda: (an_epoch(),))

    def open_to(self, principal: Principal) -> tuple[Epoch, ...]:
        return self.epochs

    def dataset(self, principal: Principal, name: str) -> Epoch:
        for epoch in self.epochs:
            if epoch.dataset.name == name:
                return epoch
        raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {name}.")


@dataclass
class MemoryAgreements:
    """Agreements by id."""

    held: dict[str, Agreement] = field(default_factory=lambda: {"test-1": an_agreement()})

    def list(self, principal: Principal) -> tuple[Agreement, ...]:
        return tuple(self.held.values())

    def put(self, by: str, agreement: Agreement, reason: str, exchange: str) -> Receipt:
        self.held[agreement.id] = agreement
        return RECEIPT

    def set_state(self, by: str, agreement_id: str, state: AgreementState, reason: str, exchange: str) -> Receipt:
        if not reason:
            raise Refusal(ErrorKind.BAD_REQUEST, "A reason is mandatory.")
        self.held[agreement_id] = replace(self.held[agreement_id], state=state)
        return RECEIPT


def a_job_record(document: bytes = b"{}") -> JobRecord:
    """A pending job."""
    job = Job(
        name="j",
        purpose="tests",
        family=Family.GAUSSIAN,
        members=("BGD", "IDN"),
        datasets=(("BGD", "persons"), ("IDN", "persons")),
        target=Term("income", "identity"),
        features=(),
        rounds_max=5,
        tolerance=1e-6,
        cohort_min=2,
        country_intercepts=False,
        holdout=0.0,
        train_units=(),
        on_loss="pause",
        author="spiffe://idn.bandung.example/analyst/ani",
        created=NOW,
    )
    return JobRecord(SignedJob(job, "12" * 32, document), Decision.PENDING)


@dataclass
class MemoryTraining:
    """One job; steps give fixed vectors."""

    record: JobRecord = field(default_factory=a_job_record)
    steps: list[Any] = field(default_factory=list)

    def propose(self, principal: Principal, document: bytes, exchange: str) -> JobRecord:
        return a_job_record(document)

    def jobs(self, principal: Principal) -> tuple[JobRecord, ...]:
        return (self.record,)

    def decide(self, principal: Principal, digest: str, decision: Decision, reason: str, exchange: str) -> Receipt:
        self.record = replace(self.record, decision=decision, reason=reason, decided_by=principal.uri)
        return RECEIPT

    def step(self, principal: Principal, request: Any, exchange: str, stop: Stop) -> StepAnswer:
        self.steps.append(request)
        if request.kind is StepKind.NEWTON:
            vector = ReleasedVector(np.array([1, 0, 2**64 - 1, 7], dtype=np.uint64), ("score[intercept]", "units"))
        else:
            vector = ReleasedVector(np.array([0.5]), ("rmse",))
        return StepAnswer(vector, RECEIPT)


class MemoryLedger:
    """Six hundred entries."""

    def entries(self, start: int, count: int) -> tuple[LedgerEntry, ...]:
        event = Event(
            EventKind.QUERY_ANSWERED, NOW, "ef" * 16, "spiffe://idn.bandung.example/analyst/ani", {"b": 1, "a": "x"}
        )
        return tuple(LedgerEntry(index, event, "ab" * 32) for index in range(start, min(start + count, 600)))

    def head(self) -> tuple[int, str]:
        return 600, "cd" * 32

    def checkpoint(self) -> str:
        return "idn.bandung.example\n600\n"


@dataclass
class Node:
    """A running gateway of IDN, its country, a neighbour, and its desks."""

    server: Server
    directory: Path
    idn: Country
    bgd: Country
    listener: Files
    queries: MemoryQueries
    agreements: MemoryAgreements
    training: MemoryTraining

    @property
    def address(self) -> str:
        return f"localhost:{self.server.port}"

    @property
    def trust(self) -> Path:
        return self.directory / "trust"


@contextmanager
def a_node(
    directory: Path, *, desks: Desks | None = None, limits: Limits | None = None, **changes: Any
) -> Iterator[Node]:
    """Run a gateway of IDN that trusts IDN and an (unconstrained, hence dangerous) authority of BGD.

    Args:
        desks: real ones, instead of those in memory.
        changes: of `ServerConfig`.
    """
    idn = Country(directory / "idn", "IDN")
    bgd = Country(directory / "bgd", "BGD", constrained=False)
    trust = directory / "trust"
    trust.mkdir()
    for country in (idn, bgd):
        (trust / f"{country.trust_domain}.pem").write_bytes(country.ca.read_bytes())
    listener = idn.issue("gateway", hosts=LOOPBACK)
    queries, agreements, training = MemoryQueries(), MemoryAgreements(), MemoryTraining()
    config = ServerConfig(
        listen="localhost:0",
        member="IDN",
        trust_domain=idn.trust_domain,
        certificate=listener.certificate,
        key=listener.key,
        trust=trust,
        ticket_key=bytes(32),
        limits=limits or Limits(deadline_max_s=30, calls_per_principal_max=4),
        trust_fresh_s=0.0,
        **changes,
    )
    desks = desks or Desks(queries, MemoryBudgets(), MemoryCatalogue(), agreements, training, MemoryLedger())  # type: ignore[arg-type]
    server = serve(config, desks, SystemClock(), SystemRandomness())
    try:
        yield Node(server, directory, idn, bgd, listener, queries, agreements, training)
    finally:
        server.drain(0)
