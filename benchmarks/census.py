"""A synthetic census, deterministic by seed: persons with region, sex, age band and income."""

from __future__ import annotations

from pathlib import Path

import duckdb

REGIONS = [f"R{i:02d}" for i in range(100)]
AGE_BANDS = ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+"]


def write_census(path: Path, persons: int, seed: int = 1955) -> None:
    """Write `persons` rows to a Parquet file: person_id, region, sex, age_band, income (0 to 999,999)."""
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
                     LEAST(999999, (2000 / pow(1e-4 + (hash(i * 17 + {seed}) % 1000000) / 1e6, 0.6))::BIGINT) AS income
              FROM range({persons}) AS r(i)
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
            """
        )


def write_declaration(path: Path, relation: str) -> None:
    """Write the census's dataset file, with a policy whose rules all apply."""
    codes = "\n".join(
        f'[[columns.{column}.codes]]\ncode = "{code}"'
        for column, values in (("region", REGIONS), ("sex", ["F", "M"]), ("age_band", AGE_BANDS))
        for code in values
    )
    path.write_text(
        f"""
[dataset]
name = "census"
title = "Synthetic census"
description = "Generated for measurements; describes nobody."
licence = "CC0-1.0"
country = "IDN"
period = "2020"

[source]
connector = "files"
relation = "{relation}"

[unit]
name = "person"
column = "person_id"

[columns.region]
role = "dimension"
label = "Region"
source = "region"

[columns.sex]
role = "dimension"
label = "Sex"
source = "sex"

[columns.age_band]
role = "dimension"
label = "Age"
source = "age_band"

{codes}

[columns.income]
role = "measure"
label = "Yearly income"
source = "income"
range = [0, 999999]
unit = "currency"
missing = "never"

[policy]
kind = "table-builder"
"""
    )
