"""Distinct counts of unions: learn whether a household is in two groups from three counts of households.

|A| + |B| - |A or B| is the number of units in both; where only one household can be in both, it is one bit about it.
Sketches for distinct counts are no better: adding somebody who is in already changes nothing (Desfontaines, Lochbihler,
Basin: Cardinality estimators do not preserve privacy, PoPETs 2019(2)). The household of the mayor may have women
as well as men; all others have men only or women only. The control is an ordinary engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    Analysts,
    Ground,
    Heard,
    advantage,
    an_ordinary_engine,
    dimension,
)

VILLAGES = [f"v{number:03}" for number in range(120)]
MIXED = np.random.default_rng(13).permutation(np.arange(len(VILLAGES)) % 2 == 0)
COLUMNS = {"village": dimension(VILLAGES), "sex": dimension(["F", "M"])}
UNIT: dict[str, Any] = {"name": "household", "column": "household", "rows_max": 3}


def rows() -> pa.Table:
    """Forty households of one to three in each village."""
    people = []
    for village, mixed in zip(VILLAGES, MIXED, strict=True):
        sizes = {f"{village}-{i}": ["FM"[i % 2]] * (1 + i % 3) for i in range(40)}
        sizes[f"{village}-mayor"] = ["F", "M"] if mixed else ["M", "M"]
        people += [{"village": village, "household": home, "sex": sex} for home, of in sizes.items() for sex in of]
    return pa.Table.from_pylist(people)


def said(ask: Callable[[str], Heard], table: str) -> np.ndarray:
    """The mayor's household is mixed where more households have women, or have men, than there are."""
    count = f"SELECT village, COUNT(DISTINCT household) AS n FROM {table} {{}} GROUP BY village"
    whole, *parts = (_numbers(ask(count.format(where))) for where in ("", "WHERE sex = 'F'", "WHERE sex = 'M'"))
    nothing = float("nan")
    return np.array([sum(part.get(v, nothing) for part in parts) - whole.get(v, nothing) for v in VILLAGES]) >= 0.5


def _numbers(heard: Heard) -> dict[str, float]:
    return {row["village"]: row["n"] for row in heard.rows if row["n"] is not None}


def test_counts_of_households_do_not_say_who_is_in_two_groups(ground: Ground, analysts: Analysts, policy: str) -> None:
    table = ground.publish(f"union {policy}", rows, COLUMNS, POLICIES[policy], UNIT)
    assert advantage(said(analysts.ask, table), MIXED) <= ground.most(policy, table, MIXED)


def test_control_exact_counts_do() -> None:
    with an_ordinary_engine("villages", rows()) as ask:
        assert advantage(said(ask, "villages"), MIXED) >= CONTROL_MIN
