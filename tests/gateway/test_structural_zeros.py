"""Cells that cannot exist are told from cells that happen to be empty, which look like those of too few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bandung.gateway.domain.errors import Refusal
from tests.support.publishing import Node, a_declaration, a_node
from tests.support.sources import write_file

DISTRICTS = {"D1": "P1", "D2": "P1", "D3": "P2", "D4": "P2"}
ISLANDS = {"P1": "I1", "P2": "I2"}


def people(**sizes: int) -> pa.Table:
    """So many people of each district: by default a full one, one with nobody, one with too few, another full one."""
    places = [district for district, size in ({"D1": 400, "D3": 2, "D4": 400} | sizes).items() for _ in range(size)]
    return pa.table(
        {
            "person": pa.array(range(len(places)), pa.int64()),
            "district": places,
            "province": [DISTRICTS[place] for place in places],
            "island": [ISLANDS[DISTRICTS[place]] for place in places],
        }
    )


def a_hierarchy(**changes: Any) -> dict[str, Any]:
    codes = [{"code": code, "parent": parent} for code, parent in DISTRICTS.items()]
    provinces = [{"code": code, "parent": parent} for code, parent in ISLANDS.items()]
    document = a_declaration(
        unit={"name": "person", "column": "person"},
        columns={
            "district": {"role": "dimension", "codes": codes, "parent": "province"},
            "province": {"role": "dimension", "codes": provinces, "parent": "island"},
            "island": {"role": "dimension", "codes": [{"code": "I1"}, {"code": "I2"}]},
        },
        policy={"kind": "table-builder", "mean_cell_min": 100},
    )
    document["columns"].update(changes)
    return document


@pytest.fixture
def node(tmp_path: Path):
    write_file(people(), tmp_path / "farms.csv")
    with a_node(tmp_path) as node:
        yield node


def statuses(node: Node, document: dict[str, Any], *group_by: str, **where: str) -> dict[tuple[str, ...], str]:
    """The status of each cell, checked to be shown if and only if it says so."""
    epoch = node.publish_now(document)[0]
    table = node.release(epoch, group_by, "count", **where).table
    found: dict[tuple[str, ...], str] = {}
    for row in table.to_pylist():
        found[tuple(row[name] for name in group_by)] = row["OBS_STATUS"]
        assert (row["count"] is not None) == (row["OBS_STATUS"] == "A")
        assert row["CONF_STATUS"] == ("C" if row["OBS_STATUS"] == "Q" else "F")
    return found


def test_a_district_cannot_lie_in_another_province(node: Node):
    found = statuses(node, a_hierarchy(), "district", "province")
    assert {cell for cell, status in found.items() if status == "M"} == {
        cell for cell in found if DISTRICTS[cell[0]] != cell[1]
    }


@pytest.mark.parametrize("order", [("district", "island"), ("island", "district")])
def test_hierarchies_reach_further_than_one_level_whatever_the_order(node: Node, order: tuple[str, str]):
    found = statuses(node, a_hierarchy(), *order)
    for cell, status in found.items():
        where = dict(zip(order, cell, strict=True))
        assert (status == "M") == (ISLANDS[DISTRICTS[where["district"]]] != where["island"])


def test_an_empty_cell_that_could_exist_looks_like_one_of_too_few(node: Node):
    found = statuses(node, a_hierarchy(), "district")
    assert found == {("D1",): "A", ("D2",): "Q", ("D3",): "Q", ("D4",): "A"}


def test_a_filter_leaves_what_cannot_exist_as_such(node: Node):
    assert statuses(node, a_hierarchy(), "district", province="P1") == {
        ("D1",): "A",
        ("D2",): "Q",
        ("D3",): "M",
        ("D4",): "M",
    }
    assert statuses(node, a_hierarchy(), "province", district="D1") == {("P1",): "A", ("P2",): "M"}
    assert statuses(node, a_hierarchy(), district="D1", province="P2") == {(): "M"}


def test_without_declared_parents_of_codes_every_cell_could_exist(node: Node):
    plain = {"role": "dimension", "codes": [{"code": code} for code in DISTRICTS], "parent": "province"}
    assert "M" not in statuses(node, a_hierarchy(district=plain), "district", "province").values()


def test_cells_that_cannot_exist_make_no_table_sparse(node: Node):
    """802 records in the 16 cells of district, province and island would be 50 for each, but only 4 can exist."""
    assert "A" in statuses(node, a_hierarchy(), "district", "province", "island").values()
    assert "A" in statuses(node, a_hierarchy(), "district", "island").values()


def test_rows_that_contradict_the_declared_parent_are_counted_and_refused(node: Node):
    codes = [{"code": code, "parent": "P1"} for code in DISTRICTS]
    document = a_hierarchy(district={"role": "dimension", "codes": codes, "parent": "province"})
    with pytest.raises(Refusal, match="B502") as caught:
        node.publish_now(document)
    assert "district: parent (2)" in caught.value.private


def test_a_parent_must_be_a_code_of_the_parent(node: Node):
    codes = [{"code": "D1", "parent": "P9"}]
    with pytest.raises(Refusal, match=r"columns\.district\.codes\.0\.parent: P9"):
        node.declare(a_hierarchy(district={"role": "dimension", "codes": codes, "parent": "province"}))
    with pytest.raises(Refusal, match=r"columns\.district\.codes\.0\.parent: P1"):
        node.declare(a_hierarchy(district={"role": "dimension", "codes": [{"code": "D1", "parent": "P1"}]}))
