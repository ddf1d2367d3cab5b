"""Attacks that still succeed. Each test states what must hold; it is strict, so whoever closes a hole must say so here.

A test moves to a file of its own, with a control, when its hole is closed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from bandung.gateway.disclosure.ptable import maximum_entropy
from bandung.gateway.disclosure.table_builder import protect
from bandung.gateway.domain.dataset import Mode
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.domain.plan import Statistic
from bandung.gateway.domain.release import Raw
from bandung.gateway.planning.request import plan_table
from bandung.gateway.planning.sql import plan_sql
from tests.support.builders import a_dataset, a_measure, an_epoch
from tests.support.protection import KEY, checked, raw_of, release_of, rows_of

EPOCH = an_epoch()


def record(unit: str, **values: Any) -> dict[str, Any]:
    return {"unit": unit, "region": "N", "sex": "F", "age_group": "15-29", "income": 10, **values}


@pytest.mark.xfail(strict=True, reason="facts of publication certify cells of a live source that changed since")
def test_one_person_whose_rows_multiplied_in_a_live_source_is_not_shown() -> None:
    live = an_epoch(replace(a_dataset(), mode=Mode.LIVE), rows_per_unit_max=1)
    rows = rows_of([record("one person") for _ in range(30)])
    (row,) = release_of("SELECT COUNT(*), SUM(income) FROM persons", live, rows).table.to_pylist()
    assert row["count"] is None
    assert row["sum(income)"] is None


@pytest.mark.xfail(strict=True, reason="noise of half the largest contribution rounds to nothing where that is one")
@pytest.mark.parametrize("users", [0, 3, 97, 100])
def test_the_sum_of_an_indicator_does_not_tell_exactly_how_many_have_it(users: int) -> None:
    epoch = an_epoch(a_dataset(columns=(*a_dataset().dimensions, a_measure("uses", 0, 1))))
    rows = rows_of([record(f"u{i}", uses=int(i < users)) for i in range(100)])
    answers = [
        release_of("SELECT SUM(uses) FROM persons", epoch, rows, bytes([k]) * 32).table[0][0].as_py() for k in range(20)
    ]
    assert set(answers) != {float(users)}


@pytest.mark.xfail(strict=True, reason="the published error of a sum is scaled by the secret number of rows per unit")
def test_the_published_noise_depends_on_declarations_alone() -> None:
    rows = rows_of([record(f"u{i}") for i in range(60)])
    published = [
        release_of("SELECT SUM(income), AVG(income) FROM persons", an_epoch(rows_per_unit_max=most), rows).noise
        for most in (1, 6)
    ]
    assert published[0] == published[1]


@pytest.mark.xfail(strict=True, reason="a missing record key counts as the key 0, so the noise no longer hides the set")
def test_a_cell_with_a_row_without_record_key_is_not_answered() -> None:
    plan = checked("SELECT COUNT(*) FROM persons", EPOCH)
    cells = raw_of(plan, EPOCH, rows_of([record(f"u{i}") for i in range(60)])).cells
    place = cells.column_names.index("key")
    keyless = cells.set_column(place, "key", pa.array([None], pa.decimal128(38, 0)))
    try:
        shown = protect(plan, EPOCH, Raw(keyless, None), KEY).table["count"][0].as_py()
    except Refusal:
        shown = None
    assert shown is None


@pytest.mark.xfail(strict=True, raises=ValueError, reason="int() refuses more than 4300 digits with a ValueError")
@pytest.mark.parametrize("place", ["LIMIT ", "ORDER BY ", "GROUP BY ", "WHERE region = $"])
def test_a_number_of_five_thousand_digits_is_refused(place: str) -> None:
    sql = "SELECT COUNT(*) FROM persons " + place + "9" * 5000
    with pytest.raises(Refusal):
        plan_sql(sql, lambda _: EPOCH)


@pytest.mark.xfail(
    strict=True, raises=ValueError, reason="counts that no policy shows are given a row that cannot exist"
)
def test_a_policy_that_may_be_declared_has_a_perturbation_table() -> None:
    maximum_entropy(5, 2.5, 5)


@pytest.mark.xfail(strict=True, reason="a typed request's statistics are not checked before the charge")
@pytest.mark.parametrize("statistic", [Statistic("sum"), Statistic("bogus", "income"), Statistic("count", "income")])
def test_a_typed_statistic_that_does_not_exist_is_refused(statistic: Statistic) -> None:
    with pytest.raises(Refusal):
        plan_table("persons", (), (), (statistic,), lambda _: EPOCH)
