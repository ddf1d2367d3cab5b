"""Checking a declaration against the data: every violation with its count, and no value anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from bandung.connectors.base import Stop
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.service.check_dataset import CheckReport, check_dataset
from tests.support.publishing import FARMS, Node, a_declaration, a_node, farm_rows
from tests.support.sources import write_file

ROWS = farm_rows().num_rows


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    write_file(farm_rows(), tmp_path / "farms.csv")
    with a_node(tmp_path) as node:
        yield node


def report_on(node: Node, table: pa.Table | None = None, **changes: object) -> CheckReport:
    if table is not None:
        write_file(table, node.directory / "other.parquet")
        changes["source__relation"] = "other.parquet"
    return check_dataset(node.declare(a_declaration(**changes)), node.sources, Stop())


def found(report: CheckReport) -> dict[tuple[str, str], int]:
    return {(violation.column, violation.rule): violation.count for violation in report.violations}


def changed(name: str, values: list[object]) -> pa.Table:
    """The farms with the first values of a column replaced."""
    table = farm_rows()
    index = table.schema.get_field_index(name)
    return table.set_column(index, name, pa.array([*values, *table[name].to_pylist()[len(values) :]]))


def test_a_declaration_that_holds_has_no_violations_but_notes(node: Node):
    report = report_on(node)
    assert report.violations == ()
    assert f"{ROWS} rows of {FARMS} units (farm), up to 3 rows per unit" in report.notes[0]


@pytest.mark.parametrize(("rows_max", "over"), [(1, FARMS - (FARMS + 2) // 3), (2, FARMS // 3)])
def test_units_with_more_rows_than_declared_are_counted(node: Node, rows_max: int, over: int):
    assert found(report_on(node, unit__rows_max=rows_max)) == {("unit", "too many rows"): over}


def test_codes_and_values_outside_the_declaration_are_counted(node: Node):
    places = farm_rows()["place"].to_pylist()
    report = report_on(
        node,
        columns__area__codes=[{"code": "31"}, {"code": "32"}, {"code": "odd", "values": ["o'k; DROP TABLE x"]}],
        columns__age__bands=[20, 30, 50],
        columns__balance__range=[-50, 50],
        columns__fertiliser__missing="never",
    )
    ages, balances = farm_rows()["age"].to_pylist(), farm_rows()["balance"].to_pylist()
    assert found(report) == {
        ("area", "outside the code list"): places.count("None"),
        ("age", "outside the bands"): sum(not 20 <= age < 50 for age in ages),
        ("balance", "out of range"): sum(abs(balance) > 50 for balance in balances),
        ("fertiliser", "missing"): farm_rows()["phosphate"].null_count,
    }


def test_the_answer_none_is_a_value_and_a_null_is_missing(node: Node):
    report = report_on(node, columns__area__missing=None)
    assert found(report) == {("area", "missing"): farm_rows()["place"].null_count}


def test_missing_units_and_missing_numbers_in_bands_are_counted(node: Node):
    assert found(report_on(node, changed("farm", [None, None]))) == {("unit", "missing"): 2}
    assert found(report_on(node, changed("age", [None]))) == {("age", "missing"): 1}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e300])
def test_what_is_not_a_usable_number_is_out_of_range_and_never_an_error(node: Node, number: float):
    assert found(report_on(node, changed("balance", [number]))) == {("balance", "out of range"): 1}


def test_an_empty_relation_is_a_violation(node: Node):
    assert ("source", "no rows") in found(report_on(node, farm_rows().slice(0, 0)))


def test_a_hierarchy_that_is_none_is_found(node: Node):
    report = report_on(node, columns__area__parent="age")
    assert report.violations[0].column == "area"
    assert (report.violations[0].rule, report.violations[0].count) == ("nesting", 5)


def test_columns_that_are_not_there_or_of_another_kind_are_reported_together(node: Node):
    report = report_on(
        node,
        unit__column="balance",
        columns__age__source="Age",
        columns__urea={"role": "measure", "source": "place", "range": [0, 1]},
        columns__years={"role": "dimension", "source": "age", "codes": [{"code": "18"}, {"code": "old"}]},
    )
    assert found(report) == {
        ("unit", "type"): 0,
        ("age", "no such column"): 0,
        ("urea", "type"): 0,
        ("years", "type"): 1,
    }
    assert report.profile is None


def test_source_values_that_mean_several_codes_in_the_source_s_own_type_are_found(node: Node):
    codes = [{"code": "18"}, {"code": "018", "values": ["019"]}, {"code": "19", "values": [19.0, "18.0"]}]
    report = report_on(node, columns__years={"role": "dimension", "source": "age", "codes": codes})
    assert ("years", "several codes") in found(report)
    assert found(report)["years", "several codes"] == 2


@pytest.mark.parametrize(("kind", "fits"), [("table-builder", False), ("differential-privacy", True)])
def test_a_measure_whose_sums_would_not_fit_is_found(node: Node, kind: str, fits: bool):
    balance = {"role": "measure", "range": [-1e6, 1e6], "decimals": 6, "scale": 1e3}
    huge = {**balance, "range": [-9e9, 9e9], "scale": 8e7}
    private = {"policy": {"kind": kind}, "training": {"allowed": False}}
    assert found(report_on(node, columns__balance=balance, **private)) == {}
    report = report_on(node, columns__balance=huge, **private)
    assert (("balance", "too large") not in found(report)) is fits


def test_a_report_holds_no_value_of_the_data(node: Node):
    secret = "secret-value-31337"
    table = changed("place", [secret])
    report = report_on(node, table.set_column(0, "farm", pa.array([secret, *table["farm"].to_pylist()[1:]])))
    assert found(report) == {("area", "outside the code list"): 1}
    assert "31337" not in str(report)


def test_codes_that_never_occur_are_noted(node: Node):
    report = report_on(node, columns__age__bands=[0, 30, 50, 90, 100])
    assert report.violations == ()
    assert "age: 1 of 4 codes do not occur." in report.notes


def test_a_check_can_be_given_up(node: Node):
    stop = Stop()
    stop.set()
    with pytest.raises(Refusal) as caught:
        check_dataset(node.declare(a_declaration()), node.sources, stop)
    assert caught.value.kind is ErrorKind.CANCELLED
