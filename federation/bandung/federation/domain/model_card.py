"""A model as it is handed out: what it is, how it came about, how sure one may be of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import TypeAdapter

FORMAT: Final = "bandung-model-card/v1"


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One coefficient.

    Attributes:
        name: of `Job.parameters`.
        standard_error: from the inverse Fisher information.
        z: estimate divided by its standard error.
        p: two-sided, of the normal distribution.
        low, high: ends of the 95 % confidence interval.
    """

    name: str
    estimate: float
    standard_error: float
    z: float
    p: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Participant:
    """What one country gave and got.

    Attributes:
        rounds: Newton steps that it had part in.
        counts: units and records, rounded to base 5: `units.train`, `units.holdout`, `records.train`,
            `records.holdout`, `records.excluded`. Empty if it did not tell.
        metrics: on its held-out units, by `<metric>.<model>`, the model being `federated`, `local` or `mean`.
        evaluation_refused: why there are no metrics, or empty.
        out: why it left the job, or empty.
        sent_bytes, received_bytes: to and from its courier.
    """

    member: str
    dataset: str
    rounds: int
    counts: Mapping[str, int]
    metrics: Mapping[str, float]
    evaluation_refused: str
    out: str
    sent_bytes: int
    received_bytes: int


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model and everything that a reader must know of it.

    Attributes:
        job: digest of the signed job.
        link: `identity` or `logit`.
        covariance: of the coefficients, in their order.
        dispersion: residual variance (gaussian), 1 (binomial).
        log_likelihood: maximised.
        records, units: pooled, exact: they are part of the sum.
        steps: per Newton step its round number, cohort, fit and largest change of a coefficient.
        receipts: of the ledger entries of every answer that was used: member, round, kind, receipt.
        caveats: in plain words.
    """

    name: str
    purpose: str
    author: str
    created: str
    job: str
    family: str
    link: str
    target: str
    country_intercepts: bool
    cohort: tuple[str, ...]
    participants: tuple[Participant, ...]
    coefficients: tuple[Coefficient, ...]
    covariance: tuple[tuple[float, ...], ...]
    dispersion: float
    log_likelihood: float
    records: int
    units: int
    converged: bool
    tolerance: float
    steps: tuple[Mapping[str, Any], ...]
    seconds: float
    receipts: tuple[Mapping[str, Any], ...]
    caveats: tuple[str, ...]

    @property
    def bytes_moved(self) -> int:
        """Bytes between the coordinator and all couriers, both ways."""
        return sum(p.sent_bytes + p.received_bytes for p in self.participants)

    def to_json(self) -> dict[str, Any]:
        """Return the card as a JSON object."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelCard:
        """Read a card.

        Raises:
            ValueError: it is not one of this format.
        """
        if document.get("format") != FORMAT:
            raise ValueError(f"not a model card of format {FORMAT}")
        return _CARD.validate_python({key: value for key, value in document.items() if key != "format"})


_CARD: Final = TypeAdapter(ModelCard)
