"""What planning takes: SQL to checked plans, by a declaration alone. Nothing is executed, and nothing is remembered."""

from __future__ import annotations

from collections.abc import Callable

from bandung.gateway.domain.dataset import Epoch, Facts
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import CheckedPlan, check
from bandung.gateway.planning.sql import plan_sql
from benchmarks.report import Section, interleaved

_TARGET_MS = 2.0
_PERSONS = 10_000_000
_PROVINCES = [f"P{i:02d}" for i in range(34)]
_DISTRICTS = [(f"{province}D{i:02d}", province) for province in _PROVINCES for i in range(15)]
_CODES = {"sex": ["F", "M"], "age_band": [f"{i}0-{i}9" for i in range(9)], "schooling": ["none", "some", "most", "all"]}
_MEASURES = [f"spent_{month:02d}" for month in range(1, 13)]


def _wide(months: int) -> str:
    """A table of two statistics for each month by 9,180 cells, filtered and ordered."""
    statistics = ", ".join(f"SUM({m}) AS sum_{m}, AVG({m}) AS mean_{m}" for m in _MEASURES[:months])
    return f"""
        SELECT district, sex, age_band, {statistics} FROM persons
        WHERE schooling IN ('some', 'most') AND spent_01 >= 10 AND spent_02 BETWEEN 5 AND 5000
        GROUP BY district, sex, age_band HAVING sum_spent_01 > 100 ORDER BY mean_spent_01 DESC LIMIT 50"""


_STATEMENTS = {
    "a count by one dimension": "SELECT sex, COUNT(*) FROM persons GROUP BY sex",
    "a count and a sum by ROLLUP, 3 levels": """
        SELECT province, district, COUNT(*) AS n, SUM(spent_01) AS total FROM persons
        GROUP BY ROLLUP (province, district)""",
    "6 statistics, filtered and ordered, 9,180 cells": _wide(3),
    "24 of them": _wide(12),
}


def measure(rounds: int) -> Section:
    """Plan each of a few statements `rounds` times, in turn."""
    epoch = _epoch()
    spent = interleaved(rounds, {title: _planning(sql, epoch) for title, sql in _STATEMENTS.items()})
    rows = [
        [title, f"{found.median_ms:.2f}", f"{found.median_cpu_ms:.2f}", f"{_TARGET_MS:g}"]
        for title, found in spent.items()
    ]
    return Section(
        "Planning per statement, ms",
        ["statement", "median", "median of processor time", "target"],
        rows,
        [f"From SQL to checked plans, {rounds} times each, in turn. The gateway remembers statements it has seen."],
    )


def _planning(sql: str, epoch: Epoch) -> Callable[[], tuple[CheckedPlan, ...]]:
    def plan() -> tuple[CheckedPlan, ...]:
        statement, found = plan_sql(sql, {"persons": epoch}.get)
        return tuple(check(plan, found) for plan in bind(statement, found, ()))

    return plan


def _epoch() -> Epoch:
    columns = {
        name: {"role": "dimension", "codes": [{"code": code} for code in codes]} for name, codes in _CODES.items()
    }
    columns["province"] = {"role": "dimension", "codes": [{"code": code} for code in _PROVINCES]}
    columns["district"] = {
        "role": "dimension",
        "parent": "province",
        "codes": [{"code": code, "parent": parent} for code, parent in _DISTRICTS],
    }
    spent = {name: {"role": "measure", "range": [0, 100_000], "unit": "currency"} for name in _MEASURES}
    document = {
        "dataset": {
            "name": "persons",
            "title": "Synthetic persons",
            "description": "Declared for measurements; describes nobody.",
            "licence": "CC0-1.0",
            "country": "XAN",
            "period": "2024",
        },
        "source": {"connector": "files", "relation": "persons.parquet"},
        "unit": {"name": "person", "rows": True},
        "columns": {**columns, **spent},
        "policy": {"kind": "differential-privacy", "rho_per_dataset": 1.0},
    }
    dataset = parse_declaration(document, "/")
    facts = Facts(_PERSONS, _PERSONS, 1, {})
    return Epoch("persons@1", 1, dataset, facts, dataset.snapshot_view("data"), "2024-01-01T00:00:00.000Z")
