"""Pictures: answers as bars by cell and country with the interval of the noise, and how much of a budget is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bandung.federation.domain.study import Answered, Outcome, answered

if TYPE_CHECKING:
    from pathlib import Path


def formats() -> tuple[str, ...]:
    """Return the suffixes, without a dot, of the files that can be drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return tuple(FigureCanvasAgg.get_supported_filetypes())


def bars(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw the first statistic of every answer with its 95 % interval; a suppressed cell has no bar.

    Args:
        path: file to write; its suffix says which of the `formats`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    answers = answered(outcomes)
    cells = list(dict.fromkeys(cell for answer in answers for cell in _labels(answer)))
    figure = Figure(figsize=(max(6.0, 0.5 * len(cells) * len(answers)), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    width = 0.8 / len(answers)
    for place, answer in enumerate(answers):
        name = answer.statistics[0]
        values = dict(zip(_labels(answer), answer.table[name].to_pylist(), strict=True))
        half_widths = dict(zip(_labels(answer), answer.half_widths(name), strict=True))
        shown = [(at, cell) for at, cell in enumerate(cells) if values.get(cell) is not None]
        axes.bar(
            [at + (place - (len(answers) - 1) / 2) * width for at, _ in shown],
            [values[cell] for _, cell in shown],
            width,
            yerr=[half_widths[cell] or 0.0 for _, cell in shown],
            label=answer.member,
        )
    axes.set_xticks(range(len(cells)), cells, rotation=30 if len(cells) > 6 else 0)
    axes.set_ylabel(answers[0].statistics[0])
    axes.set_xlabel(", ".join(answers[0].dimensions))
    figure.legend(frameon=False, loc="outside right upper")
    figure.savefig(path, dpi=150)


def shares(spent: Mapping[str, float], path: Path) -> None:
    """Draw how much of each account is spent, as bars from 0 to 100 %.

    Args:
        spent: share by label.
        path: as for `bars`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 1.0 + 0.5 * len(spent)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.barh(range(len(spent)), [100.0] * len(spent), color="#e8e8e8")
    drawn = axes.barh(range(len(spent)), [100 * share for share in spent.values()])
    axes.bar_label(drawn, [f"{share:.1%}" for share in spent.values()], padding=3)
    axes.set_yticks(range(len(spent)), list(spent))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("spent, %")
    figure.savefig(path, dpi=150)


def _labels(answer: Answered) -> list[str]:
    return [" ".join(cell) or "all" for cell in answer.cells]
