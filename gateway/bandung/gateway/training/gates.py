"""What must hold of a country's records before any sum over them leaves, whatever the job says.

All refusals here depend on data, so they share the one text of PROTECTED; which gate it was, and how far, is for the
operator's log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Family

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.job import Job
    from bandung.gateway.domain.policy import TrainingRules
    from bandung.gateway.training.design import Design


def check_design(design: Design, job: Job, rules: TrainingRules) -> None:
    """Check the records that a job is trained on.

    Raises:
        Refusal: PROTECTED if there are too few units, in all or for the number of coefficients; if an indicator or a
            binary target is one or zero for too few units; or if a feature is the same for every record.
    """
    units = design.unit_count
    needed = max(rules.units_min, rules.units_per_parameter_min * (1 + len(job.features)))
    if units < needed:
        raise _protected(f"{units} units, {needed:g} needed")
    columns = zip(job.features, design.x.T[len(job.intercepts) :], strict=True)
    for term, column in columns:
        if term.transform == "code":
            _check_binary(design, column, term.name, rules)
        elif np.ptp(column) == 0:
            raise _protected(f"{term.name} is constant")
    if job.family is Family.BINOMIAL:
        _check_binary(design, design.y, job.target.name, rules)


def check_weights(design: Design, weights: NDArray[np.float64], rules: TrainingRules) -> None:
    """Check that no few units carry the sums.

    Coefficients chosen with malice can give all records but a handful a weight near zero. Kish's effective number
    (sum of w)^2 / (sum of w^2), over the mean weights of units, must reach half of the fewest units allowed in a sum;
    honest models of small countries come close to that number, attacks on one unit to 1.

    Raises:
        Refusal: PROTECTED.
    """
    records = np.bincount(design.units)
    mean = np.bincount(design.units, weights)[records > 0] / records[records > 0]
    squares = float(mean @ mean)
    effective = float(mean.sum()) ** 2 / squares if squares > 0 else 0.0
    if not effective >= rules.units_min / 2:
        raise _protected(f"the weights amount to {effective:.1f} units, half of {rules.units_min} needed")


def check_holdout(holdout: Design, rules: TrainingRules) -> None:
    """Check the records that a model is evaluated on.

    Raises:
        Refusal: PROTECTED if there are too few units.
    """
    if holdout.unit_count < rules.units_min:
        raise _protected(f"{holdout.unit_count} held-out units, {rules.units_min} needed")


def _check_binary(design: Design, column: NDArray[np.float64], name: str, rules: TrainingRules) -> None:
    ones, zeros = design.units_where(column == 1), design.units_where(column == 0)
    if min(ones, zeros) < rules.units_min:
        raise _protected(f"{name}: {ones} units with, {zeros} without, {rules.units_min} needed of each")


def _protected(private: str) -> Refusal:
    return Refusal(ErrorKind.PROTECTED, private=private)
