"""Persons, their households and the districts of those, as three relations; and declarations over them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.sources import write_file, write_table

HOMES = 240
LARGEST = 5
TABLE_BUILDER: dict[str, Any] = {"kind": "table-builder", "min_units": 5}
PRIVATE: dict[str, Any] = {"kind": "differential-privacy", "rho_per_table": 0.004}


def persons() -> pa.Table:
    """Return one to five persons of each household, in an order of their own."""
    homes = [1000 + home for home in range(HOMES) for _ in range(1 + home % LARGEST)]
    homes = sorted(homes, key=lambda home: home * 7919 % 1009)
    return pa.table(
        {
            "id": pa.array(range(len(homes)), pa.int64()),
            "household_id": pa.array(homes, pa.int64()),
            "sex": pa.array(["FM"[number * number % 7 % 2] for number in range(len(homes))]),
            "wage": pa.array([number * 331 % 4000 for number in range(len(homes))], pa.int64()),
        }
    )


def households() -> pa.Table:
    """Return the households."""
    homes = range(HOMES)
    return pa.table(
        {
            "id": pa.array([1000 + home for home in homes], pa.int64()),
            "district": pa.array([f"D{home * 31 % 6}" for home in homes]),
            "income": pa.array([(home * 7907 % 9001) / 4 for home in homes], pa.float64()),
        }
    )


def districts() -> pa.Table:
    """Return the districts of the households."""
    codes = [f"D{number}" for number in range(6)]
    return pa.table({"code": codes, "setting": [("urban", "rural")[number % 2] for number in range(6)]})


RELATIONS = {"persons": persons, "households": households, "districts": districts}


def flat() -> pa.Table:
    """Return the persons with all that is joined to them in columns of their own, worked out here."""
    homes = {home["id"]: home for home in households().to_pylist()}
    settings = {district["code"]: district["setting"] for district in districts().to_pylist()}
    rows = persons()
    of = [homes[home] for home in rows["household_id"].to_pylist()]
    for name in households().schema.names:
        rows = rows.append_column(f"household.{name}", pa.array([home[name] for home in of]))
    return rows.append_column("district.setting", pa.array([settings[home["district"]] for home in of]))


def write_files(directory: Path, suffix: str = "csv") -> None:
    """Write the three relations as files."""
    for name, rows in RELATIONS.items():
        write_file(rows(), directory / f"{name}.{suffix}")


def write_tables(url: str) -> None:
    """Write the three relations as tables of a database."""
    for name, rows in RELATIONS.items():
        write_table(url, name, rows())


def documented() -> dict[str, Any]:
    """Return the example of docs/datasets.md that joins."""
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    (block,) = [
        block.split("```")[0] for block in text.split("```toml\n") if "[[source.join]]" in block.split("```")[0]
    ]
    return tomllib.loads(block)


def a_census(mode: str = "snapshot", policy: Mapping[str, Any] = TABLE_BUILDER, **sections: Any) -> dict[str, Any]:
    """The documented example as a whole declaration; `sections` replace its own."""
    about = {"title": "C", "description": "C.", "licence": "CC0-1.0", "country": "IDN", "period": "2026"}
    example = documented()
    columns = {**example["columns"], "sex": {"role": "dimension", "codes": [{"code": "F"}, {"code": "M"}]}}
    return {
        "dataset": {"name": "census", "mode": mode, **about},
        **example,
        "columns": columns,
        "policy": dict(policy),
        **sections,
    }


def in_files(suffix: str = "csv") -> dict[str, Any]:
    """Return the example's `[source]` over files in place of tables."""
    source = documented()["source"]
    joins = [{**join, "relation": f"{join['relation']}.{suffix}"} for join in source["join"]]
    return {"connector": "files", "relation": f"{source['relation']}.{suffix}", "join": joins}
