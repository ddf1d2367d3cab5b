"""A small synthetic household survey, deterministic by seed, wide enough for thousands of different tables."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import duckdb

ROWS = 5_000
MONTHS = [f"spent_{month:02d}" for month in range(1, 13)]
DIMENSIONS = {
    "region": [f"R{i}" for i in range(6)],
    "sex": ["F", "M"],
    "age_band": ["15-24", "25-34", "35-49", "50-64", "65+"],
    "schooling": ["none", "primary", "secondary", "tertiary"],
    "place": ["rural", "urban"],
}
_SPENT_MAX = 100_000


def write_survey(path: Path, rows: int = ROWS, seed: int = 1955) -> None:
    """Write the survey as a Parquet file: household, the dimensions, and what was spent in each month."""
    drawn = [
        f"([{', '.join(map(_text, codes))}])[1 + (hash(i * {at + 3} + {seed}) % {len(codes)})::INT] AS {name}"
        for at, (name, codes) in enumerate(DIMENSIONS.items())
    ]
    drawn += [
        f"LEAST({_SPENT_MAX}, (300 / pow(0.01 + (hash(i * {at + 31} + {seed}) % 10000) / 1e4, 0.5))::BIGINT) AS {name}"
        for at, name in enumerate(MONTHS)
    ]
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY (SELECT i AS household, {', '.join(drawn)} FROM range({rows}) AS r(i)) TO '{path}' (FORMAT parquet)"
        )


def write_declaration(path: Path, relation: str) -> None:
    """Write the survey's dataset file, with a quota that no measurement exhausts."""
    columns = [
        f'\n[columns.{name}]\nrole = "dimension"\ncodes = [{", ".join(f"{{ code = {_quoted(c)} }}" for c in codes)}]\n'
        for name, codes in DIMENSIONS.items()
    ]
    columns += [
        f'\n[columns.{name}]\nrole = "measure"\nrange = [0, {_SPENT_MAX}]\nunit = "currency"\n' for name in MONTHS
    ]
    path.write_text(
        f"""
[dataset]
name = "survey"
title = "Synthetic household survey"
description = "Generated for measurements; describes nobody."
licence = "CC0-1.0"
country = "XAN"
period = "2024"

[source]
connector = "files"
relation = "{relation}"

[unit]
name = "household"
column = "household"
{"".join(columns)}
[policy]
kind = "table-builder"
tables_per_analyst = 1000000
tables_per_dataset = 1000000
""",
        "utf-8",
    )


def statements(seed: int = 1) -> Iterator[str]:
    """Yield different tables, in an order fixed by the seed: some ten thousand, all of like size."""
    wheres = [(name, code) for name, codes in DIMENSIONS.items() for code in codes]
    choices = [
        (*keys, *where, *months)
        for keys in itertools.combinations(DIMENSIONS, 2)
        for where in wheres
        if where[0] not in keys
        for months in itertools.permutations(MONTHS, 2)
    ]
    random.Random(seed).shuffle(choices)
    for one, two, column, code, total, mean in choices:
        yield (
            f"SELECT {one}, {two}, COUNT(*) AS n, SUM({total}) AS total, AVG({mean}) AS mean FROM survey "
            f"WHERE {column} = '{code}' GROUP BY {one}, {two}"
        )


def _text(value: str) -> str:
    return f"'{value}'"


def _quoted(value: str) -> str:
    return f'"{value}"'
