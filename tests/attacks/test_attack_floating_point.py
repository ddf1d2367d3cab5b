"""Floating-point support: read from the last bits of a noisy number which value the noise was added to.

Laplace noise by the textbook, scale times the logarithm of a random double, has gaps: from one value some doubles are
attained, from another others, and an answer that is attained from one of the two alone tells which it was (Mironov, On
significance of the least significant bits for differential privacy, CCS 2012; Haney et al., Precision-based attacks,
2022). Here all noise is whole numbers of the last carried digit. The control is noise by the textbook.
"""

from __future__ import annotations

from math import exp, log

import numpy as np

from tests.support import town
from tests.support.attacking import POLICIES, Analysts, Ground, advantage

SCALE = 1e6
GRID = 2.0**-53
CONTROL_LEAST = 0.5
"""Of textbook answers, as many at least are attained from one value only."""
WITH: dict[str, float] = dict.fromkeys(town.NAMES, 0.0)
ELDERS_INCOME = 1234.0
"""What the attacker supposes of an elder who may be there."""
for _person in town.rows().to_pylist():
    if _person["age_group"] != "80+":
        WITH[_person["village"]] += _person["income"]


def attained(answer: float, value: float) -> bool:
    """Whether textbook noise on a value can give exactly this double."""
    off = answer - value
    near = round(exp(-abs(off) / SCALE) / GRID)
    steps = (step * GRID for step in range(max(1, near - 64), near + 65))
    return any(value + textbook(u, off < 0) == answer for u in steps if u <= 1)


def textbook(u: float, negative: bool) -> float:
    return (SCALE if negative else -SCALE) * log(u)


def says_with(answer: float, known: float) -> bool:
    return attained(answer, known + ELDERS_INCOME) and not attained(answer, known)


def said(answers: dict[str, float]) -> list[bool]:
    """There is an elder where the answer is attained from the sum with the elder, and not from the one without."""
    return [says_with(answers[village], WITH[village]) for village in town.NAMES]


def test_the_last_bits_of_a_sum_do_not_tell_what_was_summed(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"bits {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    answers = analysts.numbers(f"SELECT village, SUM(income) FROM {table} GROUP BY village")
    assert len(answers) == town.VILLAGES
    assert advantage(said(answers), town.ELDERS) <= ground.most(policy, table, town.ELDERS)
    assert all(answer == round(answer) for answer in answers.values())


def test_control_the_last_bits_of_noise_by_the_textbook_do() -> None:
    draw = np.random.default_rng(15)
    answers = {
        village: WITH[village] + ELDERS_INCOME * elder + textbook(float(draw.random()), bool(draw.random() < 0.5))
        for village, elder in zip(town.NAMES, town.ELDERS, strict=True)
    }
    assert advantage(said(answers), town.ELDERS) >= CONTROL_LEAST
