"""The typed services: conversions around the desks, and nothing else. Methods are named as in `proto/`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from bandung.connectors.base import Stop
from bandung.gateway.domain.agreement import Agreement, AgreementState
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.job import Decision, JobRecord
from bandung.gateway.domain.ledger import LedgerEntry, Receipt
from bandung.gateway.domain.party import Principal
from bandung.gateway.server import convert
from bandung.gateway.server.call import Call
from bandung.gateway.service.budget import DatasetBudget
from bandung.gateway.service.dry_run import Planned
from bandung.gateway.service.query import Answer, Request
from bandung.gateway.service.training import StepAnswer, StepRequest
from bandung.gateway.v1 import agreement_pb2, catalogue_pb2, ledger_pb2, query_pb2, training_pb2

_PAGE_ENTRIES = 256


class _Catalogue(Protocol):
    def open_to(self, principal: Principal) -> tuple[Epoch, ...]: ...

    def dataset(self, principal: Principal, name: str) -> Epoch: ...


class CatalogueService:
    """Datasets open to the caller."""

    def __init__(self, member: str, catalogue: _Catalogue) -> None:
        self._member = member
        self._catalogue = catalogue

    def ListDatasets(  # noqa: N802
        self, _request: catalogue_pb2.ListDatasetsRequest, call: Call
    ) -> catalogue_pb2.ListDatasetsResponse:
        """See `catalogue.proto`."""
        datasets = [convert.dataset(epoch) for epoch in self._catalogue.open_to(call.principal)]
        return catalogue_pb2.ListDatasetsResponse(member=self._member, datasets=datasets)

    def GetDataset(  # noqa: N802
        self, request: catalogue_pb2.GetDatasetRequest, call: Call
    ) -> catalogue_pb2.GetDatasetResponse:
        """See `catalogue.proto`."""
        epoch = self._catalogue.dataset(call.principal, request.name)
        return catalogue_pb2.GetDatasetResponse(dataset=convert.dataset(epoch))


class _Queries(Protocol):
    def plan(
        self,
        principal: Principal,
        request: Request,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Planned: ...

    def answer(
        self,
        principal: Principal,
        request: Request,
        parameters: tuple[str, ...],
        exchange: str,
        stop: Stop,
        nano_rho: int | None = None,
    ) -> Answer: ...


class _Budgets(Protocol):
    def show(self, principal: Principal) -> tuple[DatasetBudget, ...]: ...


class QueryService:
    """Protected tables."""

    def __init__(self, queries: _Queries, budgets: _Budgets) -> None:
        self._queries = queries
        self._budgets = budgets

    def Plan(self, request: query_pb2.PlanRequest, call: Call) -> query_pb2.PlanResponse:  # noqa: N802
        """See `query.proto`."""
        asked, bound = convert.request(request), tuple(request.parameters)
        with call.desk_records():
            planned = self._queries.plan(call.principal, asked, call.exchange, bound, request.nano_rho or None)
        return convert.plan_response(planned)

    def Query(self, request: query_pb2.QueryRequest, call: Call) -> query_pb2.QueryResponse:  # noqa: N802
        """See `query.proto`."""
        asked, bound = convert.request(request), tuple(request.parameters)
        with call.desk_records():
            answer = self._queries.answer(
                call.principal, asked, bound, call.exchange, call.stop, request.nano_rho or None
            )
        return convert.query_response(answer.table)

    def ShowBudget(  # noqa: N802
        self, _request: query_pb2.ShowBudgetRequest, call: Call
    ) -> query_pb2.ShowBudgetResponse:
        """See `query.proto`."""
        return convert.budget_response(self._budgets.show(call.principal))


class _Agreements(Protocol):
    def list(self, principal: Principal) -> tuple[Agreement, ...]: ...

    def put(self, by: str, agreement: Agreement, reason: str, exchange: str) -> Receipt: ...

    def set_state(self, by: str, agreement_id: str, state: AgreementState, reason: str, exchange: str) -> Receipt: ...


class AgreementService:
    """Agreements, seen and changed."""

    def __init__(self, agreements: _Agreements) -> None:
        self._agreements = agreements

    def ListAgreements(  # noqa: N802
        self, _request: agreement_pb2.ListAgreementsRequest, call: Call
    ) -> agreement_pb2.ListAgreementsResponse:
        """See `agreement.proto`."""
        found = [convert.agreement_message(agreement) for agreement in self._agreements.list(call.principal)]
        return agreement_pb2.ListAgreementsResponse(agreements=found)

    def PutAgreement(  # noqa: N802
        self, request: agreement_pb2.PutAgreementRequest, call: Call
    ) -> agreement_pb2.PutAgreementResponse:
        """See `agreement.proto`."""
        agreement = convert.agreement(request.agreement)
        receipt = self._agreements.put(call.principal.uri, agreement, request.reason, call.exchange)
        return agreement_pb2.PutAgreementResponse(receipt=receipt.id)

    def SetAgreementState(  # noqa: N802
        self, request: agreement_pb2.SetAgreementStateRequest, call: Call
    ) -> agreement_pb2.SetAgreementStateResponse:
        """See `agreement.proto`."""
        state = convert.agreement_state(request.state)
        receipt = self._agreements.set_state(call.principal.uri, request.id, state, request.reason, call.exchange)
        return agreement_pb2.SetAgreementStateResponse(receipt=receipt.id)


class _Training(Protocol):
    def propose(self, principal: Principal, document: bytes, exchange: str) -> JobRecord: ...

    def jobs(self, principal: Principal) -> tuple[JobRecord, ...]: ...

    def decide(self, principal: Principal, digest: str, decision: Decision, reason: str, exchange: str) -> Receipt: ...

    def step(self, principal: Principal, request: StepRequest, exchange: str, stop: Stop) -> StepAnswer: ...


class TrainingService:
    """This country's side of training jobs."""

    def __init__(self, training: _Training) -> None:
        self._training = training

    def ProposeJob(  # noqa: N802
        self, request: training_pb2.ProposeJobRequest, call: Call
    ) -> training_pb2.ProposeJobResponse:
        """See `training.proto`."""
        with call.desk_records():
            record = convert.job(self._training.propose(call.principal, request.job, call.exchange))
        return training_pb2.ProposeJobResponse(digest=record.digest, decision=record.decision, reason=record.reason)

    def ListJobs(self, _request: training_pb2.ListJobsRequest, call: Call) -> training_pb2.ListJobsResponse:  # noqa: N802
        """See `training.proto`."""
        return training_pb2.ListJobsResponse(jobs=[convert.job(r) for r in self._training.jobs(call.principal)])

    def DecideJob(self, request: training_pb2.DecideJobRequest, call: Call) -> training_pb2.DecideJobResponse:  # noqa: N802
        """See `training.proto`."""
        decision = convert.decision(request.decision)
        with call.desk_records():
            receipt = self._training.decide(call.principal, request.digest, decision, request.reason, call.exchange)
        return training_pb2.DecideJobResponse(receipt=receipt.id)

    def Step(self, request: training_pb2.StepRequest, call: Call) -> training_pb2.StepResponse:  # noqa: N802
        """See `training.proto`."""
        step = convert.step_request(request)
        with call.desk_records():
            return convert.step_response(self._training.step(call.principal, step, call.exchange, call.stop))


class LedgerReader(Protocol):
    """What the ledger service needs of the ledger."""

    def entries(self, start: int, count: int) -> tuple[LedgerEntry, ...]:
        """Return entries by index, ascending."""
        ...

    def head(self) -> tuple[int, str]:
        """Return size and root hash (hexadecimal) of the Merkle tree."""
        ...

    def checkpoint(self) -> str:
        """Return the signed checkpoint of the tree (C2SP tlog-checkpoint)."""
        ...


class LedgerService:
    """The record, for those who may read it."""

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger

    def ListEntries(self, request: ledger_pb2.ListEntriesRequest, call: Call) -> Iterator[ledger_pb2.Entry]:  # noqa: N802
        """See `ledger.proto`. Read page by page, so that a long ledger needs no memory."""
        size, _ = self._ledger.head()
        end = min(size, request.start + request.count) if request.count else size
        start = request.start
        while start < end and not call.stop.stopped:
            page = self._ledger.entries(start, min(_PAGE_ENTRIES, end - start))
            yield from (convert.entry(recorded) for recorded in page)
            start += _PAGE_ENTRIES

    def GetHead(self, _request: ledger_pb2.GetHeadRequest, _call: Call) -> ledger_pb2.GetHeadResponse:  # noqa: N802
        """See `ledger.proto`."""
        size, root = self._ledger.head()
        checkpoint = self._ledger.checkpoint()
        return ledger_pb2.GetHeadResponse(size=size, root=bytes.fromhex(root), checkpoint=checkpoint)
