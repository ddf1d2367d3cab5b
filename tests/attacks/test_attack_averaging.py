"""Averaging: ask for the same count many times, or in many equivalent ways, and take the mean of the answers.

Noise that is drawn anew for each question shrinks with the square root of their number. Here it is fixed by the
records themselves, so every repeat brings the same number. The control draws anew, by changing the dataset's key.
"""

from __future__ import annotations

from typing import Any

import pytest

from bandung.gateway.domain.dataset import Epoch
from tests.support.builders import an_epoch
from tests.support.protection import KEY, release_of, rows_of

EPOCH = an_epoch()
TRUTH = 60
REPEATS = 100
REWRITES = [
    "SELECT COUNT(*) FROM persons WHERE sex = 'F'",
    "SELECT COUNT(*) FROM persons WHERE region = 'N' AND sex = 'F'",
    "SELECT COUNT(*) FROM persons WHERE sex = 'F' AND age_group = '15-29' AND region = 'N'",
    "SELECT COUNT(*), SUM(income) FROM persons WHERE sex = 'F'",
    "SELECT COUNT(*) FROM persons WHERE sex = 'F' GROUP BY sex",
    "SELECT COUNT(*) FROM persons WHERE sex = 'F' AND region = 'N' GROUP BY region, sex",
]


def rows() -> Any:
    return rows_of(
        [{"unit": f"u{i}", "region": "N", "sex": "F", "age_group": "15-29", "income": i} for i in range(TRUTH)]
    )


def answer(sql: str, epoch: Epoch = EPOCH, key: bytes = KEY) -> int:
    return release_of(sql, epoch, rows(), key).table["count"].drop_null()[0].as_py()


def test_repeating_a_question_brings_the_same_answer() -> None:
    assert len({answer(REWRITES[0]) for _ in range(10)}) == 1


@pytest.mark.parametrize("statistic", ["SUM(income)", "AVG(income)"])
def test_repeating_a_sum_or_a_mean_brings_the_same_answer(statistic: str) -> None:
    answers = {release_of(f"SELECT {statistic} FROM persons", EPOCH, rows()).table[0][0].as_py() for _ in range(10)}
    assert len(answers) == 1


def test_rewriting_a_question_brings_the_same_answer() -> None:
    assert len({answer(sql) for sql in REWRITES}) == 1


def test_control_noise_drawn_anew_for_each_question_averages_away() -> None:
    answers = [answer(REWRITES[0], key=bytes([i]) * 32) for i in range(REPEATS)]
    assert len(set(answers)) > 3
    assert round(sum(answers) / REPEATS) == TRUTH
