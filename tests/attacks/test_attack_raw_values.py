"""Raw-value aggregates: have a function of many rows return the value of one of them.

Extremes, medians and anything that collects or picks (MIN, ARG_MAX, LIST, MODE, quantiles 0 and 1) are aggregates by
name only (Adam, Wortmann, ACM Computing Surveys 21(4), 1989). The secret is the exact income of a village's smith; the
advantage is the share of villages in whose answer it stands. The control is an ordinary engine.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import town
from tests.support.attacking import CONTROL_MIN, POLICIES, Analysts, Ground, Heard, an_ordinary_engine

TRIALS = 12
AGGREGATES = [
    "MIN(income)",
    "MAX(income)",
    "SUM(income)",
    "AVG(income)",
    "MEDIAN(income)",
    "QUANTILE(income, 0)",
    "QUANTILE(income, 1)",
    "QUANTILE(income, 0.5)",
    "PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY income)",
    "QUANTILE_CONT(income, 0.5)",
    "MODE(income)",
    "FIRST(income)",
    "LAST(income)",
    "ANY_VALUE(income)",
    "ARG_MAX(income, income)",
    "ARG_MIN(income, village)",
    "LIST(income)",
    "STRING_AGG(income, ',')",
    "HISTOGRAM(income)",
    "BIT_OR(income)",
    "PRODUCT(income)",
    "MAX(person || ':' || income)",
    "APPROX_TOP_K(income, 1)",
    "RESERVOIR_QUANTILE(income, 0.5)",
    "FAVG(income)",
    "SUM(DISTINCT income)",
    "AVG(DISTINCT income)",
]
SMITHS = {row["village"]: row["income"] for row in town.rows().to_pylist() if row["trade"] == "smith"}


def share_found(ask: Callable[[str], Heard], table: str, aggregate: str) -> float:
    """The share of villages in which the aggregate over the smith shows the smith's income."""
    sql = f"SELECT {aggregate} AS a FROM {table} WHERE village = '{{}}' AND trade = 'smith'"
    villages = town.NAMES[:TRIALS]
    return sum(str(SMITHS[village]) in str(ask(sql.format(village)).rows) for village in villages) / TRIALS


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_no_aggregate_shows_the_value_of_one_row(
    ground: Ground, analysts: Analysts, policy: str, aggregate: str
) -> None:
    table = ground.publish(f"raw values {policy}", town.rows, town.COLUMNS, POLICIES[policy])
    assert share_found(analysts.ask, table, aggregate) <= 1 / TRIALS


def test_control_in_an_ordinary_engine_all_of_them_do() -> None:
    with an_ordinary_engine("town", town.rows()) as ask:
        for aggregate in AGGREGATES:
            assert share_found(ask, "town", aggregate) >= CONTROL_MIN, aggregate
