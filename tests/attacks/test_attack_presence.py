"""Presence: learn from which rows an answer has, or how they look, whether anybody is in a cell at all.

An ordinary GROUP BY leaves empty cells out, so a row is proof of a person. Here every cell of the public code lists
has its row, and an empty cell looks like one below the threshold. The control sets the threshold to one unit.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from bandung.gateway.domain.policy import TableBuilder
from tests.support.builders import a_dataset, an_epoch
from tests.support.protection import release_of, rows_of

POLICY = TableBuilder()
TABLES = [
    "SELECT region, sex, COUNT(*) FROM persons GROUP BY region, sex",
    "SELECT region, sex, SUM(income), AVG(income) FROM persons GROUP BY region, sex",
    "SELECT COUNT(*) FROM persons WHERE region = 'S' AND sex = 'M'",
]


def population(in_the_cell: int) -> Any:
    """Forty women in the north, and some men in the south."""
    cells = {("N", "F"): 40, ("S", "M"): in_the_cell}
    return rows_of(
        [
            {"unit": f"{region}{i}", "region": region, "sex": sex, "age_group": "15-29", "income": 10}
            for (region, sex), count in cells.items()
            for i in range(count)
        ]
    )


def table(sql: str, in_the_cell: int, policy: TableBuilder = POLICY) -> pa.Table:
    return release_of(sql, an_epoch(a_dataset(policy=policy)), population(in_the_cell)).table


@pytest.mark.parametrize("sql", TABLES)
@pytest.mark.parametrize("present", [1, 2, POLICY.min_units - 1])
def test_a_table_with_a_few_in_a_cell_is_the_table_with_nobody_in_it(sql: str, present: int) -> None:
    assert table(sql, present).equals(table(sql, 0))


def test_control_with_a_threshold_of_one_the_cell_shows_that_somebody_is_there() -> None:
    weakened = TableBuilder(min_units=1, noise_max=1, noise_variance=0.01, noise_js=0)
    assert not table(TABLES[0], 1, weakened).equals(table(TABLES[0], 0, weakened))
