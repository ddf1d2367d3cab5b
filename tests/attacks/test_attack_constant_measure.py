"""Constant measures: divide a sum by what everybody contributes, and so count people past the noise of a count.

Noise in proportion to the largest contribution hides how large somebody's is, but not whether somebody is there: half
a contribution rounds away. So it is with a survey weight that is the same for all, with a benefit that some get and
others do not, and with years of birth, which hardly differ beside their size. Noise by the largest contributions alone
is that of Thompson, Broadfoot, Elazar: Methodology for the automatic confidentialisation of statistical outputs from
remote servers, UNECE 2013. The attacker knows everybody in a village but one.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import town
from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    WEAKENED,
    Analysts,
    Ground,
    advantage,
    cannot_promise,
)

TARGETS = {
    "weight": (town.ELDERS, town.WEIGHT),
    "birth_year": (town.ELDERS, town.BIRTH_YEARS["80+"]),
    "benefit": (town.ILL_SMITHS, town.BENEFIT),
}
"""By measure: whether each village's target contributes, and what."""
MIDDLE = 0.5


def beyond_the_known(analysts: Analysts, table: str, measure: str) -> np.ndarray:
    """What each village's sum is above that of the known people, in contributions of the target."""
    truth, amount = TARGETS[measure]
    people = town.rows().group_by("village").aggregate([(measure, "sum")]).to_pylist()
    total = {each["village"]: each[f"{measure}_sum"] for each in people}
    found = analysts.numbers(f"SELECT village, SUM({measure}) FROM {table} GROUP BY village")
    assert len(found) > town.VILLAGES / 2
    sums = np.array([found.get(name, np.nan) for name in town.NAMES])
    return (sums - [total[name] for name in town.NAMES]) / amount + truth


@pytest.mark.parametrize("measure", TARGETS)
def test_a_sum_does_not_count_who_contributes(ground: Ground, analysts: Analysts, policy: str, measure: str) -> None:
    table = ground.publish(f"constant {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    truth, _ = TARGETS[measure]
    found = beyond_the_known(analysts, table, measure)
    assert advantage(found >= MIDDLE, truth) <= ground.most(policy, table, truth)


def test_several_such_sums_and_the_count_do_not_together(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "counts")
    table = ground.publish(f"constant {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    counts = analysts.numbers(f"SELECT village, COUNT(*) FROM {table} GROUP BY village")
    estimates = [np.array([counts.get(name, np.nan) for name in town.NAMES]) - (town.VILLAGERS + 1)]
    estimates += [beyond_the_known(analysts, table, measure) for measure in ("weight", "birth_year")]
    found = np.nanmean(estimates, axis=0) >= MIDDLE
    assert advantage(found, town.ELDERS) <= ground.most(policy, table, town.ELDERS)


@pytest.mark.parametrize("measure", TARGETS)
def test_control_nearly_without_noise_it_does(ground: Ground, policy: str, measure: str) -> None:
    table = ground.publish(f"constant {policy} weakened", town.rows, town.COLUMNS, WEAKENED[policy])
    found = beyond_the_known(ground.analysts(1), table, measure)
    assert advantage(found >= MIDDLE, TARGETS[measure][0]) >= CONTROL_MIN
