"""Per-country answers into one long table, and into totals with the error that the published noise implies.

Only released values are used, so nothing here can reveal more than the countries' answers do. Where a country
suppressed a cell, does not have it, or gave no answer at all, the total is of the others and says so: it is never
filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import pyarrow as pa

from bandung.federation.domain.study import Answered, Cell, Outcome, answered, cells_of

_ADDITIVE = frozenset({"count", "units", "sum"})
"""Statistics that countries' values add up to; a spread or a quantile of all cannot be had from each country's own."""


class CombineError(ValueError):
    """The answers cannot be combined; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Countries' answers put together.

    Attributes:
        countries: the answers one below the other: `member` (utf8), then the columns of the answers.
        total: dimensions (utf8) in the order in which cells first appear; for each statistic `s` its pooled value
            `s` and `s.se`, the standard error that the published noise implies (float64, null where it implies none:
            the mean of a measure with missing values); `missing` (utf8): ids of the countries asked that have no
            value in this cell or gave no answer, separated by a space, empty if the cell is complete.
        statistics: names of the pooled statistics.
        unpooled: those among them that have no pooled value in any cell, and why, in a sentence.
        dimensions: names of the columns that classify.
    """

    countries: pa.Table
    total: pa.Table
    statistics: tuple[str, ...]
    dimensions: tuple[str, ...]
    unpooled: Mapping[str, str]

    @property
    def cells(self) -> list[Cell]:
        """The codes of each row of the total."""
        return cells_of(self.total, self.dimensions)


@dataclass(frozen=True, slots=True)
class _Value:
    """One country's released value in one cell; `count` is of the same cell, where the question had one."""

    value: float
    variance: float | None
    count: float | None
    count_variance: float


def long_table(outcomes: Sequence[Outcome]) -> pa.Table:
    """Return the answers one below the other, with a column `member` before the others.

    What only countries under another release policy tell (`_ci95`) is null for the others.

    Raises:
        CombineError: nobody answered, or the answers do not have the same dimensions and statistics.
    """
    answers = _alike(outcomes)
    tables = [
        answer.table.replace_schema_metadata(None).add_column(
            0, "member", pa.array([answer.member] * len(answer.table))
        )
        for answer in answers
    ]
    return pa.concat_tables(tables, promote_options="permissive")


def pool(outcomes: Sequence[Outcome]) -> Pooled:
    """Add up countries.

    Counts and sums add, and so do their noise variances, because each country draws its noise on its own. A mean is
    the mean of the countries' means weighted by their released counts; it needs a count in the same question, and is
    null without one; so is every other statistic (variances, quantiles). Standard errors are those of the
    confidentiality noise alone, not of sampling.

    Raises:
        CombineError: nobody answered, or the answers do not have the same dimensions and statistics.
    """
    countries = long_table(outcomes)
    answers = _alike(outcomes)
    first = answers[0]
    cells = list(dict.fromkeys(cell for answer in answers for cell in answer.cells))
    columns: dict[str, pa.Array] = {
        name: pa.array([cell[place] for cell in cells], pa.string()) for place, name in enumerate(first.dimensions)
    }
    missing = [{outcome.member for outcome in outcomes} - {answer.member for answer in answers} for _ in cells]
    for statistic in first.statistics:
        by_country = {answer.member: _values(answer, statistic) for answer in answers}
        pooled = [_add({m: values.get(cell) for m, values in by_country.items()}, first, statistic) for cell in cells]
        columns[statistic] = pa.array([value for value, _, _ in pooled], pa.float64())
        columns[f"{statistic}.se"] = pa.array([error for _, error, _ in pooled], pa.float64())
        for place, (_, _, absent) in enumerate(pooled):
            missing[place] |= absent
    order = [outcome.member for outcome in outcomes]
    columns["missing"] = pa.array([" ".join(m for m in order if m in absent) for absent in missing], pa.string())
    return Pooled(countries, pa.table(columns), first.statistics, first.dimensions, _unpooled(first))


def _alike(outcomes: Sequence[Outcome]) -> tuple[Answered, ...]:
    answers = answered(outcomes)
    if not answers:
        raise CombineError("No country answered.")
    for other in answers[1:]:
        if (other.dimensions, other.statistics) != (answers[0].dimensions, answers[0].statistics):
            raise CombineError(f"{other.member} answered with other columns than {answers[0].member}.")
    return answers


def _unpooled(question: Answered) -> dict[str, str]:
    reasons = {name: _why_not(_kind(question, name), question.count) for name in question.statistics}
    return {name: reason for name, reason in reasons.items() if reason}


def _why_not(kind: str, count: str | None) -> str:
    if kind == "mean":
        return "" if count else "Means are weighted by counts: add COUNT(*) to the question."
    return "" if kind in _ADDITIVE else f"A {kind} of all countries cannot be had from each country's own."


def _kind(question: Answered, statistic: str) -> str:
    """Return which statistic a column holds: `count`, `sum`, `mean`, `quantile` …"""
    return question.columns.get(statistic, statistic).partition("(")[0]


def _values(answer: Answered, statistic: str) -> dict[Cell, _Value]:
    """Return the released values of a column by cell; what is suppressed is not in it."""
    counts = answer.count
    count_variance = answer.noise_variance(counts) if counts else 0.0
    of_cells: list[float | None] = answer.table[counts].to_pylist() if counts else [None] * len(answer.table)
    variances = answer.noise_variances(statistic)
    values = answer.table[statistic].to_pylist()
    return {
        cell: _Value(float(value), variance, count, count_variance)
        for cell, value, variance, count in zip(answer.cells, values, variances, of_cells, strict=True)
        if value is not None
    }


def _add(
    values: dict[str, _Value | None], question: Answered, statistic: str
) -> tuple[float | None, float | None, set[str]]:
    """Return pooled value, its standard error, and the countries without a value."""
    present = [value for value in values.values() if value is not None]
    absent = {member for member, value in values.items() if value is None}
    if not present:
        return None, None, absent
    kind = _kind(question, statistic)
    if kind == "mean":
        return (*_mean(present), absent)
    if kind not in _ADDITIVE:
        return None, None, absent
    return sum(v.value for v in present), _root([v.variance for v in present]), absent


def _mean(values: Sequence[_Value]) -> tuple[float | None, float | None]:
    """Pool means by counts; the error by the delta method over means and counts, taken as independent.

    For M = sum(n m) / N: dM/dm = n/N and dM/dn = (m - M)/N. Oehlert, The American Statistician 46 (1992) 27.
    """
    counts = [value.count for value in values]
    total = sum(count for count in counts if count is not None)
    if None in counts or total <= 0:
        return None, None
    weighted = [(value, value.count or 0.0) for value in values]
    mean = sum(count * value.value for value, count in weighted) / total
    variances = [
        None
        if value.variance is None
        else (count / total) ** 2 * value.variance + ((value.value - mean) / total) ** 2 * value.count_variance
        for value, count in weighted
    ]
    return mean, _root(variances)


def _root(variances: Sequence[float | None]) -> float | None:
    """The standard error of a sum of independent parts; unknown if one of them is."""
    known = [variance for variance in variances if variance is not None]
    return sqrt(sum(known)) if len(known) == len(variances) else None
