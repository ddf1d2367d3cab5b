"""A statement and its parameters to a canonical plan."""

from __future__ import annotations

from bandung.connectors.base import Among
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Placeholder, Plan, Statement
from bandung.gateway.domain.policy import DifferentialPrivacy, Policy
from bandung.gateway.planning import resolve


def bind(statement: Statement, epoch: Epoch, parameters: tuple[str, ...], nano_rho: int | None = None) -> Plan:
    """Return the plan: sorted, without duplicates, the same for every way to write the same table.

    Args:
        nano_rho: what the table may spend under a policy with a privacy budget; None for what the policy says.

    Raises:
        Refusal: BAD_PARAMETER for a wrong number of parameters; UNKNOWN_CODE for a value outside the code list;
            BAD_REQUEST for two different codes of one column, a table that is empty whatever the data.
    """
    if len(parameters) != len(statement.parameters):
        raise Refusal(ErrorKind.BAD_PARAMETER, f"{len(statement.parameters)} wanted, {len(parameters)} given.")
    for name, value in zip(statement.parameters, parameters, strict=True):
        resolve.code(value, resolve.dimension(name, epoch.dataset))
    filters = {
        Among(name, (parameters[value.index] if isinstance(value, Placeholder) else value,))
        for name, value in statement.filters
    }
    if len({filter_.column for filter_ in filters}) < len(filters):
        raise Refusal(ErrorKind.BAD_REQUEST, "A column is compared with two different codes; no record has both.")
    return Plan(
        epoch=statement.epoch,
        group_by=tuple(sorted(set(statement.group_by))),
        filters=tuple(sorted(filters)),
        statistics=tuple(sorted(set(statement.statistics))),
        nano_rho=_nano_rho(epoch.dataset.policy, nano_rho),
    )


def _nano_rho(policy: Policy, asked: int | None) -> int:
    """What the table spends; what is asked for means nothing where no budget is kept."""
    if not isinstance(policy, DifferentialPrivacy):
        return 0
    return policy.nano_rho_per_table if asked is None else asked
