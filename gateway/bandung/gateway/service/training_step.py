"""A step as it is asked for and answered, its form, and what it is charged to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import StepKind
from bandung.gateway.service.charges import training_tariff

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.job import Job
    from bandung.gateway.domain.ledger import Receipt
    from bandung.gateway.domain.release import ReleasedVector


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One step of a job.

    Attributes:
        round: 1-based.
        cohort: members whose sums are added in this round, sorted.
        coefficients: so far, by `Job.parameters`.
    """

    job_digest: str
    kind: StepKind
    round: int
    cohort: tuple[str, ...]
    coefficients: tuple[float, ...]

    @property
    def key(self) -> str:
        """Under which its answer is kept: one for each round, and one evaluation for the whole job."""
        turn = f"{self.round}/newton" if self.kind is StepKind.NEWTON else "evaluate"
        return f"step/{self.job_digest}/{turn}"

    @property
    def about(self) -> dict[str, object]:
        """What the ledger tells of it."""
        return {
            "job": self.job_digest,
            "kind": self.kind.value,
            "round": self.round,
            "cohort": list(self.cohort),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal; coefficients to the last bit."""
        coefficients = [value.hex() for value in self.coefficients]
        parts = [self.job_digest, self.kind.value, self.round, list(self.cohort), coefficients]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a step released, and the receipt of its record."""

    vector: ReleasedVector
    receipt: Receipt


def check_request(request: StepRequest, member: str, job: Job, epoch: Epoch) -> None:
    """Check the form of a step to `member` against its job and the dataset's rules.

    Raises:
        Refusal: JOB_INVALID for the cohort, BAD_REQUEST for the rest.
    """
    cohort = request.cohort
    if list(cohort) != sorted(set(cohort)) or not set(cohort) <= set(job.members):
        raise Refusal(ErrorKind.JOB_INVALID, "The cohort must be members of the job, sorted, without repeats.")
    if member not in cohort:
        raise Refusal(ErrorKind.JOB_INVALID, f"The cohort does not hold {member}.")
    if len(cohort) < max(job.cohort_min, epoch.dataset.training.cohort_min):
        raise Refusal(ErrorKind.JOB_INVALID, "The cohort is smaller than the job or the dataset allows.")
    if request.round < 1:
        raise Refusal(ErrorKind.BAD_REQUEST, "Rounds are numbered from 1.")
    if len(request.coefficients) != len(job.parameters) or not all(map(isfinite, request.coefficients)):
        raise Refusal(ErrorKind.BAD_REQUEST, f"The job has {len(job.parameters)} coefficients, all of them finite.")


def charges_of(request: StepRequest, job: Job, epoch: Epoch) -> tuple[Charge, ...]:
    """Return one step of the dataset's quota, of the author's, and of the job's own (its evaluation included)."""
    tariff, rounds = training_tariff(epoch), epoch.dataset.training.rounds_max + 1
    return (*tariff.charges("", job.author), Charge(f"{tariff.scope}/job/{request.job_digest}", 1, rounds))
