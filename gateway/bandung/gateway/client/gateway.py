"""The client of one gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bandung.gateway.client import convert
from bandung.gateway.client.connection import Connection, Identity, exchange
from bandung.gateway.client.errors import GatewayError
from bandung.gateway.client.values import (
    Budget,
    Dataset,
    Entry,
    Head,
    JobStatus,
    Plan,
    Result,
    StepResult,
    TableRequest,
)
from bandung.gateway.domain.agreement import Agreement, AgreementState
from bandung.gateway.domain.job import Decision, StepKind
from bandung.gateway.v1 import (
    agreement_pb2,
    agreement_pb2_grpc,
    catalogue_pb2,
    catalogue_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    query_pb2,
    query_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)

M = TypeVar("M")
V = TypeVar("V")


class GatewayClient:
    """Asks one gateway. Safe for use by several threads at once; closes with its `with` block.

    The gateway proves itself by a certificate of its own country's authority for the address's host name; the caller
    proves itself by its client certificate. Every method raises `GatewayError`.

    Args:
        address: `host:port`.
        deadline_s: for each call, all retries together.
        attempts_max: most attempts of calls that are safe to repeat, while the gateway is not reached.
    """

    def __init__(self, address: str, identity: Identity, *, deadline_s: float = 120.0, attempts_max: int = 4) -> None:
        self._connection = Connection(address, identity, deadline_s, attempts_max)
        channel = self._connection.channel
        self._catalogue = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        self._queries = query_pb2_grpc.QueryServiceStub(channel)
        self._agreements = agreement_pb2_grpc.AgreementServiceStub(channel)
        self._training = training_pb2_grpc.TrainingServiceStub(channel)
        self._ledger = ledger_pb2_grpc.LedgerServiceStub(channel)
        self._health: Any = health_pb2_grpc.HealthStub(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; calls under way fail."""
        self._connection.close()

    def health(self) -> str:
        """Return `SERVING` or `NOT_SERVING`; one attempt, so that it says what is the case now."""
        response = self._connection.once(self._health.Check, health_pb2.HealthCheckRequest())
        return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the datasets that are open to the caller, by name."""
        request = catalogue_pb2.ListDatasetsRequest()
        response = self._connection.repeatedly(self._catalogue.ListDatasets, request)
        return tuple(_read(convert.dataset, message) for message in response.datasets)

    def plan(self, request: str | TableRequest, parameters: Sequence[str] = (), nano_rho: int = 0) -> Plan:
        """Return what SQL or a typed request would give and cost; nothing is executed. Arguments as for `query`."""
        message = query_pb2.PlanRequest(**convert.asked(request), parameters=parameters, nano_rho=nano_rho)
        return _read(convert.plan, self._connection.repeatedly(self._queries.Plan, message))

    def query(self, sql: str, parameters: Sequence[str] = (), nano_rho: int = 0) -> Result:
        """Answer one SQL statement.

        Args:
            parameters: codes, or numbers as text, for its placeholders, in order.
            nano_rho: what each table may spend of a privacy budget, in 10^-9 of rho; 0 for what the policy says.
        """
        return self._answer(sql, parameters, nano_rho)

    def table(self, request: TableRequest, nano_rho: int = 0) -> Result:
        """Answer one typed request; `nano_rho` as for `query`."""
        return self._answer(request, (), nano_rho)

    def budgets(self) -> tuple[Budget, ...]:
        """Return what was spent of quotas and budgets: the caller's own, or everything to staff of the country."""
        response = self._connection.repeatedly(self._queries.ShowBudget, query_pb2.ShowBudgetRequest())
        return tuple(_read(convert.budget, message) for message in response.datasets)

    def agreements(self) -> tuple[Agreement, ...]:
        """Return the agreements that name the caller; all of them to staff of the country."""
        request = agreement_pb2.ListAgreementsRequest()
        response = self._connection.repeatedly(self._agreements.ListAgreements, request)
        return tuple(_read(convert.agreement, message) for message in response.agreements)

    def put_agreement(self, agreement: Agreement, reason: str) -> str:
        """Store an agreement or its next version (custodian); return the receipt."""
        request = agreement_pb2.PutAgreementRequest(agreement=convert.agreement_message(agreement), reason=reason)
        return self._connection.once(self._agreements.PutAgreement, request).receipt

    def set_agreement_state(self, agreement_id: str, state: AgreementState, reason: str) -> str:
        """Suspend, resume or end an agreement (custodian); return the receipt."""
        request = agreement_pb2.SetAgreementStateRequest(id=agreement_id, state=convert.state(state), reason=reason)
        return self._connection.once(self._agreements.SetAgreementState, request).receipt

    def propose(self, document: bytes) -> JobStatus:
        """Make a signed job known to the country; a job that is known already is returned as it stands."""
        request = training_pb2.ProposeJobRequest(job=document)
        return _read(convert.proposed, self._connection.repeatedly(self._training.ProposeJob, request))

    def jobs(self) -> tuple[JobStatus, ...]:
        """Return the jobs known here that the caller may see, newest first."""
        response = self._connection.repeatedly(self._training.ListJobs, training_pb2.ListJobsRequest())
        return tuple(_read(convert.job, message) for message in response.jobs)

    def decide(self, digest: str, decision: Decision, reason: str) -> str:
        """Consent to a job, refuse it, or withdraw consent (custodian); return the receipt."""
        request = training_pb2.DecideJobRequest(digest=digest, decision=convert.decision(decision), reason=reason)
        return self._connection.once(self._training.DecideJob, request).receipt

    def step(
        self, job: str, kind: StepKind, round_number: int, cohort: Sequence[str], coefficients: Sequence[float]
    ) -> StepResult:
        """Ask for one training step (the country's own courier); the same request again gets the same answer.

        Args:
            job: its digest.
            round_number: 1-based.
            cohort: member ids whose sums are added in this round, sorted.
            coefficients: so far, in the order of the job's design matrix.
        """
        request = training_pb2.StepRequest(
            job_digest=job,
            kind=convert.step_kind(kind),
            round=round_number,
            cohort=cohort,
            coefficients=coefficients,
        )
        response = self._connection.repeatedly(self._training.Step, request)
        return StepResult(
            response.masked,
            dict(response.metrics),
            tuple(response.schema),
            response.receipt,
            request.ByteSize(),
            response.ByteSize(),
        )

    def ledger(self, start: int = 0, count: int = 0) -> Iterator[Entry]:
        """Yield ledger entries by index, ascending (auditor, custodian, operator); `count` 0 is to the end."""
        request = ledger_pb2.ListEntriesRequest(start=start, count=count)
        return map(convert.entry, self._connection.streamed(self._ledger.ListEntries, request))

    def head(self) -> Head:
        """Return size and root of the ledger."""
        response = self._connection.repeatedly(self._ledger.GetHead, ledger_pb2.GetHeadRequest())
        return Head(response.size, response.root.hex(), response.checkpoint)

    def _answer(self, request: str | TableRequest, parameters: Sequence[str], nano_rho: int) -> Result:
        message = query_pb2.QueryRequest(**convert.asked(request), parameters=parameters, nano_rho=nano_rho)
        exchange_id = exchange()
        response = self._connection.repeatedly(self._queries.Query, message, exchange_id)
        return _read(lambda message: convert.result(message, exchange_id), response)


def _read(convert_message: Callable[[M], V], message: M) -> V:
    """Another country's gateway is not to be trusted to send what it should."""
    try:
        return convert_message(message)
    except (pa.ArrowException, LookupError, ValueError, OSError) as error:
        raise GatewayError("", "INTERNAL", "The gateway's answer cannot be read.") from error
