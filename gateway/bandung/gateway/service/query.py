"""Answer a question: plan, permit, execute, protect, record; only then hand the answer out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from bandung.gateway.domain.decision import Permit, authorise
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import AlreadyAnswered, Commit, EventKind, Receipt, StoredAnswer
from bandung.gateway.domain.policy import kind
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import CheckedPlan, check
from bandung.gateway.planning.present import present, result_schema
from bandung.gateway.planning.request import plan_table
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.planning.touches import touches
from bandung.gateway.service.charges import charges, together
from bandung.gateway.service.dry_run import EXPLAIN_SCHEMA, Described, Planned, bytes_about, explained
from bandung.gateway.service.execution import execute, expected_noise
from bandung.gateway.service.record import Attempt, Recorder, afford
from bandung.gateway.service.statements import StatementCache

if TYPE_CHECKING:
    from bandung.connectors.base import Stop
    from bandung.gateway.domain.budget import Charge
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.party import Principal
    from bandung.gateway.domain.plan import Comparison, Plan, Statement, Statistic
    from bandung.gateway.domain.release import Release
    from bandung.gateway.service.ports import Agreements, Clock, Epochs, Ledger, Secrets


@dataclass(frozen=True, slots=True)
class TableRequest:
    """A typed request: the same questions as SQL, without text."""

    dataset: str
    group_by: tuple[str, ...]
    filters: tuple[Comparison, ...]
    statistics: tuple[Statistic, ...]
    rollup: tuple[str, ...] = ()


Request = str | TableRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """A released table and the receipt of its record.

    The schema metadata holds `bandung.member`, `bandung.epoch`, `bandung.policy`, `bandung.noise` (JSON, by name in
    the release), `bandung.columns` (JSON: which of those names each column shows), `bandung.cost` (JSON: what was
    charged, by unit), `bandung.left` (JSON: what the caller's own quotas leave, by unit), `bandung.release` (receipt of
    the first answer to this plan) and `bandung.receipt` (receipt of this one); a ROLLUP has one of each for every
    level, the finest first, with spaces between.
    """

    table: pa.Table
    receipt: Receipt


class Finder(Protocol):
    """Finds the epochs that a principal may see."""

    def find(self, principal: Principal, name: str) -> Epoch | None:
        """Return the dataset's current epoch if the principal may see it."""
        ...


@dataclass(frozen=True, slots=True)
class _Permitted:
    """A statement that an agreement covers: what every later act needs."""

    principal: Principal
    exchange: str
    statement: Statement
    epoch: Epoch
    permit: Permit


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A released table whose record is durable.

    Attributes:
        first: receipt of the entry that released the table; `receipt` is of this answer's own.
    """

    content: bytes
    charged: tuple[Charge, ...]
    first: Receipt
    receipt: Receipt


class QueryDesk:
    """Answers SQL and typed requests alike. Safe for use by several threads at once."""

    def __init__(
        self,
        *,
        member: str,
        finder: Finder,
        agreements: Agreements,
        epochs: Epochs,
        ledger: Ledger,
        secrets: Secrets,
        clock: Clock,
        statements_max: int = 1000,
    ) -> None:
        self._member = member
        self._finder = finder
        self._agreements = agreements
        self._epochs = epochs
        self._ledger = ledger
        self._secrets = secrets
        self._clock = clock
        self._recorder = Recorder(ledger, clock, EventKind.QUERY_REFUSED, EventKind.QUERY_FAILED)
        self._statements = StatementCache(statements_max)

    def describe(
        self,
        principal: Principal,
        request: Request,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Described:
        """Plan and authorise a request without pricing or executing it.

        Args:
            parameters, nano_rho: as for `plan`.

        Raises:
            Refusal: as `plan`.
        """
        with self._recorder.attempt(principal.uri, exchange):
            permitted, plans = self._foreseen(principal, request, exchange, parameters, nano_rho)
            for checked in plans:
                expected_noise(checked, permitted.epoch)
            return Described(_schema(permitted), permitted.statement.parameters)

    def plan(
        self,
        principal: Principal,
        request: Request,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Planned:
        """Plan, authorise and price a request without executing it.

        Args:
            parameters: none yet, or all.
            nano_rho: what a table may spend under a policy with a privacy budget; None for what the policy says.

        Raises:
            Refusal: as `answer` would, as far as that does not need the parameters; on the record.
        """
        with self._recorder.attempt(principal.uri, exchange):
            return self._planned(*self._foreseen(principal, request, exchange, parameters, nano_rho))

    def answer(
        self,
        principal: Principal,
        request: Request,
        parameters: tuple[str, ...],
        exchange: str,
        stop: Stop,
        nano_rho: int | None = None,
    ) -> Answer:
        """Answer a request; the record is durable before this returns.

        Args:
            nano_rho: as for `plan`.

        Raises:
            Refusal: on the record, with the charge kept if execution had begun.
        """
        with self._recorder.attempt(principal.uri, exchange) as attempt:
            permitted = self._permit(principal, request, exchange)
            plans = self._checked(permitted, parameters, nano_rho)
            if permitted.statement.explain:
                return self._explain(permitted, plans)
            if len(plans) > 1:
                afford(_owed(permitted, self._fresh(plans)), self._ledger)
            return self._present(permitted, [self._level(permitted, plan, attempt, stop) for plan in plans])

    def record_refusal(self, principal_uri: str, refusal: Refusal, exchange: str, method: str) -> None:
        """Record a refusal that the server itself decided (method denied, bad handle, too many calls)."""
        body = {"code": refusal.code, "method": method}
        self._ledger.commit(Commit(self._recorder.event(EventKind.CALL_REFUSED, principal_uri, exchange, body)))

    def _foreseen(
        self,
        principal: Principal,
        request: Request,
        exchange: str,
        parameters: tuple[str, ...],
        nano_rho: int | None,
    ) -> tuple[_Permitted, tuple[CheckedPlan, ...]]:
        """A permitted statement, and its plans as soon as the parameters are bound."""
        permitted = self._permit(principal, request, exchange)
        bound = len(parameters) == len(permitted.statement.parameters)
        return permitted, self._checked(permitted, parameters, nano_rho) if bound else ()

    def _permit(self, principal: Principal, request: Request, exchange: str) -> _Permitted:
        def find(name: str) -> Epoch | None:
            return self._finder.find(principal, name)

        def plan() -> tuple[Statement, Epoch]:
            if isinstance(request, str):
                return plan_sql(request, find)
            return plan_table(
                request.dataset, request.group_by, request.filters, request.statistics, find, request.rollup
            )

        statement, epoch = self._statements.get(
            (principal.uri, request), lambda epoch: find(epoch.dataset.name) == epoch, plan
        )
        return _Permitted(principal, exchange, statement, epoch, self._authorised(principal, statement, epoch))

    def _authorised(self, principal: Principal, statement: Statement, epoch: Epoch) -> Permit:
        return authorise(principal, touches(statement, epoch), self._agreements.all(), self._clock.now())

    def _checked(
        self, permitted: _Permitted, parameters: tuple[str, ...], nano_rho: int | None
    ) -> tuple[CheckedPlan, ...]:
        epoch = permitted.epoch
        return tuple(check(plan, epoch) for plan in bind(permitted.statement, epoch, parameters, nano_rho))

    def _planned(self, permitted: _Permitted, plans: tuple[CheckedPlan, ...]) -> Planned:
        statement, epoch, permit = permitted.statement, permitted.epoch, permitted.permit
        fresh, scopes = self._fresh(plans), charges(epoch, permit, None)
        owed = _owed(permitted, fresh)
        afford(owed, self._ledger)
        return Planned(
            schema=_schema(permitted),
            parameters=statement.parameters,
            cost=_by_unit(together([scopes, owed])) if plans else {},
            left=self._left(scopes),
            epoch=epoch.id,
            agreement=permit.agreement,
            agreement_version=permit.agreement_version,
            purpose=permit.purpose,
            policy=kind(epoch.dataset.policy),
            cells=sum(checked.cells for checked in plans) if plans else None,
            bytes_about=bytes_about(plans, len(statement.statistics)) if plans else None,
            released=bool(plans) and not fresh,
            noise=expected_noise(plans[0], epoch) if plans else {},
        )

    def _explain(self, permitted: _Permitted, plans: tuple[CheckedPlan, ...]) -> Answer:
        """Say, on the record, what the statement would give and cost; it spends nothing."""
        planned = self._planned(permitted, plans)
        uri, body = permitted.principal.uri, _body(permitted, plans[0].plan)
        event = self._recorder.event(EventKind.QUERY_EXPLAINED, uri, permitted.exchange, body)
        receipt = self._ledger.commit(Commit(event))
        metadata = {
            "bandung.member": self._member,
            "bandung.epoch": planned.epoch,
            "bandung.policy": planned.policy,
            "bandung.cost": json.dumps(dict.fromkeys(planned.cost, 0)),
            "bandung.left": json.dumps(planned.left),
            "bandung.receipt": receipt.id,
        }
        return Answer(explained(planned).replace_schema_metadata(metadata), receipt)

    def _left(self, scopes: tuple[Charge, ...]) -> dict[str, int]:
        """What may still be spent, by unit: the least that any scope of the caller leaves, not what all have left."""
        left: dict[str, int] = {}
        for charge in (charge for charge in scopes if not charge.shared):
            here = self._ledger.remaining(charge.scope, charge.cap)
            left[charge.unit] = min(here, left.get(charge.unit, here))
        return left

    def _still(self, permitted: _Permitted) -> _Permitted:
        """Look again before an answer is released: what stopped while the source worked must not leave."""
        name = permitted.epoch.dataset.name
        if self._finder.find(permitted.principal, name) is None:
            raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {name}.")
        return replace(permitted, permit=self._authorised(permitted.principal, permitted.statement, permitted.epoch))

    def _fresh(self, plans: tuple[CheckedPlan, ...]) -> tuple[CheckedPlan, ...]:
        """Those of the plans that nobody has asked yet."""
        return tuple(checked for checked in plans if self._ledger.answer(_key(checked.plan)) is None)

    def _level(self, permitted: _Permitted, checked: CheckedPlan, attempt: Attempt, stop: Stop) -> _Recorded:
        """One level of a statement is a table of its own: charged, recorded and kept by itself."""
        stored = self._ledger.answer(_key(checked.plan))
        if stored is not None:
            return self._repeat(permitted, checked.plan, stored)
        try:
            return self._release(permitted, checked, attempt, stop)
        except AlreadyAnswered as simultaneous:
            attempt.settle()
            return self._repeat(permitted, checked.plan, simultaneous.stored)

    def _release(self, permitted: _Permitted, checked: CheckedPlan, attempt: Attempt, stop: Stop) -> _Recorded:
        # What declarations forbid is refused before anything is owed.
        expected_noise(checked, permitted.epoch)
        owed = charges(permitted.epoch, permitted.permit, checked.plan)
        attempt.begin(owed, self._ledger)
        content = _encode(self._execute(permitted.epoch, checked, stop))
        permitted = self._still(permitted)
        body = {**_body(permitted, checked.plan), "answer": hashlib.sha256(content).hexdigest()}
        event = self._recorder.event(EventKind.QUERY_ANSWERED, permitted.principal.uri, permitted.exchange, body)
        stored = StoredAnswer(_key(checked.plan), checked.plan.digest, content)
        receipt = self._ledger.commit(Commit(event, owed, stored))
        attempt.settle()
        return _Recorded(content, owed, receipt, receipt)

    def _repeat(self, permitted: _Permitted, plan: Plan, stored: StoredAnswer) -> _Recorded:
        body = {**_body(permitted, plan), "answer": hashlib.sha256(stored.content).hexdigest()}
        event = self._recorder.event(EventKind.QUERY_REPEATED, permitted.principal.uri, permitted.exchange, body)
        receipt = self._ledger.commit(Commit(event))
        return _Recorded(stored.content, (), stored.receipt or receipt, receipt)

    def _execute(self, epoch: Epoch, checked: CheckedPlan, stop: Stop) -> Release:
        key = self._secrets.dataset_key(epoch.dataset.rows_of)
        return execute(checked, epoch, self._epochs.open(epoch), key, stop)

    def _present(self, permitted: _Permitted, recorded: list[_Recorded]) -> Answer:
        releases = tuple(pa.ipc.open_stream(level.content).read_all() for level in recorded)
        table = present(releases, permitted.statement, permitted.epoch)
        scopes = charges(permitted.epoch, permitted.permit, None)
        metadata = {
            **(releases[0].schema.metadata or {}),
            "bandung.member": self._member,
            "bandung.epoch": permitted.epoch.id,
            "bandung.policy": kind(permitted.epoch.dataset.policy),
            "bandung.columns": json.dumps({o.alias: o.source for o in permitted.statement.presentation.outputs}),
            "bandung.cost": json.dumps(_by_unit(together([scopes, *(level.charged for level in recorded)]))),
            "bandung.left": json.dumps(self._left(scopes)),
            "bandung.release": " ".join(level.first.id for level in recorded),
            "bandung.receipt": " ".join(level.receipt.id for level in recorded),
        }
        return Answer(table.replace_schema_metadata(metadata), recorded[-1].receipt)


def _owed(permitted: _Permitted, plans: tuple[CheckedPlan, ...]) -> tuple[Charge, ...]:
    """What the plans cost together."""
    return together(charges(permitted.epoch, permitted.permit, checked.plan) for checked in plans)


def _key(plan: Plan) -> str:
    return f"plan/{plan.digest}"


def _schema(permitted: _Permitted) -> pa.Schema:
    statement = permitted.statement
    return EXPLAIN_SCHEMA if statement.explain else result_schema(statement, permitted.epoch)


def _by_unit(owed: tuple[Charge, ...]) -> Mapping[str, int]:
    """What is charged, by unit: the same amount goes to every scope of a unit."""
    return {charge.unit: charge.amount for charge in owed}


def _body(permitted: _Permitted, plan: Plan) -> dict[str, object]:
    return {
        "epoch": permitted.epoch.id,
        "plan": plan.digest,
        "group_by": list(plan.group_by),
        "filtered_by": [filter_.column for filter_ in plan.filters],
        "statistics": [statistic.name for statistic in plan.statistics],
        "agreement": permitted.permit.agreement,
        "agreement_version": permitted.permit.agreement_version,
        "purpose": permitted.permit.purpose,
    }


def _encode(release: Release) -> bytes:
    table = release.table.replace_schema_metadata({"bandung.noise": json.dumps(release.noise, sort_keys=True)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
