"""Means as fractions: find the exact number of people behind a mean from its digits.

A mean of whole numbers is a fraction k / n. If k and n are the true ones, the mean times n is whole for the true n and
for hardly any other, so sixteen digits tell the number that a count would have hidden (the reasoning of the GRIM test:
Brown, Heathers, SPPS 8(4), 2017). The attacker knows a village's people, all but its elder.
"""

from __future__ import annotations

import numpy as np

from tests.support import town
from tests.support.attacking import CONTROL_MIN, POLICIES, WEAKENED, Analysts, Ground, advantage

KNOWN = town.VILLAGERS + 1


def said(analysts: Analysts, table: str) -> np.ndarray:
    """There is an elder where the mean fits one person more better than those who are known."""
    means = analysts.numbers(f"SELECT village, AVG(sick) FROM {table} GROUP BY village")
    found = np.array([means.get(village, float("nan")) for village in town.NAMES])
    return _off(found * (KNOWN + 1)) < _off(found * KNOWN)


def _off(values: np.ndarray) -> np.ndarray:
    """How far from a whole number."""
    return np.abs(values - np.rint(values))


def test_the_digits_of_a_mean_do_not_tell_how_many_there_are(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"fraction {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    assert advantage(said(analysts, table), town.ELDERS) <= ground.most(policy, table, town.ELDERS)


def test_control_the_digits_of_an_exact_mean_do(ground: Ground, policy: str) -> None:
    table = ground.publish(f"fraction {policy} weakened", town.rows, town.COLUMNS, WEAKENED[policy])
    assert advantage(said(ground.analysts(1), table), town.ELDERS) >= CONTROL_MIN
