"""Perturbation tables: what the published distributions promise, and agreement with the ONS's own package."""

from __future__ import annotations

import csv
import importlib.metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cell_key_perturbation.create_perturbed_table import create_perturbed_table
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.gateway.disclosure.ons import OnsTable
from bandung.gateway.disclosure.ptable import maximum_entropy
from bandung.gateway.domain.policy import TableBuilder

Row = tuple[int, int, int]


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
    row = maximum_entropy(5, 2.5, 2).probabilities[-1]
    support = np.arange(-5.0, 6.0)
    constraints = np.stack([np.ones(11), support, support**2])
    _, _, basis = np.linalg.svd(constraints)
    entropy = -(row * np.log(row)).sum()
    for direction in basis[3:]:
        for size in (-1e-4, 1e-4):
            other = row + size * direction
            assert -(other * np.log(other)).sum() < entropy


def test_counts_change_as_often_as_the_table_says() -> None:
    table = maximum_entropy(5, 2.5, 2)
    uniform = (np.arange(100_000) + 0.5) / 100_000
    changed = table.perturb(np.full(100_000, 40), uniform) - 40
    shares = [(changed == change).mean() for change in table.changes]
    np.testing.assert_allclose(shares, table.probabilities[-1], atol=2e-5)


def shipped_rows() -> list[Row]:
    files = importlib.metadata.files("cell-key-perturbation") or []
    (found,) = [file for file in files if file.name == "ptable_10_5_rule.csv"]
    with Path(str(found.locate())).open(newline="") as text:
        return [(int(r["pcv"]), int(r["ckey"]), int(r["pvalue"])) for r in csv.DictReader(text)]


def random_rows(seed: int) -> list[Row]:
    changes = np.random.default_rng(seed).integers(-3, 4, size=(750, 256))
    return [(n + 1, key, int(changes[n, key])) for n in range(750) for key in range(256)]


def microdata(sizes: list[int], seed: int) -> pd.DataFrame:
    cells = np.repeat(np.arange(len(sizes)), sizes)
    keys = np.random.default_rng(seed).integers(0, 256, size=len(cells))
    return pd.DataFrame({"cell": cells.astype(str), "other": "x", "record_key": keys})


@pytest.mark.parametrize("rows", [shipped_rows(), random_rows(3)], ids=["shipped", "random"])
def test_the_ons_mode_gives_the_counts_of_the_package_cell_for_cell(rows: list[Row]) -> None:
    sizes = [1, 2, 5, 9, 10, 11, 14, 37, 250, 251, 500, 501, 749, 750, 751, 752, 999, 1000, 1001, 1250, 1751]
    data = microdata(sizes, seed=11)
    theirs = create_perturbed_table(
        data=data,
        ptable=pd.DataFrame(rows, columns=["pcv", "ckey", "pvalue"]),
        geog=[],
        tab_vars=["cell", "other"],
        record_key="record_key",
        threshold=0,
    )
    sums = data.groupby("cell")["record_key"].sum()
    counts = data.groupby("cell").size()
    ours = OnsTable(rows).perturb(counts.to_numpy(dtype=np.int64), sums.to_numpy(dtype=np.int64))
    assert dict(zip(counts.index, ours.tolist(), strict=True)) == dict(
        zip(theirs["cell"], theirs["count"].astype(int), strict=True)
    )
    assert (ours != counts.to_numpy()).any()


def test_a_count_that_the_ons_table_does_not_list_stays_as_it_is() -> None:
    table = OnsTable([(10, 0, -1), (10, 255, 4)])
    assert table.perturb(np.array([10, 10, 11, 0]), np.array([256, 255, 0, 0])).tolist() == [9, 14, 11, 0]
