"""Charges against quotas: integer amounts in scopes with a cap, never refunded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bandung.gateway.domain.errors import ErrorKind, Refusal

FRACTIONS: Final = {"nano_rho": ("rho", 10**9), "atto_delta": ("delta", 10**18)}
"""Units that are whole parts of something: of what, and how many make one."""


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount to be taken from a scope, if its cap allows.

    Attributes:
        scope: what is limited, for instance `tables/family_planning:1987/spiffe://idn.example/analyst/ani`.
        amount: in the scope's own whole unit (tables, steps).
        cap: most that the scope may ever be charged in all.
    """

    scope: str
    amount: int
    cap: int

    @property
    def unit(self) -> str:
        """What is counted: the first part of the scope (`tables`, `steps`, `nano_rho`)."""
        return self.scope.partition("/")[0]

    @property
    def shared(self) -> bool:
        """Whether the scope is the dataset's as a whole, of no agreement and no principal."""
        return self.scope.count("/") == 1

    def over_cap(self, left: int | None = None) -> Refusal:
        """Return the refusal QUOTA_EXHAUSTED of this charge.

        Args:
            left: what the scope may still be charged, where that is known.
        """
        # What others have spent is for the country's staff.
        rest = "of " if left is None or self.shared else f"{_number(self.unit, left)} left of "
        detail = f"{self.scope}: {spoken(self.unit, self.amount)} to pay, {rest}{_number(self.unit, self.cap)} in all"
        remedy = "Ask for the table with less rho; tables answered before stay free."
        return Refusal(ErrorKind.QUOTA_EXHAUSTED, detail, remedy=remedy if left and self.unit == "nano_rho" else None)


@dataclass(frozen=True, slots=True)
class Account:
    """What a scope may be charged in all, and has been.

    Attributes:
        spent: in the scope's own whole unit.
        epsilon_spent, epsilon_cap: the same as (ε, δ) at the policy's δ, for a privacy budget; else None.
    """

    scope: str
    spent: int
    cap: int
    epsilon_spent: float | None = None
    epsilon_cap: float | None = None

    @property
    def left(self) -> int:
        """What may still be charged."""
        return max(0, self.cap - self.spent)


def spoken(unit: str, amount: int) -> str:
    """Return an amount as people say it: `3 tables`, `0.001 of rho`, `1e-12 of delta`."""
    if unit in FRACTIONS:
        return f"{_number(unit, amount)} of {FRACTIONS[unit][0]}"
    return f"{_number(unit, amount)} {unit[:-1] if amount == 1 and unit.endswith('s') else unit}"


def _number(unit: str, amount: int) -> str:
    return f"{amount / FRACTIONS[unit][1]:.9g}" if unit in FRACTIONS else f"{amount:,}"
