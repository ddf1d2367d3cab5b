"""Dominance: compute the turnover of a giant, or of its rival, from a sum that it makes most of.

Whoever knows the others subtracts them; where the cell itself is withheld, the rest of a total is taken away instead
(Cox, Linear sensitivity measures in statistical disclosure control, JSPI 5, 1981; Hundepool et al., Statistical
Disclosure Control, 2012, chapter 4). Noise in proportion to the largest contribution hides it in one sum. In many sums
that hold the giant, whose noises are independent, it does not; and that a sum is withheld is an answer too.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import register
from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    WEAKENED,
    Analysts,
    Ground,
    advantage,
    cannot_promise,
    registered,
)

REGISTERED = {**POLICIES, "published-tables": registered(["sum(turnover)"], ("region", "sector"))}
MIDDLE = (register.LOW + register.HIGH) / 2


def from_the_total(analysts: Analysts, table: str) -> np.ndarray:
    """Each giant: a region's total, less its other sectors, less the known farms."""
    total = analysts.numbers(f"SELECT region, SUM(turnover) FROM {table} GROUP BY region")
    rest = [
        analysts.numbers(f"SELECT region, SUM(turnover) FROM {table} WHERE sector = '{sector}' GROUP BY region")
        for sector in ("mine", "shop")
    ]
    farms, nothing = register.small_turnover(sector="farm"), float("nan")
    return np.array(
        [total.get(r, nothing) - sum(part.get(r, nothing) for part in rest) - farms[r] for r in register.REGIONS]
    )


def from_many_sums(analysts: Analysts, table: str) -> np.ndarray:
    """Each giant: the middle of what the sums of all groups that hold it say, its rivals being known."""
    groups: list[dict[str, str]] = [{}, *({attribute: "Y"} for attribute in register.ATTRIBUTES)]
    return middle_of([_one_sum(analysts, table, "SUM(turnover)", group) for group in groups])


def _one_sum(analysts: Analysts, table: str, statistic: str, group: dict[str, str]) -> list[float]:
    where = "".join(f"WHERE {name} = '{code}'" for name, code in group.items())
    found = analysts.numbers(f"SELECT region, {statistic} FROM {table} {where} GROUP BY region")
    known = register.small_turnover(**group)
    return [found.get(region, float("nan")) - known[region] for region in register.REGIONS]


def middle_of(estimates: list[list[float]]) -> np.ndarray:
    """The middle between the least and the greatest: for noise of even chance the best guess."""
    return (np.nanmin(estimates, axis=0) + np.nanmax(estimates, axis=0)) / 2


@pytest.mark.parametrize("policy", REGISTERED)
def test_the_rest_of_a_total_does_not_show_the_giant(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "others")
    table = ground.publish(f"dominance {policy}", register.rows, register.COLUMNS, REGISTERED[policy])
    found = from_the_total(analysts, table)
    assert np.isfinite(found).mean() > 0.5
    assert advantage(found >= MIDDLE, register.RICH) <= ground.most(policy, table, register.RICH)


def test_no_withheld_sum_is_recovered_exactly(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"dominance {policy}", register.rows, register.COLUMNS, POLICIES[policy])
    truth = np.where(register.RICH, register.HIGH, register.LOW)
    assert np.count_nonzero(np.abs(from_the_total(analysts, table) - truth) < 0.5) == 0


def test_many_sums_do_not_close_in_on_the_giant(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "supersets")
    table = ground.publish(f"dominance {policy}", register.rows, register.COLUMNS, POLICIES[policy])
    found = from_many_sums(analysts, table)
    assert advantage(found >= MIDDLE, register.RICH) <= ground.most(policy, table, register.RICH)


def withheld(analysts: Analysts, table: str) -> list[bool]:
    """There is a giant mine where the sum of the mines is withheld."""
    shown = analysts.numbers(f"SELECT region, SUM(turnover) FROM {table} WHERE sector = 'mine' GROUP BY region")
    return [region not in shown for region in register.REGIONS]


def test_a_withheld_sum_does_not_say_that_there_is_a_giant(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "dominance")
    table = ground.publish(f"mines {policy}", lambda: register.rows(mines=True), register.COLUMNS, POLICIES[policy])
    assert advantage(withheld(analysts, table), register.MINED) <= ground.most(policy, table, register.MINED)


def test_control_without_noise_the_giant_is_what_is_left(ground: Ground, policy: str) -> None:
    table = ground.publish(f"dominance {policy} weakened", register.rows, register.COLUMNS, WEAKENED[policy])
    for attack in (from_the_total, from_many_sums):
        assert advantage(attack(ground.analysts(1), table) >= MIDDLE, register.RICH) >= CONTROL_MIN
