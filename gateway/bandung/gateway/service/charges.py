"""What an answer is charged to: one scope for each cap of the dataset's policy, all in the answer's own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.policy import DifferentialPrivacy, TableBuilder

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.decision import Permit


def charges(epoch: Epoch, permit: Permit, nano_rho: int) -> tuple[Charge, ...]:
    """Return the charges of one table, the widest scope first.

    Distinct tables are counted for each epoch. A privacy budget belongs to the dataset whatever its epoch, since a new
    epoch may hold the same records: the cap of the dataset is the promise to respondents, the others share it out.

    Args:
        nano_rho: what the table spends, under a policy with a privacy budget.
    """
    analyst, policy = permit.principal.uri, epoch.dataset.policy
    match policy:
        case TableBuilder():
            scope = f"tables/{epoch.id}"
            return (
                Charge(scope, 1, policy.tables_per_dataset),
                Charge(f"{scope}/{analyst}", 1, policy.tables_per_analyst),
            )
        case DifferentialPrivacy():
            scope = f"nano_rho/{epoch.dataset.name}"
            return (
                Charge(scope, nano_rho, policy.nano_rho_per_dataset),
                Charge(f"{scope}/agreement/{permit.agreement}", nano_rho, policy.nano_rho_per_agreement),
                Charge(f"{scope}/{analyst}", nano_rho, policy.nano_rho_per_analyst),
            )
