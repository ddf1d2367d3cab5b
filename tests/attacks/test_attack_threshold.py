"""Thresholds: bring a group to one person below the threshold, and see whether the cell is shown.

Whoever knows nine others of a group need not read a number: that there is one says that the tenth is there. The rule
itself becomes the oracle (Fellegi 1972; Adam, Wortmann: Security-control methods for statistical databases, ACM
Computing Surveys 21(4), 1989, section 3.1). Here the attacker knows everybody of a hamlet but its guest.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

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

HAMLETS = [f"h{number:03}" for number in range(120)]
GUESTS = np.random.default_rng(11).permutation(np.arange(len(HAMLETS)) % 2 == 0)
COLUMNS = {"hamlet": dimension([*HAMLETS, "town"]), "spend": measure(0, 1000)}
TOWNSPEOPLE = 3000


def rows(others: int) -> pa.Table:
    """`others` people in each hamlet, its guest, and a town."""
    draw = np.random.default_rng(12)
    people = [(hamlet, f"{hamlet}-{i}") for hamlet in HAMLETS for i in range(others)]
    people += [(hamlet, f"{hamlet}-guest") for hamlet, guest in zip(HAMLETS, GUESTS, strict=True) if guest]
    people += [("town", f"town-{i}") for i in range(TOWNSPEOPLE)]
    return pa.Table.from_pylist(
        [{"hamlet": hamlet, "person": person, "spend": int(draw.integers(100, 200))} for hamlet, person in people]
    )


def said(analysts: Analysts, table: str, statistic: str) -> list[bool]:
    shown = analysts.numbers(f"SELECT hamlet, {statistic} FROM {table} GROUP BY hamlet")
    return [hamlet in shown for hamlet in HAMLETS]


@pytest.mark.parametrize("statistic", ["COUNT(*)", "SUM(spend)", "AVG(spend)"])
def test_whether_a_cell_is_shown_does_not_say_who_is_in_it(
    ground: Ground, analysts: Analysts, policy: str, statistic: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "threshold")
    table = ground.publish(f"threshold {policy}", rows(9), COLUMNS, POLICIES[policy])
    assert advantage(said(analysts, table, statistic), GUESTS) <= ground.most(policy, table, GUESTS)


@pytest.mark.parametrize("others", [3, 12])
def test_away_from_the_threshold_a_cell_looks_the_same_with_and_without_a_person(
    ground: Ground, analysts: Analysts, policy: str, others: int
) -> None:
    table = ground.publish(f"threshold {policy} {others}", rows(others), COLUMNS, POLICIES[policy])
    assert advantage(said(analysts, table, "COUNT(*)"), GUESTS) <= ground.most(policy, table, GUESTS)


@pytest.mark.parametrize("policy", ["table-builder"])
def test_control_a_bare_threshold_says_it(ground: Ground, policy: str) -> None:
    table = ground.publish(f"threshold {policy} weakened", rows(2), COLUMNS, WEAKENED[policy])
    assert advantage(said(ground.analysts(1), table, "COUNT(*)"), GUESTS) >= CONTROL_MIN
