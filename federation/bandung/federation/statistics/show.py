"""Answers as a statistician reads them: a row for each cell, a column for each country, a sign where nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bandung.federation.domain.study import Answered, Cell, Declined, Outcome, answered

if TYPE_CHECKING:
    from bandung.federation.statistics.combine import Pooled

SUPPRESSED, UNRELIABLE, ABSENT = "c", "u", "-"
_MEANINGS = {
    SUPPRESSED: "suppressed to keep it confidential",
    UNRELIABLE: "too few records for the noise on it",
    ABSENT: "the country has no such cell",
}
_SIGNS = {"O": UNRELIABLE, "M": ABSENT}
"""By SDMX code list CL_OBS_STATUS: missing value; missing value, data cannot exist."""


def wide(outcomes: Sequence[Outcome], pooled: Pooled | None = None) -> Table:
    """Return a table of the answers with the countries beside each other, and the pooled values if given.

    Cells come in the order of the first answer that has them.
    """
    answers = answered(outcomes)
    statistics = answers[0].statistics
    table = Table(box=SIMPLE_HEAD)
    _head(table, answers, pooled)
    columns = {(a.member, name): _column(a, name) for a in answers for name in statistics}
    totals = dict(zip(pooled.cells, pooled.total.to_pylist(), strict=True)) if pooled else {}
    for cell in dict.fromkeys(cell for answer in answers for cell in answer.cells):
        row = list(cell)
        for name in statistics:
            row += [columns[answer.member, name].get(cell, ABSENT) for answer in answers]
            if pooled:
                row += [_number(totals[cell][name]), _error(totals[cell][f"{name}.se"])]
        table.add_row(*row, *([totals[cell]["missing"]] if pooled else []))
    return table


def _head(table: Table, answers: Sequence[Answered], pooled: Pooled | None) -> None:
    for name in answers[0].dimensions:
        table.add_column(name)
    for name in answers[0].statistics:
        for answer in answers:
            table.add_column(f"{answer.member}\n{name}", justify="right")
        if pooled:
            table.add_column(f"all\n{name}", justify="right", style="bold")
            table.add_column("± se", justify="right", style="dim")
    if pooled:
        table.add_column("without")


def line(outcome: Outcome) -> str:
    """Return one line about a country: what came, or why nothing did."""
    if isinstance(outcome, Answered):
        size = f"{outcome.bytes / 1024:.1f} KiB"
        return f"{len(outcome.table)} rows, {size}, {outcome.seconds * 1000:.0f} ms, receipt {outcome.receipt}"
    if isinstance(outcome, Declined):
        return f"declined: {outcome.reason}"
    return f"not reached: {outcome.reason}"


def legend(outcomes: Iterable[Outcome]) -> str:
    """Return what the signs mean, if any is used, and how large the noise is."""
    answers = answered(outcomes)
    cells = {cell for answer in answers for cell in answer.cells}
    shown = {sign for answer in answers for name in answer.statistics for sign in _column(answer, name).values()}
    shown |= {ABSENT for answer in answers if set(answer.cells) != cells}
    counts = {(a.member, name): a.noise_of(name) for a in answers for name in a.statistics}
    deviations = sorted({noise["variance"] ** 0.5 for noise in counts.values() if "variance" in noise})
    used = [f"{sign}  {meaning}" for sign, meaning in _MEANINGS.items() if sign in shown]
    lines = ["    ".join(used)] if used else []
    lines += [f"Counts carry confidentiality noise of standard deviation {value:.2g}." for value in deviations]
    return "\n".join(lines)


def _column(answer: Answered, name: str) -> dict[Cell, str]:
    values, statuses = answer.table[name].to_pylist(), answer.table["OBS_STATUS"].to_pylist()
    signs = [_SIGNS.get(status, SUPPRESSED) for status in statuses]
    shown = [sign if value is None else _number(value) for value, sign in zip(values, signs, strict=True)]
    return dict(zip(answer.cells, shown, strict=True))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
