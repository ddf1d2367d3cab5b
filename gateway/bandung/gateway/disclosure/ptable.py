"""Perturbation tables: how the count of a cell may change, as published distributions.

The table of the `table-builder` policy is the distribution of maximum entropy among those that hold what is declared:
the change lies in -D..D, has mean zero and variance V, and no result is negative or in 1..js. Marley and Leaver, "A
method for confidentialising user-defined tables: statistical properties and a risk-utility analysis", ISI 2011;
Giessing, "Computational issues in the design of transition probabilities and disclosure risk estimation for additive
noise", Privacy in Statistical Databases 2016.

Where no distribution of variance V exists for a count, its variance is the nearest one that does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Probabilities = NDArray[np.float64]

_STEPS_MAX: Final = 200
_PRECISION: Final = 1e-12


class PerturbationTable:
    """The changes of counts under (D, V, js). Immutable; safe for use by several threads at once.

    Args:
        noise_max: D, the largest change.
        variance: V of the change.
        js: no changed count lies in 1..js.
    """

    def __init__(self, noise_max: int, variance: float, js: int) -> None:
        self.noise_max = noise_max
        self.variance = variance
        self.js = js

    @property
    def stable_from(self) -> int:
        """The count from which on every count has the same distribution."""
        return self.noise_max + self.js + 1

    def row(self, count: int) -> Probabilities:
        """Return the probabilities of the changes -D..D of a count of at least 1.

        Raises:
            ValueError: no unbiased change of this count exists. It always does above js.
        """
        return _row(self.noise_max, self.variance, self.js, min(count, self.stable_from))

    def changes(self, counts: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the change of each count, by the inverse of its cumulative distribution at a number in [0, 1)."""
        capped = np.minimum(counts, self.stable_from)
        changes = np.zeros(len(counts), dtype=np.int64)
        for count in np.unique(capped):
            mine = capped == count
            steps = np.cumsum(self.row(int(count)))[:-1]
            changes[mine] = np.searchsorted(steps, uniforms[mine], side="right") - self.noise_max
        return changes


@lru_cache(maxsize=4096)
def _row(noise_max: int, variance: float, js: int, count: int) -> Probabilities:
    changes = np.arange(-noise_max, noise_max + 1)
    results = changes + count
    allowed = (results >= 0) & ~((results >= 1) & (results <= js))
    row = np.zeros(len(changes))
    row[allowed] = _distribution(changes[allowed].astype(np.float64), variance)
    row.flags.writeable = False
    return row


def _distribution(support: Probabilities, variance: float) -> Probabilities:
    """Return the distribution of maximum entropy with mean zero and the variance nearest to the wished one."""
    below, above = support[support <= 0], support[support >= 0]
    if not len(below) or not len(above):
        raise ValueError("no unbiased change exists")
    narrow, wide = (float(below[-1]), float(above[0])), (float(below[0]), float(above[-1]))
    if variance <= -narrow[0] * narrow[1] + _PRECISION:
        return _two_points(support, *narrow)
    if variance >= -wide[0] * wide[1] - _PRECISION:
        return _two_points(support, *wide)
    return _newton(support, variance)


def _two_points(support: Probabilities, low: float, high: float) -> Probabilities:
    """Return the only distribution with mean zero on two points, or on zero alone."""
    row = np.zeros(len(support))
    if low == high == 0 or low == 0 or high == 0:
        row[support == 0] = 1.0
    else:
        row[support == low] = high / (high - low)
        row[support == high] = -low / (high - low)
    return row


def _newton(support: Probabilities, variance: float) -> Probabilities:
    """Solve the dual of maximum entropy: p is exp(a v + b v^2) up to scale, with the wished moments.

    The dual is convex, so damped Newton steps reach its one minimum (Boyd and Vandenberghe, Convex Optimization, 9.5).
    """
    features = np.stack([support, support**2])
    wished = np.array([0.0, variance])
    at = np.zeros(2)
    value, row = _dual(features, wished, at)
    for _ in range(_STEPS_MAX):
        gap = features @ row - wished
        if np.abs(gap).max() < _PRECISION:
            break
        centred = features - (features @ row)[:, None]
        step = np.linalg.solve((centred * row) @ centred.T, gap)
        size = 1.0
        while size > _PRECISION and _dual(features, wished, at - size * step)[0] > value - 0.25 * size * (gap @ step):
            size /= 2
        at = at - size * step
        value, row = _dual(features, wished, at)
    return row


def _dual(features: Probabilities, wished: Probabilities, at: Probabilities) -> tuple[float, Probabilities]:
    exponents = at @ features
    top = exponents.max()
    weights = np.exp(exponents - top)
    return float(np.log(weights.sum()) + top - at @ wished), weights / weights.sum()
