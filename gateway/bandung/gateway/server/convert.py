"""Wire messages of the typed services to domain values and back; protobuf goes no further in than this."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pyarrow as pa
import rfc8785

from bandung.gateway.domain.agreement import Agreement, AgreementState, Grant, Use
from bandung.gateway.domain.dataset import Code, Dimension, Epoch, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Decision, JobRecord, StepKind
from bandung.gateway.domain.ledger import LedgerEntry
from bandung.gateway.domain.plan import Comparison, Operator, Statistic, StatisticKind
from bandung.gateway.domain.policy import (
    DifferentialPrivacy,
    Policy,
    PublishedTables,
    RegisteredTable,
    TableBuilder,
    TrainingRules,
    kind,
)
from bandung.gateway.service.budget import DatasetBudget
from bandung.gateway.service.dry_run import Planned
from bandung.gateway.service.query import Request, TableRequest
from bandung.gateway.service.training import StepAnswer, StepRequest
from bandung.gateway.v1 import agreement_pb2, catalogue_pb2, ledger_pb2, query_pb2, training_pb2

_STATISTICS = {
    query_pb2.Statistic.KIND_COUNT: StatisticKind.COUNT,
    query_pb2.Statistic.KIND_SUM: StatisticKind.SUM,
    query_pb2.Statistic.KIND_MEAN: StatisticKind.MEAN,
    query_pb2.Statistic.KIND_UNITS: StatisticKind.UNITS,
    query_pb2.Statistic.KIND_VARIANCE: StatisticKind.VARIANCE,
    query_pb2.Statistic.KIND_STDDEV: StatisticKind.STDDEV,
    query_pb2.Statistic.KIND_QUANTILE: StatisticKind.QUANTILE,
}
_STATES = {
    agreement_pb2.Agreement.STATE_ACTIVE: AgreementState.ACTIVE,
    agreement_pb2.Agreement.STATE_SUSPENDED: AgreementState.SUSPENDED,
    agreement_pb2.Agreement.STATE_ENDED: AgreementState.ENDED,
}
_DECISIONS = {
    training_pb2.JOB_DECISION_PENDING: Decision.PENDING,
    training_pb2.JOB_DECISION_CONSENTED: Decision.CONSENTED,
    training_pb2.JOB_DECISION_REFUSED: Decision.REFUSED,
    training_pb2.JOB_DECISION_WITHDRAWN: Decision.WITHDRAWN,
}
_STEPS = {
    training_pb2.StepRequest.KIND_NEWTON: StepKind.NEWTON,
    training_pb2.StepRequest.KIND_EVALUATE: StepKind.EVALUATE,
}
_STATES_OUT = {state: number for number, state in _STATES.items()}
_DECISIONS_OUT = {decision: number for number, decision in _DECISIONS.items()}


def request(message: query_pb2.PlanRequest | query_pb2.QueryRequest) -> Request:
    """Return the question that a message asks.

    Raises:
        Refusal: BAD_REQUEST if it asks nothing, an unknown statistic, or a filter without codes or range.
    """
    match message.WhichOneof("request"):
        case "sql":
            return message.sql
        case "table":
            table = message.table
            return TableRequest(
                table.dataset,
                tuple(table.group_by),
                tuple(held for filter_ in table.filters for held in _comparisons(filter_)),
                tuple(_statistic(s) for s in table.statistics),
                tuple(table.rollup),
            )
        case _:
            raise Refusal(ErrorKind.BAD_REQUEST, "Neither sql nor table is set.")


def _statistic(message: query_pb2.Statistic) -> Statistic:
    kind = _STATISTICS.get(message.kind)
    if kind is None:
        raise Refusal(ErrorKind.BAD_REQUEST, "A statistic has no known kind.")
    return Statistic(kind.value, message.measure, message.share)


def _comparisons(message: query_pb2.Filter) -> tuple[Comparison, ...]:
    codes = (*((message.code,) if message.code else ()), *message.codes)
    bounds = ((Operator.AT_LEAST, message.range.low), (Operator.AT_MOST, message.range.high))
    ranged = tuple(Comparison(message.column, operator, (bound,)) for operator, bound in bounds if bound)
    if bool(codes) == bool(ranged):
        raise Refusal(ErrorKind.BAD_REQUEST, "A filter has either codes or a range.")
    return ranged or (Comparison(message.column, Operator.EQUAL, codes),)


def plan_response(planned: Planned) -> query_pb2.PlanResponse:
    """Return what a request would give and cost."""
    return query_pb2.PlanResponse(
        schema=planned.schema.serialize().to_pybytes(),
        epoch=planned.epoch,
        agreement=planned.agreement,
        agreement_version=planned.agreement_version,
        purpose=planned.purpose,
        policy=planned.policy,
        cost=planned.cost,
        left=planned.left,
        cells=planned.cells or 0,
        bytes_about=planned.bytes_about or 0,
        released=planned.released,
        noise=[query_pb2.StatisticNoise(statistic=name, published=held) for name, held in planned.noise.items()],
    )


def query_response(table: pa.Table) -> query_pb2.QueryResponse:
    """Return a released table as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return query_pb2.QueryResponse(table=sink.getvalue().to_pybytes())


def budget_response(budgets: tuple[DatasetBudget, ...]) -> query_pb2.ShowBudgetResponse:
    """Return what was spent of quotas and budgets."""
    return query_pb2.ShowBudgetResponse(
        datasets=[
            query_pb2.DatasetBudget(
                epoch=budget.epoch,
                policy=budget.policy,
                accounts=[query_pb2.Account(**asdict(account)) for account in budget.accounts],
            )
            for budget in budgets
        ]
    )


def dataset(epoch: Epoch) -> catalogue_pb2.Dataset:
    """Return the public declaration of an epoch; its facts stay home."""
    declared = epoch.dataset
    return catalogue_pb2.Dataset(
        name=declared.name,
        title=declared.title,
        description=declared.description,
        licence=declared.licence,
        country=declared.country,
        period=declared.period,
        epoch=epoch.id,
        unit=declared.unit_name,
        columns=[_column(column) for column in declared.columns],
        policy=_policy(declared.policy, declared.training),
    )


def _policy(rules: Policy, training: TrainingRules) -> catalogue_pb2.Policy:
    policy = catalogue_pb2.Policy(
        kind=kind(rules),
        variables_max=rules.variables_max,
        training_allowed=training.allowed,
        cohort_min=training.cohort_min,
    )
    match rules:
        case TableBuilder():
            policy.min_units = rules.min_units
            policy.threshold_spread = rules.threshold_spread
            policy.mean_cell_min = rules.mean_cell_min
            policy.noise_variance = rules.noise_variance
            policy.noise_max = rules.noise_max
            policy.noise_js = rules.noise_js
            policy.noise = "maximum-entropy" if rules.ons is None else "ons"
        case DifferentialPrivacy():
            policy.nano_rho_per_analyst = rules.nano_rho_per_analyst
            policy.nano_rho_per_table = rules.nano_rho_per_table
            policy.nano_rho_per_table_max = rules.nano_rho_per_table_max
            policy.delta = rules.delta
            policy.mechanism = rules.mechanism.value
        case PublishedTables():
            policy.min_units = rules.min_units
            policy.tables.extend(_registered(table) for table in rules.tables)
    return policy


def _registered(table: RegisteredTable) -> catalogue_pb2.RegisteredTable:
    names = [statistic.name for statistic in table.statistics]
    return catalogue_pb2.RegisteredTable(group_by=table.group_by, statistics=names)


def _column(column: Dimension | Measure) -> catalogue_pb2.Column:
    if isinstance(column, Dimension):
        return catalogue_pb2.Column(
            name=column.name,
            label=column.label,
            role=catalogue_pb2.Column.ROLE_DIMENSION,
            codes=[_code(code) for code in column.codes],
            missing=column.missing or "",
            parent=column.parent or "",
            open=column.open,
        )
    return catalogue_pb2.Column(
        name=column.name,
        label=column.label,
        role=catalogue_pb2.Column.ROLE_WEIGHT if column.weight else catalogue_pb2.Column.ROLE_MEASURE,
        minimum=column.minimum,
        maximum=column.maximum,
        decimals=column.decimals,
        unit_of_measurement=column.unit_of_measurement,
    )


def _code(code: Code) -> catalogue_pb2.Code:
    return catalogue_pb2.Code(code=code.code, label=code.label)


def agreement(message: agreement_pb2.Agreement) -> Agreement:
    """Return the agreement that a custodian sends.

    Raises:
        Refusal: BAD_REQUEST for an unknown use or state.
    """
    return Agreement(
        id=message.id,
        version=message.version,
        purpose=message.purpose,
        principals=tuple(message.principals),
        grants=tuple(Grant(g.dataset, {u.column: _uses(u) for u in g.uses}) for g in message.grants),
        not_after=message.not_after,
        state=agreement_state(message.state),
        training_consent=message.training_consent,
    )


def _uses(message: agreement_pb2.ColumnUse) -> frozenset[Use]:
    known = {use.value: use for use in Use}
    if unknown := sorted(set(message.uses) - known.keys()):
        raise Refusal(ErrorKind.BAD_REQUEST, f"Unknown use: {', '.join(unknown)}.")
    return frozenset(known[use] for use in message.uses)


def agreement_state(state: agreement_pb2.Agreement.State) -> AgreementState:
    """Return the state of that number.

    Raises:
        Refusal: BAD_REQUEST if it is unspecified or unknown.
    """
    if state not in _STATES:
        raise Refusal(ErrorKind.BAD_REQUEST, "The agreement's state is not given.")
    return _STATES[state]


def agreement_message(agreement: Agreement) -> agreement_pb2.Agreement:
    """Return the agreement as it travels."""
    return agreement_pb2.Agreement(
        id=agreement.id,
        version=agreement.version,
        purpose=agreement.purpose,
        principals=agreement.principals,
        grants=[_grant(grant) for grant in agreement.grants],
        not_after=agreement.not_after,
        state=_STATES_OUT[agreement.state],
        training_consent=agreement.training_consent,
    )


def _grant(grant: Grant) -> agreement_pb2.Grant:
    uses = [
        agreement_pb2.ColumnUse(column=column, uses=sorted(use.value for use in uses))
        for column, uses in sorted(grant.uses.items())
    ]
    return agreement_pb2.Grant(dataset=grant.dataset, uses=uses)


def decision(number: training_pb2.JobDecision) -> Decision:
    """Return the decision of that number.

    Raises:
        Refusal: BAD_REQUEST if it is unspecified or unknown.
    """
    if number not in _DECISIONS:
        raise Refusal(ErrorKind.BAD_REQUEST, "The decision is not given.")
    return _DECISIONS[number]


def job(record: JobRecord) -> training_pb2.Job:
    """Return a job as this country knows it."""
    return training_pb2.Job(
        digest=record.signed.digest,
        job=record.signed.document,
        decision=_DECISIONS_OUT[record.decision],
        reason=record.reason,
        decided_by=record.decided_by,
    )


def step_request(message: training_pb2.StepRequest) -> StepRequest:
    """Return the step that a courier carries.

    Raises:
        Refusal: BAD_REQUEST for an unknown kind.
    """
    if message.kind not in _STEPS:
        raise Refusal(ErrorKind.BAD_REQUEST, "The step's kind is not given.")
    return StepRequest(
        message.job_digest,
        _STEPS[message.kind],
        message.round,
        tuple(message.cohort),
        tuple(message.coefficients),
    )


def step_response(answer: StepAnswer) -> training_pb2.StepResponse:
    """Return a released vector: integers are masked sums, floating-point numbers are metrics."""
    values, names = answer.vector.values, answer.vector.schema
    if values.dtype == np.uint64:
        masked = values.astype("<u8").tobytes()
        return training_pb2.StepResponse(masked=masked, schema=names, receipt=answer.receipt.id)
    metrics = dict(zip(names, (float(value) for value in values), strict=True))
    return training_pb2.StepResponse(metrics=metrics, receipt=answer.receipt.id)


def entry(recorded: LedgerEntry) -> ledger_pb2.Entry:
    """Return a ledger entry; the body as canonical JSON (RFC 8785)."""
    event = recorded.event
    return ledger_pb2.Entry(
        index=recorded.index,
        leaf=bytes.fromhex(recorded.leaf),
        kind=event.kind.value,
        at=event.at,
        exchange=event.exchange,
        principal=event.principal,
        body=rfc8785.dumps(dict(event.body)).decode(),  # pyright: ignore[reportArgumentType]
    )
