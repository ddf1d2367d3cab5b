"""Wire messages to the client's values and back; protobuf goes no further out than this."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from bandung.gateway.client.values import (
    Budget,
    Column,
    Dataset,
    Entry,
    Filter,
    JobStatus,
    Plan,
    Policy,
    RegisteredTable,
    Result,
    TableRequest,
)
from bandung.gateway.domain.agreement import Agreement, AgreementState, Grant, Use
from bandung.gateway.domain.budget import Account
from bandung.gateway.domain.job import Decision, StepKind
from bandung.gateway.v1 import agreement_pb2, catalogue_pb2, ledger_pb2, query_pb2, training_pb2

_ROLES = {
    catalogue_pb2.Column.ROLE_DIMENSION: "dimension",
    catalogue_pb2.Column.ROLE_MEASURE: "measure",
    catalogue_pb2.Column.ROLE_WEIGHT: "weight",
}
_KINDS = {
    "count": query_pb2.Statistic.KIND_COUNT,
    "sum": query_pb2.Statistic.KIND_SUM,
    "mean": query_pb2.Statistic.KIND_MEAN,
    "units": query_pb2.Statistic.KIND_UNITS,
    "variance": query_pb2.Statistic.KIND_VARIANCE,
    "stddev": query_pb2.Statistic.KIND_STDDEV,
    "quantile": query_pb2.Statistic.KIND_QUANTILE,
}
_STATES = {
    AgreementState.ACTIVE: agreement_pb2.Agreement.STATE_ACTIVE,
    AgreementState.SUSPENDED: agreement_pb2.Agreement.STATE_SUSPENDED,
    AgreementState.ENDED: agreement_pb2.Agreement.STATE_ENDED,
}
_DECISIONS = {
    Decision.PENDING: training_pb2.JOB_DECISION_PENDING,
    Decision.CONSENTED: training_pb2.JOB_DECISION_CONSENTED,
    Decision.REFUSED: training_pb2.JOB_DECISION_REFUSED,
    Decision.WITHDRAWN: training_pb2.JOB_DECISION_WITHDRAWN,
}
_STEPS = {
    StepKind.NEWTON: training_pb2.StepRequest.KIND_NEWTON,
    StepKind.EVALUATE: training_pb2.StepRequest.KIND_EVALUATE,
}
_STATES_IN = {number: state for state, number in _STATES.items()}
_DECISIONS_IN = {number: decision for decision, number in _DECISIONS.items()}


def asked(request: str | TableRequest) -> dict[str, Any]:
    """Return the `request` field of a plan or query message."""
    return {"sql": request} if isinstance(request, str) else {"table": _table(request)}


def _table(request: TableRequest) -> query_pb2.TableRequest:
    return query_pb2.TableRequest(
        dataset=request.dataset,
        group_by=request.group_by,
        filters=[_filter(held) for held in request.filters],
        statistics=[
            query_pb2.Statistic(kind=_KINDS[s.kind], measure=s.measure, share=s.share) for s in request.statistics
        ],
        rollup=request.rollup,
    )


def _filter(held: Filter) -> query_pb2.Filter:
    ranged = query_pb2.Range(low=held.low, high=held.high) if held.low or held.high else None
    return query_pb2.Filter(column=held.column, codes=held.codes, range=ranged)


def plan(message: query_pb2.PlanResponse) -> Plan:
    """Return what a question would give and cost."""
    schema = pa.ipc.read_schema(pa.py_buffer(message.schema))
    return Plan(
        schema,
        message.epoch,
        message.agreement,
        message.agreement_version,
        message.purpose,
        message.policy,
        dict(message.cost),
        dict(message.left),
        message.cells,
        message.bytes_about,
        message.released,
        {held.statistic: dict(held.published) for held in message.noise},
    )


def budget(message: query_pb2.DatasetBudget) -> Budget:
    """Return what was spent of a dataset's quotas and budgets."""
    return Budget(message.epoch, message.policy, tuple(_account(account) for account in message.accounts))


def _account(message: query_pb2.Account) -> Account:
    if not message.HasField("epsilon_cap"):
        return Account(message.scope, message.spent, message.cap)
    return Account(message.scope, message.spent, message.cap, message.epsilon_spent, message.epsilon_cap)


def result(message: query_pb2.QueryResponse, exchange: str) -> Result:
    """Return a released table with what its metadata tell."""
    table = pa.ipc.open_stream(message.table).read_all()
    table.validate(full=True)
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return Result(
        table,
        metadata.get("bandung.member", ""),
        metadata.get("bandung.epoch", ""),
        metadata.get("bandung.policy", ""),
        json.loads(metadata.get("bandung.noise", "{}")),
        json.loads(metadata.get("bandung.cost", "{}")),
        json.loads(metadata.get("bandung.left", "{}")),
        metadata.get("bandung.receipt", ""),
        metadata.get("bandung.release", ""),
        exchange,
        message.ByteSize(),
    )


def dataset(message: catalogue_pb2.Dataset) -> Dataset:
    """Return a published dataset."""
    rules = message.policy
    return Dataset(
        message.name,
        message.title,
        message.description,
        message.licence,
        message.country,
        message.period,
        message.epoch,
        message.unit,
        tuple(_column(column) for column in message.columns),
        Policy(
            rules.kind,
            rules.min_units,
            rules.variables_max,
            rules.mean_cell_min,
            rules.noise_variance,
            rules.noise_max,
            rules.training_allowed,
            rules.cohort_min,
            rules.nano_rho_per_analyst,
            rules.nano_rho_per_table,
            rules.nano_rho_per_table_max,
            rules.delta,
            rules.mechanism,
            rules.threshold_spread,
            rules.noise_js,
            rules.noise,
            tuple(RegisteredTable(tuple(table.group_by), tuple(table.statistics)) for table in rules.tables),
        ),
    )


def _column(message: catalogue_pb2.Column) -> Column:
    return Column(
        message.name,
        message.label,
        _ROLES.get(message.role, ""),
        tuple((code.code, code.label) for code in message.codes),
        message.missing,
        message.parent,
        message.minimum,
        message.maximum,
        message.decimals,
        message.unit_of_measurement,
        message.open,
    )


def agreement(message: agreement_pb2.Agreement) -> Agreement:
    """Return an agreement."""
    return Agreement(
        message.id,
        message.version,
        message.purpose,
        tuple(message.principals),
        tuple(Grant(g.dataset, {u.column: frozenset(map(Use, u.uses)) for u in g.uses}) for g in message.grants),
        message.not_after,
        _STATES_IN[message.state],
        message.training_consent,
    )


def agreement_message(agreement: Agreement) -> agreement_pb2.Agreement:
    """Return an agreement as it travels."""
    return agreement_pb2.Agreement(
        id=agreement.id,
        version=agreement.version,
        purpose=agreement.purpose,
        principals=agreement.principals,
        grants=[_grant(grant) for grant in agreement.grants],
        not_after=agreement.not_after,
        state=_STATES[agreement.state],
        training_consent=agreement.training_consent,
    )


def _grant(grant: Grant) -> agreement_pb2.Grant:
    uses = [agreement_pb2.ColumnUse(column=c, uses=sorted(u.value for u in uses)) for c, uses in grant.uses.items()]
    return agreement_pb2.Grant(dataset=grant.dataset, uses=uses)


def state(state: AgreementState) -> agreement_pb2.Agreement.State:
    """Return an agreement's state as it travels."""
    return _STATES[state]


def decision(decision: Decision) -> training_pb2.JobDecision:
    """Return a decision as it travels."""
    return _DECISIONS[decision]


def proposed(message: training_pb2.ProposeJobResponse) -> JobStatus:
    """Return where a proposed job stands."""
    return JobStatus(message.digest, _DECISIONS_IN[message.decision], message.reason)


def job(message: training_pb2.Job) -> JobStatus:
    """Return a job with its document."""
    return JobStatus(message.digest, _DECISIONS_IN[message.decision], message.reason, message.job, message.decided_by)


def step_kind(kind: StepKind) -> training_pb2.StepRequest.Kind:
    """Return a step's kind as it travels."""
    return _STEPS[kind]


def entry(message: ledger_pb2.Entry) -> Entry:
    """Return a ledger entry."""
    return Entry(
        message.index,
        message.leaf.hex(),
        message.kind,
        message.at,
        message.exchange,
        message.principal,
        message.body,
    )
