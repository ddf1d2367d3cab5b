"""Audit of the claimed epsilon: repeat a question on two neighbouring datasets; measure how well they are told apart.

If a mechanism is rho-zCDP by Gaussian noise, no test tells neighbours apart better than Phi(mu / 2) against
Phi(-mu / 2) with mu = sqrt(2 rho); what a test achieves is therefore a lower bound of what is really spent (Jagielski,
Ullman, Oprea: Auditing differentially private machine learning, NeurIPS 2020; Nasr et al., IEEE S&P 2021). The bound is
by Clopper and Pearson (Biometrika 26, 1934). The neighbours differ by one household of three persons: noise that is
scaled to one person spends nine times what it claims, and the control shows that the audit would find it.

In process, on the product's own protection: thousands of answers are needed. Each region of a table is one of them,
since each has a noise of its own.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from bandung.gateway.disclosure.privacy_budget import epsilon, pure_epsilon
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.policy import DifferentialPrivacy, Mechanism
from tests.support.attacking import advantage, standard_error
from tests.support.builders import a_dimension, a_measure
from tests.support.private import a_plan, a_private_epoch, persons, release_of

REGIONS = tuple(f"r{number:04}" for number in range(4000))
NANO_RHO = 200_000_000
HOUSEHOLD = 3
INCOME = 1000
CONFIDENCE = 0.999
DELTA = 1e-5
SHIFTS = {"count": HOUSEHOLD, "units": 1, "sum(income)": HOUSEHOLD * INCOME}
"""What the household changes of each statistic: as much as any can."""


def an_epoch_of(mechanism: Mechanism, rows_max: int) -> Epoch:
    """Households of up to `rows_max` persons, as declared, in very many regions."""
    policy = DifferentialPrivacy(nano_rho_per_table_max=10**12, mechanism=mechanism)
    columns = (a_dimension(codes=REGIONS), a_measure(maximum=INCOME))
    return a_private_epoch(columns=columns, rows_per_unit_max=rows_max, policy=policy)


def answers(epoch: Epoch, statistic: str, *, there: bool) -> np.ndarray:
    """An answer for each region, of which each has the household or none of them has."""
    size = HOUSEHOLD if there else 0
    regions = [region for region in REGIONS for _ in range(size)] or [REGIONS[0]]
    homes = [int(region[1:]) for region in regions]
    incomes = [INCOME] * len(regions) if there else [0]
    rows = persons(region=regions, unit=homes, income=incomes)
    plan = a_plan(epoch, statistic, by=("region",), nano_rho=NANO_RHO)
    return np.array(release_of(plan, epoch, rows).table[statistic].to_pylist(), dtype=float)[1:]


def told_apart(epoch: Epoch, statistic: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether each answer is nearer to the household's being there, and whether it is."""
    found = [answers(epoch, statistic, there=there) >= SHIFTS[statistic] / 2 for there in (True, False)]
    return np.concatenate(found), np.repeat([True, False], len(found[0]))


def least_rho(said: np.ndarray, truth: np.ndarray) -> float:
    """The least rho, with `CONFIDENCE` in each rate, at which the household could be told so well."""
    hits, trials = int(said[truth].sum()), int(truth.sum())
    alarms = int(said[~truth].sum())
    normal = NormalDist()
    mu = normal.inv_cdf(1 - at_most(trials - hits, trials)) - normal.inv_cdf(at_most(alarms, trials))
    return max(0.0, mu) ** 2 / 2


def at_most(events: int, trials: int) -> float:
    """Clopper and Pearson's upper bound of a probability, by bisection of the binomial distribution."""
    low, high = events / trials, 1 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _binomial(events, trials, middle) > 1 - CONFIDENCE else (low, middle)
    return high


def _binomial(events: int, trials: int, chance: float) -> float:
    """The probability of at most so many events."""
    terms = [
        lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) + k * log(chance) + (trials - k) * log1p(-chance)
        for k in range(events + 1)
    ]
    return sum(map(exp, terms))


def claimed(rho: float) -> float:
    """Epsilon at `DELTA`, by the product's own conversion."""
    return epsilon(round(rho * 1e9), DELTA)


@pytest.mark.parametrize("statistic", SHIFTS)
def test_a_household_of_three_costs_no_more_than_is_claimed(statistic: str) -> None:
    said, truth = told_apart(an_epoch_of(Mechanism.GAUSSIAN, HOUSEHOLD), statistic)
    rho = NANO_RHO / 1e9
    assert claimed(least_rho(said, truth)) <= claimed(rho)
    assert advantage(said, truth) <= 2 * NormalDist().cdf(sqrt(2 * rho) / 2) - 1 + 3 * standard_error(truth)


@pytest.mark.parametrize("statistic", SHIFTS)
def test_under_laplace_noise_a_household_costs_no_more_than_the_pure_epsilon(statistic: str) -> None:
    """P(yes | there) <= e^epsilon P(yes | not there)."""
    said, truth = told_apart(an_epoch_of(Mechanism.LAPLACE, HOUSEHOLD), statistic)
    trials = len(said) // 2
    most_misses, most_alarms = at_most(int((~said[truth]).sum()), trials), at_most(int(said[~truth].sum()), trials)
    assert log((1 - most_misses) / most_alarms) <= pure_epsilon(NANO_RHO)


@pytest.mark.parametrize("statistic", ["count", "sum(income)"])
def test_the_audit_comes_near_to_what_is_spent(statistic: str) -> None:
    """Else it would show nothing: a household moves these by all that any unit can."""
    said, truth = told_apart(an_epoch_of(Mechanism.GAUSSIAN, HOUSEHOLD), statistic)
    assert claimed(least_rho(said, truth)) > claimed(NANO_RHO / 1e9) / 2


@pytest.mark.parametrize("statistic", ["count", "sum(income)"])
def test_control_noise_for_one_person_is_found_out_by_a_household(statistic: str) -> None:
    said, truth = told_apart(an_epoch_of(Mechanism.GAUSSIAN, 1), statistic)
    assert claimed(least_rho(said, truth)) > claimed(NANO_RHO / 1e9)
