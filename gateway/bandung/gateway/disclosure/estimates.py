"""Means, variances and quantiles of noisy aggregates: post-processing, which costs nothing and reveals nothing more.

Standard errors are those of the noise, by the delta method (Oehlert, The American Statistician 46 (1992) 27), from
published scales and noisy values alone. They say nothing of sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPENDABLE: Final = 4.0
"""A count says how many records there are once it is as many standard errors from 0; no ratio is formed of less."""


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Noisy aggregates, one for each cell, with the standard error of their noise."""

    values: NDArray[np.float64]
    standard_error: float


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A statistic of each cell.

    Attributes:
        standard_errors: of the noise in it.
        given: where there are records enough to say anything; elsewhere the values mean nothing.
    """

    values: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    given: NDArray[np.bool_]


def mean(count: Noisy, total: Noisy, low: float, high: float) -> Estimate:
    """Return total / count, moved into the range that it must lie in.

    With m the mean and n the count, the error is (noise of the total - m noise of n) / n.
    """
    given, n = _dependable(count)
    values = np.clip(total.values / n, low, high)
    return Estimate(values, np.hypot(total.standard_error, values * count.standard_error) / n, given)


def variance(count: Noisy, total: Noisy, squares: Noisy, reach: float) -> Estimate:
    """Return the sample variance (divisor n - 1) of values that are at most `reach` from 0.

    The divisor-n variance v = q - m² is moved into 0 to reach², which it cannot leave. To first order its error is
    (noise of the squares - 2 m noise of the total + (m² - v) noise of n) / n.
    """
    given, n = _dependable(count)
    m = np.clip(total.values / n, -reach, reach)
    v = np.clip(squares.values / n - m**2, 0, reach**2)
    of_count, of_total = (m**2 - v) * count.standard_error, 2 * m * total.standard_error
    errors = np.sqrt(squares.standard_error**2 + of_total**2 + of_count**2) / n
    unbiased = n / np.maximum(n - 1, 1)
    return Estimate(v * unbiased, errors * unbiased, given)


def root_half_width(values: NDArray[np.float64], half_widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the root of anything within these half-widths of the values can be from the values' roots."""
    root = np.sqrt(values)
    return np.maximum(np.sqrt(values + half_widths) - root, root - np.sqrt(np.maximum(values - half_widths, 0)))


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of equal width over a measure's bounds, in whole steps.

    Bin b begins at low + b width; the last one ends at high.
    """

    low: int
    high: int
    width: int
    count: int

    @classmethod
    def over(cls, low: int, high: int, most: int) -> Bins:
        """Return at most so many bins over the range, ends included."""
        span = high - low + 1
        width = -(-span // most)
        return cls(low, high, width, -(-span // width))


def quantile(
    counts: Noisy, share: float, bins: Bins, factor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the quantile of each cell, half the width of its interval, and where there are records enough to say.

    The cumulative counts are made to increase, by the mean of the least curve above and the greatest below them. The
    quantile is where they reach the share of the total, its bin's records spread evenly over the bin's values. Up to
    the end of bin b of K the share q of the total is missed by the noise of b + 1 bins, weighted 1 - q, and that of the
    others, weighted q; the interval holds all values whose rank is within as much, to the ends of their bins.

    Args:
        counts: of each cell and bin.
        factor: standard errors in half a 95 % interval.
    """
    sums = np.cumsum(counts.values, axis=1)
    below = np.minimum.accumulate(sums[:, ::-1], axis=1)[:, ::-1]
    curve = np.maximum((np.maximum.accumulate(sums, axis=1) + below) / 2, 0)
    total = sums[:, -1]
    target = share * total
    place = _first(curve, target)
    before = np.where(place > 0, np.take_along_axis(curve, np.maximum(place - 1, 0)[:, None], 1)[:, 0], 0)
    inside = np.take_along_axis(curve, place[:, None], 1)[:, 0] - before
    fraction = np.clip((target - before) / np.where(inside > 0, inside, 1), 0, 1)
    begin = bins.low + place * bins.width
    values = np.minimum(begin + np.minimum(np.floor(fraction * bins.width), bins.width - 1), bins.high)
    done = place + 1
    rank = factor * counts.standard_error * np.sqrt(done * (1 - share) ** 2 + (bins.count - done) * share**2)
    least = bins.low + _first(curve, target - rank) * bins.width
    most = np.minimum(bins.low + (_first(curve, target + rank) + 1) * bins.width - 1, bins.high)
    return (
        values,
        np.maximum(values - least, most - values),
        total >= DEPENDABLE * counts.standard_error * bins.count**0.5,
    )


def _first(curve: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first bin at which the curve reaches the target; the last one if it never does."""
    return np.minimum((curve < target[:, None]).sum(axis=1), curve.shape[1] - 1)


def _dependable(count: Noisy) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return where a count may be divided by, and the counts, 1 where it may not."""
    given = count.values >= max(2.0, DEPENDABLE * count.standard_error)
    return given, np.where(given, count.values, 1.0)
