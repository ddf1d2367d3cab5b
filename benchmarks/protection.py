"""A protected table ÷ the same raw aggregate in DuckDB, on the same file, in the same process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bandung.connectors.base import Stop
from bandung.gateway.disclosure.table_builder import protect, uncertified
from bandung.gateway.domain.release import Raw
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import check, source_query
from bandung.gateway.planning.sql import plan_sql
from benchmarks import census, nodes, register
from benchmarks.report import Section, Spent, interleaved, ratio

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Population:
    """A published dataset to ask about.

    Attributes:
        size, rows: how many rows, and what they are.
        keys: dimensions of every table.
        cells: of every table.
        statistics: asked for together, by title, and the most that they may cost: ÷ raw.
        file: the Parquet file that it was published from.
    """

    size: int
    rows: str
    keys: str
    cells: int
    statistics: Mapping[str, tuple[str, float]]
    file: Path
    published: nodes.Published


def a_census(directory: Path, persons: int, say: Say) -> Population:
    """Generate a census and publish it."""
    file, declaration = directory / "census.parquet", directory / "census.toml"
    say(f"generating {persons:,} persons")
    census.write_census(file, persons)
    census.write_declaration(declaration, file.name)
    say("publishing them")
    statistics = {
        "counts": ("COUNT(*)", 1.15),
        "counts and sums, wages": ("COUNT(*), SUM(income)", 1.15),
        "counts, sums and means, wages": ("COUNT(*), SUM(income), AVG(income)", 1.15),
        "counts and sums, fortunes": ("COUNT(*), SUM(wealth)", 1.15),
    }
    published = nodes.publish(directory / "census", "census", declaration)
    return Population(persons, "persons", "region, sex, age_band", census.CELLS, statistics, file, published)


def a_register(directory: Path, establishments: int, say: Say) -> Population:
    """Generate a business register and publish it."""
    file, declaration = directory / "register.parquet", directory / "register.toml"
    say(f"generating about {establishments:,} establishments")
    register.write_register(file, establishments)
    register.write_declaration(declaration, file.name)
    say("publishing them")
    statistics = {
        "counts": ("COUNT(*)", 3.0),
        "counts and sums": ("COUNT(*), SUM(turnover)", 3.0),
        "counts, sums and means": ("COUNT(*), SUM(turnover), AVG(turnover)", 3.0),
    }
    published = nodes.publish(directory / "register", "register", declaration)
    written = pq.read_metadata(file).num_rows
    return Population(written, "establishments", "region, activity", register.CELLS, statistics, file, published)


def measure(population: Population, rounds: int, say: Say) -> list[Section]:
    """Compare protected tables with raw ones."""
    rows: list[list[str]] = []
    parts: list[list[str]] = []
    with nodes.open_desk(population.published, forgetful=True) as desk, _raw(population) as raw:
        for title, (statistics, target) in population.statistics.items():
            say(f"{title}: {rounds} rounds")
            spent = interleaved(rounds, _acts(population, desk, raw, statistics))
            rows.append(_ratios(title, spent, target))
            say("  " + "; ".join(f"{name} {found.median_ms:.0f} ms" for name, found in spent.items()))
            steps = interleaved(rounds, _steps(desk, _sql(population, statistics)))
            parts.append([title, *(f"{found.median_ms:.1f}" for found in steps.values())])
    return [_table(population, rows, rounds), _inside(population, parts), _publication(population)]


def _raw(population: Population) -> duckdb.DuckDBPyConnection:
    """Open the same file, by another name, in an engine of its own: DuckDB's own settings, as many threads."""
    other_name = population.published.node.root / "raw.duckdb"
    if not other_name.exists():
        other_name.hardlink_to(population.published.snapshot)
    return duckdb.connect(str(other_name), read_only=True, config=nodes.ENGINE)


def _acts(
    population: Population, desk: nodes.Desk, raw: duckdb.DuckDBPyConnection, statistics: str
) -> Mapping[str, Callable[[], object]]:
    exchanges = itertools.count()
    parquet = duckdb.connect(config={"threads": nodes.ENGINE_THREADS_MAX})
    on_parquet = _sql(population, statistics, f"read_parquet('{population.file}')")
    protected, over_the_rows = _sql(population, statistics), _sql(population, statistics, "data")
    return {
        "raw": lambda: raw.sql(over_the_rows).to_arrow_table(),
        "execution": _execution(desk, protected),
        "answer": lambda: desk.queries.answer(nodes.ANALYST, protected, (), str(next(exchanges)), Stop()),
        "parquet": lambda: parquet.sql(on_parquet).to_arrow_table(),
    }


def _sql(population: Population, statistics: str, relation: str | None = None) -> str:
    relation = relation or population.published.dataset
    return f"SELECT {population.keys}, {statistics} FROM {relation} GROUP BY {population.keys}"


def _execution(desk: nodes.Desk, sql: str) -> Callable[[], object]:
    """Execute and protect, without planning anew and without the record."""
    statement, epoch = plan_sql(sql, lambda name: desk.catalogue.find(nodes.ANALYST, name))
    (plan,) = bind(statement, epoch, ())
    checked = check(plan, epoch)
    source = desk.epochs.open(epoch)

    def execute() -> object:
        cells = source.cells(source_query(checked, epoch), Stop())
        closer_look = uncertified(checked, epoch, cells, desk.dataset_key)
        contributions = source.contributions(closer_look, Stop()) if closer_look else None
        return protect(checked, epoch, Raw(cells, contributions), desk.dataset_key)

    return execute


def _steps(desk: nodes.Desk, sql: str) -> Mapping[str, Callable[[], object]]:
    """The steps of the execution, each given what the one before it found."""
    statement, epoch = plan_sql(sql, lambda name: desk.catalogue.find(nodes.ANALYST, name))
    (plan,) = bind(statement, epoch, ())
    checked = check(plan, epoch)
    source = desk.epochs.open(epoch)
    cells = source.cells(source_query(checked, epoch), Stop())
    closer_look = uncertified(checked, epoch, cells, desk.dataset_key)

    def look() -> pa.Table | None:
        return source.contributions(closer_look, Stop()) if closer_look else None

    found = look()
    return {
        "cells": lambda: source.cells(source_query(checked, epoch), Stop()),
        "certify": lambda: uncertified(checked, epoch, cells, desk.dataset_key),
        "closer look": look,
        "protect": lambda: protect(checked, epoch, Raw(cells, found), desk.dataset_key),
    }


def _ratios(title: str, spent: Mapping[str, Spent], target: float) -> list[str]:
    raw = spent["raw"]
    cells = [title, f"{raw.median_ms:.0f}"]
    for name in ("execution", "answer", "parquet"):
        wall, cpu = ratio(spent[name], raw)
        cells.append(f"{wall:.2f} ({cpu:.2f})")
    return [*cells, f"{target}"]


def _table(population: Population, rows: list[list[str]], rounds: int) -> Section:
    return Section(
        f"(a) Protected ÷ raw: {population.size:,} {population.rows}, {population.cells:,} cells",
        ["statistics", "raw, ms", "execute and protect ÷ raw", "whole answer ÷ raw", "raw on Parquet ÷ raw", "target"],
        rows,
        [f"Medians of {rounds} interleaved rounds; in brackets processor time, all threads."],
    )


def _inside(population: Population, rows: list[list[str]]) -> Section:
    return Section(
        f"Where the time of a protected table of {population.rows} goes, ms",
        ["statistics", "cells", "certify", "closer look", "protect"],
        rows,
    )


def _publication(population: Population) -> Section:
    published = population.published
    size_mib = published.snapshot.stat().st_size / 2**20
    return Section(
        f"Publication of {population.size:,} {population.rows}",
        ["rows", "seconds", "rows per second", "peak memory, MiB", "snapshot, MiB"],
        [
            [
                f"{population.size:,}",
                f"{published.seconds:.1f}",
                f"{population.size / published.seconds:,.0f}",
                f"{published.peak_mib:.0f}",
                f"{size_mib:.0f}",
            ]
        ],
    )
