"""Registered tables: what can be worked out of them, what is withheld so that nothing can, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.disclosure.published.audit import attainable, audit
from bandung.gateway.disclosure.published.links import COUNT, Links
from bandung.gateway.disclosure.published.suppress import Needs, suppress
from tests.support.builders import a_dimension, a_measure
from tests.support.tables import (
    SUM,
    a_registered_dataset,
    a_square,
    a_table,
    consistent,
    links_of,
    marked,
    row,
)

INVESTMENT = [[20, 50, 10], [8, 19, 22], [17, 32, 12]]
"""Investment of enterprises by activity and region: the example of Fischetti and Salazar, Models and algorithms for the
2-dimensional cell suppression problem in statistical disclosure control, Mathematical Programming 84, 1999."""


def persons(counts: dict[tuple[str, str], int], income: int = 100) -> list[dict[str, Any]]:
    return [
        {"unit": f"{region}{sex}{i}", "region": region, "sex": sex, "age_group": "15-29", "income": income + i}
        for (region, sex), count in counts.items()
        for i in range(count)
    ]


def nothing(links: Links) -> Needs:
    zero = np.zeros(len(links))
    return Needs(zero > 0, zero, zero, zero > 0)


def bounds(links: Links, withheld: Any, at: int) -> tuple[float, float]:
    down, up = attainable(links, withheld, withheld)
    value = links.total(links.values)[at]
    return value - down[at], value + up[at]


def test_the_attainable_bounds_of_a_known_example_are_found() -> None:
    """With (1,0), (1,2), (2,0), (2,2) withheld the cell of 22 lies in 5..30: it is 30 less a number from 0 to 25."""
    links = a_square(INVESTMENT)
    withheld = marked(links, SUM, ("1", "0"), ("1", "2"), ("2", "0"), ("2", "2"))
    assert bounds(links, withheld, row(links, SUM, ("r", "c"), "1", "2")) == pytest.approx((5, 30))


def test_a_cell_that_is_withheld_alone_is_known_exactly() -> None:
    links = a_square(INVESTMENT)
    withheld = marked(links, SUM, ("1", "2"))
    assert bounds(links, withheld, row(links, SUM, ("r", "c"), "1", "2")) == pytest.approx((22, 22))
    assert not audit(links, nothing(links), withheld).safe


def test_what_is_withheld_for_the_sake_of_the_known_example_protects_it() -> None:
    links = a_square(INVESTMENT)
    sensitive = marked(links, SUM, ("1", "2"))
    needs = replace(nothing(links), sensitive=sensitive, up=5.0 * sensitive, down=5.0 * sensitive)
    withheld = suppress(links, needs, sensitive)
    assert audit(links, needs, withheld).safe
    # Three more cells at least: a cell alone in its row or its column is known. The totals can stay.
    assert withheld.sum() == 4
    assert not withheld[[row(links, SUM, (), *()), *(row(links, SUM, ("r",), str(i)) for i in range(3))]].any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_bounds_are_those_of_trying_every_table(data: st.DataObject) -> None:
    """Where the margins of two dimensions are shown, the bounds of counts are whole numbers: trying all finds them."""
    shape = data.draw(st.sampled_from([(2, 2), (2, 3), (3, 3)]))
    cells = shape[0] * shape[1]
    counts = np.array(data.draw(st.lists(st.integers(0, 4), min_size=cells, max_size=cells))).reshape(shape)
    hidden = np.array(data.draw(st.lists(st.booleans(), min_size=cells, max_size=cells))).reshape(shape) & (counts > 0)
    regions, sexes = ("N", "S", "W")[: shape[0]], ("F", "M", "X")[: shape[1]]
    dataset = a_registered_dataset(
        a_table("region", "sex", statistics=(COUNT,)),
        columns=(a_dimension("region", regions), a_dimension("sex", sexes), a_measure()),
    )
    by_cell = {(r, s): int(counts[i, j]) for i, r in enumerate(regions) for j, s in enumerate(sexes)}
    records = persons(by_cell)
    if not records:
        return
    _, links, _ = links_of(dataset, records)
    keys = [(regions[i], sexes[j]) for i, j in zip(*np.nonzero(hidden), strict=True)]
    down, up = attainable(links, marked(links, COUNT, *keys), nothing(links).sensitive)
    tables = list(consistent(counts, hidden))
    for i, j in zip(*np.nonzero(hidden), strict=True):
        at = row(links, COUNT, ("region", "sex"), regions[i], sexes[j])
        seen = [table[i, j] for table in tables]
        assert (counts[i, j] - down[at], counts[i, j] + up[at]) == pytest.approx((min(seen), max(seen)))


REGISTERED = (a_table("region", "sex"), a_table("age_group", "region"))
people = st.lists(
    st.tuples(
        st.sampled_from(["N", "S", "W"]),
        st.sampled_from(["F", "M"]),
        st.sampled_from(["15-29", "30-49"]),
        st.integers(0, 1000) | st.just(1000) | st.just(0),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=25,
)


def crowd(groups: list[tuple[str, str, str, int, int]]) -> list[dict[str, Any]]:
    return [
        {"unit": f"{g}-{i}", "region": region, "sex": sex, "age_group": age, "income": income}
        for g, (region, sex, age, income, size) in enumerate(groups)
        for i in range(size)
    ]


def town(**changes: Any) -> Any:
    columns = (
        a_dimension("region", ("N", "S", "W")),
        a_dimension("sex", ("F", "M")),
        a_dimension("age_group", ("15-29", "30-49")),
        a_measure(),
    )
    return a_registered_dataset(*REGISTERED, columns=columns, min_units=4, **changes)


@settings(max_examples=60, deadline=None)
@given(people)
def test_after_protection_every_sensitive_number_is_as_uncertain_as_it_has_to_be(groups: Any) -> None:
    _, links, needs = links_of(town(), crowd(groups))
    withheld = suppress(links, needs, needs.sensitive)
    found = audit(links, needs, withheld)
    assert found.safe, [n for n, short in zip(links.numbers, found.short, strict=True) if short]
    assert (withheld >= (needs.sensitive & links.told)).all()
    assert not withheld[links.records == 0].any()


@settings(max_examples=30, deadline=None)
@given(people)
def test_the_same_records_withhold_the_same_numbers(groups: Any) -> None:
    first, second = (
        suppress(links, needs, needs.sensitive) for _, links, needs in [links_of(town(), crowd(groups))] * 2
    )
    assert (first == second).all()


def test_control_primary_suppression_alone_is_undone_exactly() -> None:
    counts = {("N", "F"): 3, ("N", "M"): 30, ("S", "F"): 40, ("S", "M"): 50}
    _, links, needs = links_of(a_registered_dataset(a_table("region", "sex", statistics=(COUNT,))), persons(counts))
    found = audit(links, needs, needs.sensitive)
    at = row(links, COUNT, ("region", "sex"), "N", "F")
    assert needs.sensitive[at]
    assert (found.down[at], found.up[at]) == pytest.approx((0, 0))
    assert not found.safe


def test_tables_that_share_a_margin_are_protected_together() -> None:
    """Each table for itself leaves its total out or in; the other one tells it. Both are attacked at once."""
    dataset = a_registered_dataset(
        a_table("region", "sex", statistics=(COUNT,)), a_table("region", "age_group", statistics=(COUNT,))
    )
    records = persons({("N", "F"): 3, ("S", "F"): 40, ("S", "M"): 50})
    _, links, needs = links_of(dataset, records)
    withheld = suppress(links, needs, needs.sensitive)
    assert audit(links, needs, withheld).safe
    # N is 3 people in every table that has regions, whatever it is crossed with.
    for group_by, key in (
        (("region",), ("N",)),
        (("region", "sex"), ("N", "F")),
        (("age_group", "region"), ("15-29", "N")),
    ):
        assert withheld[row(links, COUNT, group_by, *key)]


def test_a_hierarchy_links_a_district_to_its_province() -> None:
    """What is left of a province tells its one withheld district, so a second one is withheld; the provinces stay."""
    columns = (
        a_dimension("district", ("A1", "A2", "B1"), parent="province"),
        a_dimension("province", ("A", "B")),
        a_dimension("sex", ("F", "M")),
        a_measure(),
    )
    dataset = a_registered_dataset(
        a_table("district", statistics=(COUNT,)), a_table("province", statistics=(COUNT,)), columns=columns
    )
    sizes = {"A1": 4, "A2": 30, "B1": 60}
    records = [
        {"unit": f"{d}{i}", "district": d, "province": d[0], "sex": "F", "income": 1}
        for d, size in sizes.items()
        for i in range(size)
    ]
    nesting = {("district", "province"): {"A1": "A", "A2": "A", "B1": "B"}}
    _, links, needs = links_of(dataset, records, nesting)
    withheld = suppress(links, needs, needs.sensitive)
    assert audit(links, needs, withheld).safe
    hidden = {number.key for number, here in zip(links.numbers, withheld, strict=True) if here}
    assert hidden == {("A1",), ("A2",)}


def test_the_only_contributor_of_another_cell_cannot_work_a_number_out() -> None:
    """Two giants alone in their cells of one row would each find the other in what is left of the row's total."""
    columns = (a_dimension("region", ("N", "S", "W")), a_dimension("sex", ("F", "M", "X")), a_measure(maximum=10**6))
    dataset = a_registered_dataset(a_table("region", "sex", statistics=(SUM,)), columns=columns, min_units=3)
    records = [{"unit": "one", "region": "N", "sex": "F", "income": 5000}]
    records += [{"unit": "two", "region": "N", "sex": "M", "income": 7000}]
    records += [
        {"unit": f"{r}{s}{i}", "region": r, "sex": s, "income": 900 + i}
        for r in "NSW"
        for s in "FMX"
        for i in range(30)
        if (r, s) not in {("N", "F"), ("N", "M")}
    ]
    _, links, needs = links_of(dataset, records)
    first = row(links, SUM, ("region", "sex"), "N", "F")
    naive = needs.sensitive | marked(links, SUM, ("S", "F"), ("S", "M"))
    found = audit(links, needs, naive)
    assert found.short[first]
    withheld = suppress(links, needs, needs.sensitive)
    assert audit(links, needs, withheld).safe
    assert withheld[row(links, SUM, ("region", "sex"), "N", "X")] or withheld[row(links, SUM, ("region",), "N")]


def test_a_shown_sum_gives_a_withheld_count_away_and_is_withheld_too() -> None:
    """Everybody earns 900 to 1000, so a sum of 2703 is of three people; the attack knows the declared range."""
    counts = {("N", "F"): 3, ("N", "M"): 30, ("S", "F"): 40, ("S", "M"): 50}
    columns = (a_dimension("region", ("N", "S")), a_dimension("sex", ("F", "M")), a_measure(minimum=900))
    dataset = a_registered_dataset(a_table("region", "sex"), columns=columns)
    _, links, needs = links_of(dataset, persons(counts, income=900))
    at = row(links, COUNT, ("region", "sex"), "N", "F")
    counts_alone = marked(links, COUNT, *counts)
    assert sum(width[at] for width in attainable(links, counts_alone, needs.sensitive)) < 1
    withheld = suppress(links, needs, needs.sensitive)
    assert audit(links, needs, withheld).safe
    assert withheld[row(links, SUM, ("region", "sex"), "N", "F")]


def test_a_table_that_must_be_complete_gives_way_where_it_is_sensitive() -> None:
    counts = {("N", "F"): 3, ("N", "M"): 30, ("S", "F"): 40, ("S", "M"): 50}
    dataset = a_registered_dataset(a_table("region", "sex", statistics=(COUNT,), complete=True))
    _, links, needs = links_of(dataset, persons(counts))
    withheld = suppress(links, needs, needs.sensitive)
    found = audit(links, needs, withheld)
    giving = [n.key for n, short in zip(links.numbers, found.short, strict=True) if short]
    assert giving == [("N", "F")]


def test_complete_margins_stay_complete() -> None:
    counts = {("N", "F"): 3, ("N", "M"): 30, ("S", "F"): 40, ("S", "M"): 50}
    dataset = a_registered_dataset(
        a_table("region", "sex", statistics=(COUNT,)),
        a_table("region", statistics=(COUNT,), complete=True),
        a_table("sex", statistics=(COUNT,), complete=True),
    )
    _, links, needs = links_of(dataset, persons(counts))
    withheld = suppress(links, needs, needs.sensitive)
    assert audit(links, needs, withheld).safe
    assert {n.group_by for n, hidden in zip(links.numbers, withheld, strict=True) if hidden} == {("region", "sex")}
