"""Whether a job may run here and now: declarations, training rules, pinned keys, an agreement of its author."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandung.gateway.domain.agreement import Touches, Use
from bandung.gateway.domain.decision import Permit, authorise
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal
from bandung.gateway.training.design import check_terms, columns_of

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.job import Job
    from bandung.gateway.service.ports import Agreements, Catalogue, Clock
    from bandung.gateway.training.masks import MaskKeys


@dataclass(frozen=True, slots=True)
class PermittedJob:
    """A job that the dataset's rules and an agreement of its author cover here and now."""

    job: Job
    epoch: Epoch
    permit: Permit


@dataclass(frozen=True, slots=True)
class JobPermits:
    """Says whether jobs may run, as declarations, rules and agreements stand at the moment of asking."""

    catalogue: Catalogue
    agreements: Agreements
    clock: Clock
    keys: MaskKeys

    def permit(self, job: Job) -> PermittedJob:
        """Return the permit for the job's author.

        Raises:
            Refusal: JOB_INVALID, UNKNOWN_DATASET, NO_AGREEMENT, SUSPENDED, or what `check_terms` finds.
        """
        if self.keys.member not in job.members:
            raise Refusal(ErrorKind.JOB_INVALID, f"The job does not ask {self.keys.member}.")
        strangers = sorted(set(job.members) - self.keys.public.keys())
        if strangers:
            raise Refusal(ErrorKind.JOB_INVALID, f"No mask key is pinned for {', '.join(strangers)}.")
        name = job.dataset_of(self.keys.member)
        epoch = self.catalogue.current(name)
        if epoch is None:
            raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {name}.")
        touches = Touches(name, frozenset((column, Use.TRAIN) for column in columns_of(job)))
        permit = authorise(Principal.from_uri(job.author), touches, self.agreements.all(), self.clock.now())
        _check_rules(job, epoch)
        check_terms(job, epoch.dataset)
        return PermittedJob(job, epoch, permit)


def _check_rules(job: Job, epoch: Epoch) -> None:
    rules, name = epoch.dataset.training, epoch.dataset.name
    if not rules.allowed:
        raise Refusal(ErrorKind.JOB_INVALID, f"{name} is not open to training.")
    if job.cohort_min < rules.cohort_min:
        raise Refusal(ErrorKind.JOB_INVALID, f"cohort_min must be at least {rules.cohort_min} for {name}.")
    if job.rounds_max > rules.rounds_max:
        raise Refusal(ErrorKind.JOB_INVALID, f"rounds_max must be at most {rules.rounds_max} for {name}.")
