"""From text to plan: what is one table, what is refused and with which words, and that nothing else happens."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.client.convert import asked as asked_fields
from bandung.gateway.client.values import Filter, TableRequest
from bandung.gateway.domain.agreement import Use
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Comparison, Operator, Statement, Statistic
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import check
from bandung.gateway.planning.present import present, result_schema
from bandung.gateway.planning.request import plan_table
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.planning.touches import touches
from bandung.gateway.server import convert as server_convert
from bandung.gateway.v1 import query_pb2
from tests.support import private
from tests.support.builders import a_dataset, a_dimension, a_measure, an_epoch
from tests.support.exact import exact
from tests.support.persons import EPOCHS, PRIVATE, find_in, persons
from tests.support.protection import release_of, rows_of

PLANS = Path(__file__).parent / "plans"
EPOCH = an_epoch()
find = find_in(EPOCH)


def planned(sql: str, epoch: Epoch = EPOCH) -> Statement:
    return plan_sql(sql, find_in(epoch))[0]


def plans_of(statement: Statement, epoch: Epoch, parameters: tuple[str, ...]) -> list[str]:
    """The checked plans without what all of an epoch have in common."""
    documents = [json.loads(check(plan, epoch).plan.canonical()) for plan in bind(statement, epoch, parameters)]
    assert {document["epoch"] for document in documents} == {epoch.id}
    kept = ("filters", "group_by", "statistics")
    return [json.dumps({key: document[key] for key in kept}, separators=(",", ":")) for document in documents]


def pairs() -> list[dict[str, Any]]:
    return tomllib.loads((PLANS / "allowed.toml").read_text())["pair"]


def statements(*lists: str) -> list[Any]:
    return [pytest.param(pair, sql, id=sql) for pair in pairs() for name in lists for sql in pair.get(name, ())]


def refused() -> list[Any]:
    return [tuple(row) for row in tomllib.loads((PLANS / "refused.toml").read_text())["refused"]]


@pytest.mark.parametrize("policy", EPOCHS)
@pytest.mark.parametrize(("pair", "sql"), statements("sql", "also"))
def test_statements_that_mean_the_same_tables_have_the_same_plans(pair: dict[str, Any], sql: str, policy: str) -> None:
    epoch = EPOCHS[policy]
    statement, parameters = planned(sql, epoch), tuple(pair.get("parameters", ()))
    if policy in pair["policies"]:
        assert plans_of(statement, epoch, parameters) == pair["plan"]
    else:
        with pytest.raises(Refusal) as caught:
            plans_of(statement, epoch, parameters)
        assert caught.value.kind is ErrorKind.NOT_UNDER_POLICY
        assert policy in caught.value.message


@pytest.mark.parametrize("pair", [pair for pair in pairs() if "request" in pair], ids=lambda pair: pair["sql"][0])
def test_a_typed_request_has_the_same_plans_as_its_sql(pair: dict[str, Any]) -> None:
    asked = pair["request"]
    message = query_pb2.QueryRequest(
        **asked_fields(
            TableRequest(
                "persons",
                tuple(asked.get("group_by", ())),
                tuple(private.statistic(name) for name in asked["statistics"]),
                tuple(Filter(**{**held, "codes": tuple(held.get("codes", ()))}) for held in asked.get("filters", ())),
                tuple(asked.get("rollup", ())),
            )
        )
    )
    request = server_convert.request(query_pb2.QueryRequest.FromString(message.SerializeToString()))
    assert not isinstance(request, str)
    statement, epoch = plan_table(
        request.dataset, request.group_by, request.filters, request.statistics, find_in(PRIVATE), request.rollup
    )
    assert plans_of(statement, epoch, ()) == pair["plan"]


@pytest.mark.parametrize(("pair", "sql"), statements("sql"))
def test_a_plan_means_what_a_database_takes_its_statement_to_mean(pair: dict[str, Any], sql: str) -> None:
    people, parameters = persons(), tuple(pair.get("parameters", ()))
    statement = planned(sql, PRIVATE)
    releases = tuple(exact(plan, PRIVATE, people) for plan in bind(statement, PRIVATE, parameters))
    shown = present(releases, statement, PRIVATE)
    width = len(statement.presentation.outputs)
    ours = [tuple(row.values())[:width] for row in shown.to_pylist()]
    theirs = [tuple(map(as_shown, row)) for row in in_duckdb(sql, people, parameters)]
    if not statement.presentation.order_by:
        ours, theirs = sorted(ours, key=str), sorted(theirs, key=str)
    assert len(ours) == len(theirs) > 0
    for our, their in zip(ours, theirs, strict=True):
        assert our == pytest.approx(their)


def as_shown(value: Any) -> Any:
    """A database's total is a null, its sum of decimals a decimal."""
    return "_T" if value is None else float(value) if isinstance(value, Decimal) else value


def in_duckdb(sql: str, people: list[dict[str, Any]], parameters: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """What DuckDB answers, asked by the analyst's own text over the unprotected rows."""
    rows = [{**person, "balance": Decimal(person["balance"]) / 10} for person in people]
    with duckdb.connect() as connection:
        connection.register("people", pa.Table.from_pylist(rows))
        connection.execute("CREATE TABLE persons AS SELECT * FROM people")
        return connection.execute(sql, list(parameters)).fetchall()


@pytest.mark.parametrize(("sql", "code", "place", "words"), refused())
def test_what_is_outside_the_grammar_is_refused_with_place_and_nearest_form(
    sql: str, code: str, place: list[int], words: str
) -> None:
    with pytest.raises(Refusal) as caught:
        bind(planned(sql, PRIVATE), PRIVATE, ())
    assert caught.value.code == code
    assert words in caught.value.message
    assert "  " not in caught.value.message
    if place:
        assert caught.value.position == tuple(place)


def test_a_median_that_a_policy_does_not_offer_is_called_so() -> None:
    statement = planned("SELECT MEDIAN(income), QUANTILE_CONT(income, 0.9) FROM persons")
    with pytest.raises(Refusal) as caught:
        [check(plan, EPOCH) for plan in bind(statement, EPOCH, ())]
    assert "table-builder does not offer median(income), quantile_cont(income, 0.9)." in caught.value.message


@pytest.mark.parametrize(
    "statistic",
    [
        Statistic("sum"),
        Statistic("mean"),
        Statistic("bogus", "income"),
        Statistic("count", "income"),
        Statistic("units", "income"),
        Statistic("quantile", "income"),
        Statistic("quantile", "income", "1.5"),
        Statistic("sum", "income", "0.5"),
    ],
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
    "held",
    [
        Comparison("region", Operator.EQUAL, ()),
        Comparison("income", Operator.AT_LEAST, ("many",)),
        Comparison("income", Operator.UNEQUAL, ("3",)),
        Comparison("region", Operator.AT_LEAST, ("N",)),
        Comparison("region", Operator.EQUAL, ("X",)),
        Comparison("nothing", Operator.EQUAL, ("N",)),
    ],
)
def test_a_typed_filter_that_does_not_fit_its_column_is_refused(held: Comparison) -> None:
    with pytest.raises(Refusal) as caught:
        plan_table("persons", (), (held,), (Statistic("count"),), find)
    assert caught.value.code.startswith("B2")


@pytest.mark.parametrize(
    "filter_",
    [
        query_pb2.Filter(column="sex"),
        query_pb2.Filter(column="sex", code="F", range=query_pb2.Range(low="1")),
        query_pb2.Filter(column="income", range=query_pb2.Range()),
    ],
)
def test_a_typed_filter_has_either_codes_or_a_range(filter_: query_pb2.Filter) -> None:
    table = query_pb2.TableRequest(
        dataset="persons", filters=[filter_], statistics=[query_pb2.Statistic(kind=query_pb2.Statistic.KIND_COUNT)]
    )
    with pytest.raises(Refusal) as caught:
        server_convert.request(query_pb2.QueryRequest(table=table))
    assert caught.value.kind is ErrorKind.BAD_REQUEST


@pytest.mark.parametrize("rollup", [("district", "region"), ("region", "region"), ("region",)])
def test_a_typed_rollup_follows_a_declared_hierarchy_beside_other_dimensions(rollup: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as caught:
        plan_table("persons", ("region",), (), (Statistic("count"),), find_in(PRIVATE), rollup)
    assert caught.value.kind in {ErrorKind.NOT_IN_GRAMMAR, ErrorKind.BAD_REQUEST}


@pytest.mark.parametrize("value", ["nan", "inf", "1_0", "0x1", "", "3.5", "1001", "1e99", "9" * 5000, "N"])
def test_a_parameter_of_a_measure_is_a_number_in_its_range(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        bind(planned("SELECT COUNT(*) FROM persons WHERE income = ?"), EPOCH, (value,))
    assert caught.value.kind is ErrorKind.UNKNOWN_CODE


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


def test_an_open_dimension_is_grouped_by_alone_and_shows_the_codes_of_its_release() -> None:
    village = a_dimension("village", (), open=True)
    epoch = replace(PRIVATE, dataset=replace(PRIVATE.dataset, columns=(*PRIVATE.dataset.columns, village)))
    statement = planned("SELECT village, sex, COUNT(*) n FROM persons GROUP BY ALL ORDER BY village DESC", epoch)
    (plan,) = bind(statement, epoch, ())
    checked = check(plan, epoch)
    assert checked.keys == ()
    assert checked.codes[plan.group_by.index("village")] == ()
    release = exact(plan, epoch, [{**person, "village": f"v{i % 3}"} for i, person in enumerate(persons())])
    villages = present((release,), statement, epoch)["village"].to_pylist()
    assert villages == sorted(villages, reverse=True)
    assert set(villages) == {"v0", "v1", "v2"}
    for sql, code in (("WHERE village = 'v1'", "B205"), ("GROUP BY ROLLUP (village)", "B211")):
        with pytest.raises(Refusal) as caught:
            planned(f"SELECT COUNT(*) FROM persons {sql}", epoch)
        assert caught.value.code == code


def test_under_differential_privacy_each_statistic_is_followed_by_its_interval() -> None:
    epoch = private.a_private_epoch()
    sql = "SELECT COUNT(*) AS n, sex, AVG(income) FROM persons GROUP BY ROLLUP (sex) HAVING COUNT(DISTINCT person) > 50"
    statement = planned(sql, epoch)
    rows = private.persons(sex=["F"] * 90 + ["M"] * 30, income=[500] * 120)
    plans = bind(statement, epoch, (), private.PLENTY)
    table = present(
        tuple(private.release_of(check(plan, epoch), epoch, rows).table for plan in plans), statement, epoch
    )
    assert table.schema.equals(result_schema(statement, epoch))
    assert table.column_names[3:5] == ["n_ci95", "avg(income)_ci95"]
    assert [(row["sex"], row["n"]) for row in table.to_pylist()] == [("F", 90), ("_T", 120)]
    assert table["avg(income)"].to_pylist() == pytest.approx([500, 500])


def test_two_codes_of_one_column_are_refused_by_their_text() -> None:
    with pytest.raises(Refusal) as caught:
        bind(planned("SELECT COUNT(*) FROM persons WHERE region = 'N' AND region = 'S'"), EPOCH, ())
    assert caught.value.kind is ErrorKind.BAD_REQUEST


def test_explain_marks_a_statement_and_changes_nothing_else() -> None:
    sql = "SELECT region, COUNT(*) FROM persons WHERE sex = 'F' GROUP BY region"
    explained = planned(f"\n explain {sql}")
    assert explained.explain
    assert explained == replace(planned(sql), explain=True)


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
    "EXPLAIN",
    "HAVING",
    "COUNT(*) > 3",
    "ROLLUP (",
    "region IN ('N', 'S')",
    "NOT IN",
    "BETWEEN",
    "-",
    "<>",
    "<=",
    "DISTINCT",
    "COUNT(DISTINCT person)",
    "PERCENTILE_CONT(0.5)",
    "WITHIN GROUP",
    "QUANTILE_CONT(income, 0.5)",
    "income",
    "0.5",
    "\x00",
    "é",
]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is built for Linux on x86-64 only")
def test_a_coverage_guided_fuzzer_finds_no_text_that_is_neither_planned_nor_refused() -> None:
    fuzzer = [sys.executable, "-m", "tests.gateway.fuzz_planning", "-max_total_time=30", "-seed=1"]
    done = subprocess.run(
        fuzzer, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


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
    table = present((release_of(sql, EPOCH, rows_of(records)).table,), planned(sql), EPOCH)
    assert table.schema.equals(result_schema(planned(sql), EPOCH))
    return table.to_pylist()


def test_order_and_limit_apply_after_protection_with_suppressed_cells_last() -> None:
    sql = "SELECT sex s, region AS r, COUNT(*) AS n FROM persons GROUP BY region, sex ORDER BY n"
    rows = shown(sql)
    assert [(row["r"], row["s"]) for row in rows] == [("N", "M"), ("S", "F"), ("N", "F"), ("S", "M")]
    assert rows[-1]["n"] is None
    assert [(row["r"], row["s"]) for row in shown(sql + " DESC LIMIT 2")] == [("N", "F"), ("S", "F")]
