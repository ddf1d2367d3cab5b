"""A table of a census under differential privacy: its error, and its time ÷ that of the same raw aggregate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from bandung.connectors.base import Stop
from bandung.gateway.disclosure.differential_privacy import protect, questions
from bandung.gateway.disclosure.privacy_budget import nano_rho_within
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Plan, Statistic
from bandung.gateway.domain.release import Raw
from bandung.gateway.planning.check import CheckedPlan, check
from bandung.gateway.service.execution import execute
from bandung.gateway.service.ports import Cells
from benchmarks import nodes
from benchmarks.census import CELLS, write_declaration
from benchmarks.report import Section, Spent, interleaved, ratio

Say = Callable[[str], None]
_KEYS = ("region", "sex", "age_band")
_EPSILON, _DELTA = 1.0, 1e-10
_MEDIAN_GOAL, _P95_GOAL, _RATIO_GOAL = 0.2, 1.2, 1.3
_DRAWS = 20
_COUNT, _SUM, _MEAN = Statistic("count"), Statistic("sum", "income"), Statistic("mean", "income")
_BOUNDS = (0, 1_000_000)
"""What wealth is clamped to; it is declared up to a thousand times as much."""
_TABLES = {
    "counts": ((_COUNT,), "count(*)"),
    "counts and sums": ((_COUNT, _SUM), "count(*), sum(income)"),
    "counts, sums and means": ((_COUNT, _SUM, _MEAN), "count(*), sum(income), avg(income)"),
    "counts and bounded sums": ((_COUNT, Statistic("sum", "wealth")), "count(*), sum(wealth)"),
    "counts and variances": ((_COUNT, Statistic("variance", "income")), "count(*), var_samp(income)"),
}


@dataclass(frozen=True, slots=True)
class _Table:
    """One table over the census, with the whole ε to spend."""

    checked: CheckedPlan
    epoch: Epoch
    source: Cells

    def raw(self) -> Raw:
        return Raw(self.source.cells(questions(self.checked, self.epoch).cells, Stop()), None)

    def answer(self) -> object:
        return execute(self.checked, self.epoch, self.source, b"", Stop())


def measure(directory: Path, census: Path, persons: int, rounds: int, say: Say) -> list[Section]:
    """Publish the census anew under differential privacy, and compare its tables with raw ones.

    Args:
        census: the Parquet file of `write_census`.
    """
    declaration = _declaration(census)
    say("publishing the census under differential privacy")
    published = nodes.publish(directory / "private", "census", declaration)
    times: list[list[str]] = []
    errors: list[list[str]] = []
    with nodes.open_desk(published) as desk, _raw(published) as engine:
        epoch = desk.catalogue.find(nodes.ANALYST, "census")
        if epoch is None:
            raise LookupError("the census is not there")
        for title, (statistics, columns) in _TABLES.items():
            say(f"{title}, private: {rounds} rounds")
            table = _Table(_checked(epoch, statistics), epoch, desk.epochs.open(epoch))
            spent = interleaved(rounds, _acts(table, engine, columns))
            times.append(_ratios(title, spent))
            ordered = f"{_aggregate(columns)} ORDER BY {', '.join(_KEYS)}"
            errors += _errors(title, table, engine.sql(ordered).to_arrow_table())
    return [_times(persons, times, rounds), _accuracy(persons, errors)]


def _declaration(census: Path) -> Path:
    path = census.with_name("private.toml")
    write_declaration(path, census.name)
    sections, _, _ = path.read_text("utf-8").partition("[policy]")
    sections = sections.replace("[columns.wealth]", f"[columns.wealth]\nbounds = {[*_BOUNDS]}")
    budgets = "rho_per_dataset = 1000.0\nrho_per_table_max = 1.0\n"
    path.write_text(f'{sections}[policy]\nkind = "differential-privacy"\n{budgets}', "utf-8")
    return path


@contextmanager
def _raw(published: nodes.Published) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the same file, by another name, in an engine of its own."""
    other_name = published.node.root / "raw.duckdb"
    other_name.hardlink_to(published.snapshot)
    with duckdb.connect(str(other_name), read_only=True, config=nodes.ENGINE) as engine:
        yield engine


def _checked(epoch: Epoch, statistics: tuple[Statistic, ...]) -> CheckedPlan:
    return check(Plan(epoch.id, _KEYS, (), statistics, nano_rho_within(_EPSILON, _DELTA)), epoch)


def _aggregate(columns: str) -> str:
    keys = ", ".join(_KEYS)
    return f"SELECT {keys}, {columns} FROM data GROUP BY {keys}"


def _acts(table: _Table, engine: duckdb.DuckDBPyConnection, columns: str) -> Mapping[str, Callable[[], object]]:
    statement, raw = _aggregate(columns), table.raw()
    return {
        "raw": lambda: engine.sql(statement).to_arrow_table(),
        "answer": table.answer,
        "protect": lambda: protect(table.checked, table.epoch, raw),
    }


def _ratios(title: str, spent: Mapping[str, Spent]) -> list[str]:
    wall, cpu = ratio(spent["answer"], spent["raw"])
    times = [f"{spent[name].median_ms:.0f}" for name in ("raw", "protect")]
    return [title, *times, f"{wall:.2f} ({cpu:.2f})", f"{_RATIO_GOAL}"]


def _errors(title: str, table: _Table, exact: pa.Table) -> Iterator[list[str]]:
    """Relative errors of each statistic in all cells of several draws, in %.

    Args:
        exact: the same cells in code-list order, without noise.
    """
    raw = table.raw()
    draws = [protect(table.checked, table.epoch, raw).table for _ in range(_DRAWS)]
    for place, statistic in enumerate(table.checked.plan.statistics, len(_KEYS)):
        true = exact.column(place).cast(pa.float64()).to_numpy()
        off = np.concatenate([abs(draw.column(statistic.name).to_numpy() / true - 1) for draw in draws]) * 100
        goals = f"{_MEDIAN_GOAL} / {_P95_GOAL}" if statistic is _COUNT else ""
        yield [f"{title}: {statistic.name}", f"{np.median(off):.3f}", f"{np.quantile(off, 0.95):.3f}", goals]


def _times(persons: int, rows: list[list[str]], rounds: int) -> Section:
    return Section(
        f"Differential privacy ÷ raw: {persons:,} persons, {CELLS:,} cells",
        ["statistics", "raw, ms", "protect, ms", "execute and protect ÷ raw", "target"],
        rows,
        [f"Medians of {rounds} interleaved rounds; in brackets processor time, all threads."],
    )


def _accuracy(persons: int, rows: list[list[str]]) -> Section:
    return Section(
        f"Relative error under differential privacy: {persons:,} persons, {CELLS:,} cells, %",
        ["table: statistic", "median", "95th percentile", "target"],
        rows,
        [f"Each table spends all of ε = {_EPSILON:g} at δ = {_DELTA:g}; {_DRAWS} draws."],
    )
