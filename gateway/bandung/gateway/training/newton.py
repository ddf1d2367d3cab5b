"""The sums of one Newton step of a generalised linear model with its canonical link.

With the canonical link Newton's method and Fisher scoring are the same: the next coefficients are
b + (X'WX)^-1 X'(y - mu). McCullagh and Nelder, Generalized Linear Models, 2nd ed. 1989, section 2.5. Every quantity is
a sum over records, so the sums of several countries are those of their pooled records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.domain.job import Family

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.training.design import Design


@dataclass(frozen=True, slots=True, eq=False)
class NewtonSums:
    """One country's sums, in the clear. Never leaves the process; `masks.mask` makes of it what may.

    Attributes:
        information: X'WX, symmetric.
        score: X'(y - mu).
        fit: residual sum of squares (gaussian) or log-likelihood (binomial) at the coefficients.
        weights: W's diagonal, one for each record.
    """

    information: NDArray[np.float64]
    score: NDArray[np.float64]
    fit: float
    records: int
    units: int
    weights: NDArray[np.float64]

    def vector(self) -> NDArray[np.float64]:
        """Return the sums in the order of `Job.newton_schema`."""
        upper = self.information[np.triu_indices(len(self.score))]
        return np.concatenate([upper, self.score, [self.fit, float(self.records), float(self.units)]])


def newton_sums(design: Design, family: Family, coefficients: NDArray[np.float64]) -> NewtonSums:
    """Return the sums at the coefficients.

    Gaussian: W = I and mu = Xb, so that the first step is exact and every further one refines the rounding.
    Binomial: mu = 1 / (1 + exp(-Xb)), W = mu (1 - mu).
    """
    x, y = design.x, design.y
    linear = x @ coefficients
    mean = mean_of(family, linear)
    weights = mean * (1.0 - mean) if family is Family.BINOMIAL else np.ones(len(y))
    residual = y - mean
    fit = log_likelihood(y, linear) if family is Family.BINOMIAL else float(residual @ residual)
    return NewtonSums((x * weights[:, None]).T @ x, x.T @ residual, fit, len(y), design.unit_count, weights)


def mean_of(family: Family, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected target for linear predictors; free of overflow."""
    return linear if family is Family.GAUSSIAN else 0.5 * (1.0 + np.tanh(0.5 * linear))


def log_likelihood(y: NDArray[np.float64], linear: NDArray[np.float64]) -> float:
    """Return the binomial log-likelihood of zeros and ones."""
    return float(y @ linear - np.logaddexp(0.0, linear).sum())
