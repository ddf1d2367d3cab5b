"""Statistics: a national table, two refusals, and three countries side by side."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd
import pooled
from countries import Countries
from promises import Promises
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bandung.federation.domain.study import Answered, Declined, answered
from bandung.federation.statistics.show import SUPPRESSED
from bandung.federation.statistics.standardise import Rate, Rates, directly

NATIONAL = "SELECT age_group, method, COUNT(*) AS women FROM family_planning GROUP BY age_group, method"
TOO_FINE = "SELECT district, age_group, COUNT(*) AS women FROM family_planning GROUP BY district, age_group"
ONE_PERSON = "SELECT id, age FROM family_planning WHERE age < 17"
USE = "SELECT age_group, uses, COUNT(*) AS women FROM family_planning GROUP BY age_group, uses"
YIELD = "SELECT COUNT(*) AS harvests, SUM(output_kg) AS kg, SUM(area_ha) AS ha FROM rice"
METHODS = {"none": [1], "long": [2], "short": [3]}


def national_table(countries: Countries, data: Path, console: Console, promises: Promises) -> None:
    """Indonesia alone: method by age. Three women make a cell too small to be shown."""
    outcomes = countries.ask(NATIONAL, "IDN")
    (answer,) = answered(outcomes)
    console.print(_crosstab(answer))
    console.print(f"  {SUPPRESSED}  suppressed to keep it confidential", style="dim")
    rows = {(row["age_group"], row["method"]): row for row in answer.table.to_pylist()}
    truth = _women_by_age_and_method(data)
    cell = rows["15-19", "long"]
    promises.check(
        "women aged 15-19 with a long-term method: the cell is there, has no value, and says that it is confidential",
        holds=cell["women"] is None and cell["CONF_STATUS"] not in {"F", ""},
    )
    released = {key: row["women"] for key, row in rows.items() if row["women"] is not None}
    promises.check(
        "no released cell stands on one to nine women",
        holds=all(truth[key] == 0 or truth[key] >= 10 for key in released),
    )
    promises.check(
        "noise moves no count by more than five", holds=all(abs(n - truth[key]) <= 5 for key, n in released.items())
    )
    again = answered(countries.ask(NATIONAL, "IDN"))
    promises.check("asking again gives the same answer, bit for bit", holds=again[0].table.equals(answer.table))


def refusals(countries: Countries, console: Console, promises: Promises) -> None:
    """Two questions that are not answered, and why."""
    (too_fine,) = countries.ask(TOO_FINE, "BGD")
    promises.check(
        "a table too fine for its data is refused", holds=isinstance(too_fine, Declined) and too_fine.code == "B210"
    )
    (one_person,) = countries.ask(ONE_PERSON, "IDN")
    promises.check(
        "rows are not to be had at all", holds=isinstance(one_person, Declined) and one_person.code.startswith("B2")
    )
    console.print("  Both refusals are in the ledgers of the countries, with who asked.", style="dim")


def three_countries(countries: Countries, data: Path, console: Console, promises: Promises) -> tuple[Rates, ...]:
    """Use of contraception in three countries, crude and as if all had the same ages."""
    outcomes = countries.ask(USE, "IDN", "BGD", "BWA")
    reference = tomllib.loads((data / "family_planning" / "reference.toml").read_text())["weights"]
    rates = directly(outcomes, numerator=("uses", "Y"), others=("N",), stratum="age_group", reference=reference)
    console.print(_rates_table(rates))
    console.print(
        "  From released counts alone. First error: the noise that protects them; second: sampling, as if simple.\n"
        "  Standardised to the ages 15-49 of the WHO world population. Botswana asked all women about ever using, the\n"
        "  others married women about using now: its level does not compare with theirs, as its catalogue entry says.",
        style="dim",
        highlight=False,
    )
    truth = pooled.women(data).dropna().groupby("country")["uses"].mean()
    promises.check(
        "each crude rate is the true one within five standard errors of the noise",
        holds=all(r.crude is not None and abs(r.crude.value - truth[r.member]) <= 5 * r.crude.noise_se for r in rates)
        and len(rates) == 3,
    )
    return rates


def yields(countries: Countries, console: Console, promises: Promises) -> None:
    """Sums: what a hectare gives in two countries."""
    outcomes = countries.ask(YIELD, "IDN", "PHL")
    table = Table(box=SIMPLE_HEAD)
    for name in ("", "harvests", "tonnes", "hectares", "kg per hectare", "± noise, at most"):
        table.add_column(name, justify="right" if name else "left")
    for answer in answered(outcomes):
        (row,) = answer.table.to_pylist()
        given = row["kg"] / row["ha"]
        relative = [answer.noise_variance(name) / row[name] ** 2 for name in ("kg", "ha")]
        numbers = (row["harvests"], row["kg"] / 1000, row["ha"], given, given * sum(relative) ** 0.5)
        table.add_row(answer.member, *(f"{number:,.0f}" for number in numbers))
    console.print(table)
    promises.check("both countries released their sums", holds=len(answered(outcomes)) == 2)


def _women_by_age_and_method(data: Path) -> dict[tuple[str, str], int]:
    women = pd.read_csv(data / "family_planning" / "idn.csv")
    low = women["wife_age"] // 5 * 5
    ages = low.astype(str) + "-" + (low + 4).astype(str)
    methods = women["contraceptive_method"].map({v: name for name, values in METHODS.items() for v in values})
    return pd.crosstab(ages, methods).stack().to_dict()


def _crosstab(answer: Answered) -> Table:
    """Return a table with the first dimension down and the second across."""
    down, across = answer.dimensions
    values = dict(zip(answer.cells, answer.table[answer.statistics[0]].to_pylist(), strict=True))
    columns = list(dict.fromkeys(code for _, code in values))
    table = Table(box=SIMPLE_HEAD)
    for name in (down, *(f"{across}: {code}" for code in columns)):
        table.add_column(name, justify="left" if name == down else "right")
    for row in dict.fromkeys(code for code, _ in values):
        cells = [values[row, code] for code in columns]
        table.add_row(row, *(SUPPRESSED if cell is None else f"{cell}" for cell in cells))
    return table


def _rates_table(rates: tuple[Rates, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Use of contraception, %")
    table.add_column("crude", justify="right")
    table.add_column("± noise ± sampling", justify="right", style="dim")
    table.add_column("age-standardised", justify="right")
    table.add_column("± noise ± sampling", justify="right", style="dim")
    for rate in rates:
        table.add_row(rate.member, *_percent(rate.crude), *_percent(rate.standardised))
    return table


def _percent(rate: Rate | None) -> tuple[str, str]:
    if rate is None:
        return "c", ""
    return f"{100 * rate.value:.1f}", f"{100 * rate.noise_se:.1f}   {100 * rate.sampling_se:.1f}"
