"""From text to plan: what is one table, what is refused and with which words, and that nothing else happens."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.domain.agreement import Use
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Statement, Statistic
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.present import present, result_schema
from bandung.gateway.planning.request import plan_table
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.planning.touches import touches
from tests.support.builders import a_dataset, a_dimension, a_measure, an_epoch
from tests.support.protection import release_of, rows_of

PLANS = Path(__file__).parent / "plans"
EPOCH = an_epoch()


def find(name: str) -> Epoch | None:
    return EPOCH if name == "persons" else None


def planned(sql: str) -> Statement:
    return plan_sql(sql, find)[0]


def allowed() -> list[tuple[str, str]]:
    tables = tomllib.loads((PLANS / "allowed.toml").read_text())["table"]
    return [(sql, table["plan"]) for table in tables for sql in table["sql"]]


def refused() -> list[Any]:
    return [tuple(row) for row in tomllib.loads((PLANS / "refused.toml").read_text())["refused"]]


@pytest.mark.parametrize(("sql", "plan"), allowed())
def test_statements_that_mean_the_same_table_have_the_same_plan(sql: str, plan: str) -> None:
    assert bind(planned(sql), EPOCH, ()).canonical() == plan


@pytest.mark.parametrize(("sql", "code", "place", "words"), refused())
def test_what_is_outside_the_grammar_is_refused_with_place_and_nearest_form(
    sql: str, code: str, place: list[int], words: str
) -> None:
    with pytest.raises(Refusal) as caught:
        planned(sql)
    assert caught.value.code == code
    assert words in caught.value.message
    if place:
        assert caught.value.position == tuple(place)


def test_a_typed_request_has_the_same_plan_as_its_sql() -> None:
    statement, _ = plan_table(
        "persons", ("sex",), (("region", "N"),), (Statistic("count"), Statistic("mean", "income")), find
    )
    sql = planned("SELECT sex, COUNT(*), AVG(income) FROM persons WHERE region='N' GROUP BY sex")
    assert bind(statement, EPOCH, ()).digest == bind(sql, EPOCH, ()).digest


@pytest.mark.parametrize(
    "statistic", [Statistic("sum"), Statistic("mean"), Statistic("bogus", "income"), Statistic("count", "income")]
)
def test_a_typed_statistic_that_does_not_exist_is_refused(statistic: Statistic) -> None:
    with pytest.raises(Refusal) as caught:
        plan_table("persons", (), (), (statistic,), find)
    assert caught.value.kind is ErrorKind.BAD_REQUEST


@pytest.mark.parametrize(
    "mixed", ["region = ? AND sex = $1", "region = $1 AND sex = :who", "region = ? AND sex = :who"]
)
def test_parameters_are_written_in_one_way_only(mixed: str) -> None:
    with pytest.raises(Refusal) as caught:
        planned(f"SELECT COUNT(*) FROM persons WHERE {mixed}")
    assert caught.value.kind is ErrorKind.BAD_PARAMETER


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT COUNT(*) FROM persons WHERE region = ? AND sex = ?", ("N", "F")),
        ("SELECT COUNT(*) FROM persons WHERE sex = $2 AND region = $1", ("N", "F")),
        ("SELECT COUNT(*) FROM persons WHERE region = $where AND sex = $who", ("N", "F")),
    ],
)
def test_parameters_give_the_plan_that_literals_give(sql: str, parameters: tuple[str, ...]) -> None:
    literal = planned("SELECT COUNT(*) FROM persons WHERE region = 'N' AND sex = 'F'")
    assert bind(planned(sql), EPOCH, parameters) == bind(literal, EPOCH, ())


@pytest.mark.parametrize(("parameters", "kind"), [((), ErrorKind.BAD_PARAMETER), (("X",), ErrorKind.UNKNOWN_CODE)])
def test_a_parameter_that_does_not_fit_is_refused(parameters: tuple[str, ...], kind: ErrorKind) -> None:
    with pytest.raises(Refusal) as caught:
        bind(planned("SELECT COUNT(*) FROM persons WHERE region = ?"), EPOCH, parameters)
    assert caught.value.kind is kind


def test_a_column_named_like_a_word_of_sql_is_found_in_quotes() -> None:
    epoch = an_epoch(a_dataset(columns=(a_dimension("format", ("a", "b")), a_measure())))
    statement, _ = plan_sql('SELECT "format", COUNT(*) FROM persons GROUP BY "format"', lambda _: epoch)
    assert statement.group_by == ("format",)
    with pytest.raises(Refusal) as caught:
        plan_sql("SELECT format, COUNT(*) FROM persons GROUP BY format", lambda _: epoch)
    assert "double quotes" in caught.value.message


def test_two_codes_of_one_column_are_refused_by_their_text() -> None:
    with pytest.raises(Refusal) as caught:
        bind(planned("SELECT COUNT(*) FROM persons WHERE region = 'N' AND region = 'S'"), EPOCH, ())
    assert caught.value.kind is ErrorKind.BAD_REQUEST


def test_every_column_touched_is_told_to_authorisation() -> None:
    statement = planned("SELECT region, AVG(income) FROM persons WHERE sex = 'F' GROUP BY region")
    assert touches(statement, EPOCH).uses == {("region", Use.GROUP), ("sex", Use.FILTER), ("income", Use.AGGREGATE)}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM persons " + "/*" + "x" * 17_000 + "*/",
        "SELECT " + ", ".join(["COUNT(*)"] * 600) + " FROM persons",
        "SELECT COUNT(*) FROM persons WHERE " + "(" * 33 + "region='N'" + ")" * 33,
    ],
)
def test_limits_hold_before_the_parser(sql: str) -> None:
    with pytest.raises(Refusal) as caught:
        planned(sql)
    assert caught.value.kind is ErrorKind.TOO_LARGE


FRAGMENTS = [
    "SELECT",
    "region",
    ",",
    "COUNT(*)",
    "FROM",
    "persons",
    "WHERE",
    "=",
    "'N'",
    "GROUP BY",
    "(",
    ")",
    "?",
    "$1",
]
FRAGMENTS += [
    "AND",
    "OR",
    "NOT",
    "ORDER BY",
    "LIMIT",
    "1",
    "*",
    "SUM(income)",
    "AS",
    "x",
    ";",
    "'",
    '"',
    "--",
    "NULL",
    "ALL",
    "\x00",
    "é",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(" ".join)))
def test_any_text_is_planned_or_refused(text: str) -> None:
    try:
        outcome = planned(text).statistics
    except Refusal as refusal:
        outcome = refusal.code.startswith("B2")
    assert outcome


def shown(sql: str) -> list[dict[str, Any]]:
    counts = {("N", "F"): 90, ("N", "M"): 30, ("S", "F"): 60, ("S", "M"): 3}
    records = [
        {"unit": f"{region}{sex}{i}", "region": region, "sex": sex, "age_group": "15-29", "income": 1}
        for (region, sex), count in counts.items()
        for i in range(count)
    ]
    table = present(release_of(sql, EPOCH, rows_of(records)).table, planned(sql), EPOCH)
    assert table.schema.equals(result_schema(planned(sql), EPOCH))
    return table.to_pylist()


def test_order_and_limit_apply_after_protection_with_suppressed_cells_last() -> None:
    sql = "SELECT sex s, region AS r, COUNT(*) AS n FROM persons GROUP BY region, sex ORDER BY n"
    rows = shown(sql)
    assert [(row["r"], row["s"]) for row in rows] == [("N", "M"), ("S", "F"), ("N", "F"), ("S", "M")]
    assert rows[-1]["n"] is None
    assert [(row["r"], row["s"]) for row in shown(sql + " DESC LIMIT 2")] == [("N", "F"), ("S", "F")]
