"""Presence: learn from which rows an answer has, or how they look, whether anybody is in a cell at all.

An ordinary GROUP BY leaves empty cells out, so a row is proof of a person. Here every cell of the public code lists
has its row, and an empty cell looks like one below the threshold. The control sets the threshold to one unit. Over the
wire, the secret is whether a village has its elder; the control there is an ordinary engine.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from bandung.gateway.domain.policy import TableBuilder
from tests.support import town
from tests.support.attacking import CONTROL_MIN, POLICIES, Analysts, Ground, Heard, advantage, an_ordinary_engine
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
    weakened = TableBuilder(min_units=1, threshold_spread=0, noise_max=1, noise_variance=0.01, noise_js=0)
    assert not table(TABLES[0], 1, weakened).equals(table(TABLES[0], 0, weakened))


BY_AGE = "SELECT village, age_group, COUNT(*) AS n FROM {} GROUP BY village, age_group"


def looks_present(heard: Heard) -> list[bool]:
    """A village's elder seems to be there where the elder's row is, and looks unlike that of the first village."""
    found = {row["village"]: [*row.values()][2:] for row in heard.rows if row["age_group"] == "80+"}
    empty = found.get(town.NAMES[0], [])
    return [village in found and (found[village] != empty or len(found) < town.VILLAGES) for village in town.NAMES]


def test_rows_and_statuses_do_not_say_which_cells_are_empty(ground: Ground, analysts: Analysts, policy: str) -> None:
    name = ground.publish(f"presence {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    heard = analysts.ask(BY_AGE.format(name))
    assert len(heard.rows) == 3 * town.VILLAGES
    assert advantage(looks_present(heard), town.ELDERS) <= ground.most(policy, name, town.ELDERS)


def test_control_the_rows_of_an_ordinary_engine_say_it() -> None:
    with an_ordinary_engine("town", town.rows()) as ask:
        assert advantage(looks_present(ask(BY_AGE.format("town"))), town.ELDERS) >= CONTROL_MIN
