"""The differential-privacy policy: what is asked, what is spent, and what is released."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import pvariance, quantiles, variance

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandung.connectors.base import Between
from bandung.gateway.disclosure import estimates
from bandung.gateway.disclosure.aggregates import AggregateKind, aggregates, sensitivity
from bandung.gateway.disclosure.differential_privacy import drawing, expected, protect, questions
from bandung.gateway.disclosure.estimates import Bins, Noisy
from bandung.gateway.disclosure.spending import allotment, noises
from bandung.gateway.domain.dataset import Mode
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.noise import half_width, standard_error
from bandung.gateway.domain.policy import DifferentialPrivacy, Mechanism
from tests.support.builders import a_dimension, a_measure
from tests.support.private import PLENTY, a_plan, a_private_epoch, persons, raw_of, release_of

EVERY = (
    "count",
    "units",
    "sum(income)",
    "mean(income)",
    "variance(income)",
    "stddev(income)",
    "quantile(income,0.5)",
)
INCOMES = [0, 10, 250, 251, 333, 500, 900, 1000, 1000, 17]


def the_row(release) -> dict[str, object]:
    (row,) = release.table.to_pylist()
    return row


def test_without_noise_every_statistic_is_the_statistic() -> None:
    epoch = a_private_epoch()
    row = the_row(release_of(a_plan(epoch, *EVERY), epoch, persons(income=INCOMES)))
    assert (row["count"], row["units"], row["sum(income)"]) == (10, 10, sum(INCOMES))
    assert row["mean(income)"] == pytest.approx(sum(INCOMES) / 10)
    assert row["variance(income)"] == pytest.approx(variance(INCOMES))
    assert row["stddev(income)"] == pytest.approx(sqrt(variance(INCOMES)))
    assert abs(row["quantile(income,0.5)"] - 251) <= 4, "within its bin"
    assert (row["OBS_STATUS"], row["CONF_STATUS"]) == ("A", "F")


def test_columns_have_the_types_and_the_order_that_a_release_promises() -> None:
    epoch = a_private_epoch()
    table = release_of(a_plan(epoch, *EVERY, by=("sex",)), epoch, persons(income=INCOMES)).table
    assert table.column_names == [
        "sex",
        *(column for name in EVERY for column in (name, f"{name}.ci95")),
        "OBS_STATUS",
        "CONF_STATUS",
    ]
    assert {name: table.schema.field(name).type for name in ("count", "units")} == {
        "count": pa.int64(),
        "units": pa.int64(),
    }
    assert all(table.schema.field(f"{name}.ci95").type == pa.float64() for name in EVERY)


def test_every_cell_of_the_code_lists_gets_noise_the_empty_ones_too() -> None:
    epoch = a_private_epoch()
    plan = a_plan(epoch, "count", by=("region", "sex", "age_group"), nano_rho=1000)
    raw = raw_of(plan, epoch, persons(income=[1]))
    draws = [protect(plan, epoch, raw).table for _ in range(4)]
    assert all(table.num_rows == 8 for table in draws)
    empty = np.array([table["count"].to_pylist()[1:] for table in draws])
    assert (empty != 0).mean() > 0.5
    assert len({tuple(row) for row in empty.tolist()}) > 1, "fresh noise each time"
    assert set(draws[0]["OBS_STATUS"].to_pylist()) == {"A"}


def test_noise_that_was_begun_beforehand_is_taken_once() -> None:
    epoch = a_private_epoch()
    plan = a_plan(epoch, "count", "mean(income)", by=("region", "sex", "age_group"), nano_rho=1000)
    raw = raw_of(plan, epoch, persons(income=[1]))
    with drawing(plan, epoch) as begun:
        assert begun
        first = protect(plan, epoch, raw, begun)
        assert not begun
        second = protect(plan, epoch, raw, begun)
    assert first.table["count"] != second.table["count"]


def test_values_beyond_the_bounds_count_as_the_nearest_end() -> None:
    epoch = a_private_epoch(columns=(a_dimension(), a_measure(bounds=(100, 400))))
    row = the_row(release_of(a_plan(epoch, "sum(income)", "mean(income)"), epoch, persons(income=[0, 1000, 200])))
    assert row["sum(income)"] == 700
    assert row["mean(income)"] == pytest.approx(700 / 3)


@pytest.mark.parametrize("others", [(), ("count",), ("mean(income)",)])
def test_a_sum_is_the_same_whichever_way_it_is_made(others: tuple[str, ...]) -> None:
    epoch = a_private_epoch(columns=(a_dimension(), a_measure(minimum=-7, maximum=1000, decimals=2)))
    plan = a_plan(epoch, "sum(income)", *others)
    row = the_row(release_of(plan, epoch, persons(income=[-700, 25, 99_999])))
    assert row["sum(income)"] == pytest.approx(993.24)


def test_sum_count_and_mean_of_a_table_agree_to_the_last_noise() -> None:
    epoch = a_private_epoch()
    plan = a_plan(epoch, "count", "sum(income)", "mean(income)", nano_rho=1_000_000)
    row = the_row(release_of(plan, epoch, persons(income=[500] * 20_000)))
    assert row["sum(income)"] / row["count"] == pytest.approx(row["mean(income)"])


def test_records_without_a_value_count_as_records_and_not_as_contributors() -> None:
    epoch = a_private_epoch(columns=(a_dimension(), a_measure(optional=True)))
    plan = a_plan(epoch, "count", "mean(income)", "quantile(income,0.5)")
    row = the_row(release_of(plan, epoch, persons(income=[10, None, 30, None])))
    assert row["count"] == 4
    assert row["mean(income)"] == pytest.approx(20)


def test_units_with_several_rows_are_counted_once() -> None:
    epoch = a_private_epoch(rows_per_unit_max=3)
    plan = a_plan(epoch, "count", "units", by=("sex",))
    rows = persons(unit=[1, 1, 1, 2, 2, 3], sex=["F", "F", "M", "F", "F", "M"])
    table = release_of(plan, epoch, rows).table
    assert (table["count"].to_pylist(), table["units"].to_pylist()) == ([4, 2], [2, 2])


def test_units_need_no_second_look_where_each_has_one_row() -> None:
    epoch = a_private_epoch()
    assert questions(a_plan(epoch, "units"), epoch).contributions is None
    assert questions(a_plan(epoch, "units"), a_private_epoch(rows_per_unit_max=2)).contributions is not None


def test_the_source_adds_up_no_keys_and_clamps_what_it_adds_up() -> None:
    epoch = a_private_epoch(columns=(a_dimension(), a_measure(bounds=(100, 400))))
    plan = a_plan(epoch, "variance(income)", where=(Between("income", 1, 5),))
    asked = questions(plan, epoch).cells
    assert asked.view.key is None
    assert asked.where == (Between("income", 1, 5),)
    assert [(measure.bounds, measure.squares) for measure in asked.measures] == [((100, 400), True)]


@pytest.mark.parametrize(
    ("mode", "bounds", "clamped"),
    [
        (Mode.SNAPSHOT, None, None),
        (Mode.SNAPSHOT, (0, 1000), None),
        (Mode.SNAPSHOT, (0, 999), (0, 999)),
        (Mode.LIVE, None, (0, 1000)),
    ],
)
def test_only_the_whole_range_of_a_verified_copy_needs_no_clamping(
    mode: Mode, bounds: tuple[float, float] | None, clamped: tuple[int, int] | None
) -> None:
    epoch = a_private_epoch(mode=mode, columns=(a_dimension(), a_measure(bounds=bounds)))
    (measure,) = questions(a_plan(epoch, "sum(income)"), epoch).cells.measures
    assert measure.bounds == clamped


names = st.lists(st.sampled_from(EVERY), min_size=1, max_size=7, unique=True)


@given(names, st.integers(1, 10**7), st.sampled_from(Mechanism), st.integers(1, 6))
@settings(deadline=None)
def test_a_table_never_spends_more_than_its_plan_says(
    statistics: list[str], nano_rho: int, mechanism: Mechanism, rows_max: int
) -> None:
    policy = DifferentialPrivacy(nano_rho_per_table_max=PLENTY, mechanism=mechanism)
    epoch = a_private_epoch(policy=policy, rows_per_unit_max=rows_max)
    plan = a_plan(epoch, *statistics, by=("region",), nano_rho=nano_rho)
    parts = aggregates(plan.plan, epoch.dataset)
    if nano_rho < len(parts):
        with pytest.raises(Refusal) as refused:
            questions(plan, epoch)
        assert refused.value.kind is ErrorKind.NOT_UNDER_POLICY
        return
    spent = allotment(plan, epoch)
    assert sum(spent.values()) == nano_rho
    for part, found in noises(plan, epoch).items():
        moved = sensitivity(part, epoch.dataset, 2).in_steps_of(found.grid)
        distance = sqrt(moved.squared) if mechanism is Mechanism.GAUSSIAN else moved.total
        assert (distance / found.scale) ** 2 / 2 <= spent[part] / 1e9 * (1 + 1e-12)


people = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("NS"), st.integers(-50, 1050)), min_size=1, max_size=20)


@given(people, st.integers(0, 5))
@settings(deadline=None)
def test_one_unit_with_all_its_rows_moves_no_aggregate_further_than_its_sensitivity(
    people: list[tuple[int, str, int]], left: int
) -> None:
    most = max(sum(unit == other for unit, _, _ in people) for other, _, _ in people)
    epoch = a_private_epoch(rows_per_unit_max=max(2, most), columns=(a_dimension(), a_measure(bounds=(100, 405))))
    plan = a_plan(epoch, *EVERY, by=("region",))
    with_, without = (exact(plan, epoch, kept) for kept in (people, [row for row in people if row[0] != left]))
    for part, values in with_.items():
        moved = [abs(int(a) - int(b)) for a, b in zip(values, without[part], strict=True)]
        bound = sensitivity(part, epoch.dataset, 2)
        assert sum(moved) <= bound.total
        assert sum(step**2 for step in moved) <= bound.squared
        assert sum(map(bool, moved)) <= bound.places


def exact(plan, epoch, people):
    """The table's aggregates, flat, before any noise."""
    from bandung.gateway.disclosure.differential_privacy import _Table

    rows = pa.table(
        {
            "unit": pa.array([unit for unit, _, _ in people], pa.int64()),
            "region": pa.array([region for _, region, _ in people], pa.utf8()),
            "income": pa.array([income for _, _, income in people], pa.int64()),
        }
    )
    table = _Table(plan, epoch, raw_of(plan, epoch, rows), {})
    return {part: table._exact(part).ravel() for part in aggregates(plan.plan, epoch.dataset)}


def test_statistics_share_what_they_have_in_common() -> None:
    epoch = a_private_epoch()
    kinds = [part.kind for part in aggregates(a_plan(epoch, *EVERY).plan, epoch.dataset)]
    assert kinds == [AggregateKind.ROWS, AggregateKind.DEVIATIONS, AggregateKind.SQUARES, AggregateKind.HISTOGRAM]
    alone = [part.kind for part in aggregates(a_plan(epoch, "sum(income)").plan, epoch.dataset)]
    assert alone == [AggregateKind.SUM]


def test_where_the_noise_drowns_the_records_a_ratio_is_null_and_says_so() -> None:
    epoch = a_private_epoch()
    plan = a_plan(epoch, "count", *EVERY[3:], nano_rho=4)
    row = the_row(release_of(plan, epoch, persons(income=INCOMES)))
    assert row["count"] is not None
    assert [row[name] for name in EVERY[3:]] == [None] * 4
    assert [row[f"{name}.ci95"] for name in EVERY[3:]] == [None] * 4
    assert (row["OBS_STATUS"], row["CONF_STATUS"]) == ("O", "F")


@pytest.mark.parametrize("mechanism", Mechanism)
def test_intervals_hold_the_truth_as_often_as_they_say(mechanism: Mechanism) -> None:
    """400 tables, 95 %: fewer than 347 within happens by chance less than once in 10^9 runs."""
    policy = DifferentialPrivacy(nano_rho_per_table_max=PLENTY, mechanism=mechanism)
    epoch = a_private_epoch(policy=policy)
    incomes = [(i * 37) % 1001 for i in range(20_000)]
    truth = {
        "count": 20_000,
        "sum(income)": sum(incomes),
        "mean(income)": sum(incomes) / 20_000,
        "variance(income)": pvariance(incomes),
        "stddev(income)": sqrt(pvariance(incomes)),
        "quantile(income,0.5)": quantiles(incomes, n=2)[0],
    }
    plan = a_plan(epoch, *truth, nano_rho=2_000_000)
    raw = raw_of(plan, epoch, persons(income=incomes))
    within = dict.fromkeys(truth, 0)
    for _ in range(400):
        row = the_row(protect(plan, epoch, raw))
        for name, value in truth.items():
            within[name] += abs(row[name] - value) <= row[f"{name}.ci95"] * (1 + 1e-9)
    assert all(count >= 347 for count in within.values()), within


@pytest.mark.parametrize("rows_max", [1, 4])
def test_what_is_published_of_the_noise_bounds_the_error_that_is_met(rows_max: int) -> None:
    """Standard deviations of 400 draws exceed the true ones by 25 % less than once in 10^9 runs."""
    epoch = a_private_epoch(rows_per_unit_max=rows_max)
    statistics = ("count", "sum(income)", "mean(income)", "variance(income)", "stddev(income)")
    plan = a_plan(epoch, *statistics, nano_rho=50_000_000)
    raw = raw_of(plan, epoch, persons(income=[(i * 37) % 1001 for i in range(2000)]))
    rows = [the_row(protect(plan, epoch, raw)) for _ in range(400)]
    foreseen = expected(plan, epoch)
    for name in statistics:
        met = np.std([row[name] for row in rows])
        assert met <= 1.25 * (standard_error(foreseen[name], 2000) or 0)
        assert met > 0


@pytest.mark.parametrize("mechanism", Mechanism)
def test_intervals_are_foreseen_as_wide_as_the_answer_s(mechanism: Mechanism) -> None:
    """Those of whole numbers are rounded up to one; those of ratios depend on the cell, up to what is foreseen."""
    policy = DifferentialPrivacy(nano_rho_per_table_max=PLENTY, mechanism=mechanism)
    epoch = a_private_epoch(policy=policy)
    plan = a_plan(epoch, "count", "sum(income)", "mean(income)", nano_rho=2_000_000)
    row = the_row(release_of(plan, epoch, persons(income=[500] * 20_000)))
    foreseen = {name: half_width(published, row["count"]) or 0 for name, published in expected(plan, epoch).items()}
    assert [row["count.ci95"], row["sum(income).ci95"]] == [ceil(foreseen["count"]), ceil(foreseen["sum(income)"])]
    assert foreseen["mean(income)"] / 1.5 < row["mean(income).ci95"] <= foreseen["mean(income)"]


def test_a_release_states_its_noise() -> None:
    epoch = a_private_epoch()
    release = release_of(a_plan(epoch, *EVERY, nano_rho=4_000_000), epoch, persons(income=INCOMES))
    noise = {name: dict(entry) for name, entry in release.noise.items()}
    assert [entry.pop("standard_errors_in_ci95") for entry in noise.values()] == pytest.approx([1.96] * 7, rel=1e-4)
    assert noise["count"] == pytest.approx({"scale": sqrt(500), "variance": 500}, rel=1e-3)
    assert noise["mean(income)"]["scale"] == pytest.approx(500 * sqrt(500), rel=1e-3)
    assert {name: sorted(entry) for name, entry in noise.items()} == {
        "count": ["scale", "variance"],
        "units": ["scale", "variance"],
        "sum(income)": ["scale", "standard_error"],
        "mean(income)": ["scale", "standard_error_max_times_count"],
        "variance(income)": ["scale", "standard_error_max_times_count"],
        "stddev(income)": ["scale", "standard_error_max_times_root_count"],
        "quantile(income,0.5)": ["scale", "standard_error_max_of_rank"],
    }


def test_quantiles_of_many_cells_get_fewer_bins_and_of_too_many_none() -> None:
    policy = DifferentialPrivacy(nano_rho_per_table_max=PLENTY, cells_max=64)
    epoch = a_private_epoch(policy=policy)
    assert questions(a_plan(epoch, "quantile(income,0.5)"), epoch).histograms[0].bins <= 64
    assert questions(a_plan(epoch, "quantile(income,0.5)", by=("sex",)), epoch).histograms[0].bins <= 32
    with pytest.raises(Refusal) as refused:
        questions(a_plan(epoch, "quantile(income,0.5)", by=("sex", "region", "age_group")), epoch)
    assert refused.value.kind is ErrorKind.TOO_LARGE


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.99]))
def test_a_quantile_of_exact_counts_lies_in_the_bin_of_the_true_one(values: list[int], share: float) -> None:
    bins = Bins.over(0, 1000, 64)
    counts = np.bincount([value // bins.width for value in values], minlength=bins.count)[None].astype(float)
    found, _, given_ = estimates.quantile(Noisy(counts, 1e-9), share, bins, 2.0)
    true = sorted(values)[max(0, int(np.ceil(share * len(values) - 1e-9)) - 1)]
    assert given_.all()
    assert found[0] // bins.width == true // bins.width


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40), st.floats(0.001, 0.999))
def test_a_quantile_is_a_value_within_the_bounds_whatever_the_noise(noisy: list[float], share: float) -> None:
    bins = Bins(-5, -5 + 7 * len(noisy) - 2, 7, len(noisy))
    values, widths, _ = estimates.quantile(Noisy(np.array([noisy]), 1.0), share, bins, 2.0)
    assert bins.low <= values[0] <= bins.high
    assert 0 <= widths[0] <= bins.high - bins.low
