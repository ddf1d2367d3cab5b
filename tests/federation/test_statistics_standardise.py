"""Rates from released counts: crude, standardised, and the errors that are stated with them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from bandung.federation.domain.study import Answered, Unreachable
from bandung.federation.statistics.standardise import Rate, Rates, StandardiseError, directly

REFERENCE = {"young": 3.0, "old": 1.0}


def use(member: str, counts: dict[tuple[str, str], float | None], variance: float = 2.5) -> Answered:
    table = pa.table(
        {
            "age_group": [stratum for stratum, _ in counts],
            "using": [code for _, code in counts],
            "count": pa.array(list(counts.values()), pa.int64()),
        }
    )
    columns = {name: name for name in table.column_names}
    return Answered(
        member, table, {"count": {"variance": variance}}, columns, "women@1", "table-builder", "1:00", 10, 0.01
    )


def rates(*answers: Answered, others: tuple[str, ...] = ("N",)) -> tuple[Rates, ...]:
    return directly(answers, numerator=("using", "Y"), others=others, stratum="age_group", reference=REFERENCE)


def value(rate: Rate | None) -> float:
    assert rate is not None
    return rate.value


COUNTS = {("young", "Y"): 20.0, ("young", "N"): 80.0, ("old", "Y"): 150.0, ("old", "N"): 150.0}


def test_the_crude_rate_is_all_users_by_all_women() -> None:
    (rate,) = rates(use("IDN", COUNTS))
    assert rate.crude is not None
    assert rate.crude.value == pytest.approx(170 / 400)


def test_the_standardised_rate_weighs_the_strata_as_the_reference_does() -> None:
    (rate,) = rates(use("IDN", COUNTS))
    assert rate.standardised is not None
    assert rate.standardised.value == pytest.approx(0.75 * 0.2 + 0.25 * 0.5)


def test_countries_with_equal_rates_by_age_are_equal_once_standardised_and_only_then() -> None:
    older = {key: value * (1 if key[0] == "young" else 4) for key, value in COUNTS.items()}
    one, two = rates(use("IDN", COUNTS), use("BGD", older))
    assert value(one.crude) != pytest.approx(value(two.crude), abs=0.01)
    assert value(one.standardised) == pytest.approx(value(two.standardised))


def test_the_stated_noise_error_is_what_repeated_noise_shows() -> None:
    chance = np.random.default_rng(7)
    noisy = [
        rates(use("IDN", {key: value + round(chance.normal(0, 2.5**0.5)) for key, value in COUNTS.items()}))[0]
        for _ in range(2000)
    ]
    (stated,) = rates(use("IDN", COUNTS, variance=2.5 + 1 / 12))
    for which in ("crude", "standardised"):
        seen = np.std([getattr(rate, which).value for rate in noisy])
        assert getattr(stated, which).noise_se == pytest.approx(seen, rel=0.08)


def test_sampling_error_of_a_rate_is_the_binomial_one() -> None:
    (rate,) = rates(use("IDN", COUNTS))
    assert rate.crude is not None
    assert rate.crude.sampling_se == pytest.approx((0.425 * 0.575 / 400) ** 0.5)
    assert rate.crude.se > rate.crude.sampling_se


def test_women_whose_answer_is_not_stated_are_in_neither_part() -> None:
    (rate,) = rates(use("BWA", {**COUNTS, ("young", "_U"): None, ("old", "_U"): 12.0}))
    assert rate.crude is not None
    assert rate.crude.value == pytest.approx(170 / 400)


def test_a_suppressed_stratum_leaves_no_rate_and_is_named() -> None:
    (rate,) = rates(use("IDN", {**COUNTS, ("young", "Y"): None}))
    assert (rate.crude, rate.standardised, rate.missing) == (None, None, ("young",))
    assert [stratum.code for stratum in rate.strata] == ["old"]


def test_a_stratum_without_anybody_has_no_rate() -> None:
    (rate,) = rates(use("IDN", {**COUNTS, ("young", "Y"): 0.0, ("young", "N"): 0.0}))
    assert rate.missing == ("young",)


def test_countries_that_did_not_answer_have_no_rates() -> None:
    outcomes = [Unreachable("BGD", "no route"), use("IDN", COUNTS)]
    made = directly(outcomes, numerator=("using", "Y"), others=("N",), stratum="age_group", reference=REFERENCE)
    assert [rate.member for rate in made] == ["IDN"]


def test_a_table_by_something_else_is_not_standardised() -> None:
    with pytest.raises(StandardiseError, match="must be counts by region and using alone"):
        directly([use("IDN", COUNTS)], numerator=("using", "Y"), others=("N",), stratum="region", reference=REFERENCE)


def test_a_reference_population_without_people_is_refused() -> None:
    with pytest.raises(StandardiseError):
        directly([use("IDN", COUNTS)], numerator=("using", "Y"), others=("N",), stratum="age_group", reference={"a": 0})
