"""Integer noise of OpenDP, as much as a share of a privacy budget asks for, confirmed by OpenDP before it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, frexp, inf, isqrt, ldexp, log, nextafter, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from opendp.domains import atom_domain, map_domain, vector_domain
from opendp.measurements import make_gaussian, make_gaussian_threshold, make_laplace, make_laplace_threshold
from opendp.metrics import absolute_distance, l01inf_distance, l02inf_distance, l1_distance, l2_distance

from bandung.gateway.disclosure.privacy_budget import pure_epsilon, rho
from bandung.gateway.domain.noise import NORMAL_95
from bandung.gateway.domain.policy import Mechanism

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIT_BITS: Final = 40
"""Sensitivities beyond 2^40 are counted in coarser steps: noise of the smallest share then stays below 2^56."""

_SCALE_BITS: Final = 16
"""Scales are rounded up to as many binary digits, by at most 2^-14 of themselves: drawing is twice as fast."""

_NOISES_KEPT: Final = 256
"""A table asks for each of its noises several times, from dry run to release; to confirm one takes 0.3 ms."""

_PART: Final = 400
"""Numbers that one thread draws at a time, in 2 to 4 ms."""

_HELPERS: Final = ThreadPoolExecutor(thread_name_prefix="noise")
"""OpenDP draws on one processor, without holding Python's lock. Threads are kept: new ones often begin their work on
the processor of the one that started them."""

_HALF_WIDTH: Final = {Mechanism.GAUSSIAN: NORMAL_95, Mechanism.LAPLACE: log(20) / sqrt(2)}
"""95 % of a distribution lie within as many standard deviations; those of sums of Laplace variables within fewer."""


class Unconfirmed(Exception):
    """OpenDP's own account of a noise is above the share that it was made for; nothing was drawn."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How far one unit with all of its rows can move the integers of a table.

    Attributes:
        total: most that they can change in sum (L1).
        squared: most that the squares of their changes can sum to (the square of L2).
        places: most integers that can change.
    """

    total: int
    squared: int
    places: int

    def in_steps_of(self, grid: int) -> Sensitivity:
        """Return the sensitivity of the integers divided by `grid` and rounded down.

        A change of d becomes at most ceil(d / grid), that is, less than d / grid + 1 at each place.
        """
        if grid == 1:
            return self
        total = self.total // grid + 1 + self.places
        return Sensitivity(total, total**2, self.places)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Noise for the integers of one kind in a table.

    Attributes:
        scale: of the distribution, in steps of `grid`.
        grid: the integers are counted in steps of this, rounded down; 1 unless they are huge.
        measurement: OpenDP's, of a vector of such steps.
    """

    mechanism: Mechanism
    scale: float
    grid: int
    measurement: Any

    @property
    def standard_error(self) -> float:
        """Standard deviation in the integers' own unit; a discrete Gaussian's is at most its scale."""
        return self.scale * self.grid * (sqrt(2) if self.mechanism is Mechanism.LAPLACE else 1.0)

    def draw(self, count: int) -> Draws:
        """Begin to draw fresh noise for so many integers, in other threads."""
        return Draws(self, count)


class Draws:
    """Noise of independent integers, being drawn by other threads while the caller does something else."""

    def __init__(self, noise: Noise, count: int) -> None:
        self._grid = noise.grid
        self._measure = noise.measurement
        self._parts = np.array_split(np.zeros(count, np.int64), max(1, count // _PART))
        self._begun = [_HELPERS.submit(self._measure, part) for part in self._parts]

    def stop(self) -> None:
        """Draw no more than what is being drawn already; for noise that turns out not to be needed."""
        for begun in self._begun:
            begun.cancel()

    def added_to(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values with the noise exactly added to each; to be called once.

        Args:
            values: int64, or Python integers of any size (dtype object); as many as were drawn for.
        """
        # Helpers begin with the first part and the caller with the last, so that it never waits behind other tables.
        both = reversed(list(zip(self._parts, self._begun, strict=True)))
        drawn = [self._measure(part) if begun.cancel() else begun.result() for part, begun in both]
        noise = np.concatenate([np.array(part, np.int64) for part in drawn]).reshape(values.shape)
        return values + noise if self._grid == 1 else (values // self._grid + noise) * self._grid


@lru_cache(maxsize=_NOISES_KEPT)
def noise(mechanism: Mechanism, sensitivity: Sensitivity, nano_rho: int) -> Noise:
    """Return the noise under which integers of this sensitivity cost at most this share of a budget.

    Discrete Gaussian noise of scale s costs L2²/(2 s²) of rho (Canonne, Kamath and Steinke, arXiv:2004.00010,
    theorem 4); discrete Laplace noise of scale L1/ε is ε-differentially private and costs ε²/2.

    Raises:
        Unconfirmed: OpenDP's map says that the noise costs more.
    """
    grid = max(1, sensitivity.total >> _FIT_BITS)
    coarse = sensitivity.in_steps_of(grid)
    if mechanism is Mechanism.GAUSSIAN:
        distance = _root_above(coarse.squared)
        scale = _rounded_up(distance / sqrt(2 * rho(nano_rho)))
        measurement = make_gaussian(_INTEGERS, l2_distance(T="f64"), scale)
        cost = Fraction(measurement.map(distance))
    else:
        scale = _rounded_up(coarse.total / pure_epsilon(nano_rho))
        measurement = make_laplace(_INTEGERS, l1_distance(T="i64"), scale)
        cost = Fraction(measurement.map(coarse.total)) ** 2 / 2
    if cost > rho(nano_rho):
        raise Unconfirmed(f"{mechanism.value} noise of scale {scale} costs more than {nano_rho} nano-rho")
    return Noise(mechanism, scale, grid, measurement)


def popular(
    mechanism: Mechanism, units: Mapping[str, int], places: int, nano_rho: int, atto_delta: int
) -> Mapping[str, int]:
    """Return the keys whose noisy number of units passes a threshold, with that number.

    A unit counts once for each of at most H = `places` keys, so its numbers cost as units in cells do. But a key that
    only it has would give it away: that one of its keys passes must have a chance of at most δ, so that 1 plus the
    noise reaches the threshold with one of at most δ / H (Wilson et al., arXiv:1909.01917; Rogers, arXiv:2309.09170).
    A discrete Gaussian variable reaches m with a chance of at most that of a normal one of the same scale to exceed
    m - 1 (Canonne, Kamath and Steinke, arXiv:2004.00010); a discrete Laplace one of scale s, below exp(-m / s).

    Raises:
        Unconfirmed: OpenDP's map says that this costs more than `nano_rho` or `atto_delta`.
    """
    delta = Fraction(atto_delta, 10**18)
    scale, each = noise(mechanism, Sensitivity(places, places, places), nano_rho).scale, float(delta / places)
    if mechanism is Mechanism.GAUSSIAN:
        threshold = 2 + ceil(scale * -NormalDist().inv_cdf(each))
        space = l02inf_distance(absolute_distance(T="i64"))
        measurement = make_gaussian_threshold(_COUNTS_BY_KEY, space, scale, threshold)
    else:
        threshold = 1 + ceil(scale * -log(each))
        space = l01inf_distance(absolute_distance(T="i64"))
        measurement = make_laplace_threshold(_COUNTS_BY_KEY, space, scale, threshold)
    spent, chance = measurement.map((places, places, 1))
    cost = Fraction(spent) if mechanism is Mechanism.GAUSSIAN else Fraction(spent) ** 2 / 2
    if cost > rho(nano_rho) or Fraction(chance) > delta:
        raise Unconfirmed(f"finding keys costs more than {nano_rho} nano-rho or {atto_delta} atto-delta")
    return dict(measurement(dict(units)))


def half_width(mechanism: Mechanism, standard_error: Any) -> Any:
    """Return the half-width of the 95 % interval of a value with these standard errors."""
    return _HALF_WIDTH[mechanism] * standard_error


def whole_half_width(mechanism: Mechanism, standard_error: float) -> int:
    """Return the same for a whole number, rounded up: what is inside is then at least 95 % at small scales too."""
    return ceil(half_width(mechanism, standard_error))


def _root_above(square: int) -> float:
    """Return the root, or the next double above it where it has none."""
    root = isqrt(square)
    return float(root) if root * root == square and root < 2**53 else nextafter(sqrt(square), inf)


def _rounded_up(scale: float) -> float:
    """Return more than the scale, by so much that OpenDP's conservative arithmetic cannot take it for less."""
    mantissa, exponent = frexp(scale)
    return ldexp(floor(ldexp(mantissa, _SCALE_BITS)) + 2, exponent - _SCALE_BITS)


_INTEGERS = vector_domain(atom_domain(T="i64"))
_COUNTS_BY_KEY = map_domain(atom_domain(T="String"), atom_domain(T="i64"))
