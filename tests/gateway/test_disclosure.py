"""The table-builder policy: what is withheld, what is changed, and that it stays the same."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.connectors import reckoning
from bandung.connectors.base import ContributionQuery
from bandung.gateway.disclosure.keys import record_keys
from bandung.gateway.disclosure.table_builder import protect
from bandung.gateway.domain.dataset import Epoch, Mode
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import TableBuilder
from bandung.gateway.domain.release import Raw
from bandung.gateway.planning.check import source_query
from tests.support.builders import a_dataset, a_dimension, a_measure, an_epoch
from tests.support.protection import KEY, checked, raw_of, release_of, rows_of

ROOT = Path(__file__).parent.parent.parent


def persons(cells: dict[tuple[str, str], int], income: int = 100) -> list[dict[str, Any]]:
    return [
        {"unit": f"{region}{sex}{i}", "region": region, "sex": sex, "age_group": "15-29", "income": income}
        for (region, sex), count in cells.items()
        for i in range(count)
    ]


FOUR = {("N", "F"): 40, ("N", "M"): 9, ("S", "F"): 25, ("S", "M"): 0}


def test_a_cell_below_threshold_never_leaves() -> None:
    table = release_of(
        "SELECT region, sex, COUNT(*) FROM persons GROUP BY region, sex", an_epoch(), rows_of(persons(FOUR))
    ).table
    by_key = {(r["region"], r["sex"]): r for r in table.to_pylist()}
    assert by_key["N", "M"]["count"] is None
    assert (by_key["N", "M"]["OBS_STATUS"], by_key["N", "M"]["CONF_STATUS"]) == ("Q", "C")
    assert (by_key["N", "F"]["OBS_STATUS"], by_key["N", "F"]["CONF_STATUS"]) == ("A", "F")
    assert abs(by_key["N", "F"]["count"] - 40) <= 5


def test_an_empty_cell_and_a_small_one_look_the_same() -> None:
    table = release_of(
        "SELECT region, sex, COUNT(*) FROM persons GROUP BY region, sex", an_epoch(), rows_of(persons(FOUR))
    ).table
    rows = {(r.pop("region"), r.pop("sex")): r for r in table.to_pylist()}
    assert rows["S", "M"] == rows["N", "M"]


def test_every_cell_of_the_public_code_lists_is_there_whatever_the_data() -> None:
    sql = "SELECT region, sex, COUNT(*) FROM persons GROUP BY region, sex"
    full = release_of(sql, an_epoch(), rows_of(persons(FOUR))).table
    one = release_of(sql, an_epoch(), rows_of(persons({("N", "F"): 12}))).table
    assert full.select(["region", "sex"]).equals(one.select(["region", "sex"]))
    assert full.num_rows == 4


def test_the_same_cell_gets_the_same_noise_however_it_is_asked_for() -> None:
    rows, epoch = rows_of(persons({("N", "F"): 60, ("N", "M"): 50})), an_epoch()
    by_group = release_of("SELECT sex, COUNT(*) FROM persons GROUP BY sex", epoch, rows).table.to_pylist()
    by_filter = release_of("SELECT COUNT(*) FROM persons WHERE sex = 'F'", epoch, rows).table.to_pylist()
    by_both = release_of(
        "SELECT region, COUNT(*) FROM persons WHERE sex = 'F' GROUP BY region", epoch, rows
    ).table.to_pylist()
    assert by_group[0]["count"] == by_filter[0]["count"] == by_both[0]["count"]


def test_another_key_gives_other_noise() -> None:
    rows, epoch = rows_of(persons({("N", "F"): 60})), an_epoch()
    counts = {
        release_of("SELECT COUNT(*) FROM persons", epoch, rows, bytes([i]) * 32).table["count"][0].as_py()
        for i in range(40)
    }
    assert len(counts) > 3


def test_a_sum_that_one_contributor_dominates_is_withheld_and_its_count_is_not() -> None:
    records = persons({("N", "F"): 30, ("S", "F"): 30}, income=1)
    records[0]["income"] = 1000
    table = release_of(
        "SELECT region, COUNT(*), SUM(income) FROM persons GROUP BY region", an_epoch(), rows_of(records)
    ).table
    north, south = table.to_pylist()
    assert north["sum(income)"] is None
    assert north["count"] is not None
    assert north["CONF_STATUS"] == "C"
    assert south["sum(income)"] is not None


def test_the_p_percent_rule_protects_the_largest_from_the_second_largest() -> None:
    records = persons({("N", "F"): 20}, income=1)
    records[0]["income"], records[1]["income"] = 500, 400
    epoch = an_epoch(replace(a_dataset(), policy=TableBuilder(dominance_k_percent=100)))
    assert (
        release_of("SELECT SUM(income) FROM persons", epoch, rows_of(records)).table["sum(income)"][0].as_py() is None
    )
    laxer = an_epoch(replace(a_dataset(), policy=TableBuilder(dominance_k_percent=100, p_percent=1)))
    assert (
        release_of("SELECT SUM(income) FROM persons", laxer, rows_of(records)).table["sum(income)"][0].as_py()
        is not None
    )


def test_units_are_counted_not_rows() -> None:
    records = [{**r, "unit": r["unit"][-1]} for r in persons({("N", "F"): 60})]  # ten units, six rows each
    nine = [r for r in records if r["unit"] != "0"]
    epoch = an_epoch(a_dataset(policy=TableBuilder(threshold_spread=0)), rows_per_unit_max=6)
    assert release_of("SELECT COUNT(*) FROM persons", epoch, rows_of(records)).table["count"][0].as_py() is not None
    assert release_of("SELECT COUNT(*) FROM persons", epoch, rows_of(nine)).table["count"][0].as_py() is None


def test_contributions_are_added_up_by_unit_before_they_are_judged() -> None:
    records = [{**r, "unit": f"u{i}"} for i, r in enumerate(persons({("N", "F"): 30}, income=10))]
    many_rows_of_one = [{**records[0], "income": 10} for _ in range(200)]
    epoch = an_epoch(rows_per_unit_max=201)
    rows = rows_of(records + many_rows_of_one)
    assert release_of("SELECT SUM(income) FROM persons", epoch, rows).table["sum(income)"][0].as_py() is None


def test_a_mean_is_the_protected_sum_over_the_protected_count() -> None:
    rows = rows_of([{**r, "income": i} for i, r in enumerate(persons({("N", "F"): 100}))])
    (row,) = release_of("SELECT COUNT(*), SUM(income), AVG(income) FROM persons", an_epoch(), rows).table.to_pylist()
    assert row["mean(income)"] == pytest.approx(row["sum(income)"] / row["count"])
    assert row["mean(income)"] != pytest.approx(49.5, rel=1e-9)


def test_missing_values_of_a_measure_are_not_counted_as_contributors() -> None:
    dataset = a_dataset(columns=(*a_dataset().dimensions, a_measure(optional=True)))
    records = [{**r, "income": 5 if i < 9 else None} for i, r in enumerate(persons({("N", "F"): 50}))]
    (row,) = release_of(
        "SELECT COUNT(*), AVG(income) FROM persons", an_epoch(dataset), rows_of(records)
    ).table.to_pylist()
    assert row["count"] is not None
    assert row["mean(income)"] is None


def test_a_loss_counts_as_a_contribution_by_its_size() -> None:
    dataset = a_dataset(columns=(*a_dataset().dimensions, a_measure(minimum=-1000)))
    records = persons({("N", "F"): 30}, income=1)
    records[0]["income"] = -900
    (row,) = release_of("SELECT SUM(income) FROM persons", an_epoch(dataset), rows_of(records)).table.to_pylist()
    assert row["sum(income)"] is None


def test_a_table_of_too_many_variables_is_refused_by_its_text_alone() -> None:
    dataset = a_dataset(columns=(*a_dataset().columns, a_dimension("urban", ("U", "R"))))
    with pytest.raises(Refusal) as refused:
        checked(
            "SELECT region, sex, COUNT(*) FROM persons WHERE age_group='15-29' AND urban='U' GROUP BY ALL",
            an_epoch(dataset),
        )
    assert refused.value.kind is ErrorKind.TOO_MANY_VARIABLES


def test_a_sparse_table_is_refused_before_the_data_are_looked_at() -> None:
    with pytest.raises(Refusal) as refused:
        checked("SELECT region, sex, COUNT(*) FROM persons GROUP BY ALL", an_epoch(rows=79))
    assert refused.value.kind is ErrorKind.TOO_SPARSE
    checked("SELECT region, sex, COUNT(*) FROM persons GROUP BY ALL", an_epoch(rows=80))


def truly_unsafe(values: list[int], rows: int, rows_per_unit: int, policy: TableBuilder) -> bool:
    steps = policy.min_units * rows_per_unit
    top = sorted((abs(v) for v in values), reverse=True)
    total = sum(top)
    return (
        len(values) < policy.min_units
        or total - sum(top[:2]) < policy.p_percent / 100 * top[0]
        or sum(top[: policy.dominance_n]) > policy.dominance_k_percent / 100 * total
        or sum(values) < steps
        or 1000 * rows - sum(values) < steps
    )


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 1000) | st.integers(0, 5), min_size=1, max_size=40),
    rows_per_unit=st.integers(1, 3),
    k=st.integers(3, 15),
)
def test_what_is_shown_is_exactly_what_the_rules_allow(values: list[int], rows_per_unit: int, k: int) -> None:
    policy = TableBuilder(min_units=k, threshold_spread=0, mean_cell_min=0)
    units: dict[str, int] = {}
    records = []
    for i, value in enumerate(values):
        unit = f"u{i // rows_per_unit}"
        units[unit] = units.get(unit, 0) + value
        records.append({"unit": unit, "region": "N", "sex": "F", "age_group": "15-29", "income": value})
    epoch: Epoch = an_epoch(a_dataset(policy=policy), rows_per_unit_max=rows_per_unit)
    (row,) = release_of("SELECT COUNT(*), SUM(income) FROM persons", epoch, rows_of(records)).table.to_pylist()
    assert (row["count"] is None) == (len(units) < k)
    assert (row["sum(income)"] is None) == truly_unsafe(list(units.values()), len(values), rows_per_unit, policy)


@pytest.mark.parametrize("rows_each", [1, 3])
@pytest.mark.parametrize("units", range(8, 16))
def test_a_cell_of_more_units_is_shown_under_more_keys(units: int, rows_each: int) -> None:
    """From 10 + t units on, t being 0 to 4 with equal chances: of each 300 keys, 60 more with each unit."""
    epoch = an_epoch(rows_per_unit_max=rows_each)
    records = [{**r, "unit": f"u{i // rows_each}"} for i, r in enumerate(persons({("N", "F"): units * rows_each}))]
    shown = 0
    for number in range(300):
        key = number.to_bytes(32, "big")
        keys = record_keys(key, [record["unit"] for record in records])
        rows = pa.Table.from_pylist(records).append_column("record_key", keys)
        (row,) = release_of("SELECT COUNT(*), SUM(income) FROM persons", epoch, rows, key).table.to_pylist()
        assert (row["count"] is None) == (row["sum(income)"] is None)
        shown += row["count"] is not None
    expected = 300 * min(max(units - 9, 0), 5) / 5
    assert shown == expected if expected in (0, 300) else abs(shown - expected) < 40


def test_the_same_records_have_the_same_threshold_however_they_are_asked_for() -> None:
    for units in range(10, 14):
        rows = rows_of(persons({("N", "F"): units, ("S", "M"): 40}))
        asked = [
            "SELECT COUNT(*) FROM persons WHERE region = 'N'",
            "SELECT COUNT(*) FROM persons WHERE sex = 'F'",
            "SELECT sex, COUNT(*) FROM persons WHERE region = 'N' GROUP BY sex",
            "SELECT region, sex, COUNT(*) FROM persons GROUP BY region, sex",
        ]
        epochs = [an_epoch(), an_epoch(number=2), an_epoch(a_dataset(mode=Mode.LIVE)), an_epoch(rows_per_unit_max=3)]
        found = {release_of(sql, epoch, rows).table["count"][0].as_py() for sql in asked for epoch in epochs}
        assert len(found) == 1, units


def test_units_are_not_looked_at_where_no_threshold_could_be_missed() -> None:
    """Three rows of a unit at most: 3 x 14 rows are enough units under every threshold, 9 rows under none."""
    epoch = an_epoch(rows_per_unit_max=3)
    plan = checked("SELECT region, COUNT(*) FROM persons GROUP BY region", epoch)
    assert raw_of(plan, epoch, rows_of(persons({("N", "F"): 42, ("S", "F"): 9}))).contributions is None
    assert raw_of(plan, epoch, rows_of(persons({("N", "F"): 29, ("S", "F"): 9}))).contributions is not None


@pytest.mark.parametrize("rest", [2**10, 2**56])
def test_the_rules_are_exact_to_the_last_unit_of_a_large_number(rest: int) -> None:
    """Where total - x1 - x2 is an eighth of x1 the sum is just safe by a p of 12.5 %, and one less is not."""
    policy = TableBuilder(p_percent=12.5, dominance_k_percent=99)
    for less, withheld in ((0, False), (1, True)):
        incomes = [8 * rest, rest, rest - 20 - less, *[1] * 20]
        columns = (*a_dataset().dimensions, a_measure(maximum=2**62))
        records = persons({("N", "F"): len(incomes)})
        rows = rows_of([{**record, "income": income} for record, income in zip(records, incomes, strict=True)])
        epoch = an_epoch(a_dataset(policy=policy, columns=columns))
        (row,) = release_of("SELECT SUM(income) FROM persons", epoch, rows).table.to_pylist()
        assert (row["sum(income)"] is None) == withheld, incomes


def test_the_error_of_a_mean_shrinks_with_its_count() -> None:
    rows = rows_of(persons({("N", "F"): 60}))
    noise = release_of("SELECT COUNT(*), SUM(income), AVG(income) FROM persons", an_epoch(), rows).noise
    assert noise["count"] == {"variance": 3.0}
    assert noise["sum(income)"]["standard_error_max"] == pytest.approx(3000 / 3**0.5, rel=1e-3)
    error = noise["sum(income)"]["standard_error_max"] + 1000 * 3.0**0.5
    assert noise["mean(income)"] == {"standard_error_max_times_count": pytest.approx(error)}


def test_the_error_of_a_mean_of_some_records_is_not_to_be_had_from_the_count_of_all() -> None:
    epoch = an_epoch(a_dataset(columns=(*a_dataset().dimensions, a_measure(optional=True))))
    noise = release_of("SELECT AVG(income) FROM persons", epoch, rows_of(persons({("N", "F"): 60}))).noise
    assert set(noise["mean(income)"]) == {"standard_error_max_times_contributors"}


def test_a_variance_that_cannot_be_attained_is_not_published() -> None:
    epoch = an_epoch(a_dataset(policy=TableBuilder(noise_max=2, noise_variance=4, noise_js=1)))
    noise = release_of("SELECT COUNT(*) FROM persons", epoch, rows_of(persons({("N", "F"): 60}))).noise
    assert 3.9 < noise["count"]["variance"] < 4


def test_a_table_of_too_many_cells_is_refused_before_they_are_made() -> None:
    codes = tuple(f"{i}" for i in range(600))
    dataset = a_dataset(columns=(a_dimension("a", codes), a_dimension("b", codes), a_measure()))
    with pytest.raises(Refusal) as refused:
        checked("SELECT a, b, COUNT(*) FROM persons GROUP BY ALL", an_epoch(dataset, rows=10**9))
    assert refused.value.kind is ErrorKind.TOO_LARGE


def test_the_closer_look_is_taken_only_where_facts_do_not_decide() -> None:
    epoch = an_epoch()
    plan = checked("SELECT region, SUM(income) FROM persons GROUP BY region", epoch)
    even = raw_of(plan, epoch, rows_of(persons({("N", "F"): 40, ("S", "F"): 5})))
    assert even.contributions is None
    skewed = persons({("N", "F"): 40, ("S", "F"): 40}, income=1)
    skewed[0]["income"] = 900
    assert raw_of(plan, epoch, rows_of(skewed)).contributions is None, "one holds too much, whoever comes second"
    skewed[1]["income"] = 130
    looked = raw_of(plan, epoch, rows_of(skewed)).contributions
    assert looked is not None
    assert looked.select(["region", "units"]).to_pylist() == [{"region": "N", "units": 2}]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([-900, -20, 0, 1, 7, 30, 100, 400, 900]), min_size=9, max_size=16), max_size=2),
    st.integers(1, 3),
    st.sampled_from([50.0, 85.0]),
    st.booleans(),
)
def test_a_look_that_leaves_small_contributions_out_decides_as_one_that_does_not(
    cells: list[list[int]], n: int, k: float, signed: bool
) -> None:
    policy = TableBuilder(dominance_n=n, dominance_k_percent=k)
    measure = a_measure(minimum=-1000) if signed else a_measure()
    epoch = an_epoch(a_dataset(policy=policy, columns=(*a_dataset().dimensions, measure)))
    records = persons({(region, "F"): len(cell) for region, cell in zip("NS", cells, strict=False)})
    for record, income in zip(records, [income for cell in cells for income in cell], strict=True):
        record["income"] = income if signed else abs(income)
    rows, plan = rows_of(records), checked("SELECT region, SUM(income) FROM persons GROUP BY region", epoch)
    raw, query = raw_of(plan, epoch, rows), source_query(plan, epoch)
    whole = ContributionQuery(query.view, query.group_by, query.where, query.measures, max(2, n))

    found = protect(plan, epoch, raw, KEY).table
    assert found.equals(protect(plan, epoch, Raw(raw.cells, reckoning.contributions(whole, rows)), KEY).table)


def constructions(name: str) -> set[str]:
    found = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        if re.search(rf"(?<![\w.]){name}\(", path.read_text()) and path.name != "release.py":
            found.add(path.parent.name)
    return found


def test_only_disclosure_makes_releases_and_only_training_released_vectors() -> None:
    assert constructions("Release") == {"disclosure"}
    assert constructions("ReleasedVector") <= {"training"}
