"""Keyless rows: have rows without a record key in a source, so that the noise no longer depends on who is in a cell.

A missing key would count as the key 0: a cell of such rows and the same cell with one more of them would differ by a
noise that is known. A sum of keys that is missing stops the answer; the control leaves the key where it is.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from bandung.connectors.base import SourceError
from bandung.gateway.disclosure.table_builder import protect
from bandung.gateway.domain.release import Raw
from tests.support.builders import a_dataset, a_measure, an_epoch
from tests.support.protection import KEY, checked, raw_of, rows_of

EPOCH = an_epoch(a_dataset(columns=(*a_dataset().dimensions, a_measure(optional=True))))
PLAN = checked("SELECT COUNT(*), SUM(income) FROM persons", EPOCH)


def cells(column: str | None, income: int | None = 10) -> pa.Table:
    record: dict[str, Any] = {"region": "N", "sex": "F", "age_group": "15-29"}
    rows = rows_of([{**record, "unit": f"u{i}", "income": income} for i in range(60)])
    found = raw_of(PLAN, EPOCH, rows).cells
    if column is None:
        return found
    return found.set_column(found.column_names.index(column), column, pa.array([None], pa.decimal128(38, 0)))


@pytest.mark.parametrize("column", ["key", "income.key"])
def test_a_cell_with_a_row_without_record_key_is_not_answered(column: str) -> None:
    with pytest.raises(SourceError):
        protect(PLAN, EPOCH, Raw(cells(column), None), KEY)


def test_control_the_same_cell_with_its_keys_is_answered() -> None:
    (row,) = protect(PLAN, EPOCH, Raw(cells(None), None), KEY).table.to_pylist()
    assert row["count"] is not None
    assert row["sum(income)"] is not None


def test_a_measure_without_any_value_needs_no_key() -> None:
    rows = rows_of(
        [{"unit": f"u{i}", "region": "N", "sex": "F", "age_group": "15-29", "income": None} for i in range(60)]
    )
    raw = raw_of(PLAN, EPOCH, rows.cast(rows.schema.set(4, pa.field("income", pa.int64()))))
    (row,) = protect(PLAN, EPOCH, raw, KEY).table.to_pylist()
    assert row["count"] is not None
    assert row["sum(income)"] is None
