"""How far a job is: its phases, and what a driver must remember to go on after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter


class Phase(StrEnum):
    """The phases of a job."""

    WAITING = "WAITING"
    """Members of the job are not connected."""
    WAITING_CONSENT = "WAITING_CONSENT"
    """All are connected; at least one has not decided yet."""
    RUNNING = "RUNNING"
    """Steps are asked for."""
    PAUSED = "PAUSED"
    """A country was lost; the job goes on by itself when it is back."""
    EVALUATING = "EVALUATING"
    """The model stands; each country measures it on its held-out units."""
    FINISHED = "FINISHED"
    """The model card is written."""
    FAILED = "FAILED"
    """There will be no model."""
    REFUSED = "REFUSED"
    """There will be no model, because too few countries take part."""


_ENDS = frozenset({Phase.FAILED, Phase.REFUSED})
NEXT: Mapping[Phase, frozenset[Phase]] = {
    Phase.WAITING: frozenset({Phase.WAITING_CONSENT, Phase.RUNNING, Phase.EVALUATING}) | _ENDS,
    Phase.WAITING_CONSENT: frozenset({Phase.WAITING, Phase.RUNNING, Phase.EVALUATING}) | _ENDS,
    Phase.RUNNING: frozenset({Phase.PAUSED, Phase.EVALUATING}) | _ENDS,
    Phase.PAUSED: frozenset({Phase.RUNNING, Phase.EVALUATING}) | _ENDS,
    Phase.EVALUATING: frozenset({Phase.PAUSED, Phase.FINISHED}) | _ENDS,
    Phase.FINISHED: frozenset(),
    Phase.FAILED: frozenset(),
    Phase.REFUSED: frozenset(),
}


def follows(phase: Phase, following: Phase) -> bool:
    """Tell whether a job may go from one phase to the other."""
    return following in NEXT[phase]


@dataclass(frozen=True, slots=True)
class Taken:
    """One Newton step that was taken.

    Attributes:
        round: number of the round that gave its sums.
        fit: at the coefficients that the sums were taken at: residual sum of squares or log-likelihood.
        change: largest relative change of a coefficient.
    """

    round: int
    cohort: tuple[str, ...]
    fit: float
    change: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model whose steps are over.

    Attributes:
        covariance: of the coefficients, rows by rows; zero for a coefficient that no country determines.
        fit: residual sum of squares (gaussian) or log-likelihood (binomial).
        dispersion: residual variance (gaussian) or 1.
        determined: whether each coefficient was determined by the cohort's records.
    """

    covariance: tuple[tuple[float, ...], ...]
    fit: float
    dispersion: float
    records: int
    units: int
    converged: bool
    determined: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is checkpointed in every round.

    Attributes:
        round: the last round number that was used.
        open_cohort: who is asked in that round, while it has not been taken; empty if the next step needs a new number.
        coefficients: those that the next step is asked at, or the final ones.
        accepted: the coefficients of the last step that improved the fit, and the fit there; None at the start and
            after a change of the cohort, because fits of different cohorts do not compare.
        halvings: how often the step from there has been halved.
        out: members that take no part any more, with the reason.
        evaluations: by member: metrics, or `{"refused": reason}`.
        receipts: of every answer that was used: member, round, kind, receipt.
        traffic: bytes sent and received by member, in runs of the driver before this one.
        seconds: spent in runs before this one.
    """

    coefficients: tuple[float, ...]
    round: int = 0
    open_cohort: tuple[str, ...] = ()
    accepted: tuple[tuple[float, ...], float] | None = None
    halvings: int = 0
    taken: tuple[Taken, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict[str, str])
    fitted: Fitted | None = None
    evaluations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    receipts: tuple[Mapping[str, Any], ...] = ()
    traffic: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; floats keep every bit."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Progress:
        """Read what `to_json` gave.

        Raises:
            ValueError: it is not that.
        """
        return _PROGRESS.validate_python(document)


_PROGRESS: Final = TypeAdapter(Progress)
