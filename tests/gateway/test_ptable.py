"""Perturbation tables: what the published distributions promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.disclosure.ptable import maximum_entropy
from bandung.gateway.disclosure.published_ptable import published_ptable
from bandung.gateway.domain.policy import TableBuilder


@st.composite
def attainable(draw: st.DrawFn) -> tuple[int, float, int]:
    """D, V and js with room for every count: js below D, and V away from the largest variance that D allows."""
    noise_max = draw(st.integers(2, 12))
    share = draw(st.floats(0.05, 0.9))
    return noise_max, share * noise_max**2, draw(st.integers(0, noise_max - 1))


@settings(max_examples=20, deadline=None)
@given(attainable())
def test_changes_are_unbiased_and_lead_to_no_forbidden_count(declared: tuple[int, float, int]) -> None:
    noise_max, variance, js = declared
    table = maximum_entropy(noise_max, variance, js)
    np.testing.assert_allclose(table.probabilities.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(table.probabilities @ table.changes, 0, atol=1e-7)
    assert table.probabilities.min() >= 0
    for count, row in enumerate(table.probabilities):
        results = count + table.changes[row > 0]
        assert results.min() >= 0
        assert count == 0 or not ((results >= 1) & (results <= js)).any()


@settings(max_examples=20, deadline=None)
@given(attainable())
def test_a_count_with_room_on_both_sides_changes_with_the_declared_variance(declared: tuple[int, float, int]) -> None:
    table = maximum_entropy(*declared)
    assert table.probabilities[-1] @ table.changes**2 == pytest.approx(declared[1], rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    noise_max=st.integers(1, 50), share=st.floats(1e-9, 1), noise_js=st.integers(0, 20), min_units=st.integers(3, 30)
)
def test_every_policy_that_can_be_built_has_a_table(
    noise_max: int, share: float, noise_js: int, min_units: int
) -> None:
    if noise_js >= min(noise_max, min_units):
        with pytest.raises(ValueError, match="noise_js"):
            TableBuilder(noise_max=noise_max, noise_js=noise_js, min_units=min_units)
        return
    table = maximum_entropy(noise_max, share * noise_max**2, noise_js)
    np.testing.assert_allclose(table.probabilities.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(table.probabilities @ table.changes, 0, atol=1e-5)


def test_no_other_distribution_with_the_same_moments_has_more_entropy() -> None:
    row = maximum_entropy(5, 3.0, 2).probabilities[-1]
    support = np.arange(-5.0, 6.0)
    constraints = np.stack([np.ones(11), support, support**2])
    _, _, basis = np.linalg.svd(constraints)
    entropy = -(row * np.log(row)).sum()
    for direction in basis[3:]:
        for size in (-1e-4, 1e-4):
            other = row + size * direction
            assert -(other * np.log(other)).sum() < entropy


def test_counts_change_as_often_as_the_table_says() -> None:
    table = maximum_entropy(5, 3.0, 2)
    uniform = (np.arange(100_000) + 0.5) / 100_000
    changed = table.perturb(np.full(100_000, 40), uniform) - 40
    shares = [(changed == change).mean() for change in table.changes]
    np.testing.assert_allclose(shares, table.probabilities[-1], atol=2e-5)


@settings(max_examples=20, deadline=None)
@given(attainable())
def test_every_generated_table_passes_its_own_published_check(declared: tuple[int, float, int]) -> None:
    noise_max, variance, js = declared
    policy = TableBuilder(min_units=30, noise_max=noise_max, noise_variance=variance, noise_js=js)
    assert all(finding.holds for finding in published_ptable(policy).findings)


def test_what_is_published_is_what_counts_are_drawn_from() -> None:
    published = published_ptable(TableBuilder())
    table = maximum_entropy(5, 3.0, 2)
    again = np.zeros_like(table.probabilities)
    for count, change, probability in published.rows:
        again[count, change + 5] = probability
    np.testing.assert_array_equal(again, table.probabilities)
