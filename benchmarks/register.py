"""A synthetic business register, deterministic by seed: establishments of enterprises, a few of them giants."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.census import dimension

REGIONS = [f"R{i:02d}" for i in range(36)]
ACTIVITIES = [f"A{i:02d}" for i in range(50)]
CELLS = len(REGIONS) * len(ACTIVITIES)

ESTABLISHMENTS_MAX = 20
_GIANTS = 40
_TURNOVER_MAX = 10**9
_ESTABLISHMENTS_MEAN = 2.65


def write_register(path: Path, establishments: int, seed: int = 1955) -> None:
    """Write about so many rows to a Parquet file: enterprise_id, region, activity, turnover.

    Most enterprises have one establishment, the largest of them twenty. Turnover of an enterprise follows a Pareto
    distribution of index 1.1, its establishments share it unevenly, and forty giants stand far above all others. Six
    establishments in ten are in the enterprise's home region, nine in ten in its main activity; activities differ in
    size by two orders of magnitude.
    """
    enterprises = int(establishments / _ESTABLISHMENTS_MEAN)

    def share(what: str, of: int) -> str:
        return f"((hash({what} * {of} + {seed}) % 1000000) / 1e6)"

    number = f"GREATEST(1, floor(1 / (1 / {ESTABLISHMENTS_MAX} + {share('e', 7)}))::INT)"
    turnover = f"LEAST({_TURNOVER_MAX} / 10, 50 / pow(1e-6 + {share('e', 13)}, 1 / 1.1))"
    region = f"CASE WHEN {share('i', 17)} < 0.6 THEN hash(e * 19) ELSE hash(i * 23) END % {len(REGIONS)}"
    rank = f"CASE WHEN {share('i', 29)} < 0.9 THEN {share('e', 31)} ELSE {share('i', 37)} END"
    activity = f"LEAST({len(ACTIVITIES) - 1}, floor({len(ACTIVITIES)} * pow({rank}, 3)))"
    with duckdb.connect() as engine:
        engine.execute(
            f"""
            COPY (
              WITH enterprise AS (
                SELECT e, CASE WHEN e < {_GIANTS} THEN {ESTABLISHMENTS_MAX} ELSE {number} END AS number,
                       CASE WHEN e < {_GIANTS} THEN {_TURNOVER_MAX} * (0.2 + 0.8 * {share("e", 11)})
                            ELSE {turnover} END AS turnover
                FROM range({enterprises}) AS r(e)
              ), establishment AS (
                SELECT e, turnover / number AS each, e * {ESTABLISHMENTS_MAX} + unnest(range(number)) AS i
                FROM enterprise
              )
              SELECT e AS enterprise_id,
                     printf('R%02d', ({region})::INT) AS region,
                     printf('A%02d', ({activity})::INT) AS activity,
                     LEAST({_TURNOVER_MAX}, (each * 2 * {share("i", 41)})::BIGINT) AS turnover
              FROM establishment ORDER BY hash(i)
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
            """
        )


def write_declaration(path: Path, relation: str) -> None:
    """Write the register's dataset file: rules as they are by default, and a quota for many repetitions."""
    dimensions = "\n".join(dimension(*column) for column in (("region", REGIONS), ("activity", ACTIVITIES)))
    path.write_text(
        f"""
[dataset]
name = "register"
title = "Synthetic business register"
description = "Generated for measurements; describes nobody."
licence = "CC0-1.0"
country = "XAN"
period = "2020"

[source]
connector = "files"
relation = "{relation}"

[unit]
name = "enterprise"
column = "enterprise_id"
rows_max = {ESTABLISHMENTS_MAX}
{dimensions}
[columns.turnover]
role = "measure"
label = "Yearly turnover"
range = [0, {_TURNOVER_MAX}]
unit = "currency"
missing = "never"

[policy]
kind = "table-builder"
tables_per_analyst = 1000000
tables_per_dataset = 1000000
""",
        "utf-8",
    )
