"""A source that changes under its epoch: rows multiply, move or lose their codes after publication verified them.

What publication verified of a live source says nothing of it later. Every cell that could be shown is therefore
looked at exactly, a cell that vanished before the look is withheld, and rows outside the code lists stop the answer.
The control is a copy, whose declared bound holds for good: were it false, one person would be shown as thirty.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from bandung.connectors.base import SourceError
from bandung.gateway.disclosure.table_builder import protect, uncertified
from bandung.gateway.domain.dataset import Epoch, Mode
from bandung.gateway.domain.release import Raw
from tests.support.builders import a_dataset, a_measure, an_epoch
from tests.support.protection import KEY, checked, raw_of, release_of, rows_of

COLUMNS = (*a_dataset().dimensions, a_measure(minimum=-1000))
SQL = "SELECT COUNT(*), SUM(income) FROM persons"
BY_REGION = "SELECT region, COUNT(*), SUM(income) FROM persons GROUP BY region"


def an_epoch_of(mode: Mode, **changes: Any) -> Epoch:
    return an_epoch(replace(a_dataset(columns=COLUMNS, mode=mode), **changes))


def persons(count: int, *, units: int | None = None, **values: Any) -> Any:
    record = {"region": "N", "sex": "F", "age_group": "15-29", "income": 10, **values}
    return rows_of([{**record, "unit": f"u{i % (units or count)}"} for i in range(count)])


def shown(sql: str, epoch: Epoch, rows: Any) -> dict[str, Any]:
    return release_of(sql, epoch, rows).table.to_pylist()[0]


def test_one_person_whose_rows_multiplied_in_a_live_source_is_not_shown() -> None:
    row = shown(SQL, an_epoch_of(Mode.LIVE), persons(30, units=1))
    assert row["count"] is None
    assert row["sum(income)"] is None


def test_control_a_bound_that_is_trusted_though_false_shows_one_person_as_many() -> None:
    row = shown(SQL, an_epoch_of(Mode.SNAPSHOT), persons(30, units=1))
    assert row["count"] is not None
    assert row["sum(income)"] is not None


def test_a_live_source_without_a_unit_column_counts_each_row_as_a_unit() -> None:
    epoch = an_epoch_of(Mode.LIVE, unit_column=None)
    plan, rows = checked(SQL, epoch), persons(30)
    assert raw_of(plan, epoch, rows).contributions is None
    assert shown(SQL, epoch, rows)["count"] is not None


def test_live_and_copied_rows_get_the_same_release() -> None:
    rows = rows_of(
        [
            {
                "unit": f"u{i}",
                "region": "NS"[i % 3 == 0],
                "sex": "F",
                "age_group": "15-29",
                "income": i * 37 % 900 - 450,
            }
            for i in range(90)
        ]
    )
    live, copied = (release_of(BY_REGION, an_epoch_of(mode), rows) for mode in (Mode.LIVE, Mode.SNAPSHOT))
    assert live.table.equals(copied.table)
    assert live.table["sum(income)"].null_count < 2
    assert live.noise == copied.noise


@pytest.mark.parametrize("mode", list(Mode))
def test_a_cell_that_vanished_before_the_exact_look_is_withheld(mode: Mode) -> None:
    epoch = an_epoch(a_dataset(columns=COLUMNS, mode=mode), rows_per_unit_max=6)
    plan = checked(SQL, epoch)
    raw = raw_of(plan, epoch, persons(30))
    assert raw.contributions is not None
    (row,) = protect(plan, epoch, raw, KEY).table.to_pylist()
    (gone,) = protect(plan, epoch, Raw(raw.cells, raw.contributions.slice(0, 0)), KEY).table.to_pylist()
    (never,) = protect(plan, epoch, Raw(raw.cells, None), KEY).table.to_pylist()
    assert row["count"] is not None
    assert gone["count"] is gone["sum(income)"] is never["count"] is never["sum(income)"] is None


@pytest.mark.parametrize("region", ["X", None])
def test_rows_outside_the_code_list_stop_the_answer(region: str | None) -> None:
    epoch = an_epoch_of(Mode.LIVE)
    plan = checked(BY_REGION, epoch)
    raw = raw_of(plan, epoch, persons(30))
    foreign = raw.cells.set_column(0, "region", pa.array([region], pa.utf8()))
    with pytest.raises(SourceError):
        uncertified(plan, epoch, foreign, KEY)
    with pytest.raises(SourceError):
        protect(plan, epoch, Raw(foreign, raw.contributions), KEY)


def test_a_cell_that_comes_twice_stops_the_answer() -> None:
    epoch = an_epoch_of(Mode.LIVE)
    plan = checked(BY_REGION, epoch)
    raw = raw_of(plan, epoch, persons(30))
    with pytest.raises(SourceError):
        protect(plan, epoch, Raw(pa.concat_tables([raw.cells, raw.cells]), raw.contributions), KEY)


def test_a_value_beyond_the_declared_range_stops_the_answer() -> None:
    with pytest.raises(SourceError):
        release_of(SQL, an_epoch_of(Mode.LIVE), persons(30, income=1001))
