"""Answer a question: plan, permit, execute, protect, record; only then hand the answer out."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

import pyarrow as pa

from bandung.connectors.base import SourceError, Stopped
from bandung.gateway.disclosure.table_builder import protect, uncertified
from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.decision import Permit, authorise
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind, Receipt, StoredAnswer
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import CheckedPlan, check, source_query
from bandung.gateway.planning.present import present, result_schema
from bandung.gateway.planning.request import plan_table
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.planning.touches import touches

if TYPE_CHECKING:
    from bandung.connectors.base import Stop
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.party import Principal
    from bandung.gateway.domain.plan import Plan, Statement, Statistic
    from bandung.gateway.service.ports import Agreements, Clock, Epochs, Ledger, Secrets


@dataclass(frozen=True, slots=True)
class TableRequest:
    """A typed request: the same questions as SQL, without text."""

    dataset: str
    group_by: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]
    statistics: tuple[Statistic, ...]


Request = str | TableRequest


@dataclass(frozen=True, slots=True)
class Planned:
    """What a request would give and cost; nothing was executed.

    Attributes:
        schema: of the answer, fields as they will be sent.
        parameters: the column that each placeholder is compared with.
        charge: tables that would be charged: 0 if the answer is already released.
        quota_left: tables left to the caller for this epoch.
    """

    schema: pa.Schema
    parameters: tuple[str, ...]
    charge: int
    quota_left: int
    epoch: str
    agreement: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A released table and the receipt of its record.

    The schema metadata holds `bandung.member`, `bandung.epoch`, `bandung.policy`, `bandung.noise` (JSON),
    `bandung.cost` (JSON: tables charged), `bandung.release` (receipt of the first answer to this plan) and
    `bandung.receipt` (receipt of this one).
    """

    table: pa.Table
    receipt: Receipt


class Finder(Protocol):
    """Finds the epochs that a principal may see."""

    def find(self, principal: Principal, name: str) -> Epoch | None:
        """Return the dataset's current epoch if the principal may see it."""
        ...


@dataclass(frozen=True, slots=True)
class _Prepared:
    statement: Statement
    epoch: Epoch
    permit: Permit


class QueryDesk:
    """Answers SQL and typed requests alike. Safe for use by several threads at once."""

    def __init__(
        self,
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
        self._statements = _StatementCache(statements_max)
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
        self._turns_lock = threading.Lock()

    def plan(self, principal: Principal, request: Request, exchange: str) -> Planned:
        """Plan, authorise and price a request without executing it.

        Raises:
            Refusal: as `answer` would, as far as that does not need the parameters; on the record.
        """
        with self._on_record(principal.uri, exchange):
            prepared = self._prepare(principal, request)
            charges = _charges(prepared, principal)
            released = False
            if not prepared.statement.parameters:
                plan = check(bind(prepared.statement, prepared.epoch, ()), prepared.epoch).plan
                released = self._ledger.answer(_key(plan)) is not None
            return Planned(
                schema=result_schema(prepared.statement, prepared.epoch),
                parameters=prepared.statement.parameters,
                charge=0 if released else 1,
                quota_left=min(self._ledger.remaining(charge.scope, charge.cap) for charge in charges),
                epoch=prepared.epoch.id,
                agreement=prepared.permit.agreement,
            )

    def answer(
        self, principal: Principal, request: Request, parameters: tuple[str, ...], exchange: str, stop: Stop
    ) -> Answer:
        """Answer a request; the record is durable before this returns.

        Raises:
            Refusal: on the record, with the charge kept if execution had begun.
        """
        with self._on_record(principal.uri, exchange) as attempt:
            prepared = self._prepare(principal, request)
            checked = check(bind(prepared.statement, prepared.epoch, parameters), prepared.epoch)
            with self._turn(checked.plan.digest):
                stored = self._ledger.answer(_key(checked.plan))
                if stored is None:
                    return self._release(principal, prepared, checked, attempt, exchange, stop)
                return self._repeat(principal, prepared, checked, stored, exchange)

    def record_refusal(self, principal_uri: str, refusal: Refusal, exchange: str, method: str) -> None:
        """Record a refusal that the server itself decided (method denied, bad handle, too many calls)."""
        body = {"code": refusal.code, "method": method}
        self._ledger.commit(Commit(self._event(EventKind.CALL_REFUSED, principal_uri, exchange, body)))

    def _prepare(self, principal: Principal, request: Request) -> _Prepared:
        agreements = self._agreements.all()
        statement, epoch = self._statements.get(
            (principal.uri, request), lambda: self._parse(principal, request), self._is_current(principal)
        )
        permit = authorise(principal, touches(statement, epoch), agreements, self._clock.now())
        return _Prepared(statement, epoch, permit)

    def _parse(self, principal: Principal, request: Request) -> tuple[Statement, Epoch]:
        def find(name: str) -> Epoch | None:
            return self._finder.find(principal, name)

        if isinstance(request, str):
            return plan_sql(request, find)
        return plan_table(request.dataset, request.group_by, request.filters, request.statistics, find)

    def _is_current(self, principal: Principal) -> Callable[[Epoch], bool]:
        return lambda epoch: self._finder.find(principal, epoch.dataset.name) == epoch

    def _release(
        self,
        principal: Principal,
        prepared: _Prepared,
        checked: CheckedPlan,
        attempt: _Attempt,
        exchange: str,
        stop: Stop,
    ) -> Answer:
        charges = _charges(prepared, principal)
        if any(self._ledger.remaining(charge.scope, charge.cap) < charge.amount for charge in charges):
            raise Refusal(ErrorKind.QUOTA_EXHAUSTED)
        attempt.begin(charges)
        release = self._execute(prepared.epoch, checked, stop)
        content = _encode(release)
        body = {**_body(prepared, checked.plan), "answer": hashlib.sha256(content).hexdigest()}
        digest = checked.plan.digest
        receipt = self._ledger.commit(
            Commit(
                self._event(EventKind.QUERY_ANSWERED, principal.uri, exchange, body),
                charges,
                StoredAnswer(_key(checked.plan), digest, content),
            )
        )
        return self._present(prepared, content, charged=1, first=receipt, receipt=receipt)

    def _repeat(
        self, principal: Principal, prepared: _Prepared, checked: CheckedPlan, stored: StoredAnswer, exchange: str
    ) -> Answer:
        first = stored.receipt
        body = {**_body(prepared, checked.plan), "release": first.id if first else ""}
        receipt = self._ledger.commit(Commit(self._event(EventKind.QUERY_REPEATED, principal.uri, exchange, body)))
        return self._present(prepared, stored.content, charged=0, first=first or receipt, receipt=receipt)

    def _execute(self, epoch: Epoch, checked: CheckedPlan, stop: Stop) -> Release:
        source = self._epochs.open(epoch)
        cells = source.cells(source_query(checked, epoch), stop)
        closer_look = uncertified(checked, epoch, cells)
        contributions = source.contributions(closer_look, stop) if closer_look else None
        return protect(checked, epoch, Raw(cells, contributions), self._secrets.dataset_key(epoch.dataset.name))

    def _present(
        self, prepared: _Prepared, content: bytes, *, charged: int, first: Receipt, receipt: Receipt
    ) -> Answer:
        release = pa.ipc.open_stream(content).read_all()
        table = present(release, prepared.statement, prepared.epoch)
        metadata = {
            **{key.decode(): value.decode() for key, value in (release.schema.metadata or {}).items()},
            "bandung.member": self._member,
            "bandung.epoch": prepared.epoch.id,
            "bandung.policy": "table-builder",
            "bandung.cost": json.dumps({"tables": charged}),
            "bandung.release": first.id,
            "bandung.receipt": receipt.id,
        }
        return Answer(table.replace_schema_metadata(metadata), receipt)

    def _event(self, kind: EventKind, principal_uri: str, exchange: str, body: dict[str, object]) -> Event:
        return Event(kind, self._clock.now(), exchange, principal_uri, body)

    @contextmanager
    def _turn(self, digest: str) -> Iterator[None]:
        """Let one request at a time work on a plan, so that a simultaneous repeat is free as well."""
        with self._turns_lock:
            turn = self._turns.setdefault(digest, _Turn())
        with turn.lock:
            yield

    @contextmanager
    def _on_record(self, principal_uri: str, exchange: str) -> Iterator[_Attempt]:
        """Record whatever goes wrong inside, with the charges of what had begun, before it gets out."""
        attempt = _Attempt()
        try:
            yield attempt
        except Stopped as stopped:
            refusal = Refusal(ErrorKind.CANCELLED)
            self._record_failure(attempt, refusal, principal_uri, exchange)
            raise refusal from stopped
        except SourceError as error:
            refusal = Refusal(ErrorKind.PROTECTED, private=str(error))
            self._record_failure(attempt, refusal, principal_uri, exchange)
            raise refusal from error
        except Refusal as refusal:
            self._record_failure(attempt, refusal, principal_uri, exchange)
            raise
        except Exception:
            self._record_failure(attempt, Refusal(ErrorKind.INTERNAL), principal_uri, exchange)
            raise

    def _record_failure(self, attempt: _Attempt, refusal: Refusal, principal_uri: str, exchange: str) -> None:
        if refusal.kind is ErrorKind.SEALED:
            return
        kind = EventKind.QUERY_FAILED if attempt.charges else EventKind.QUERY_REFUSED
        event = self._event(kind, principal_uri, exchange, {"code": refusal.code})
        charges = () if refusal.kind is ErrorKind.QUOTA_EXHAUSTED else attempt.charges
        self._ledger.commit(Commit(event, charges))


class _Attempt:
    """What a request owes once execution has begun."""

    def __init__(self) -> None:
        self.charges: tuple[Charge, ...] = ()

    def begin(self, charges: tuple[Charge, ...]) -> None:
        self.charges = charges


class _Turn:
    """A lock that a weak dictionary can hold."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class _StatementCache:
    """Parsed statements by (principal, request); the oldest goes first."""

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, Request], tuple[Statement, Epoch]] = {}

    def get(
        self,
        key: tuple[str, Request],
        parse: Callable[[], tuple[Statement, Epoch]],
        is_current: Callable[[Epoch], bool],
    ) -> tuple[Statement, Epoch]:
        found = self._entries.get(key)
        if found is not None and is_current(found[1]):
            return found
        parsed = parse()
        with self._lock:
            self._entries.pop(key, None)
            if len(self._entries) >= self._entries_max:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = parsed
        return parsed


def _key(plan: Plan) -> str:
    return f"plan/{plan.digest}"


def _charges(prepared: _Prepared, principal: Principal) -> tuple[Charge, ...]:
    policy = prepared.epoch.dataset.policy
    scope = f"tables/{prepared.epoch.id}"
    return (
        Charge(scope, 1, policy.tables_per_dataset),
        Charge(f"{scope}/{principal.uri}", 1, policy.tables_per_analyst),
    )


def _body(prepared: _Prepared, plan: Plan) -> dict[str, object]:
    return {
        "epoch": prepared.epoch.id,
        "plan": plan.digest,
        "group_by": list(plan.group_by),
        "filtered_by": [filter_.column for filter_ in plan.filters],
        "statistics": [statistic.name for statistic in plan.statistics],
        "agreement": prepared.permit.agreement,
        "agreement_version": prepared.permit.agreement_version,
        "purpose": prepared.permit.purpose,
    }


def _encode(release: Release) -> bytes:
    table = release.table.replace_schema_metadata({"bandung.noise": json.dumps(release.noise, sort_keys=True)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
