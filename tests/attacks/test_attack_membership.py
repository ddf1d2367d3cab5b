"""Membership: tell from published marginals whether a person whose attributes are known is in the survey.

Every count is a little nearer to the people in it than to strangers; over many counts the correlation of a person with
the published deviations adds up (Homer et al., PLoS Genetics 4(8), 2008; Sankararaman et al., Nature Genetics 41, 2009;
Dwork, Smith, Steinke, Ullman, Vadhan: Robust traceability from trace amounts, FOCS 2015). It grows with the square root
of the numbers published per person. Half of those who are tried were asked, half are strangers of the same population.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.attacking import (
    POLICIES,
    WEAKENED,
    Analysts,
    Ground,
    advantage,
    cannot_promise,
)
from tests.support.survey import NATIONAL, WIDE, Survey

TRIED = 200
FEW = Survey(people=40, attributes=20, codes=2)
CONTROL_LEAST = 0.6
"""With 210 independent numbers about 40 people theory gives 2 Phi(sqrt(210 / 40) / 2) - 1 = 0.75."""


def said(analysts: Analysts, table: str, survey: Survey) -> tuple[np.ndarray, np.ndarray]:
    """Who is said to have been asked, and who was.

    A person's score is the first-order likelihood ratio: the published deviations of the person's own codes, alone and
    two together, each over its expected share.
    """
    tried = min(TRIED, survey.people)
    people = np.concatenate([survey.public[:tried], survey.strangers[:tried]])
    scores, even = np.zeros(len(people)), 1 / survey.codes
    for (i, j), cells in survey.tables(analysts, table).items():
        off = np.nan_to_num(cells.sum(axis=2) / survey.people, nan=even**2) - even**2
        by_first, by_second = off.sum(axis=1), off.sum(axis=0)
        together = off - even * (by_first[:, None] + by_second[None, :])
        alone = by_first[people[:, i]] + by_second[people[:, j]]
        scores += together[people[:, i], people[:, j]] / even**2 + alone / even / (survey.attributes - 1)
    return scores > np.median(scores), np.arange(len(people)) < tried


def test_the_tables_of_a_national_survey_do_not_say_who_was_asked(
    ground: Ground, analysts: Analysts, policy: str
) -> None:
    table = ground.publish(f"national {policy}", NATIONAL.rows, NATIONAL.columns, POLICIES[policy])
    found, truth = said(analysts, table, NATIONAL)
    assert advantage(found, truth) <= ground.most(policy, table, truth)


def test_the_tables_of_a_wide_survey_do_not_say_who_was_asked(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "wide tables")
    table = ground.publish(f"wide {policy}", WIDE.rows, WIDE.columns, POLICIES[policy])
    found, truth = said(analysts, table, WIDE)
    assert advantage(found, truth) <= ground.most(policy, table, truth)


def test_control_exact_tables_of_fewer_people_do(ground: Ground, policy: str) -> None:
    table = ground.publish(f"wide {policy} weakened fewer", FEW.rows, FEW.columns, WEAKENED[policy])
    found, truth = said(ground.analysts(1), table, FEW)
    assert advantage(found, truth) >= CONTROL_LEAST
