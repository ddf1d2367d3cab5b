"""Answers as a statistician reads them: a row for each cell, a column for each country, a sign where nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bandung.federation.domain.study import Answered, Cell, Declined, Outcome, answered
from bandung.gateway.domain.noise import NORMAL_95

if TYPE_CHECKING:
    from bandung.federation.statistics.combine import Pooled

SUPPRESSED, UNRELIABLE, ABSENT = "c", "u", "-"
_MEANINGS = {
    SUPPRESSED: "suppressed to keep it confidential",
    UNRELIABLE: "too few records for the noise on it",
    ABSENT: "the country has no such cell",
}
_INTERVAL = "±  half the 95 % interval of the confidentiality noise, or the most it can be; sampling comes on top"
_SIGNS = {"O": UNRELIABLE, "M": ABSENT}
"""By SDMX code list CL_OBS_STATUS: missing value; missing value, data cannot exist."""


def wide(outcomes: Sequence[Outcome], pooled: Pooled | None = None) -> Table:
    """Return a table of the answers with the countries beside each other, and the pooled values if given.

    Cells come in the order of the first answer that has them. A value has half the 95 % interval of its noise beside
    it, as far as that is known; pooled noise, a sum of several, is taken to be normal.
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
                row.append(_pooled(totals[cell], name))
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


def legend(outcomes: Iterable[Outcome], pooled: Pooled | None = None) -> str:
    """Return what the signs mean, as far as they are used, and why a statistic has no pooled value."""
    answers = answered(outcomes)
    cells = {cell for answer in answers for cell in answer.cells}
    shown = {text for answer in answers for name in answer.statistics for text in _column(answer, name).values()}
    shown |= {ABSENT for answer in answers if set(answer.cells) != cells}
    used = [f"{sign}  {meaning}" for sign, meaning in _MEANINGS.items() if sign in shown]
    lines = ["    ".join(used)] if used else []
    lines += [_INTERVAL] if any("±" in text for text in shown) else []
    lines += [f"all {name} is blank. {reason}" for name, reason in (pooled.unpooled if pooled else {}).items()]
    return "\n".join(lines)


def _column(answer: Answered, name: str) -> dict[Cell, str]:
    values, statuses = answer.table[name].to_pylist(), answer.table["OBS_STATUS"].to_pylist()
    signs = [_SIGNS.get(status, SUPPRESSED) for status in statuses]
    shown = [
        sign if value is None else _number(value, half_width)
        for value, half_width, sign in zip(values, answer.half_widths(name), signs, strict=True)
    ]
    return dict(zip(answer.cells, shown, strict=True))


def _pooled(total: Mapping[str, Any], name: str) -> str:
    value, error = total[name], total[f"{name}.se"]
    return "" if value is None else _number(value, error and NORMAL_95 * error)


def _number(value: float, half_width: float | None) -> str:
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return f"{number} ±{_error(half_width)}" if half_width else number


def _error(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
