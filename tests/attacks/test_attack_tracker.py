"""Trackers: pad a question that is too small to be answered with people whom another question takes away again.

An individual tracker for the person C = A and B is the pair A, A and not B: q(C) = q(A) - q(A and not B). A general
tracker T holds between 2k and n - 2k people: q(C) = q(C or T) + q(C or not T) - q(all) (Denning, Denning, Schwartz: The
tracker, ACM TODS 4(1), 1979; Denning, Schloerer: A fast procedure for finding a tracker, ACM TODS 5(1), 1980). The
victim is the one smith of a village; the secret is an illness. Where OR and NOT are no words of the grammar, the
attacker adds up the codes of a dimension instead, which costs a noise for each.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import town
from tests.support.attacking import CONTROL_MIN, POLICIES, WEAKENED, Analysts, Ground, advantage, registered

Numbers = dict[str, float]
REGISTERED = {
    **POLICIES,
    "published-tables": registered(["count", "sum(sick)"], ("village", "trade"), ("sex", "village")),
}


def individual(analysts: Analysts, table: str) -> np.ndarray:
    """The sick in a village, less the sick of its other trades."""
    whole = analysts.numbers(f"SELECT village, SUM(sick) FROM {table} GROUP BY village")
    rest = analysts.numbers(f"SELECT village, SUM(sick) FROM {table} WHERE NOT trade = 'smith' GROUP BY village")
    if not rest:
        rest = _added(_by_trade(analysts, table, "SUM(sick)"))
    return _less(whole, rest)


def general(analysts: Analysts, table: str) -> np.ndarray:
    """By the tracker T = women: the smith or a woman, and the smith or a man, less everybody, all of them sick."""
    smith_or = f"SELECT village, SUM(sick) FROM {table} WHERE (trade = 'smith' OR sex = '{{}}') GROUP BY village"
    either = [analysts.numbers(smith_or.format(sex)) for sex in "FM"]
    if all(either):
        return _less(_added(either), analysts.numbers(f"SELECT village, SUM(sick) FROM {table} GROUP BY village"))
    # q(C or T) = q(T) + q(C and not T), which asks for the smith again: what is left is to take the rest away.
    by_sex = [
        analysts.numbers(f"SELECT village, SUM(sick) FROM {table} WHERE sex = '{sex}' GROUP BY village") for sex in "FM"
    ]
    return _less(_added(by_sex), _added(_by_trade(analysts, table, "SUM(sick)")))


def direct(analysts: Analysts, table: str) -> np.ndarray:
    """The smith's illness itself."""
    found = analysts.numbers(
        f"SELECT village, COUNT(*) FROM {table} WHERE trade = 'smith' AND ill = 'Y' GROUP BY village"
    )
    return _less(found, dict.fromkeys(town.NAMES, 0.0))


def _by_trade(analysts: Analysts, table: str, statistic: str) -> list[Numbers]:
    ask = f"SELECT village, {statistic} FROM {table} WHERE trade = '{{}}' GROUP BY village"
    return [analysts.numbers(ask.format(trade)) for trade in ("farm", "fish")]


def _added(parts: list[Numbers]) -> Numbers:
    return {v: sum(part[v] for part in parts) for v in town.NAMES if all(v in part for part in parts)}


def _less(whole: Numbers, rest: Numbers) -> np.ndarray:
    nothing = float("nan")
    return np.array([whole.get(v, nothing) - rest.get(v, nothing) for v in town.NAMES]) >= 0.5


TRACKERS = {"individual": individual, "general": general, "direct": direct}


@pytest.mark.parametrize("policy", REGISTERED)
def test_no_tracker_shows_the_illness_of_one_person(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"tracker {policy}", town.rows, town.COLUMNS, REGISTERED[policy])
    for name, tracker in TRACKERS.items():
        found = advantage(tracker(analysts, table), town.ILL_SMITHS)
        assert found <= ground.most(policy, table, town.ILL_SMITHS), name


def test_control_without_noise_a_tracker_shows_it(ground: Ground, policy: str) -> None:
    table = ground.publish(f"tracker {policy} weakened", town.rows, town.COLUMNS, WEAKENED[policy])
    for tracker in (individual, general):
        assert advantage(tracker(ground.analysts(1), table), town.ILL_SMITHS) >= CONTROL_MIN
