"""How well a model does on held-out units of one country, next to what the country could have had alone."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Family, Job
from bandung.gateway.domain.release import ReleasedVector
from bandung.gateway.training.gates import check_holdout
from bandung.gateway.training.newton import mean_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.policy import TrainingRules
    from bandung.gateway.training.split import Split

_DIGITS: Final = 3
_BASE: Final = 5
_LOCAL_STEPS_MAX: Final = 50
_PROBABILITY_MIN: Final = 1e-6
_RIDGE: Final = 1e-6


def evaluate(split: Split, job: Job, coefficients: NDArray[np.float64], rules: TrainingRules) -> ReleasedVector:
    """Return rounded metrics.

    Per model `federated` (the coefficients given), `local` (fitted here on this country's training units; its
    coefficients never leave) and `mean` (the training mean alone): `rmse.<model>` in units of the target as modelled
    (gaussian), or `log_loss.<model>` in nats and `brier.<model>` (binomial), to three significant digits. Then
    `units.train`, `units.holdout`, `records.train`, `records.holdout` and `records.excluded`, rounded to base 5.
    A job without hold-out gets the counts alone.

    Raises:
        Refusal: PROTECTED if there are held-out units, but too few, or if an error cannot be computed.
    """
    metrics: dict[str, float] = {}
    if job.holdout > 0:
        check_holdout(split.holdout, rules)
        metrics |= _finite_metrics(split, job, coefficients)
    metrics |= {
        "units.train": _rounded_count(split.train.unit_count),
        "units.holdout": _rounded_count(split.holdout.unit_count),
        "records.train": _rounded_count(len(split.train.y)),
        "records.holdout": _rounded_count(len(split.holdout.y)),
        "records.excluded": _rounded_count(split.train.excluded),
    }
    return ReleasedVector(np.array(list(metrics.values()), dtype=np.float64), tuple(metrics))


def _finite_metrics(split: Split, job: Job, coefficients: NDArray[np.float64]) -> dict[str, float]:
    """Whether an error is finite, and whether a local fit converges, depends on data: then there are no metrics."""
    try:
        metrics = _metrics(split, job, coefficients)
    except np.linalg.LinAlgError as error:
        raise Refusal(ErrorKind.PROTECTED, private=str(error)) from error
    if not all(map(isfinite, metrics.values())):
        raise Refusal(ErrorKind.PROTECTED, private="an error is not finite")
    return metrics


def _metrics(split: Split, job: Job, coefficients: NDArray[np.float64]) -> dict[str, float]:
    x, y = split.holdout.x, split.holdout.y
    predicted = {
        "federated": mean_of(job.family, x @ coefficients),
        "local": mean_of(job.family, x @ _local_fit(split, job)),
        "mean": np.full(len(y), split.train.y.mean()),
    }
    return {
        f"{metric}.{model}": _rounded(value)
        for model, mean in predicted.items()
        for metric, value in _errors(job.family, y, mean).items()
    }


def _errors(family: Family, y: NDArray[np.float64], mean: NDArray[np.float64]) -> dict[str, float]:
    squared = float(np.mean((y - mean) ** 2))
    if family is Family.GAUSSIAN:
        return {"rmse": squared**0.5}
    # A certain prediction that fails would cost infinitely much.
    p = np.clip(mean, _PROBABILITY_MIN, 1 - _PROBABILITY_MIN)
    return {"log_loss": float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p))), "brier": squared}


def _local_fit(split: Split, job: Job) -> NDArray[np.float64]:
    """Fit this country's own model. Few records may not determine it: then it is the one of least norm."""
    x, y = split.train.x, split.train.y
    scale = np.sqrt(np.mean(x * x, axis=0))
    scale[scale == 0] = 1.0
    z = x / scale
    if job.family is Family.GAUSSIAN:
        return np.linalg.lstsq(z, y, rcond=None)[0] / scale
    return _ridge_logit(z, y) / scale


def _ridge_logit(z: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit by Newton steps with a slight ridge, so that separable records give a finite fit."""
    ridge = _RIDGE * len(y) * np.eye(z.shape[1])
    fitted = np.zeros(z.shape[1])
    for _ in range(_LOCAL_STEPS_MAX):
        mean = mean_of(Family.BINOMIAL, z @ fitted)
        information = (z * (mean * (1 - mean))[:, None]).T @ z + ridge
        step = np.linalg.solve(information, z.T @ (y - mean) - ridge @ fitted)
        fitted = fitted + step
        if np.max(np.abs(step)) < 1e-8:
            break
    return fitted


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _rounded_count(count: int) -> float:
    return float(_BASE * round(count / _BASE))
