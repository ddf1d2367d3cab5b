"""What was measured, as tables for the terminal and for Markdown."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_VERSIONS = ("duckdb", "pyarrow", "grpcio", "adbc-driver-flightsql", "SQLAlchemy", "numpy", "flwr")


@dataclass(frozen=True, slots=True)
class Section:
    """One part's table, as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Return the section as Markdown."""
        lines = [f"### {self.title}", "", _row(self.columns), _row(["---"] + ["---:"] * (len(self.columns) - 1))]
        lines += [_row(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes)])

    def text(self) -> str:
        """Return the section for a terminal."""
        table = [self.columns, *self.rows]
        widths = [max(len(row[at]) for row in table) for at in range(len(self.columns))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table]
        return "\n".join([self.title, *(f"  {line}" for line in lines), *(f"  {note}" for note in self.notes), ""])


@dataclass(frozen=True, slots=True)
class Spent:
    """What acts took, one element for each round: seconds, and seconds of processors of this process."""

    wall: list[float]
    cpu: list[float]

    @property
    def median_ms(self) -> float:
        """Median of the seconds, in milliseconds."""
        return statistics.median(self.wall) * 1000

    @property
    def median_cpu_ms(self) -> float:
        """Median of the processors' seconds, in milliseconds."""
        return statistics.median(self.cpu) * 1000


def interleaved(rounds: int, acts: Mapping[str, Callable[[], object]]) -> dict[str, Spent]:
    """Do the acts in turn, A B C A B C …, so that whatever else the machine does falls on all alike.

    A first round, not counted, warms caches.
    """
    spent = {name: Spent([], []) for name in acts}
    for number in range(rounds + 1):
        for name, act in acts.items():
            cpu, wall = time.process_time(), time.perf_counter()
            act()
            if number:
                spent[name].wall.append(time.perf_counter() - wall)
                spent[name].cpu.append(time.process_time() - cpu)
    return spent


def ratio(one: Spent, other: Spent) -> tuple[float, float]:
    """Return the medians over the rounds of one ÷ other: of the seconds, and of the processors' seconds."""
    wall, cpu = (
        statistics.median(a / b for a, b in zip(first, second, strict=True) if b)
        for first, second in ((one.wall, other.wall), (one.cpu, other.cpu))
    )
    return wall, cpu


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def machine() -> str:
    """Return processor, memory and versions in a line each."""
    lines = [
        f"- {os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB; {platform.platform()}",
        f"- load in the minute before the start: {os.getloadavg()[0]:.1f}",
        f"- Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _VERSIONS),
    ]
    return "\n".join(lines)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
