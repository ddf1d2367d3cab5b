"""What an answer is charged to: one scope for each cap of the dataset's policy, all in the answer's own transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.policy import DifferentialPrivacy, PublishedTables, TableBuilder

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.decision import Permit
    from bandung.gateway.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Tariff:
    """One unit that answers are charged in, and its caps; None where nothing limits that party.

    Attributes:
        scope: of the dataset as a whole, or for a reference period; those of parties stand below it.
        amount: what one answer costs.
    """

    scope: str
    amount: int
    per_dataset: int
    per_agreement: int | None
    per_analyst: int | None

    def charges(self, agreement: str, analyst: str) -> tuple[Charge, ...]:
        """Return the charge of every scope that an answer to this analyst falls under, the widest first."""
        caps = (
            (self.scope, self.per_dataset),
            (f"{self.scope}/agreement/{agreement}", self.per_agreement),
            (f"{self.scope}/{analyst}", self.per_analyst),
        )
        return tuple(Charge(scope, self.amount, cap) for scope, cap in caps if cap is not None)

    def cap(self, scope: str) -> int | None:
        """Return the cap of a scope at or below this tariff's, or None if it is of no party that is named here."""
        party = scope.removeprefix(self.scope).removeprefix("/")
        if not party:
            return self.per_dataset
        if party.startswith("spiffe://"):
            return self.per_analyst
        return self.per_agreement if party.startswith("agreement/") else None


def tariffs(epoch: Epoch, plan: Plan | None) -> tuple[Tariff, ...]:
    """Return what a table of the epoch is charged in; nothing yet if there is no plan.

    No tariff is the epoch's own, since a new epoch may hold the same records: a correction goes on with the accounts of
    what it corrects. Distinct tables are counted for a dataset and its reference period, and so are exposures: each
    statistic of a table is at most one number that a record took part in, whoever the record is, so their total bounds
    every record's exposure. A privacy budget belongs to the dataset whatever its period: the cap of the dataset is the
    promise to respondents, the others share it out.
    Published tables cost nothing: however often they are asked for, they show the same.
    """
    policy = epoch.dataset.policy
    match policy:
        case TableBuilder():
            tables, numbers = (1, len(plan.statistics)) if plan else (0, 0)
            of = epoch.dataset.rows_of_period
            return (
                Tariff(f"tables/{of}", tables, policy.tables_per_dataset, None, policy.tables_per_analyst),
                Tariff(f"exposures/{of}", numbers, policy.exposures_max, None, None),
            )
        case DifferentialPrivacy():
            rho = Tariff(
                f"nano_rho/{epoch.dataset.rows_of}",
                plan.nano_rho if plan else 0,
                policy.nano_rho_per_dataset,
                policy.nano_rho_per_agreement,
                policy.nano_rho_per_analyst,
            )
            return (rho, *_of_open_keys(epoch, policy, plan))
        case PublishedTables():
            return ()


def _of_open_keys(epoch: Epoch, policy: DifferentialPrivacy, plan: Plan | None) -> tuple[Tariff, ...]:
    """A table that finds keys of an open dimension takes a chance that a key of few units is among them."""
    if plan is None:
        amount = 0
    elif epoch.dataset.opened(plan.group_by):
        amount = policy.atto_delta_per_table
    else:
        return ()
    scope = f"atto_delta/{epoch.dataset.rows_of}"
    return (Tariff(scope, amount, policy.atto_delta_per_dataset, None, None),) if policy.atto_delta_per_dataset else ()


def charges(epoch: Epoch, permit: Permit, plan: Plan | None) -> tuple[Charge, ...]:
    """Return the charges of one table, by unit and then the widest scope first; see `tariffs`."""
    return tuple(
        charge for tariff in tariffs(epoch, plan) for charge in tariff.charges(permit.agreement, permit.principal.uri)
    )


def training_tariff(epoch: Epoch) -> Tariff:
    """Return what a training step is charged in, for a dataset and its reference period."""
    rules = epoch.dataset.training
    return Tariff(f"steps/{epoch.dataset.rows_of_period}", 1, rules.steps_per_dataset, None, rules.steps_per_analyst)


def together(several: Iterable[tuple[Charge, ...]]) -> tuple[Charge, ...]:
    """Return the charges of several tables as one for each scope, in the order in which scopes first appear."""
    total: dict[str, Charge] = {}
    for charge in chain.from_iterable(several):
        before = total.get(charge.scope)
        total[charge.scope] = replace(charge, amount=charge.amount + before.amount) if before else charge
    return tuple(total.values())
