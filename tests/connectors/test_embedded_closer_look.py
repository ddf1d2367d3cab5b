"""The closer look in DuckDB: its short cuts change how fast the answer comes, never the answer."""

from __future__ import annotations

import duckdb
import pytest

from bandung.connectors.base import Column, ContributionQuery, Measure, Stop, View
from bandung.connectors.embedded import Embedded

_COLUMNS = tuple((name, Column(name)) for name in ("region", "sex", "wealth"))


def _embedded(*, verified: bool, rows_of_one: int = 1) -> Embedded:
    database = duckdb.connect()
    database.execute(
        f"""CREATE TABLE data AS
            SELECT i // {rows_of_one} AS unit, 'R' || (i % 7) AS region, 'S' || (i % 3) AS sex,
                   CASE WHEN i % 5 = 0 THEN NULL ELSE (i * 7919) % 1009 - 500 END AS wealth
            FROM range(600) AS r(i)"""
    )
    return Embedded(database, "data", verified=verified)


def _look(
    embedded: Embedded, rows_max: int | None, cells: tuple[tuple[str, ...], ...] | None
) -> list[dict[str, object]]:
    view = View("data", _COLUMNS, "unit", unit_rows_max=rows_max)
    measures = (Measure("wealth", signed=True, optional=True),)
    query = ContributionQuery(view=view, group_by=("region", "sex"), where=(), measures=measures, top=3, cells=cells)
    try:
        return sorted(embedded.contributions(query, Stop()).to_pylist(), key=str)
    finally:
        embedded.close()


@pytest.mark.parametrize("cells", [None, (("R1", "S2"), ("R3", "S0"), ("R3", "S0"), ("R9", "S1"))])
def test_rows_that_are_verified_units_need_no_grouping(cells):
    grouped = _look(_embedded(verified=False), 1, cells)
    assert len(grouped) == (21 if cells is None else 2)
    assert _look(_embedded(verified=True), 1, cells) == grouped


def test_a_bound_that_nobody_verified_is_not_believed():
    by_unit = _look(_embedded(verified=False, rows_of_one=300), None, None)
    assert {row["units"] for row in by_unit} == {2}
    assert _look(_embedded(verified=False, rows_of_one=300), 1, None) == by_unit


def test_a_verified_bound_above_one_still_groups_by_unit():
    by_unit = _look(_embedded(verified=False, rows_of_one=300), None, None)
    assert _look(_embedded(verified=True, rows_of_one=300), 300, None) == by_unit


def test_missing_contributions_come_last_and_are_not_counted():
    rows = _look(_embedded(verified=True), 1, None)
    assert all(0 < row["wealth.units"] < row["units"] for row in rows)
    assert all(row["wealth.top1"] >= row["wealth.top2"] >= row["wealth.top3"] >= 0 for row in rows)
