"""A protected table of a census ÷ the same raw aggregate in DuckDB, on the same file, in the same process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from bandung.connectors.base import Stop
from bandung.gateway.disclosure.table_builder import protect, uncertified
from bandung.gateway.domain.release import Raw
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import check, source_query
from bandung.gateway.planning.sql import plan_sql
from benchmarks import nodes
from benchmarks.census import CELLS, write_census, write_declaration
from benchmarks.report import Section, Spent, interleaved, ratio

Say = Callable[[str], None]
_KEYS = "region, sex, age_band"
_STATISTICS = {
    "counts": ("COUNT(*)", 1.6),
    "counts and sums, wages": ("COUNT(*), SUM(income)", 2.6),
    "counts, sums and means, wages": ("COUNT(*), SUM(income), AVG(income)", 2.6),
    "counts and sums, fortunes": ("COUNT(*), SUM(wealth)", None),
}


@dataclass(frozen=True, slots=True)
class Census:
    """A census, published.

    Attributes:
        file: the Parquet file that it was published from.
    """

    persons: int
    file: Path
    published: nodes.Published


def a_census(directory: Path, persons: int, say: Say) -> Census:
    """Generate a census and publish it."""
    file, declaration = directory / "census.parquet", directory / "census.toml"
    say(f"generating {persons:,} persons")
    write_census(file, persons)
    write_declaration(declaration, file.name)
    say("publishing them")
    return Census(persons, file, nodes.publish(directory / "census", "census", declaration))


def measure(census: Census, rounds: int, say: Say) -> list[Section]:
    """Compare protected tables with raw ones."""
    rows: list[list[str]] = []
    parts: list[list[str]] = []
    with nodes.open_desk(census.published, forgetful=True) as desk, _raw(census) as raw:
        for title, (statistics, target) in _STATISTICS.items():
            say(f"{title}: {rounds} rounds")
            spent = interleaved(rounds, _acts(census, desk, raw, statistics))
            rows.append(_ratios(title, spent, target))
            say("  " + "; ".join(f"{name} {found.median_ms:.0f} ms" for name, found in spent.items()))
            parts.append(
                [title, *(f"{found.median_ms:.1f}" for found in interleaved(rounds, _steps(desk, statistics)).values())]
            )
    return [_table(census, rows, rounds), _inside(parts), _publication(census)]


def _raw(census: Census) -> duckdb.DuckDBPyConnection:
    """Open the same file, by another name, in an engine of its own: DuckDB's own settings, as many threads."""
    other_name = census.published.node.root / "raw.duckdb"
    if not other_name.exists():
        other_name.hardlink_to(census.published.snapshot)
    return duckdb.connect(str(other_name), read_only=True, config=nodes.ENGINE)


def _acts(
    census: Census, desk: nodes.Desk, raw: duckdb.DuckDBPyConnection, statistics: str
) -> Mapping[str, Callable[[], object]]:
    statement = f"SELECT {_KEYS}, {statistics} FROM {{}} GROUP BY {_KEYS}"
    exchanges = itertools.count()
    parquet = duckdb.connect(config={"threads": nodes.ENGINE_THREADS_MAX})
    on_parquet = statement.format(f"read_parquet('{census.file}')")
    return {
        "raw": lambda: raw.sql(statement.format("data")).to_arrow_table(),
        "execution": _execution(desk, statement.format("census")),
        "answer": lambda: desk.queries.answer(
            nodes.ANALYST, statement.format("census"), (), str(next(exchanges)), Stop()
        ),
        "parquet": lambda: parquet.sql(on_parquet).to_arrow_table(),
    }


def _execution(desk: nodes.Desk, sql: str) -> Callable[[], object]:
    """Execute and protect, without planning anew and without the record."""
    statement, epoch = plan_sql(sql, lambda name: desk.catalogue.find(nodes.ANALYST, name))
    (plan,) = bind(statement, epoch, ())
    checked = check(plan, epoch)
    source = desk.epochs.open(epoch)

    def execute() -> object:
        cells = source.cells(source_query(checked, epoch), Stop())
        closer_look = uncertified(checked, epoch, cells)
        contributions = source.contributions(closer_look, Stop()) if closer_look else None
        return protect(checked, epoch, Raw(cells, contributions), desk.dataset_key)

    return execute


def _steps(desk: nodes.Desk, statistics: str) -> Mapping[str, Callable[[], object]]:
    """The steps of the execution, each given what the one before it found."""
    sql = f"SELECT {_KEYS}, {statistics} FROM census GROUP BY {_KEYS}"
    statement, epoch = plan_sql(sql, lambda name: desk.catalogue.find(nodes.ANALYST, name))
    (plan,) = bind(statement, epoch, ())
    checked = check(plan, epoch)
    source = desk.epochs.open(epoch)
    cells = source.cells(source_query(checked, epoch), Stop())
    closer_look = uncertified(checked, epoch, cells)

    def look() -> pa.Table | None:
        return source.contributions(closer_look, Stop()) if closer_look else None

    found = look()
    return {
        "cells": lambda: source.cells(source_query(checked, epoch), Stop()),
        "certify": lambda: uncertified(checked, epoch, cells),
        "closer look": look,
        "protect": lambda: protect(checked, epoch, Raw(cells, found), desk.dataset_key),
    }


def _ratios(title: str, spent: Mapping[str, Spent], target: float | None) -> list[str]:
    raw = spent["raw"]
    cells = [title, f"{raw.median_ms:.0f}"]
    for name in ("execution", "answer", "parquet"):
        wall, cpu = ratio(spent[name], raw)
        cells.append(f"{wall:.2f} ({cpu:.2f})")
    return [*cells, "" if target is None else f"{target}"]


def _table(census: Census, rows: list[list[str]], rounds: int) -> Section:
    return Section(
        f"(a) Protected ÷ raw: {census.persons:,} persons, {CELLS:,} cells",
        ["statistics", "raw, ms", "execute and protect ÷ raw", "whole answer ÷ raw", "raw on Parquet ÷ raw", "target"],
        rows,
        [f"Medians of {rounds} interleaved rounds; in brackets processor time, all threads."],
    )


def _inside(rows: list[list[str]]) -> Section:
    return Section(
        "Where the time of a protected table goes, ms",
        ["statistics", "cells", "certify", "closer look", "protect"],
        rows,
    )


def _publication(census: Census) -> Section:
    published = census.published
    size_mib = published.snapshot.stat().st_size / 2**20
    return Section(
        "Publication of the census",
        ["persons", "seconds", "persons per second", "peak memory, MiB", "snapshot, MiB"],
        [
            [
                f"{census.persons:,}",
                f"{published.seconds:.1f}",
                f"{census.persons / published.seconds:,.0f}",
                f"{published.peak_mib:.0f}",
                f"{size_mib:.0f}",
            ]
        ],
    )
