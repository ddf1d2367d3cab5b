"""A training job as a gateway sees it: what was asked, and what this country decided."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from itertools import combinations_with_replacement

_TERM = re.compile(
    r"(?P<transform>log|square)\((?P<measure>[a-z][a-z0-9_]*)\)|(?P<column>[a-z][a-z0-9_]*)(?:=(?P<code>.+))?",
    re.DOTALL,
)


class Decision(Enum):
    """Where a job stands at this country."""

    PENDING = "PENDING"
    CONSENTED = "CONSENTED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"


class Family(Enum):
    """Families of generalised linear models, with their canonical links."""

    GAUSSIAN = "gaussian"
    BINOMIAL = "binomial"


class StepKind(Enum):
    """What a step asks of a country."""

    NEWTON = "newton"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """One column of the design matrix, or the target.

    Attributes:
        column: declared column.
        transform: `identity`, `log` or `square` of a measure; `code` for the indicator of a dimension's code.
        code: the code, where transform is `code`.
    """

    column: str
    transform: str
    code: str = ""

    @property
    def name(self) -> str:
        """`x`, `log(x)`, `square(x)` or `x=code`."""
        if self.transform == "code":
            return f"{self.column}={self.code}"
        return self.column if self.transform == "identity" else f"{self.transform}({self.column})"

    @classmethod
    def parse(cls, name: str) -> Term:
        """Read a term from its name, the inverse of `name`.

        Raises:
            ValueError: it is of none of the four forms.
        """
        match = _TERM.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is none of x, log(x), square(x), x=code")
        if match["transform"]:
            return cls(match["measure"], match["transform"])
        if match["code"] is not None:
            return cls(match["column"], "code", match["code"])
        return cls(match["column"], "identity")


@dataclass(frozen=True, slots=True)
class Job:
    """A declarative training job; the canonical JSON (RFC 8785) of these fields is what the author signs.

    Attributes:
        members: ids of the countries asked, sorted.
        datasets: dataset by member (they may have different names at home).
        rounds_max: most Newton steps.
        tolerance: stop when no coefficient moves more than this.
        cohort_min: fewest countries in a sum.
        country_intercepts: one intercept per member instead of one in all.
        holdout: share of units (by keyed hash) kept out of training for evaluation, 0 to 0.9.
        train_units: for some members, at most so many training units (a keyed, fixed sample).
        on_loss: `pause` (wait for the lost country) or `continue` (with those left).
        author: URI of who signs.
    """

    name: str
    purpose: str
    family: Family
    members: tuple[str, ...]
    datasets: tuple[tuple[str, str], ...]
    target: Term
    features: tuple[Term, ...]
    rounds_max: int
    tolerance: float
    cohort_min: int
    country_intercepts: bool
    holdout: float
    train_units: tuple[tuple[str, int], ...]
    on_loss: str
    author: str
    created: str

    @property
    def intercepts(self) -> tuple[str, ...]:
        """`intercept`, or one `intercept[<member>]` for each of `members`."""
        return tuple(f"intercept[{member}]" for member in self.members) if self.country_intercepts else ("intercept",)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the coefficients in the order of the design matrix: intercepts, then features."""
        return (*self.intercepts, *(term.name for term in self.features))

    @property
    def newton_schema(self) -> tuple[str, ...]:
        """What a Newton step sums, in order.

        The upper triangle of the information X'WX by rows, the score X'(y - mu), `fit` (gaussian: residual sum
        of squares, binomial: log-likelihood), `records` and `units`.
        """
        pairs = combinations_with_replacement(self.parameters, 2)
        information = (f"information[{a},{b}]" for a, b in pairs)
        return (*information, *(f"score[{a}]" for a in self.parameters), "fit", "records", "units")

    def dataset_of(self, member: str) -> str:
        """Return the name of the member's dataset.

        Raises:
            KeyError: the job does not ask this member.
        """
        return dict(self.datasets)[member]


@dataclass(frozen=True, slots=True)
class SignedJob:
    """A job with its author's signature, verified.

    Attributes:
        digest: SHA-256 of the signed bytes, hexadecimal: the job's id everywhere.
        document: the signed envelope exactly as it came.
    """

    job: Job
    digest: str
    document: bytes


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job at this gateway.

    Attributes:
        decided_by: URI, `local:<user>`, or `agreement:<id>` for a standing rule; empty while pending.
        epoch: what the decision is about. A job does not go on over other data: the units of another epoch are split
            anew, so that sums over both would tell them apart.
    """

    signed: SignedJob
    decision: Decision
    reason: str = ""
    decided_by: str = ""
    epoch: str = ""
