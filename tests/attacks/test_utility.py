"""What a gateway that refuses everything would fail: beside each attack, the same populations are answered well."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from tests.support import register, town
from tests.support.attacking import POLICIES, Analysts, Ground
from tests.support.survey import NATIONAL

BY_SEX = "SELECT sex, COUNT(*) FROM {} GROUP BY sex"
BY_VILLAGE = "SELECT village, COUNT(*) FROM {} GROUP BY village"
PEOPLE = town.rows().to_pylist()
VILLAGE_ERROR = {"table-builder": 2.0, "differential-privacy": 45.0}
"""Largest mean absolute error of a village's count; noise of rho 0.001 has a standard error of 22."""


def published(ground: Ground, policy: str) -> str:
    return ground.publish(f"utility {policy}", town.rows, town.COLUMNS, POLICIES[policy])


def test_large_counts_are_near_the_truth(ground: Ground, analysts: Analysts, policy: str) -> None:
    found = analysts.numbers(BY_SEX.format(published(ground, policy)))
    truth = Counter(person["sex"] for person in PEOPLE)
    assert all(abs(found[sex] - count) <= 0.05 * count for sex, count in truth.items())


def test_the_counts_of_villages_are_all_answered_and_nearly_right(
    ground: Ground, analysts: Analysts, policy: str
) -> None:
    found = analysts.numbers(BY_VILLAGE.format(published(ground, policy)))
    truth = Counter(person["village"] for person in PEOPLE)
    assert len(found) == town.VILLAGES
    assert np.mean([abs(found[village] - truth[village]) for village in town.NAMES]) <= VILLAGE_ERROR[policy]


def test_means_of_large_groups_are_near_the_truth(ground: Ground, analysts: Analysts, policy: str) -> None:
    found = analysts.numbers(f"SELECT sex, AVG(income) FROM {published(ground, policy)} GROUP BY sex")
    incomes: dict[str, list[int]] = defaultdict(list)
    for person in PEOPLE:
        incomes[person["sex"]].append(person["income"])
    assert all(abs(found[sex] - np.mean(values)) <= 0.5 * float(np.mean(values)) for sex, values in incomes.items())


def test_most_sums_of_a_business_register_are_answered(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"utility register {policy}", register.rows, register.COLUMNS, POLICIES[policy])
    found = analysts.numbers(f"SELECT region, SUM(turnover) FROM {table} GROUP BY region")
    assert len(found) >= 0.9 * len(register.REGIONS)


@pytest.mark.parametrize("by", ["a0", "a1, a2"])
def test_a_national_survey_is_answered_whole(ground: Ground, analysts: Analysts, policy: str, by: str) -> None:
    table = ground.publish(f"utility survey {policy}", NATIONAL.rows, NATIONAL.columns, POLICIES[policy])
    rows = analysts.table(f"SELECT {by}, COUNT(*) AS n FROM {table} GROUP BY {by}")
    assert len(rows) == NATIONAL.codes ** (by.count(",") + 1)
    assert abs(sum(row["n"] for row in rows) - NATIONAL.people) <= 0.05 * NATIONAL.people
