"""Equality: look whether two questions bring exactly the same answer, and so whether they are about the same people.

Noise that is fixed by the records is the same wherever the records are the same. A village and its people below eighty
differ by the elder alone: their counts are equal where there is none, and differ, mostly, where there is one (Asghar,
Kaafar, PoPETs 2020(2), section 7; Rinott, O'Keefe, Shlomo, Skinner: Confidentiality and differential privacy in the
dissemination of frequency tables, Statistical Science 33(3), 2018). The ages are declared in two bands here.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
    dimension,
)

COLUMNS = {"village": dimension(town.NAMES), "old": dimension(["N", "Y"])}


def rows() -> pa.Table:
    people = town.rows()
    old = pc.call_function("equal", [people["age_group"], pa.scalar("80+")])
    return people.append_column("old", pc.call_function("if_else", [old, pa.scalar("Y"), pa.scalar("N")]))


def said(analysts: Analysts, table: str) -> np.ndarray:
    """There is an elder where the village and its younger people have different counts."""
    whole = analysts.numbers(f"SELECT village, COUNT(*) FROM {table} GROUP BY village")
    younger = analysts.numbers(f"SELECT village, COUNT(*) FROM {table} WHERE old = 'N' GROUP BY village")
    return np.array([whole[village] != younger[village] for village in town.NAMES])


def test_equal_answers_do_not_say_that_the_people_are_the_same(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "equality")
    table = ground.publish(f"equality {policy}", rows, COLUMNS, POLICIES[policy])
    assert advantage(said(analysts, table), town.ELDERS) <= ground.most(policy, table, town.ELDERS)


def test_control_without_noise_they_do(ground: Ground, policy: str) -> None:
    table = ground.publish(f"equality {policy} weakened", rows, COLUMNS, WEAKENED[policy])
    assert advantage(said(ground.analysts(1), table), town.ELDERS) >= CONTROL_MIN
