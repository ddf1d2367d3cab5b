"""A statement and its parameters to canonical plans."""

from __future__ import annotations

from dataclasses import replace

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Comparison, Placeholder, Plan, Statement
from bandung.gateway.domain.policy import DifferentialPrivacy, Policy
from bandung.gateway.planning.conditions import conditions


def bind(
    statement: Statement, epoch: Epoch, parameters: tuple[str, ...], nano_rho: int | None = None
) -> tuple[Plan, ...]:
    """Return a plan for each level, the finest first: the same for every way to write the same table.

    Args:
        nano_rho: what each table may spend under a policy with a privacy budget; None for what the policy says.

    Raises:
        Refusal: BAD_PARAMETER for a wrong number of parameters; UNKNOWN_CODE for a value that its column is not
            declared to have; BAD_REQUEST for a table that is empty whatever the data.
    """
    if len(parameters) != len(statement.parameters):
        raise Refusal(ErrorKind.BAD_PARAMETER, f"{len(statement.parameters)} wanted, {len(parameters)} given.")
    filters = conditions((_given(held, parameters) for held in statement.filters), epoch.dataset)
    statistics = tuple(sorted(set(statement.statistics)))
    spent = _nano_rho(epoch.dataset.policy, nano_rho)
    return tuple(
        Plan(statement.epoch, tuple(sorted(set(level))), filters, statistics, spent) for level in statement.levels
    )


def _given(held: Comparison, parameters: tuple[str, ...]) -> Comparison:
    values = (parameters[value.index] if isinstance(value, Placeholder) else value for value in held.values)
    return replace(held, values=tuple(values))


def _nano_rho(policy: Policy, asked: int | None) -> int:
    """What the table spends; what is asked for means nothing where no budget is kept."""
    if not isinstance(policy, DifferentialPrivacy):
        return 0
    return policy.nano_rho_per_table if asked is None else asked
