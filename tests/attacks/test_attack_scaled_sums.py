"""Scaled sums: ask for the sum of the same numbers in other units, and average noises that should be one.

SUM(x), SUM(2 x) / 2 and SUM(x + 1) - n are the same fact; a mechanism that protects each text, or each declared column,
for itself draws a noise for each (Dinur, Nissim, PODS 2003, section 1.1; Asghar, Kaafar, PoPETs 2020(2)). The attacker
knows all firms of a region but its giant. Arithmetic is outside the grammar; columns that a custodian declares several
times are not.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.attacks.test_attack_dominance import MIDDLE, middle_of
from tests.support import register
from tests.support.attacking import CONTROL_MIN, POLICIES, WEAKENED, Analysts, Ground, advantage, cannot_promise

TEXTS = {
    "SUM(turnover)": 1,
    "SUM(turnover * 2)": 2,
    "SUM(turnover) * 3": 3,
    "SUM(-turnover)": -1,
    "SUM(turnover + 0)": 1,
    "SUM(CAST(turnover AS DOUBLE))": 1,
    "SUM(turnover) OVER (PARTITION BY region)": 1,
}
COPIES = dict.fromkeys(["turnover", *(f"turnover_again_{number}" for number in range(6))], 1)


def giants(analysts: Analysts, table: str, statistics: dict[str, int]) -> np.ndarray:
    """Each giant: the middle of what all the statistics say, brought to the same scale."""
    known = register.small_turnover()
    estimates: list[list[float]] = []
    for statistic, factor in statistics.items():
        found = analysts.numbers(f"SELECT region, {statistic} FROM {table} GROUP BY region")
        if found:
            estimates.append([found.get(r, float("nan")) / factor - known[r] for r in register.REGIONS])
    return middle_of(estimates)


def test_no_rescaling_in_a_statement_draws_another_noise(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"scaled {policy}", register.rows, register.COLUMNS, POLICIES[policy])
    found = giants(analysts, table, TEXTS)
    assert advantage(found >= MIDDLE, register.RICH) <= ground.most(policy, table, register.RICH)


def test_a_column_that_is_declared_again_draws_no_other_noise(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "copies")
    table = ground.publish(f"scaled {policy}", register.rows, register.COLUMNS, POLICIES[policy])
    found = giants(analysts, table, {f"SUM({name})": factor for name, factor in COPIES.items()})
    assert advantage(found >= MIDDLE, register.RICH) <= ground.most(policy, table, register.RICH)


def test_control_without_noise_one_sum_shows_the_giant(ground: Ground, policy: str) -> None:
    table = ground.publish(f"scaled {policy} weakened", register.rows, register.COLUMNS, WEAKENED[policy])
    found = giants(ground.analysts(1), table, TEXTS)
    assert advantage(found >= MIDDLE, register.RICH) >= CONTROL_MIN
