"""Open dimensions: texts without a public code list, under differential privacy alone."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pytest

from bandung.connectors.base import Column, Stop
from bandung.gateway.disclosure.differential_privacy import expected, protect, questions
from bandung.gateway.disclosure.noise import popular
from bandung.gateway.domain.agreement import Touches
from bandung.gateway.domain.dataset import Dimension, Epoch
from bandung.gateway.domain.decision import Permit
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Plan
from bandung.gateway.domain.policy import DifferentialPrivacy, Mechanism
from bandung.gateway.domain.release import Raw
from bandung.gateway.planning.check import CheckedPlan, check
from bandung.gateway.service.charges import charges
from tests.support.builders import ANI, a_dataset
from tests.support.private import a_plan, a_private_epoch, persons, raw_of, release_of, statistic
from tests.support.publishing import Node, a_declaration, a_node

NANO_RHO = 10_000_000
ATTO_DELTA = 10**8
PRIVATE = {
    "kind": "differential-privacy",
    "rho_per_table_max": 0.05,
    "open_delta_per_dataset": 1e-9,
    "open_delta_per_table": 1e-10,
}


def an_open_epoch(*, rows_per_unit_max: int = 1, mechanism: Mechanism = Mechanism.GAUSSIAN, **changes: Any) -> Epoch:
    policy = DifferentialPrivacy(
        nano_rho_per_table_max=10**15,
        atto_delta_per_dataset=10 * ATTO_DELTA,
        atto_delta_per_table=ATTO_DELTA,
        mechanism=mechanism,
        **changes,
    )
    town = Dimension("town", "town", Column("town"), (), open=True)
    columns = (town, *a_dataset().columns)
    return a_private_epoch(policy=policy, rows_per_unit_max=rows_per_unit_max, columns=columns)


def in_towns(towns: dict[str, int], **columns: list[Any]) -> pa.Table:
    return persons(town=[town for town, count in towns.items() for _ in range(count)], **columns)


def an_open_plan(epoch: Epoch, *statistics: str, by: tuple[str, ...] = ("town",)) -> CheckedPlan:
    return a_plan(epoch, *statistics, by=by, nano_rho=NANO_RHO)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_towns_of_many_are_shown_and_a_town_of_one_is_not(mechanism: Mechanism) -> None:
    epoch = an_open_epoch(mechanism=mechanism)
    table = release_of(
        an_open_plan(epoch, "count", "mean(income)"), epoch, in_towns({"Bandung": 3000, "Bogor": 2000, "Hamlet": 1})
    ).table
    assert table["town"].to_pylist() == ["Bandung", "Bogor"]
    assert all(abs(got - true) < 1000 for got, true in zip(table["count"].to_pylist(), (3000, 2000), strict=True))


def test_shown_towns_are_crossed_with_whole_code_lists() -> None:
    epoch = an_open_epoch()
    table = release_of(an_open_plan(epoch, "count", by=("sex", "town")), epoch, in_towns({"B": 2000, "A": 2000})).table
    assert list(zip(table["sex"].to_pylist(), table["town"].to_pylist(), strict=True)) == [
        ("F", "A"),
        ("F", "B"),
        ("M", "A"),
        ("M", "B"),
    ]


def test_a_table_of_which_no_town_passes_is_empty_and_no_error() -> None:
    epoch = an_open_epoch()
    table = release_of(an_open_plan(epoch, "count", "sum(income)", "mean(income)"), epoch, in_towns({"A": 2})).table
    assert table.num_rows == 0
    assert table.column_names[:2] == ["town", "count"]


def test_a_unit_of_many_rows_makes_no_town_popular_by_itself() -> None:
    epoch = an_open_epoch(rows_per_unit_max=500)
    rows = in_towns({"Alone": 500}, unit=[1] * 500)
    plan = an_open_plan(epoch, "count", "units")
    raw = raw_of(plan, epoch, rows)
    assert raw.keys is not None
    assert raw.keys["units"].to_pylist() == [1]
    assert protect(plan, epoch, raw).table.num_rows == 0


def test_more_towns_than_there_is_room_for_leave_the_largest() -> None:
    epoch = an_open_epoch(cells_max=4)
    towns = {"A": 1500, "B": 4000, "C": 6000}
    table = release_of(an_open_plan(epoch, "count", by=("sex", "town")), epoch, in_towns(towns)).table
    assert sorted(set(table["town"].to_pylist())) == ["B", "C"]


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("places", [1, 7])
def test_a_key_of_one_unit_passes_as_rarely_as_delta_says(mechanism: Mechanism, places: int) -> None:
    """With δ = 1 % for all keys of a unit: of 20 000 single keys more than `most` pass less than once in 10^9 runs."""
    keys, delta = 20_000, 0.01
    passed = popular(mechanism, {str(key): 1 for key in range(keys)}, places, NANO_RHO, int(delta * 1e18))
    chance = delta / places
    most = keys * chance + 6.5 * sqrt(keys * chance) + 12
    assert len(passed) <= most


@pytest.mark.parametrize("mechanism", Mechanism)
def test_the_threshold_is_not_wastefully_high(mechanism: Mechanism) -> None:
    passed = popular(mechanism, {str(key): 1 for key in range(20_000)}, 1, NANO_RHO, 10**16)
    assert len(passed) > 20


@pytest.mark.parametrize(
    ("statistics", "by", "kind"),
    [
        (("quantile(income,0.5)",), ("town",), ErrorKind.NOT_UNDER_POLICY),
        (("count",), ("sex", "region", "age_group", "town"), ErrorKind.TOO_LARGE),
    ],
)
def test_what_cannot_be_had_of_an_open_dimension_is_refused_before_anything_is_asked(
    statistics: tuple[str, ...], by: tuple[str, ...], kind: ErrorKind
) -> None:
    epoch = an_open_epoch(cells_max=7)
    for before_asking in (questions, expected):
        with pytest.raises(Refusal) as refused:
            before_asking(an_open_plan(epoch, *statistics, by=by), epoch)
        assert refused.value.kind is kind


def test_only_tables_over_open_dimensions_are_charged_for_delta() -> None:
    epoch = an_open_epoch()
    permit = Permit(ANI, Touches("persons", frozenset()), "a", 1, "tests", training_consent=False)
    scopes = {c.scope: c.amount for c in charges(epoch, permit, an_open_plan(epoch, "count").plan)}
    assert scopes["atto_delta/persons"] == ATTO_DELTA
    closed = charges(epoch, permit, an_open_plan(epoch, "count", by=("sex",)).plan)
    assert "atto_delta/persons" not in {charge.scope for charge in closed}
    assert "atto_delta/persons" in {charge.scope for charge in charges(epoch, permit, None)}, "shown before spending"


def a_private_declaration(**changes: Any) -> dict[str, Any]:
    """Farms whose place has no public code list."""
    document = a_declaration(training=None, policy=dict(PRIVATE), **changes)
    document["columns"]["area"] = {"role": "dimension", "source": "place", "open": True} | document["columns"].pop(
        "more", {}
    )
    return document


def test_an_open_dimension_is_declared_without_codes() -> None:
    area = parse_declaration(a_private_declaration(), "/")
    dimension = area.column("area")
    assert isinstance(dimension, Dimension)
    assert (dimension.open, dimension.codes) == (True, ())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"columns__more": {"codes": [{"code": "a"}]}}, "columns.area: give either codes or bands, or open = true"),
        ({"columns__more": {"missing": "_U"}}, "columns.area: an open column has no missing values and no parent"),
        (
            {"columns__more": {"decimals": 2}},
            "columns.area: scale, offset, decimals and missing_values belong to bands",
        ),
        ({"columns__more": {"source": ["a", "b"]}}, "columns.area: an open column has one source column"),
        ({"columns__age__parent": "area"}, "columns.age.parent: area is open: nothing nests in it"),
        ({"policy": {**PRIVATE, "open_delta_per_table": 0.0}}, "columns.area.open: needs open_delta_per_dataset"),
        ({"policy": {"kind": "table-builder"}}, "columns: bounds and open belong to the policy differential-privacy"),
    ],
)
def test_a_wrong_open_dimension_is_refused_by_its_path(changes: dict[str, Any], problem: str) -> None:
    document = a_private_declaration(**{k: v for k, v in changes.items() if k != "policy"})
    document["policy"] = changes.get("policy", document["policy"])
    with pytest.raises(Refusal) as refused:
        parse_declaration(document, "/")
    assert problem in str(refused.value)


@pytest.fixture
def node(tmp_path: Path):
    with a_node(tmp_path) as opened:
        yield opened


def test_published_texts_are_grouped_as_they_stand_whatever_they_are(node: Node, tmp_path: Path) -> None:
    hostile = "o'k\"; DROP TABLE data; --"
    farms = 6000
    table = pa.table(
        {
            "farm": [f"F{i}" for i in range(farms)],
            "place": ["Été" if i % 2 else hostile for i in range(farms - 1)] + ["the one"],
            "age": [20] * farms,
            "urea": [1.5] * farms,
            "phosphate": [0.5] * farms,
            "balance": [-3.0] * farms,
        }
    )
    csv.write_csv(table, tmp_path / "farms.csv")
    epoch, _ = node.publish_now(a_private_declaration())
    plan = check(Plan(epoch.id, ("area",), (), (statistic("count"), statistic("mean(balance)")), 50_000_000), epoch)
    asked, source = questions(plan, epoch), node.epochs.open(epoch)
    assert asked.keys is not None
    raw = Raw(source.cells(asked.cells, Stop()), None, (), source.contributions(asked.keys, Stop()))
    released = protect(plan, epoch, raw).table
    assert released["area"].to_pylist() == sorted(["Été", hostile])
    assert all(abs(count - farms / 2) < 500 for count in released["count"].to_pylist())


def test_a_missing_text_is_a_violation(node: Node, tmp_path: Path) -> None:
    table = pa.table({"farm": ["a", "b"], "place": ["x", None], "age": [20, 20], "urea": [1.0, 1.0]})
    for name in ("phosphate", "balance"):
        table = table.append_column(name, pa.array([1.0, 1.0]))
    csv.write_csv(table, tmp_path / "farms.csv")
    with pytest.raises(Refusal) as refused:
        node.publish_now(a_private_declaration())
    assert refused.value.kind is ErrorKind.DATA_VIOLATES_DECLARATION
