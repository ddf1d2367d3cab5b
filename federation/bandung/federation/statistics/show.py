"""Answers as a statistician reads them: one row for a cell, one column for a country, a sign where a value is absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from bandung.federation.domain.study import Answered, Declined, Outcome, answered

if TYPE_CHECKING:
    from bandung.federation.statistics.combine import Pooled

SUPPRESSED = "c"
ABSENT = "-"
LEGEND = f"{SUPPRESSED}  suppressed to keep it confidential    {ABSENT}  the country has no such cell"

_Cell = tuple[str, ...]


def wide(outcomes: Sequence[Outcome], pooled: Pooled | None = None) -> Table:
    """Return a table of the answers with the countries beside each other, and the pooled values if given.

    Cells come in the order of the first answer that has them.
    """
    answers = answered(outcomes)
    table = Table(show_edge=False, pad_edge=False)
    dimensions, statistics = answers[0].dimensions, answers[0].statistics
    for name in dimensions:
        table.add_column(name)
    for name in statistics:
        for answer in answers:
            table.add_column(f"{answer.member}\n{name}", justify="right")
        if pooled:
            table.add_column(f"all\n{name}", justify="right", style="bold")
            table.add_column("± se", justify="right", style="dim")
    if pooled:
        table.add_column("without")
    columns = {(a.member, name): _column(a, name) for a in answers for name in statistics}
    totals = {cell: row for cell, row in zip(_cells(pooled), pooled.total.to_pylist(), strict=True)} if pooled else {}
    for cell in dict.fromkeys(cell for answer in answers for cell in _answer_cells(answer)):
        row = list(cell)
        for name in statistics:
            row += [columns[answer.member, name].get(cell, ABSENT) for answer in answers]
            if cell in totals:
                row += [_number(totals[cell][name], name), _number(totals[cell][f"{name}.se"], "se")]
        table.add_row(*row, *([totals[cell]["missing"]] if cell in totals else []))
    return table


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
    cells = {cell for answer in answers for cell in _answer_cells(answer)}
    holes = any(answer.table[name].null_count for answer in answers for name in answer.statistics)
    short = any(set(_answer_cells(answer)) != cells for answer in answers)
    lines = [LEGEND] if holes or short else []
    variances = {a.noise_of(name)["variance"] for a in answers for name in a.statistics if "variance" in a.noise_of(name)}
    lines += [f"Counts carry confidentiality noise of standard deviation {v**0.5:.2g}." for v in sorted(variances)]
    return "\n".join(lines)


def _column(answer: Answered, name: str) -> dict[_Cell, str]:
    values = answer.table[name].to_pylist()
    return {
        cell: SUPPRESSED if value is None else _number(value, answer.columns.get(name, name))
        for cell, value in zip(_answer_cells(answer), values, strict=True)
    }


def _answer_cells(answer: Answered) -> list[_Cell]:
    if not answer.dimensions:
        return [()] * len(answer.table)
    return list(zip(*(answer.table[name].to_pylist() for name in answer.dimensions), strict=True))


def _cells(pooled: Pooled) -> list[_Cell]:
    if not pooled.dimensions:
        return [()] * len(pooled.total)
    return list(zip(*(pooled.total[name].to_pylist() for name in pooled.dimensions), strict=True))


def _number(value: float | None, statistic: str) -> str:
    if value is None:
        return ABSENT
    if statistic == "se":
        return f"{value:.2g}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
