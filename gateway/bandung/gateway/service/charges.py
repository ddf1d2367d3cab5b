"""What an answer is charged to: one scope for each cap of the dataset's policy, all in the answer's own transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.policy import DifferentialPrivacy, TableBuilder

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.decision import Permit
    from bandung.gateway.domain.plan import Plan


def charges(epoch: Epoch, permit: Permit, plan: Plan | None) -> tuple[Charge, ...]:
    """Return the charges of one table, the widest scope first; of nothing yet if there is no plan.

    Distinct tables are counted for each epoch. A privacy budget belongs to the dataset whatever its epoch, since a new
    epoch may hold the same records: the cap of the dataset is the promise to respondents, the others share it out.
    """
    analyst, policy = permit.principal.uri, epoch.dataset.policy
    tables, nano_rho = (1, plan.nano_rho) if plan else (0, 0)
    match policy:
        case TableBuilder():
            scope = f"tables/{epoch.id}"
            return (
                Charge(scope, tables, policy.tables_per_dataset),
                Charge(f"{scope}/{analyst}", tables, policy.tables_per_analyst),
            )
        case DifferentialPrivacy():
            scope = f"nano_rho/{epoch.dataset.name}"
            return (
                Charge(scope, nano_rho, policy.nano_rho_per_dataset),
                Charge(f"{scope}/agreement/{permit.agreement}", nano_rho, policy.nano_rho_per_agreement),
                Charge(f"{scope}/{analyst}", nano_rho, policy.nano_rho_per_analyst),
            )


def together(several: Iterable[tuple[Charge, ...]]) -> tuple[Charge, ...]:
    """Return the charges of several tables as one for each scope, in the order in which scopes first appear."""
    total: dict[str, Charge] = {}
    for charge in chain.from_iterable(several):
        before = total.get(charge.scope)
        total[charge.scope] = replace(charge, amount=charge.amount + before.amount) if before else charge
    return tuple(total.values())
