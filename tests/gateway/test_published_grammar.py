"""The grammar over registered tables: what is shown is what a database answers, and nothing shows what is withheld."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bandung.connectors.base import Stop
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.policy import PublishedTables
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import check
from bandung.gateway.planning.present import present, result_schema
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.service.execution import execute
from bandung.gateway.service.protect_tables import protect_tables
from bandung.gateway.store.tau_argus import TauArgus
from tests.gateway.test_planning import as_shown, in_duckdb, statements
from tests.support.persons import DISTRICTS, PUBLISHED, REGISTERED, find_in, persons
from tests.support.protection import KEY, rows_of
from tests.support.tables import Held

PEOPLE = persons(1200)
HELD = Held(rows_of([{**person, "unit": str(person["person"])} for person in PEOPLE]))
OFFERED = [entry for entry in statements("sql") if "published-tables" in entry.values[0]["policies"]]
ROLLED = (
    "SELECT sex, region, district, COUNT(*) AS n, SUM(income) AS s FROM persons GROUP BY sex, ROLLUP (region, district)"
)


def protected(policy: PublishedTables) -> Epoch:
    """The people's registered tables, protected together as publication does."""
    facts = replace(PUBLISHED.facts, rows=len(PEOPLE), nesting={("district", "region"): DISTRICTS})
    epoch = replace(PUBLISHED, dataset=replace(PUBLISHED.dataset, policy=policy), facts=facts)
    return protect_tables(epoch, HELD, TauArgus(Path()), Stop(), lambda done, total: None).safe()


def answer(epoch: Epoch, sql: str, parameters: tuple[str, ...] = ()) -> Any:
    """Execute every level of a statement and present them together."""
    statement, _ = plan_sql(sql, find_in(epoch))
    plans = bind(statement, epoch, parameters)
    releases = tuple(execute(check(plan, epoch), epoch, HELD, KEY, Stop()).table for plan in plans)
    shown = present(releases, statement, epoch)
    assert shown.schema.equals(result_schema(statement, epoch))
    return shown, len(statement.presentation.outputs), bool(statement.presentation.order_by)


@pytest.fixture(scope="module")
def nothing_withheld() -> Epoch:
    epoch = protected(REGISTERED)
    assert not any(epoch.withheld.values())
    return epoch


@pytest.fixture(scope="module")
def some_withheld() -> Epoch:
    epoch = protected(replace(REGISTERED, min_units=30))
    assert any(epoch.withheld.values())
    return epoch


@pytest.mark.parametrize(("pair", "sql"), OFFERED)
def test_registered_tables_are_answered_as_a_database_does(
    nothing_withheld: Epoch, pair: dict[str, Any], sql: str
) -> None:
    parameters = tuple(pair.get("parameters", ()))
    shown, width, ordered = answer(nothing_withheld, sql, parameters)
    rows = [tuple(row.values())[:width] for row in shown.to_pylist()]
    # A database has no row for a cell without records.
    ours = [row for row in rows if any(cell != 0 for cell in row if not isinstance(cell, str))]
    theirs = [tuple(map(as_shown, row)) for row in in_duckdb(sql, PEOPLE, parameters)]
    if not ordered:
        ours, theirs = sorted(ours, key=str), sorted(theirs, key=str)
    assert len(ours) == len(theirs) > 0
    for our, their in zip(ours, theirs, strict=True):
        assert our == pytest.approx(their)


Cells = dict[tuple[str, ...], dict[str, Any]]


def by_cell(rows: list[dict[str, Any]]) -> Cells:
    """Count and sum by sex, region and district, `_T` standing for all of them."""
    keys = [tuple(str(row.get(name, "_T")) for name in ("sex", "region", "district")) for row in rows]
    return {key: {"n": row["n"], "s": row["s"]} for key, row in zip(keys, rows, strict=True)}


def test_each_level_of_a_rollup_shows_what_the_same_table_shows_alone(some_withheld: Epoch) -> None:
    alone: Cells = {}
    for names in ("sex", "sex, region", "sex, region, district"):
        sql = f"SELECT {names}, COUNT(*) AS n, SUM(income) AS s FROM persons GROUP BY {names}"
        alone |= by_cell(answer(some_withheld, sql)[0].to_pylist())
    assert by_cell(answer(some_withheld, ROLLED)[0].to_pylist()) == alone
    assert len(alone) == 3 * (1 + 2 + 6)


@pytest.mark.parametrize("statistic", ["n", "s"])
def test_the_levels_of_a_rollup_add_up_and_leave_no_withheld_number_as_the_rest(
    some_withheld: Epoch, statistic: str
) -> None:
    rolled = by_cell(answer(some_withheld, ROLLED)[0].to_pylist())
    totals = [(sex, region) for sex, region, district in rolled if district == "_T" != region]
    told = {total: rolled[*total, "_T"][statistic] for total in totals}
    parts = {
        (sex, region): [
            rolled[sex, region, district][statistic] for district in DISTRICTS if DISTRICTS[district] == region
        ]
        for sex, region in totals
    }
    assert any(None in found for found in parts.values())
    for total, found in parts.items():
        if None not in found:
            assert told[total] in (None, pytest.approx(sum(found)))
        if told[total] is not None:
            assert found.count(None) != 1
