"""Differencing: ask for a group, then for the group without one person, and subtract.

The difference of two true counts is the person (Fellegi, On the question of statistical confidentiality, JASA 67, 1972;
Denning, Cryptography and Data Security, 1982, section 6.3). A village is asked for as a whole and as those below
eighty, who are all but its elder. The two groups have different fingerprints, so their noises are independent and their
difference says little; a group that is too small is not answered at all. The control takes the noise away.
"""

from __future__ import annotations

import numpy as np

from bandung.gateway.domain.policy import TableBuilder
from tests.support import town
from tests.support.attacking import CONTROL_MIN, POLICIES, WEAKENED, Analysts, Ground, advantage
from tests.support.builders import a_dataset, an_epoch
from tests.support.protection import release_of, rows_of

YOUNGER = ("0-39", "40-79")


def differences(analysts: Analysts, table: str) -> list[float]:
    """Everybody in a village, less everybody below eighty; NaN where that cannot be had."""
    whole = analysts.numbers(f"SELECT village, COUNT(*) FROM {table} GROUP BY village")
    parts = [
        analysts.numbers(f"SELECT village, COUNT(*) FROM {table} WHERE age_group = '{band}' GROUP BY village")
        for band in YOUNGER
    ]
    nothing = float("nan")
    return [whole.get(v, nothing) - sum(part.get(v, nothing) for part in parts) for v in town.NAMES]


def said(analysts: Analysts, table: str) -> np.ndarray:
    return np.array(differences(analysts, table)) >= 0.5


def test_the_difference_of_two_answers_does_not_show_one_person(
    ground: Ground, analysts: Analysts, policy: str
) -> None:
    table = ground.publish(f"differencing {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    assert advantage(said(analysts, table), town.ELDERS) <= ground.most(policy, table, town.ELDERS)
    assert np.isfinite(differences(analysts, table)).all()


def test_control_without_noise_the_difference_is_the_person(ground: Ground, policy: str) -> None:
    table = ground.publish(f"differencing {policy} weakened", town.rows, town.COLUMNS, WEAKENED[policy])
    assert advantage(said(ground.analysts(1), table), town.ELDERS) >= CONTROL_MIN


SQL = "SELECT COUNT(*) FROM persons WHERE region = 'N'"
TRIALS = 60


def in_two_epochs(policy: TableBuilder) -> list[int]:
    """What subtracting an epoch without the victim from one with it gives, over many datasets' keys."""

    def count(size: int, key: bytes) -> int:
        person = {"region": "N", "sex": "F", "age_group": "15-29", "income": 1}
        rows = rows_of([{**person, "unit": f"u{i}"} for i in range(size)])
        return release_of(SQL, an_epoch(a_dataset(policy=policy)), rows, key).table["count"][0].as_py()

    return [count(50, bytes([i]) * 32) - count(49, bytes([i]) * 32) for i in range(TRIALS)]


def test_the_difference_of_two_epochs_does_not_show_who_joined() -> None:
    found = in_two_epochs(TableBuilder())
    assert len(set(found)) > 4
    assert found.count(1) < TRIALS / 2


def test_control_without_noise_the_difference_of_two_epochs_is_who_joined() -> None:
    assert in_two_epochs(TableBuilder(noise_max=1, noise_variance=0.01, noise_js=0)).count(1) > TRIALS * 0.9
