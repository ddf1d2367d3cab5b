"""Reconstruction: compute everybody's secret from many noisy counts, as the solution of a linear program.

Each count of people with the secret is a linear equation in as many unknowns between 0 and 1 as there are people; the
program minimises how far off the equations are, and the solution is rounded (Dinur, Nissim: Revealing information while
preserving privacy, PODS 2003; Cohen, Nissim: Linear program reconstruction in practice, JPC 10(1), 2020; Dick et al.:
Confidence-ranked reconstruction, PNAS 120(8), 2023). The attacker knows everybody's other attributes. The advantage is
the share of those whom guessing the commoner answer would miss that the attack names on top.
"""

from __future__ import annotations

import numpy as np
import pytest

from bandung.gateway.disclosure.published.program import Program
from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    RECONSTRUCTION_MAX,
    WEAKENED,
    Analysts,
    Ground,
    cannot_promise,
    reported,
)
from tests.support.survey import NATIONAL, WIDE, Survey


def equations(analysts: Analysts, table: str, survey: Survey) -> tuple[np.ndarray, np.ndarray]:
    """Who is in each cell with the secret that was shown, and how many the answer says."""
    members, counts = [], []
    for (i, j), cells in survey.tables(analysts, table).items():
        for a, b in zip(*np.nonzero(np.isfinite(cells[:, :, 1])), strict=True):
            members.append((survey.public[:, i] == a) & (survey.public[:, j] == b))
            counts.append(cells[a, b, 1])
    return np.array(members, dtype=float).reshape(-1, survey.people), np.array(counts)


def solved(members: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The unknowns that make the sum of absolute errors least."""
    equations_, people = members.shape
    slack = np.arange(equations_)
    who, with_whom = np.nonzero(members)
    row = np.concatenate([who, slack, slack])
    column = np.concatenate([with_whom, people + slack, people + equations_ + slack])
    factor = np.concatenate([np.ones(len(who)), np.ones(equations_), -np.ones(equations_)])
    most = np.concatenate([np.ones(people), np.full(2 * equations_, np.inf)])
    program = Program((np.zeros(len(most)), most), (counts, counts), (row, column, factor))
    program.price(np.arange(people, len(most)), np.ones(2 * equations_))
    found = program.solve()
    assert found is not None
    return found[:people]


def projected(members: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The unknowns nearest to a half that make the sum of squared errors least."""
    half = np.full(members.shape[1], 0.5)
    return half + np.linalg.lstsq(members, counts - members @ half, rcond=1e-8)[0]


def named(analysts: Analysts, table: str, survey: Survey) -> float:
    """The better of both ways; 0 if nothing was answered."""
    members, counts = equations(analysts, table, survey)
    if not len(counts):
        return reported(0.0)
    guessed = max(survey.secret.mean(), 1 - survey.secret.mean())
    right = max(((solve(members, counts) >= 0.5) == survey.secret).mean() for solve in (solved, projected))
    return reported(float((right - guessed) / (1 - guessed)))


def test_a_national_survey_is_not_reconstructed(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"national {policy}", NATIONAL.rows, NATIONAL.columns, POLICIES[policy])
    assert named(analysts, table, NATIONAL) <= RECONSTRUCTION_MAX


def test_a_wide_survey_of_few_people_is_not_reconstructed(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "wide tables")
    table = ground.publish(f"wide {policy}", WIDE.rows, WIDE.columns, POLICIES[policy])
    found = named(analysts, table, WIDE)
    assert found <= max(RECONSTRUCTION_MAX, ground.most(policy, table, WIDE.secret))


def test_control_without_noise_everybody_is_named(ground: Ground, policy: str) -> None:
    table = ground.publish(f"wide {policy} weakened", WIDE.rows, WIDE.columns, WEAKENED[policy])
    assert named(ground.analysts(1), table, WIDE) >= CONTROL_MIN
