"""Averaging: ask for the same count many times, or in many equivalent ways, and take the mean of the answers.

Noise that is drawn anew for each question shrinks with the square root of their number (Denning, Secure statistical
databases with random sample queries, ACM TODS 5(3), 1980). Here it is fixed by the records themselves, so every repeat
and every rewriting brings the same number. Equivalent partitions are another matter: a count is also the sum of any
finer table, each of whose cells has a noise of its own (Asghar, Kaafar: Averaging attacks on bounded noise-based
disclosure control algorithms, PoPETs 2020(2), arXiv:1902.06414). The attacker knows all of a village but its elder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bandung.gateway.domain.dataset import Epoch
from tests.support import town
from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    WEAKENED,
    Analysts,
    Ground,
    advantage,
    cannot_promise,
    dimension,
    measure,
)
from tests.support.builders import an_epoch
from tests.support.protection import KEY, release_of, rows_of

KNOWN = town.VILLAGERS + 1
WRITINGS = [
    "SELECT village, COUNT(*) FROM {t} GROUP BY village",
    "SELECT village, COUNT(*) AS n FROM {t} GROUP BY 1 ORDER BY n DESC",
    "select t.village, count(*) from main.{t} as t group by all -- again",
]
"""The same table, hence one plan, one release and one charge."""
PARTITIONS = [
    ("", ("",)),
    ("sex", ("F", "M")),
    ("ill", ("N", "Y")),
    ("trade", ("farm", "fish")),
]
"""What adds up to everybody in a village, the smith being known."""


def test_repeats_and_rewritings_bring_the_same_answer(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"averaging {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    answers = [analysts.numbers(sql.format(t=table)) for sql in WRITINGS for _ in range(5)]
    assert len(answers[0]) == town.VILLAGES
    assert all(answer == answers[0] for answer in answers)


SIDE = 80
"""Districts of the country, and villages of each."""
COUNTRY_ELDERS = np.random.default_rng(20260102).permutation(np.arange(SIDE * SIDE) % 2 == 0)
"""Whether each village has an elder, by district and village."""
COUNTRY_COLUMNS: dict[str, Any] = {
    "district": dimension([f"d{number:02}" for number in range(SIDE)]),
    "village": dimension([f"v{number:02}" for number in range(SIDE)]),
    "income": measure(0, 5_000),
}
COUNTRY_WRITINGS = [
    "SELECT district, village, COUNT(*) FROM {t} GROUP BY district, village",
    "SELECT COUNT(*) AS n, t.village, t.district FROM main.{t} AS t GROUP BY ALL ORDER BY n",
    "SELECT district, village, COUNT(*), SUM(income) FROM {t} GROUP BY district, village",
    "SELECT district, village, COUNT(*), AVG(income) FROM {t} GROUP BY district, village",
]


def a_country() -> pa.Table:
    """A country of as many small villages, all of them with `town.VILLAGERS` villagers and maybe an elder."""
    villages = np.repeat(np.arange(SIDE * SIDE), town.VILLAGERS + COUNTRY_ELDERS)
    people = np.arange(len(villages))
    return pa.table(
        {
            "person": [f"p{number}" for number in people],
            "district": [f"d{number:02}" for number in villages // SIDE],
            "village": [f"v{number:02}" for number in villages % SIDE],
            "income": np.random.default_rng(8).integers(500, 3000, len(people)),
        }
    )


def mean_of_repeats(analysts: Analysts, table: str) -> np.ndarray:
    answers: list[list[float]] = []
    for sql in COUNTRY_WRITINGS:
        rows = sorted(analysts.table(sql.format(t=table)), key=lambda row: (row["district"], row["village"]))
        counts = [value for row in rows for name, value in row.items() if name in ("count(*)", "n")]
        assert len(counts) == SIDE * SIDE
        answers.append(counts)
    return np.mean(answers, axis=0) - town.VILLAGERS


def test_the_mean_of_repeats_and_rewritings_knows_no_more_than_one_answer(
    ground: Ground, analysts: Analysts, policy: str
) -> None:
    """Knowing everybody else, one count tells as much as the chance that its noise is 0, which is 0.2288.

    That is near the pass mark, so there are many villages: one standard error is 0.013.
    """
    table = ground.publish(f"averaging country {policy}", a_country, COUNTRY_COLUMNS, POLICIES[policy])
    found = advantage(mean_of_repeats(analysts, table) >= 0.5, COUNTRY_ELDERS)
    assert found <= ground.most(policy, table, COUNTRY_ELDERS)


def where(column: str, code: str) -> str:
    return f"WHERE {column} = '{code}'" if column else ""


def mean_of_partitions(analysts: Analysts, table: str) -> np.ndarray:
    """Estimates of whether the elder is there, each weighted by the number of noises in it."""
    estimates, weights = [], []
    for column, codes in PARTITIONS:
        parts = [
            analysts.numbers(f"SELECT village, COUNT(*) FROM {table} {where(column, code)} GROUP BY village")
            for code in codes
        ]
        known = KNOWN - (1 if column == "trade" else 0)
        estimates.append([sum(part.get(v, 0.0) for part in parts) - known for v in town.NAMES])
        weights.append(1 / len(codes))
    return np.average(estimates, axis=0, weights=weights)


def test_the_mean_of_equivalent_partitions_does_not_show_one_person(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "partitions")
    table = ground.publish(f"averaging {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    found = advantage(mean_of_partitions(analysts, table) >= 0.5, town.ELDERS)
    assert found <= ground.most(policy, table, town.ELDERS)


def test_control_without_noise_one_answer_shows_the_person(ground: Ground, policy: str) -> None:
    table = ground.publish(f"averaging {policy} weakened", town.rows, town.COLUMNS, WEAKENED[policy])
    assert advantage(mean_of_partitions(ground.analysts(1), table) >= 0.5, town.ELDERS) >= CONTROL_MIN
    country = ground.publish(f"averaging country {policy} weakened", a_country, COUNTRY_COLUMNS, WEAKENED[policy])
    assert advantage(mean_of_repeats(ground.analysts(1), country) >= 0.5, COUNTRY_ELDERS) >= CONTROL_MIN


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
