"""Perturbation tables: for each count, the distribution of its change.

The distribution of greatest entropy among those with zero mean, variance V, no change beyond D, no result below
zero and none in 1..js (Marley and Leaver, ISI World Statistics Congress, 2011; Giessing, Privacy in Statistical
Databases 2016). Entropy is maximised by p(v) proportional to exp(a v + b v^2), the two multipliers being found by
Newton's method on the convex dual.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isclose
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEWTON_STEPS_MAX = 200
_MARGIN = 1e-3
"""Share of the feasible range of variances that is kept as distance from its ends, where a multiplier is infinite."""


@dataclass(frozen=True, slots=True, eq=False)
class PTable:
    """A perturbation table.

    Attributes:
        changes: -D to D.
        probabilities: row i is the distribution of the change of a count i; the last row serves all larger counts.
    """

    changes: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def perturb(self, counts: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the perturbed counts: each count's distribution inverted at its number in [0, 1)."""
        rows = np.minimum(counts, len(self.probabilities) - 1)
        cumulative = np.cumsum(self.probabilities, axis=1)[rows]
        choice = (uniform[:, None] >= cumulative[:, :-1]).sum(axis=1)
        return counts + self.changes[choice]

    def variance(self, least: int, declared: float) -> float:
        """Return the largest variance of the change of a count of at least `least`: the declared one if attained."""
        rows = self.probabilities[min(least, len(self.probabilities) - 1) :]
        largest = float((rows @ self.changes.astype(np.float64) ** 2).max())
        return declared if isclose(largest, declared, rel_tol=1e-6) else largest


@lru_cache(maxsize=32)
def maximum_entropy(noise_max: int, noise_variance: float, noise_js: int) -> PTable:
    """Return the table of greatest entropy for D = noise_max, V = noise_variance and js = noise_js.

    A count of zero stays zero. Where a small count leaves no room for V, its variance is the nearest that it does
    leave room for.

    Raises:
        ValueError: no unbiased distribution exists for some count.
    """
    changes = np.arange(-noise_max, noise_max + 1)
    rows = [np.where(changes == 0, 1.0, 0.0)]
    for count in range(1, noise_max + noise_js + 2):
        results = count + changes
        support = changes[(results >= 0) & ((results == 0) | (results > noise_js))]
        row = np.zeros(len(changes))
        row[support + noise_max] = _distribution(support.astype(np.float64), noise_variance)
        rows.append(row)
    return PTable(changes, np.array(rows))


def _distribution(support: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    low, high = _variances(support)
    margin = _MARGIN * (high - low)
    target = np.array([0.0, min(max(variance, low + margin), high - margin)])
    moments = np.stack((support, support**2))
    multipliers = np.zeros(2)
    for _ in range(_NEWTON_STEPS_MAX):
        weights = _weights(multipliers, moments)
        gradient = moments @ weights - target
        if np.abs(gradient).max() < 1e-13:
            break
        centred = moments - (moments @ weights)[:, None]
        step = np.linalg.solve((centred * weights) @ centred.T, gradient).astype(np.float64)
        multipliers = _line_search(multipliers, step, gradient, moments, target)
    return _weights(multipliers, moments)


def _line_search(
    multipliers: NDArray[np.float64],
    step: NDArray[np.float64],
    gradient: NDArray[np.float64],
    moments: NDArray[np.float64],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Halve the Newton step until the dual falls enough (Armijo's rule)."""
    now = _dual(multipliers, moments, target)
    size = 1.0
    while size > 1e-10 and _dual(multipliers - size * step, moments, target) > now - 1e-4 * size * (gradient @ step):
        size /= 2
    return multipliers - size * step


def _dual(multipliers: NDArray[np.float64], moments: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    exponents = multipliers @ moments
    top = exponents.max()
    return float(top + np.log(np.exp(exponents - top).sum()) - multipliers @ target)


def _weights(multipliers: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents = multipliers @ moments
    weights = np.exp(exponents - exponents.max())
    return weights / weights.sum()


def _variances(support: NDArray[np.float64]) -> tuple[float, float]:
    """The least and greatest variance of a distribution with zero mean on the support.

    With mean zero fixed, the variance of a two-point distribution on v < 0 < w is -v w; the least comes from the
    points next to zero (or from zero itself), the greatest from the outermost ones.
    """
    below, above = support[support < 0], support[support > 0]
    if not (below.size and above.size):
        raise ValueError("no unbiased perturbation exists: raise D or lower js")
    least = 0.0 if (support == 0).any() else -below.max() * above.min()
    return float(least), float(-below.min() * above.max())
