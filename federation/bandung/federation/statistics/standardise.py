"""Rates made comparable between countries: crude, and as they would be in one reference population.

Direct standardisation: R = sum over strata of w p, where p is the country's own rate in the stratum and w the share of
the stratum in the reference population. It answers what the country's rate would be if its people had the reference's
ages. Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 3rd ed. 2003, section 19.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from bandung.federation.domain.study import Answered, Outcome, answered


class StandardiseError(ValueError):
    """The tables cannot be standardised; the text says why."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A country's rate in one stratum, from released counts.

    Attributes:
        numerator: released count of the code asked for.
        denominator: released counts of all codes that belong to the rate.
        noise_variance: that the noise of these counts leaves on the rate.
    """

    code: str
    numerator: float
    denominator: float
    noise_variance: float

    @property
    def rate(self) -> float:
        """Numerator by denominator."""
        return self.numerator / self.denominator

    @property
    def sampling_variance(self) -> float:
        """Of a proportion in a simple random sample."""
        return self.rate * (1 - self.rate) / self.denominator


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with two errors that are independent of each other.

    Attributes:
        noise_se: standard error of the confidentiality noise.
        sampling_se: standard error of a simple random sample of that size; a clustered survey's is larger.
    """

    value: float
    noise_se: float
    sampling_se: float

    @property
    def se(self) -> float:
        """Both errors together."""
        return sqrt(self.noise_se**2 + self.sampling_se**2)


@dataclass(frozen=True, slots=True)
class Rates:
    """One country's rates.

    Attributes:
        crude, standardised: null if strata are missing.
        strata: those whose counts were all released, in the order of the reference.
        missing: strata of the reference without a rate: a count is suppressed, absent, or they are empty.
    """

    member: str
    crude: Rate | None
    standardised: Rate | None
    strata: tuple[Stratum, ...]
    missing: tuple[str, ...]


def directly(
    outcomes: Sequence[Outcome],
    *,
    numerator: tuple[str, str],
    others: Sequence[str],
    stratum: str,
    reference: Mapping[str, float],
) -> tuple[Rates, ...]:
    """Standardise each country that answered.

    Args:
        outcomes: of a question grouped by the stratum and the numerator's dimension, and by nothing else.
        numerator: dimension and the code that is counted, for instance `("uses", "Y")`.
        others: the remaining codes of that dimension that belong to the denominator; codes that are in neither
            (not stated) are left out.
        stratum: dimension of the strata, for instance `age_group`.
        reference: size of the reference population by stratum, in any unit.

    Raises:
        StandardiseError: an answer lacks a column, or the reference has no positive total.
    """
    total = sum(reference.values())
    if total <= 0 or min(reference.values()) < 0:
        raise StandardiseError("The reference population must not be negative, nor empty.")
    shares = {code: size / total for code, size in reference.items()}
    return tuple(_country(answer, numerator, others, stratum, shares) for answer in answered(outcomes))


def _country(
    answer: Answered,
    numerator: tuple[str, str],
    others: Sequence[str],
    stratum: str,
    shares: Mapping[str, float],
) -> Rates:
    dimension, code = numerator
    counts, variance = _counts(answer, stratum, dimension)
    strata = tuple(
        made
        for name in shares
        if (made := _stratum(name, counts.get((name, code)), [counts.get((name, o)) for o in others], variance))
    )
    missing = tuple(name for name in shares if name not in {made.code for made in strata})
    if missing:
        return Rates(answer.member, None, None, strata, missing)
    return Rates(answer.member, _crude(strata, len(others), variance), _standardised(strata, shares), strata, ())


def _counts(answer: Answered, stratum: str, dimension: str) -> tuple[dict[tuple[str, str], float | None], float]:
    """Return the released counts by stratum and code, and the variance of the noise on each."""
    count = answer.count
    if set(answer.dimensions) != {stratum, dimension} or count is None:
        raise StandardiseError(f"{answer.member}: the table must be counts by {stratum} and {dimension} alone.")
    columns = (answer.table[name].to_pylist() for name in (stratum, dimension, count))
    counts = {(name, code): value for name, code, value in zip(*columns, strict=True)}
    return counts, answer.noise_variance(count)


def _stratum(code: str, numerator: float | None, others: list[float | None], variance: float) -> Stratum | None:
    released = [value for value in others if value is not None]
    if numerator is None or len(released) < len(others):
        return None
    denominator = numerator + sum(released)
    if denominator <= 0:
        return None
    return Stratum(code, numerator, denominator, _rate_variance(numerator, denominator, 1, len(others), variance))


def _crude(strata: Sequence[Stratum], others: int, variance: float) -> Rate:
    numerator = sum(s.numerator for s in strata)
    denominator = sum(s.denominator for s in strata)
    noise = _rate_variance(numerator, denominator, len(strata), others, variance)
    rate = numerator / denominator
    return Rate(rate, sqrt(noise), sqrt(rate * (1 - rate) / denominator))


def _standardised(strata: Sequence[Stratum], shares: Mapping[str, float]) -> Rate:
    """Strata are independent, so var(R) = sum of w^2 var(p). Keyfitz, Human Biology 38 (1966) 309."""
    return Rate(
        sum(shares[s.code] * s.rate for s in strata),
        sqrt(sum(shares[s.code] ** 2 * s.noise_variance for s in strata)),
        sqrt(sum(shares[s.code] ** 2 * s.sampling_variance for s in strata)),
    )


def _rate_variance(numerator: float, denominator: float, cells: int, others: int, variance: float) -> float:
    """Return the noise variance of a / (a + b) by the delta method (Oehlert, The American Statistician 46 (1992) 27).

    `a` is a sum of `cells` noisy counts and `b` of `cells` times `others`; each has the same variance V, independent of
    each other. With n = a + b: da = (n - a)/n^2 and db = -a/n^2.
    """
    rest = denominator - numerator
    return variance * cells * (rest**2 + others * numerator**2) / denominator**4
