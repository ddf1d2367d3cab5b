"""Ask every country at once. Whoever refuses or is away says so in the result; the others still answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

from bandung.federation.domain.study import Answered, Declined, Outcome, Unreachable
from bandung.gateway.client import GatewayClient, GatewayError, Identity

if TYPE_CHECKING:
    from bandung.federation.domain.member import Member
    from bandung.gateway.client.values import Budget, Dataset, Plan, Result

_AT_ONCE_MAX = 32
T = TypeVar("T")


class Gateway(Protocol):
    """What is asked of a gateway's client."""

    def query(self, sql: str, parameters: Sequence[str], nano_rho: int, /) -> Result:
        """Answer one SQL statement."""
        ...

    def plan(self, sql: str, parameters: Sequence[str], nano_rho: int, /) -> Plan:
        """Return what a statement would give and cost."""
        ...

    def budgets(self) -> tuple[Budget, ...]:
        """Return what was spent of quotas and budgets."""
        ...

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the datasets that are open to the caller."""
        ...


Connect = Callable[["Member"], AbstractContextManager[Gateway]]


def connect(member: Member) -> GatewayClient:
    """Open a connection to a member's gateway.

    Raises:
        OSError: the identity's files cannot be read.
    """
    return GatewayClient(member.address, Identity(member.ca, member.certificate, member.key))


def unreached(member: Member, error: GatewayError) -> str:
    """Return why a member's gateway was not reached, in words, and what to check; see `GatewayError.refused`."""
    if "CERTIFICATE_VERIFY_FAILED" in error.message:
        return (
            f"What answers at {member.address} has no certificate under {member.ca}."
            " Check `address` and `ca` in the members file."
        )
    if error.status == "UNAVAILABLE":
        return (
            f"{member.address} does not answer. Check `address` in the members file, that the gateway runs there,"
            f" and that it admits {member.certificate}."
        )
    return f"{member.address} did not answer in time." if error.status == "DEADLINE_EXCEEDED" else error.message


def ask(
    members: Sequence[Member],
    sql: str,
    parameters: Sequence[str] = (),
    on_progress: Callable[[Outcome], None] = lambda _: None,
    connect: Connect = connect,
    nano_rho: int = 0,
) -> tuple[Outcome, ...]:
    """Ask every member the same question at the same time, and return what came of it in the members' order.

    Args:
        parameters: codes for the statement's placeholders, in order.
        on_progress: called in the caller's thread with each outcome as it comes.
        nano_rho: what the table may spend where a privacy budget is kept, in 10^-9 of rho; 0 for what the policy says.
    """

    def one(member: Member) -> Outcome:
        began = monotonic()
        with connect(member) as gateway:
            return _answered(member, gateway.query(sql, parameters, nano_rho), monotonic() - began)

    return _each(members, one, on_progress)


def plans(
    members: Sequence[Member], sql: str, parameters: Sequence[str] = (), nano_rho: int = 0, connect: Connect = connect
) -> tuple[Plan | Declined | Unreachable, ...]:
    """Ask every member what the question would give and cost, in the members' order; nothing is spent."""

    def one(member: Member) -> Plan:
        with connect(member) as gateway:
            return gateway.plan(sql, parameters, nano_rho)

    return _each(members, one, lambda _: None)


def budgets(
    members: Sequence[Member], connect: Connect = connect
) -> tuple[tuple[Budget, ...] | Declined | Unreachable, ...]:
    """Ask every member what was spent of quotas and budgets, in the members' order."""

    def one(member: Member) -> tuple[Budget, ...]:
        with connect(member) as gateway:
            return gateway.budgets()

    return _each(members, one, lambda _: None)


def catalogues(
    members: Sequence[Member], connect: Connect = connect
) -> tuple[tuple[Dataset, ...] | Declined | Unreachable, ...]:
    """Ask every member for the datasets that are open to the caller, in the members' order."""

    def one(member: Member) -> tuple[Dataset, ...]:
        with connect(member) as gateway:
            return gateway.datasets()

    return _each(members, one, lambda _: None)


def _each(
    members: Sequence[Member],
    act: Callable[[Member], T],
    on_progress: Callable[[T | Declined | Unreachable], None],
) -> tuple[T | Declined | Unreachable, ...]:
    if not members:
        return ()
    with ThreadPoolExecutor(min(len(members), _AT_ONCE_MAX), "ask") as pool:
        futures = {pool.submit(_attempt, member, act): member.id for member in members}
        outcomes: dict[str, T | Declined | Unreachable] = {}
        for future in as_completed(futures):
            outcomes[futures[future]] = future.result()
            on_progress(outcomes[futures[future]])
    return tuple(outcomes[member.id] for member in members)


def _attempt(member: Member, act: Callable[[Member], T]) -> T | Declined | Unreachable:
    try:
        return act(member)
    except GatewayError as error:
        if error.refused:
            return Declined(member.id, error.code, error.message)
        return Unreachable(member.id, unreached(member, error))
    except OSError as error:
        return Unreachable(member.id, f"The identity's files cannot be used: {error}")


def _answered(member: Member, result: Result, seconds: float) -> Answered | Unreachable:
    columns: dict[str, str] = json.loads((result.table.schema.metadata or {}).get(b"bandung.columns", b"{}"))
    answer = Answered(
        member.id,
        result.table,
        result.noise,
        columns,
        result.epoch,
        result.policy,
        result.receipt,
        result.bytes_received,
        seconds,
    )
    if unstated := [name for name in answer.statistics if not answer.states_noise(name)]:
        return Unreachable(member.id, f"The answer does not state the noise on {', '.join(unstated)}.")
    return answer
