"""From a finished job to its model card."""

from __future__ import annotations

from collections.abc import Mapping
from math import erfc, log, pi, sqrt
from typing import Any, Final

from bandung.federation.domain.model_card import Coefficient, ModelCard, Participant
from bandung.federation.domain.progress import Fitted, Progress
from bandung.gateway.client.jobs import Family, Job

_NORMAL_975: Final = 1.959963984540054
_COUNTS: Final = ("units.", "records.")


def card_of(job: Job, digest: str, progress: Progress) -> dict[str, Any]:
    """Return the card, as a JSON object, of a job whose model stands.

    Raises:
        ValueError: it does not stand yet.
    """
    fitted = progress.fitted
    if fitted is None:
        raise ValueError("the model is not fitted yet")
    participants = tuple(_participant(member, job, progress) for member in job.members)
    return ModelCard(
        name=job.name,
        purpose=job.purpose,
        author=job.author,
        created=job.created,
        job=digest,
        family=job.family.value,
        link="identity" if job.family is Family.GAUSSIAN else "logit",
        target=job.target.name,
        country_intercepts=job.country_intercepts,
        cohort=progress.taken[-1].cohort,
        participants=participants,
        coefficients=_coefficients(job, progress.coefficients, fitted),
        covariance=_determined(fitted),
        dispersion=fitted.dispersion,
        log_likelihood=_log_likelihood(job, fitted),
        records=fitted.records,
        units=fitted.units,
        converged=fitted.converged,
        tolerance=job.tolerance,
        steps=tuple(
            {"round": t.round, "cohort": list(t.cohort), "fit": t.fit, "change": t.change} for t in progress.taken
        ),
        seconds=round(progress.seconds, 3),
        receipts=progress.receipts,
        caveats=tuple(_caveats(job, fitted, participants)),
    ).to_json()


def _coefficients(job: Job, estimates: tuple[float, ...], fitted: Fitted) -> tuple[Coefficient, ...]:
    """Return the coefficients that were determined: the intercept of a country that left is not."""
    rows = zip(job.parameters, estimates, fitted.determined, strict=True)
    return tuple(
        _coefficient(name, estimate, sqrt(fitted.covariance[i][i]))
        for i, (name, estimate, is_determined) in enumerate(rows)
        if is_determined
    )


def _coefficient(name: str, estimate: float, error: float) -> Coefficient:
    # A perfect fit has no error; then nothing is left to chance.
    z = estimate / error if error > 0 else 0.0
    p = erfc(abs(z) / sqrt(2)) if error > 0 else 0.0
    return Coefficient(name, estimate, error, z, p, estimate - _NORMAL_975 * error, estimate + _NORMAL_975 * error)


def _determined(fitted: Fitted) -> tuple[tuple[float, ...], ...]:
    kept = [i for i, is_determined in enumerate(fitted.determined) if is_determined]
    return tuple(tuple(fitted.covariance[i][j] for j in kept) for i in kept)


def _log_likelihood(job: Job, fitted: Fitted) -> float:
    if job.family is Family.BINOMIAL:
        return fitted.fit
    n = fitted.records
    return -n / 2 * (log(2 * pi * max(fitted.fit, 5e-324) / n) + 1)


def _participant(member: str, job: Job, progress: Progress) -> Participant:
    evaluation = progress.evaluations.get(member, {})
    metrics: Mapping[str, float] = evaluation.get("metrics", {})
    sent, received = progress.traffic.get(member, (0, 0))
    return Participant(
        member=member,
        dataset=job.dataset_of(member),
        rounds=sum(member in taken.cohort for taken in progress.taken),
        counts={name: int(value) for name, value in metrics.items() if name.startswith(_COUNTS)},
        metrics={name: value for name, value in metrics.items() if not name.startswith(_COUNTS)},
        evaluation_refused=evaluation.get("refused", ""),
        out=progress.out.get(member, ""),
        sent_bytes=sent,
        received_bytes=received,
    )


def _caveats(job: Job, fitted: Fitted, participants: tuple[Participant, ...]) -> list[str]:
    said = [
        "Standard errors hold if the model is right and records are independent of one another; several records of"
        " one unit make the true errors larger. Survey weights and designs are not taken into account.",
        "p-values and intervals use the normal distribution.",
        "The sums were exact and hidden only by masks: the coordinator together with all countries but one could read"
        " that one's sums.",
    ]
    if not fitted.converged:
        said.insert(0, f"The fit did not settle within {job.rounds_max} steps: do not use the coefficients.")
    if job.country_intercepts:
        said.append(
            "One intercept per country shows the coordinator each country's number of records and its totals of the"
            " features and the target."
        )
    said += [f"{p.member} takes no part: {p.out}." for p in participants if p.out]
    said += [_excluded(p) for p in participants if p.counts.get("records.excluded")]
    said += [_worse_than_local(p) for p in participants if _loses(p)]
    return said


def _excluded(participant: Participant) -> str:
    count = participant.counts["records.excluded"]
    return f"{participant.member}: about {count} records lack a value that the model needs and were left out."


def _worse_than_local(participant: Participant) -> str:
    return (
        f"{participant.member}: on held-out units a model of this country alone did better than the federated one:"
        " its relation may differ from the others'."
    )


def _loses(participant: Participant) -> bool:
    return any(
        participant.metrics.get(f"{metric}.federated", 0.0) > participant.metrics.get(f"{metric}.local", float("inf"))
        for metric in ("rmse", "log_loss")
    )
