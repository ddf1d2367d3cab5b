"""Indicators: add up a yes-or-no column, and so count the people who say yes, past the noise and the threshold.

The largest contribution is one, so noise in proportion to it would round away; and a sum of 3, or of all but 3, is a
cell of three people whom a COUNT would not show. Here the noise is at least that of a count, and a sum is withheld
unless as many say yes, and say no, as a cell needs units. The control weakens the policy in both.
"""

from __future__ import annotations

from typing import Any

import pytest

from bandung.gateway.domain.policy import TableBuilder
from tests.support.builders import a_dataset, a_measure, an_epoch
from tests.support.protection import release_of, rows_of

PEOPLE = 100
KEYS = [bytes([k]) * 32 for k in range(20)]
WEAKENED = TableBuilder(
    min_units=1,
    threshold_spread=0,
    noise_max=1,
    noise_variance=1e-3,
    noise_js=0,
    sum_noise=0.1,
    dominance_k_percent=99,
)


def answers(statistic: str, users: int, policy: TableBuilder, **changes: Any) -> set[float | None]:
    columns = (*a_dataset().dimensions, a_measure("uses", 0, 1, **changes))
    epoch = an_epoch(a_dataset(columns=columns, policy=policy))
    records = [
        {
            "unit": f"u{i}",
            "region": "N",
            "sex": "F",
            "age_group": "15-29",
            "uses": int(i < users) * 10 ** columns[-1].decimals,
        }
        for i in range(PEOPLE)
    ]
    rows = rows_of(records)
    return {release_of(f"SELECT {statistic}(uses) FROM persons", epoch, rows, key).table[0][0].as_py() for key in KEYS}


@pytest.mark.parametrize("statistic", ["SUM", "AVG"])
@pytest.mark.parametrize("users", [0, 3, 9, 91, 97, 100])
def test_a_sum_that_counts_a_few_people_is_withheld(statistic: str, users: int) -> None:
    assert answers(statistic, users, TableBuilder()) == {None}


@pytest.mark.parametrize("users", [20, 50, 80])
def test_the_sum_of_an_indicator_is_as_uncertain_as_a_count(users: int) -> None:
    found = answers("SUM", users, TableBuilder())
    assert len(found) > 3
    assert all(value is not None and abs(value - users) <= 3 for value in found)


def test_more_digits_do_not_make_an_indicator_less_protected() -> None:
    """With two decimals the steps are smaller, but the largest contribution counts a hundred of them."""
    assert len(answers("SUM", 50, TableBuilder(), decimals=2)) > 3


def test_control_with_little_noise_and_no_threshold_the_sum_is_the_count() -> None:
    assert answers("SUM", 3, WEAKENED) == {3.0}
