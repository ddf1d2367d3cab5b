"""Budgets and noise: what is spent never exceeds what was given, and the noise is what it says it is.

The noise comes from the system's own entropy, so its tests are statistical; each bound is passed by chance alone less
than once in 10^9 runs.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.disclosure.noise import Noise, Sensitivity, noise, whole_half_width
from bandung.gateway.disclosure.privacy_budget import epsilon, nano_rho_within, pure_epsilon, rho, shares
from bandung.gateway.domain.policy import Mechanism

BUDGETS = st.integers(1, 10**13)
SIX_SIGMA = 6.2
"""Standard errors that a normal variable exceeds, on either side, with a chance below 10^-9."""


@given(BUDGETS, st.integers(1, 40))
def test_shares_add_up_to_the_budget_and_are_as_equal_as_they_can_be(nano_rho: int, parts: int) -> None:
    if parts > nano_rho:
        with pytest.raises(ValueError, match="cannot be split"):
            shares(nano_rho, parts)
        return
    found = shares(nano_rho, parts)
    assert sum(found) == nano_rho
    assert max(found) - min(found) <= 1
    assert min(found) >= 1


@given(BUDGETS)
def test_a_pure_epsilon_never_costs_more_than_its_budget(nano_rho: int) -> None:
    assert Fraction(pure_epsilon(nano_rho)) ** 2 / 2 <= rho(nano_rho)
    assert pure_epsilon(nano_rho) == pytest.approx(sqrt(2e-9 * nano_rho))


@st.composite
def sensitivities(draw: st.DrawFn) -> Sensitivity:
    places = draw(st.integers(1, 10**6))
    size = draw(st.integers(1, 10**33))
    return Sensitivity(places * size, (places * size) ** 2, places)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(Mechanism), sensitivities(), BUDGETS)
def test_noise_costs_no_more_than_its_share_by_the_books_of_opendp_and_by_the_formula(
    mechanism: Mechanism, sensitivity: Sensitivity, nano_rho: int
) -> None:
    found = noise(mechanism, sensitivity, nano_rho)
    coarse = sensitivity.in_steps_of(found.grid)
    scale = Fraction(found.scale)
    gaussian = mechanism is Mechanism.GAUSSIAN
    squared = coarse.squared if gaussian else coarse.total**2
    cost = squared / (2 * scale**2)
    assert cost <= rho(nano_rho)
    assert cost >= rho(nano_rho) * Fraction(999, 1000), "noise is not wasted"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-(10**30), 10**30), st.integers(-(10**6), 10**6)), min_size=1, max_size=20))
def test_a_coarser_grid_moves_no_sum_by_more_than_it_says(changes: list[tuple[int, int]]) -> None:
    total = sum(abs(change) for _, change in changes)
    for grid in (1, 2, 7, 1000):
        coarse = Sensitivity(max(1, total), max(1, total) ** 2, len(changes)).in_steps_of(grid)
        moved = [abs((value + change) // grid - value // grid) for value, change in changes]
        assert sum(moved) <= coarse.total
        assert sum(step**2 for step in moved) <= coarse.squared


def drawn(found: Noise, count: int = 40_000) -> np.ndarray:
    return found.draw(count).added_to(np.zeros(count, np.int64)).astype(np.float64)


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("nano_rho", [1_000_000, 200_000_000])
def test_noise_is_unbiased_and_has_the_variance_that_is_published(mechanism: Mechanism, nano_rho: int) -> None:
    found = noise(mechanism, Sensitivity(1, 1, 1), nano_rho)
    values = drawn(found)
    error = found.standard_error
    assert abs(values.mean()) < SIX_SIGMA * error / sqrt(len(values))
    # The variance of a sample variance is (kurtosis - 1) / n; a Laplace variable's kurtosis is 6.
    spread = sqrt((5.5 if mechanism is Mechanism.LAPLACE else 2.0) / len(values))
    assert values.var() == pytest.approx(error**2, rel=SIX_SIGMA * spread + 0.05 / error**2)
    assert (values == np.rint(values)).all()


@pytest.mark.parametrize("mechanism", Mechanism)
def test_noise_has_the_shape_of_its_distribution(mechanism: Mechanism) -> None:
    """Pearson's chi-square over single integers; 99.9999999 % of a chi-square with 31 degrees lie below 110."""
    found = noise(mechanism, Sensitivity(1, 1, 1), 20_000_000)
    values = drawn(found)
    places = np.arange(-400, 401)
    weights = np.exp(
        -(places**2) / (2 * found.scale**2) if mechanism is Mechanism.GAUSSIAN else -abs(places) / found.scale
    )
    chances = weights / weights.sum()
    inner = abs(places) <= 15
    seen = np.array([(values == place).sum() for place in places[inner]])
    wanted = chances[inner] * len(values)
    assert wanted.min() > 5
    rest, wanted_rest = len(values) - seen.sum(), len(values) - wanted.sum()
    statistic = ((seen - wanted) ** 2 / wanted).sum() + (rest - wanted_rest) ** 2 / max(wanted_rest, 1)
    assert statistic < 110


@pytest.mark.parametrize("mechanism", Mechanism)
def test_numbers_that_threads_draw_at_the_same_time_have_nothing_in_common(mechanism: Mechanism) -> None:
    """Correlations of 4,000 independent pairs of numbers are normal, with a standard error of 1 / sqrt(4,000)."""
    found = noise(mechanism, Sensitivity(1, 1, 1), 100_000)
    begun = [found.draw(4_000) for _ in range(6)]
    together = [draws.added_to(np.zeros(4_000, np.int64)) for draws in begun]
    parts = np.concatenate(together).reshape(-1, 100)
    assert len(np.unique(parts, axis=0)) == len(parts)
    related = np.corrcoef(np.array(together))[np.triu_indices(6, 1)]
    assert abs(related).max() < SIX_SIGMA / sqrt(4_000)


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("nano_rho", [1_000_000, 1_000_000_000, 8_000_000_000])
def test_intervals_hold_95_percent_or_more(mechanism: Mechanism, nano_rho: int) -> None:
    found = noise(mechanism, Sensitivity(1, 1, 1), nano_rho)
    inside = (abs(drawn(found)) <= whole_half_width(mechanism, found.standard_error)).mean()
    assert inside > 0.95 - SIX_SIGMA * sqrt(0.05 * 0.95 / 40_000)


def test_sums_beyond_64_bits_get_noise_and_stay_exact_to_the_grid() -> None:
    found = noise(Mechanism.GAUSSIAN, Sensitivity(10**30, 10**60, 3), 10**15)
    values = np.array([3 * 10**33, -(10**35)], dtype=object)
    noisy = found.draw(2).added_to(values)
    assert all(isinstance(value, int) for value in noisy)
    assert all(abs(a - b) < 12 * found.standard_error for a, b in zip(noisy, values, strict=True))


def test_budgets_convert_to_epsilon_and_back() -> None:
    found = nano_rho_within(1.0, 1e-10)
    assert epsilon(found, 1e-10) <= 1.0 < epsilon(found + 1, 1e-10)
    # The loose bound: rho + 2 sqrt(rho ln 1/δ) (Bun and Steinke, proposition 1.3).
    loose = 0.5 + 2 * sqrt(0.5 * np.log(1e10))
    assert 0.8 * loose < epsilon(500_000_000, 1e-10) < loose
    assert epsilon(0, 1e-10) == 0
    assert epsilon(1, 0.0) == inf
