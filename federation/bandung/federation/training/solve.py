"""From the masked vectors of a cohort to the next coefficients and their covariance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from bandung.federation.domain.progress import Fitted, Progress, Taken
from bandung.gateway.client.jobs import MODULUS, Family, Job, decode, from_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HALVINGS_MAX: Final = 20
_RANK_TOLERANCE: Final = 1e-13
_COUNT_MAX: Final = 1e12


class Unsolvable(Exception):
    """The sums of this cohort give no model; the text says why, in public words."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The sums over a cohort, in the clear.

    Attributes:
        information: X'WX.
        score: X'(y - mu).
        fit: residual sum of squares or log-likelihood at the coefficients of the step.
    """

    information: NDArray[np.float64]
    score: NDArray[np.float64]
    fit: float
    records: int
    units: int


def unmask(job: Job, vectors: Iterable[bytes]) -> Moments:
    """Add the masked vectors of exactly one cohort: the masks vanish.

    Raises:
        Unsolvable: a vector has the wrong length, or the masks did not vanish.
    """
    rows = [_elements(vector, len(job.newton_schema)) for vector in vectors]
    values = np.array(decode(sum(column) % MODULUS for column in zip(*rows, strict=True)))
    p = len(job.parameters)
    upper = np.zeros((p, p))
    upper[np.triu_indices(p)] = values[: -p - 3]
    fit, records, units = (float(value) for value in values[-3:])
    if not (0 < units <= records < _COUNT_MAX and units.is_integer() and records.is_integer()):
        raise Unsolvable("the masks do not cancel: a country holds another mask key than the one that is pinned")
    information = upper + np.triu(upper, 1).T
    return Moments(information, values[-p - 3 : -3], fit, int(records), int(units))


def advance(job: Job, progress: Progress, moments: Moments, cohort: tuple[str, ...]) -> Progress:
    """Take one Newton step, or halve the last one if it made the fit worse.

    Converged is a step in which no coefficient moves by more than the tolerance times the larger of 1 and its size. A
    gaussian model is exact after the first step; further ones refine its rounding.

    Raises:
        Unsolvable: the information has no full rank.
    """
    here = np.array(progress.coefficients)
    if _worse(job, progress, moments) and progress.halvings < _HALVINGS_MAX and progress.accepted:
        last = np.array(progress.accepted[0])
        middle = last + (here - last) / 2
        taken = Taken(progress.round, cohort, moments.fit, _change(last, middle - last))
        return replace(
            progress,
            coefficients=tuple(middle.tolist()),
            halvings=progress.halvings + 1,
            taken=(*progress.taken, taken),
        )
    step, inverse, determined = _newton_step(job, moments)
    change = _change(here, step)
    progress = replace(
        progress,
        coefficients=tuple((here + step).tolist()),
        accepted=(progress.coefficients, moments.fit),
        halvings=0,
        taken=(*progress.taken, Taken(progress.round, cohort, moments.fit, change)),
    )
    converged = change <= job.tolerance
    if converged or len(progress.taken) >= job.rounds_max:
        exact = job.family is Family.GAUSSIAN
        return replace(progress, fitted=_fitted(job, moments, step, inverse, determined, converged=converged or exact))
    return progress


def _elements(vector: bytes, count: int) -> list[int]:
    try:
        elements = from_bytes(vector)
    except ValueError:
        elements = []
    if len(elements) != count:
        raise Unsolvable(f"a country's answer does not hold {count} sums")
    return elements


def _newton_step(job: Job, moments: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the step, the inverse information, and which coefficients the cohort determines.

    Scaling the information to a unit diagonal first keeps columns of very different size apart from collinear ones.
    """
    diagonal = np.diag(moments.information)
    # The intercept of a country outside the cohort has no records: it is no part of the system.
    determined = diagonal > 0
    if not determined[-len(job.features) :].all():
        raise Unsolvable(f"these features carry no information: {_named(job, ~determined)}")
    scale = 1.0 / np.sqrt(diagonal[determined])
    scaled = moments.information[np.ix_(determined, determined)] * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(scaled)
    if values[0] < _RANK_TOLERANCE * len(values):
        involved = np.zeros(len(diagonal), dtype=np.bool_)
        involved[np.flatnonzero(determined)[np.abs(vectors[:, 0]) > 0.05]] = True
        raise Unsolvable(f"these columns are collinear, or the categories separate: {_named(job, involved)}")
    inverse = np.zeros_like(moments.information)
    inverse[np.ix_(determined, determined)] = np.linalg.inv(scaled) * np.outer(scale, scale)
    step = np.zeros(len(diagonal))
    step[determined] = scale * np.linalg.solve(scaled, scale * moments.score[determined])
    return step, inverse, determined


def _fitted(
    job: Job,
    moments: Moments,
    step: NDArray[np.float64],
    inverse: NDArray[np.float64],
    determined: NDArray[np.bool_],
    *,
    converged: bool,
) -> Fitted:
    """Return the covariance and the fit after the last step, by the fit's second-order expansion around it."""
    gain = float(step @ moments.score)
    dispersion = 1.0
    fit = moments.fit + gain / 2
    if job.family is Family.GAUSSIAN:
        fit = moments.fit - gain
        free = moments.records - int(determined.sum())
        if free <= 0:
            raise Unsolvable("there are not more records than coefficients")
        dispersion = max(fit, 0.0) / free
    covariance = tuple(map(tuple, (dispersion * inverse).tolist()))
    return Fitted(covariance, fit, dispersion, moments.records, moments.units, converged, tuple(determined.tolist()))


def _worse(job: Job, progress: Progress, moments: Moments) -> bool:
    if job.family is Family.GAUSSIAN or progress.accepted is None:
        return False
    before = progress.accepted[1]
    return moments.fit < before - 1e-9 * abs(before)


def _change(here: NDArray[np.float64], step: NDArray[np.float64]) -> float:
    return float(np.max(np.abs(step) / np.maximum(1.0, np.abs(here + step))))


def _named(job: Job, chosen: Sequence[bool] | NDArray[np.bool_]) -> str:
    return ", ".join(name for name, is_chosen in zip(job.parameters, chosen, strict=True) if is_chosen)
