"""Charges against quotas: integer amounts in scopes with a cap, never refunded."""

from __future__ import annotations

from dataclasses import dataclass


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
