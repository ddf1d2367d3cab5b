"""Two made-up countries, for a first look: every number is computed here, none was ever observed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

_HOUSEHOLDS = 6000
_REGIONS = ("north", "east", "south", "west")


@dataclass(frozen=True, slots=True)
class _Country:
    """A made-up country; its code is one that ISO 3166-1 leaves to users."""

    id: str
    name: str
    seed: int
    income: float


_COUNTRIES = (_Country("XAN", "Anda", 1, 52.0), _Country("XBO", "Bora", 2, 38.0))


def write(directory: Path) -> Path:
    """Write both countries' data and declarations, the same ones every time, and return the members file."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = ["# A synthetic example: no such country, no such household."]
    for country in _COUNTRIES:
        stem = f"households_{country.id.lower()}"
        _write_data(directory / f"{stem}.csv", country)
        (directory / f"{stem}.toml").write_text(_declaration(country, f"{stem}.csv"), "utf-8")
        lines += ["", f"[members.{country.id}]", f'datasets = ["{stem}.toml"]']
    path = directory / "members.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _write_data(path: Path, country: _Country) -> None:
    draws = np.random.default_rng(country.seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["household", "region", "place", "persons", "head_age", "income"])
        writer.writerows(_household(number, country, draws) for number in range(1, _HOUSEHOLDS + 1))


def _household(number: int, country: _Country, draws: Generator) -> tuple[int, str, str, int, int, str]:
    region = int(draws.choice(len(_REGIONS), p=(0.4, 0.3, 0.2, 0.1)))
    urban = bool(draws.random() < 0.6 - 0.1 * region)
    persons = 1 + min(int(draws.poisson(2.2)), 9)
    age = int(draws.integers(18, 90))
    income = country.income * (1.3 if urban else 1.0) * persons**0.5 * float(draws.lognormal(0.0, 0.5))
    return number, _REGIONS[region], "urban" if urban else "rural", persons, age, f"{min(income, 999.9):.1f}"


def _declaration(country: _Country, data: str) -> str:
    regions = ", ".join(f'{{ code = "{region}", label = "{region.capitalize()}" }}' for region in _REGIONS)
    return f"""\
# Synthetic: made by `bandung sandbox up`. {country.name} does not exist.
[dataset]
name = "households"
title = "Households of {country.name} (synthetic)"
description = "A made-up household survey. Every record was computed from random numbers with a fixed seed."
licence = "CC0-1.0"
country = "{country.id}"
period = "2026"

[source]
connector = "files"
relation = "{data}"

# One household is what is protected, and one row is one household.
[unit]
name = "household"
column = "household"

[columns.region]
role = "dimension"
label = "Region"
codes = [{regions}]

[columns.place]
role = "dimension"
label = "Type of place"
codes = [{{ code = "urban", label = "Urban" }}, {{ code = "rural", label = "Rural" }}]

[columns.age_group]
role = "dimension"
label = "Age of the head of household"
source = "head_age"
bands = [18, 30, 45, 60, 90]

[columns.persons]
role = "measure"
label = "Persons in the household"
range = [1, 10]
unit = "persons"

[columns.income]
role = "measure"
label = "Yearly income"
range = [0, 1000]
unit = "thousand shells"
decimals = 1

[policy]
kind = "table-builder"

[training]
allowed = true
cohort_min = 2
"""
