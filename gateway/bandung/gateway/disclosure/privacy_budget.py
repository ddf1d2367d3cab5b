"""Privacy budgets: whole nano-rho of zero-concentrated differential privacy (zCDP), and what they mean as (ε, δ).

rho adds up over tables (Bun and Steinke, arXiv:1605.02065, lemma 1.7), so budgets are spent by adding whole numbers.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf, nextafter, sqrt
from typing import Final

from opendp.combinators import make_zCDP_to_approxDP
from opendp.domains import atom_domain
from opendp.measurements import make_gaussian
from opendp.metrics import absolute_distance
from opendp.mod import enable_features

# OpenDP wants to be told that its constructors may be used before its own review of all their proofs is complete.
enable_features("contrib")

NANO: Final = 10**9


def rho(nano_rho: int) -> Fraction:
    """Return a budget as exact rho."""
    return Fraction(nano_rho, NANO)


def shares(nano_rho: int, parts: int) -> tuple[int, ...]:
    """Split a budget into parts that differ by at most one nano-rho and add up to exactly the budget.

    Raises:
        ValueError: there are more parts than nano-rho, or none.
    """
    if not 0 < parts <= nano_rho:
        raise ValueError(f"{nano_rho} nano-rho cannot be split into {parts} parts")
    each, left = divmod(nano_rho, parts)
    return tuple(each + (part < left) for part in range(parts))


def pure_epsilon(nano_rho: int) -> float:
    """Return the largest ε in double precision such that ε-differential privacy costs no more than this budget.

    It costs ε²/2 of rho (Bun and Steinke, proposition 1.4).
    """
    epsilon = sqrt(2 * nano_rho / NANO)
    while Fraction(epsilon) ** 2 / 2 > rho(nano_rho):
        epsilon = nextafter(epsilon, 0)
    return epsilon


def epsilon(nano_rho: int, delta: float) -> float:
    """Return ε such that spending this budget is (ε, δ)-differentially private, by OpenDP's tight conversion.

    The conversion minimises over all orders of Rényi divergence (Canonne, Kamath and Steinke, arXiv:2004.00010,
    corollary 13). Infinite for delta 0.
    """
    if nano_rho == 0:
        return 0.0
    # Gaussian noise of scale 1 on a number that changes by d costs d²/2.
    space = atom_domain(T="f64", nan=False), absolute_distance(T="f64")
    curve = make_zCDP_to_approxDP(make_gaussian(*space, scale=1.0))
    change = nextafter(sqrt(2 * nano_rho / NANO), inf)
    return float(curve.map(change).epsilon(delta))


def nano_rho_within(epsilon_max: float, delta: float) -> int:
    """Return the largest budget whose ε at this delta is at most `epsilon_max`; 0 if even one nano-rho has a larger."""
    low, high = 0, 1
    while epsilon(high, delta) <= epsilon_max:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon(middle, delta) <= epsilon_max else (low, middle)
    return low
