"""Joins that a custodian declares: rows of one relation with lookups in others, asked like one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from bandung.connectors.base import SourceError, Stop
from bandung.federation.cli import main
from bandung.gateway.client import GatewayClient, Identity
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.service.check_dataset import CheckReport, check_dataset
from tests.support import homes
from tests.support.gateway import a_gateway
from tests.support.homes import HOMES, LARGEST, PRIVATE, a_census, documented, in_files
from tests.support.postgres import Databases, postgres
from tests.support.publishing import Node, a_node
from tests.support.sources import write_file

__all__ = ["postgres"]

TABLES: tuple[tuple[tuple[str, ...], tuple[str, ...], dict[str, str]], ...] = (
    ((), ("count", "sum(income)"), {}),
    (("setting",), ("count", "sum(income)", "mean(income)"), {}),
    (("setting", "sex"), ("count", "mean(income)"), {}),
    (("sex",), ("count", "sum(income)"), {"setting": "rural"}),
)
OF_PERSONS = {"name": "person", "column": "id"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    homes.write_files(tmp_path)
    with a_node(tmp_path) as node:
        yield node


@pytest.fixture
def database(postgres: Databases) -> str:
    url = postgres()
    homes.write_tables(url)
    return url


@pytest.fixture
def pg_node(tmp_path: Path, database: str) -> Iterator[Node]:
    with a_node(tmp_path, {"CENSUS_URL": database}) as node:
        yield node


def run(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def answers(node: Node, epoch: Epoch) -> list[pa.Table]:
    return [node.release(epoch, group_by, *names, **where).table for group_by, names, where in TABLES]


def report_on(node: Node, **sections: Any) -> CheckReport:
    return check_dataset(node.declare(a_census(**{"source": in_files(), **sections})), node.sources, Stop())


def found(report: CheckReport) -> dict[tuple[str, str], int]:
    return {(violation.column, violation.rule): violation.count for violation in report.violations}


def joined_otherwise(number: int, **keys: Any) -> dict[str, Any]:
    """The source with one of its joins changed."""
    source = in_files()
    source["join"][number] |= keys
    return source


def test_both_modes_every_format_and_a_table_joined_beforehand_give_identical_releases(pg_node: Node, tmp_path: Path):
    copied, _ = pg_node.publish_now(a_census())
    live, _ = pg_node.publish_now(a_census("live"))
    assert copied.facts == live.facts
    assert (copied.facts.rows, copied.facts.units) == (homes.persons().num_rows, HOMES)
    first = answers(pg_node, copied)
    assert first[1].column("count").null_count == 0
    assert first == answers(pg_node, live)
    for suffix in ("csv", "parquet", "arrow"):
        homes.write_files(tmp_path, suffix)
        assert first == answers(pg_node, pg_node.publish_now(a_census(source=in_files(suffix)))[0])
    write_file(homes.flat(), tmp_path / "flat.parquet")
    flat = {"connector": "files", "relation": "flat.parquet"}
    assert first == answers(pg_node, pg_node.publish_now(a_census(source=flat))[0])


def test_the_promise_is_to_the_household_if_the_unit_is_one_by_a_join(database: str, tmp_path: Path):
    sql = "SELECT sex, COUNT(*) AS n FROM {} GROUP BY sex"
    truth = homes.persons()["sex"].value_counts().to_pylist()
    with a_gateway(tmp_path, environment={"CENSUS_URL": database}) as gateway:
        by_home = gateway.publish_document(a_census(policy=PRIVATE))
        by_person = a_census(policy=PRIVATE, unit=OF_PERSONS)
        by_person["dataset"]["name"] = "people"
        gateway.publish_document(by_person)
        gateway.agree()
        files = gateway.identity("analyst/ani")
        with GatewayClient(gateway.address, Identity(gateway.idn.ca, files.certificate, files.key)) as ani:
            of_homes, of_people = (ani.query(sql.format(name)).table for name in ("census", "people"))
    scales = [json.loads(table.schema.metadata[b"bandung.noise"])["count"]["scale"] for table in (of_homes, of_people)]
    assert (by_home.facts.units, by_home.facts.rows_per_unit_max) == (HOMES, LARGEST)
    assert scales[0] >= LARGEST * scales[1] > 0
    shown = dict(zip(of_homes["sex"].to_pylist(), of_homes["n"].to_pylist(), strict=True))
    assert all(abs(shown[entry["values"]] - entry["counts"]) < 8 * scales[0] for entry in truth)


def test_units_by_a_join_are_held_to_their_declared_rows(node: Node):
    unit = {**documented()["unit"], "rows_max": LARGEST - 1}
    assert found(report_on(node, unit=unit)) == {("unit", "too many rows"): HOMES // LARGEST}


def test_a_key_that_stands_twice_is_counted_and_never_published(node: Node, tmp_path: Path):
    rows = homes.households()
    write_file(pa.concat_tables([rows, rows.slice(3, 2), rows.slice(4, 1)]), tmp_path / "households.csv")
    report = report_on(node, unit=OF_PERSONS)
    lost = [home for home in homes.persons()["household_id"].to_pylist() if home in {1003, 1004}]
    assert found(report)["join household", "key repeated"] == 2
    assert found(report)["income", "missing"] == found(report)["setting", "missing"] == len(lost)
    assert "1003" not in str(report)
    with pytest.raises(Refusal) as caught:
        node.publish_now(a_census(source=in_files(), unit=OF_PERSONS))
    assert caught.value.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    assert "join household: key repeated (2)" in caught.value.private
    assert node.catalogue.current("census") is None


def test_a_repeated_key_is_refused_even_if_no_row_has_it(node: Node, tmp_path: Path):
    write_file(
        pa.concat_tables([homes.districts(), *[pa.table({"code": ["D9"], "setting": ["urban"]})] * 2]),
        tmp_path / "districts.csv",
    )
    assert found(report_on(node)) == {("join district", "key repeated"): 1}


def test_rows_without_a_match_are_told_and_are_missing_where_they_may_not_be(node: Node, tmp_path: Path):
    write_file(homes.households().slice(2), tmp_path / "households.csv")
    report = report_on(node)
    lost = sum(home < 1002 for home in homes.persons()["household_id"].to_pylist())
    assert found(report) == {(column, "missing"): lost for column in ("unit", "setting", "income")}
    assert f"join household: {lost} rows have no match; what is joined is missing there." in report.notes
    columns = deepcopy(a_census()["columns"])
    columns["setting"]["missing"], columns["income"]["missing"] = "_U", "allowed"
    epoch, _ = node.publish_now(a_census(source=in_files(), unit=OF_PERSONS, columns=columns))
    assert epoch.facts.rows == homes.persons().num_rows


@pytest.mark.parametrize(
    ("number", "changed", "expected"),
    [
        (0, {"on": {"home": "id"}}, ("join household", "no such column")),
        (0, {"on": {"household_id": "ID"}}, ("join household", "no such column")),
        (0, {"on": {"sex": "id"}}, ("join household", "type")),
        (0, {"on": {"household_id": "id", "wage": "income"}}, ("join household", "type")),
        (1, {"on": {"household.code": "code"}}, ("join district", "no such column")),
        (1, {"name": "area"}, ("setting", "no such column")),
    ],
)
def test_a_join_that_does_not_fit_is_a_violation(
    node: Node, number: int, changed: dict[str, Any], expected: tuple[str, str]
):
    report = report_on(node, source=joined_otherwise(number, **changed))
    assert expected in found(report)
    assert report.profile is None


def test_a_join_does_not_hide_columns_unseen(node: Node, tmp_path: Path):
    rows = homes.persons()
    write_file(rows.append_column("household.income", rows["wage"]), tmp_path / "persons.csv")
    assert found(report_on(node)) == {("join household", "name taken"): 1}


@pytest.mark.parametrize("outside", ["../households.csv", "sub/../../households.csv", "/etc/passwd"])
def test_a_join_reaches_no_file_outside_of_the_declarations_directory(node: Node, tmp_path: Path, outside: str):
    write_file(homes.households(), tmp_path.parent / "households.csv")
    for act in (report_on, lambda node, source: node.publish_now(a_census(source=source))):
        with pytest.raises(Refusal, match="B501"):
            act(node, source=joined_otherwise(0, relation=outside))


@pytest.mark.parametrize(
    ("join", "reason"),
    [
        ({"name": "a.b"}, "source.join.0.name: "),
        ({"name": "district"}, "source: two joins have the same name"),
        ({"on": {}}, "source.join.0.on: "),
        ({"how": "inner"}, "source.join.0.how: is not a key of this section"),
    ],
)
def test_a_malformed_join_is_a_bad_declaration(join: dict[str, Any], reason: str):
    with pytest.raises(Refusal) as caught:
        parse_declaration(a_census(source=joined_otherwise(0, **join)), "/data")
    assert reason in caught.value.detail


def test_a_key_repeated_between_check_and_copy_multiplies_nothing(pg_node: Node, database: str):
    def publish(**sections: Any) -> Epoch:
        def repeat(done: int, total: int) -> None:
            if done == 0:
                run(database, "INSERT INTO households SELECT * FROM households WHERE id = 1004")

        (row,) = homes.households().slice(4, 1).to_pylist()
        once = "INSERT INTO households VALUES ({id}, '{district}', {income})".format(**row)
        run(database, "DELETE FROM households WHERE id = 1004", once)
        return pg_node.publish(pg_node.declare(a_census(**sections)), "local:citra", Stop(), repeat)[0]

    with pytest.raises(Refusal) as caught:
        publish(unit=OF_PERSONS)
    assert caught.value.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    columns = deepcopy(a_census()["columns"])
    columns["setting"]["missing"], columns["income"]["missing"] = "_U", "allowed"
    assert publish(unit=OF_PERSONS, columns=columns).facts.rows == homes.persons().num_rows


def test_a_key_repeated_in_a_live_source_multiplies_nothing_and_stops_what_needs_it(pg_node: Node, database: str):
    live, _ = pg_node.publish_now(a_census("live", unit=OF_PERSONS))
    before = pg_node.release(live, ("sex",), "count").table
    pg_node.release(live, ("setting",), "count")
    run(database, "INSERT INTO households SELECT h.* FROM households h, generate_series(1, 50) WHERE h.id = 1004")
    assert pg_node.release(live, ("sex",), "count").table == before
    with pytest.raises(SourceError):
        pg_node.release(live, ("setting",), "count")


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO households SELECT * FROM households WHERE id = 1004",
        "DELETE FROM households WHERE id = 1004",
        "UPDATE persons SET household_id = 9999 WHERE household_id = 1004",
        "UPDATE households SET id = 9999 WHERE id = 1004",
        "ALTER TABLE households ALTER id TYPE text",
    ],
)
def test_a_live_row_that_lost_its_unit_is_not_answered_from(pg_node: Node, database: str, change: str):
    live, _ = pg_node.publish_now(a_census("live"))
    pg_node.release(live, ("sex",), "count")
    run(database, change)
    pg_node.epochs.retain(frozenset())
    with pytest.raises(SourceError):
        pg_node.release(live, ("sex",), "count")


def test_persons_who_moved_together_in_a_live_source_are_one_household_and_not_shown(pg_node: Node, database: str):
    live, _ = pg_node.publish_now(a_census("live"))
    assert pg_node.release(live, (), "count").table["count"].to_pylist() != [None]
    run(database, "UPDATE persons SET household_id = 1004")
    assert pg_node.release(live, (), "count").table["count"].to_pylist() == [None]


def test_what_is_joined_is_not_under_two_kinds_of_policy(node: Node):
    alone = {"connector": "files", "relation": "./households.csv"}
    columns = {"income": {"role": "measure", "range": [0, 10000]}}
    private = a_census(policy=PRIVATE, source=alone, unit={"name": "household", "column": "id"}, columns=columns)
    private["dataset"]["name"] = "incomes"
    node.publish_now(private)
    with pytest.raises(Refusal, match=r"B507.*incomes is under differential-privacy"):
        node.publish_now(a_census(source=in_files()))


def test_the_command_line_names_the_join_that_does_not_hold(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    homes.write_files(tmp_path)
    (tmp_path / "census.toml").write_text(DECLARATION)
    assert main(["dataset", "check", str(tmp_path / "census.toml")]) == 0
    with (tmp_path / "households.csv").open("a") as file:
        file.write('1001,"D1",5\n')
    assert main(["dataset", "check", str(tmp_path / "census.toml")]) == 1
    said = capsys.readouterr().out
    assert "join household: key repeated (1). Each key must stand in one row of the joined relation" in said
    assert "census cannot be published." in said


DECLARATION = """
dataset = {name = "census", title = "C", description = "C.", licence = "CC0-1.0", country = "IDN", period = "2026"}
unit = {name = "household", column = "household.id", rows_max = 5}
policy = {kind = "table-builder"}
columns.sex = {role = "dimension", codes = [{code = "F"}, {code = "M"}]}
[source]
connector = "files"
relation = "persons.csv"
[[source.join]]
relation = "households.csv"
name = "household"
on = {household_id = "id"}
"""
