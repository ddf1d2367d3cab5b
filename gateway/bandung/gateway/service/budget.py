"""What has been spent of each quota and budget: one's own for an analyst, everything for the country's staff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bandung.gateway.disclosure.privacy_budget import epsilon
from bandung.gateway.domain.budget import Account
from bandung.gateway.domain.decision import names
from bandung.gateway.domain.party import STAFF, Principal
from bandung.gateway.domain.policy import DifferentialPrivacy, kind
from bandung.gateway.service.charges import Tariff, tariffs, training_tariff

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.service.ports import Agreements, Ledger


@dataclass(frozen=True, slots=True)
class DatasetBudget:
    """A dataset's accounts, as far as the caller may see them, by unit and then the widest scope first.

    Attributes:
        policy: public name of the release policy.
    """

    epoch: str
    policy: str
    accounts: tuple[Account, ...]


class Open(Protocol):
    """Lists the epochs that a principal may see."""

    def open_to(self, principal: Principal) -> tuple[Epoch, ...]:
        """Return the current epochs that the principal may see, by dataset name."""
        ...


class BudgetDesk:
    """Shows quotas and budgets. Safe for use by several threads at once."""

    def __init__(self, trust_domain: str, catalogue: Open, agreements: Agreements, ledger: Ledger) -> None:
        self._trust_domain = trust_domain
        self._catalogue = catalogue
        self._agreements = agreements
        self._ledger = ledger

    def show(self, principal: Principal) -> tuple[DatasetBudget, ...]:
        """Return the budgets of every dataset that the principal may see.

        What others have spent, and so what the dataset as a whole has left, is for the country's own staff.
        """
        at_home = principal.trust_domain == self._trust_domain and principal.role in STAFF
        found: list[DatasetBudget] = []
        for epoch in self._catalogue.open_to(principal):
            accounts = self._all(epoch) if at_home else self._own(epoch, principal)
            found.append(DatasetBudget(epoch.id, kind(epoch.dataset.policy), tuple(accounts)))
        return tuple(found)

    def _all(self, epoch: Epoch) -> Iterator[Account]:
        for tariff in _every(epoch):
            spent = {tariff.scope: 0, **self._ledger.spent_under(tariff.scope)}
            for scope, amount in spent.items():
                cap = tariff.cap(scope)
                if cap is not None:
                    yield _account(epoch, scope, amount, cap)

    def _own(self, epoch: Epoch, principal: Principal) -> Iterator[Account]:
        mine = [a.id for a in self._agreements.all() if names(a, principal)]
        for tariff in _every(epoch):
            scopes = dict.fromkeys(charge for id_ in mine for charge in tariff.charges(id_, principal.uri))
            for charge in scopes:
                if charge.scope != tariff.scope:
                    left = self._ledger.remaining(charge.scope, charge.cap)
                    yield _account(epoch, charge.scope, charge.cap - left, charge.cap)


def _account(epoch: Epoch, scope: str, spent: int, cap: int) -> Account:
    policy = epoch.dataset.policy
    if not isinstance(policy, DifferentialPrivacy) or not scope.startswith("nano_rho/"):
        return Account(scope, spent, cap)
    return Account(scope, spent, cap, epsilon(spent, policy.delta) if spent else 0.0, epsilon(cap, policy.delta))


def _every(epoch: Epoch) -> tuple[Tariff, ...]:
    training = (training_tariff(epoch),) if epoch.dataset.training.allowed else ()
    return (*tariffs(epoch, None), *training)
