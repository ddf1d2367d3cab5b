"""A synthetic census, deterministic by seed: persons with region, sex, age band, income and wealth."""

from __future__ import annotations

from pathlib import Path

import duckdb

REGIONS = [f"R{i:02d}" for i in range(100)]
SEXES = ["F", "M"]
AGE_BANDS = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+"]
CELLS = len(REGIONS) * len(SEXES) * len(AGE_BANDS)

_INCOME_MAX = 999_999
_WEALTH_MAX = 999_999_999


def write_census(path: Path, persons: int, seed: int = 1955) -> None:
    """Write `persons` rows to a Parquet file: person_id, region, sex, age_band, income, wealth.

    Income has the tail of wages, wealth (a Pareto distribution of index 1) that of fortunes: in some cells of
    wealth one person holds most of it.
    """
    regions = ", ".join(f"'{code}'" for code in REGIONS)
    bands = ", ".join(f"'{code}'" for code in AGE_BANDS)
    with duckdb.connect() as engine:
        engine.execute(
            f"""
            COPY (
              SELECT i AS person_id,
                     ([{regions}])[1 + (hash(i * 7 + {seed}) % 100)::INT] AS region,
                     CASE WHEN hash(i * 11 + {seed}) % 2 = 0 THEN 'F' ELSE 'M' END AS sex,
                     ([{bands}])[1 + (hash(i * 13 + {seed}) % 9)::INT] AS age_band,
                     LEAST({_INCOME_MAX}, (2000 / pow(1e-4 + (hash(i * 17 + {seed}) % 1000000) / 1e6, 0.6))::BIGINT)
                       AS income,
                     LEAST({_WEALTH_MAX}, (100 / (1e-7 + (hash(i * 19 + {seed}) % 1000000000) / 1e9))::BIGINT)
                       AS wealth
              FROM range({persons}) AS r(i)
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
            """
        )


def write_declaration(path: Path, relation: str) -> None:
    """Write the census's dataset file: the policy's rules as they are by default, and a quota for many repetitions."""
    dimensions = "\n".join(
        dimension(*column) for column in (("region", REGIONS), ("sex", SEXES), ("age_band", AGE_BANDS))
    )
    path.write_text(
        f"""
[dataset]
name = "census"
title = "Synthetic census"
description = "Generated for measurements; describes nobody."
licence = "CC0-1.0"
country = "XAN"
period = "2020"

[source]
connector = "files"
relation = "{relation}"

[unit]
name = "person"
column = "person_id"
{dimensions}
[columns.income]
role = "measure"
label = "Yearly income"
range = [0, {_INCOME_MAX}]
unit = "currency"
missing = "never"

[columns.wealth]
role = "measure"
label = "Wealth"
range = [0, {_WEALTH_MAX}]
unit = "currency"
missing = "never"

[policy]
kind = "table-builder"
tables_per_analyst = 1000000
tables_per_dataset = 1000000
""",
        "utf-8",
    )


def dimension(name: str, codes: list[str]) -> str:
    """Return the section of a dimension whose codes are its values."""
    listed = ", ".join(f'{{ code = "{code}" }}' for code in codes)
    return f'\n[columns.{name}]\nrole = "dimension"\nlabel = "{name}"\ncodes = [{listed}]\n'
