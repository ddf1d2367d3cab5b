"""A town of many villages: each is one trial of an attack on one person whose secret was planted there.

About sixty villagers live in each village, farmers and fishers below eighty, of both sexes. Besides them there is the
*smith*, the only one of the trade, who is there in every village and whose illness is a secret; and the *elder*, the
only person above eighty, whose being there at all is a secret. What everybody else does is independent of the secrets.

Three of their numbers hardly differ: everybody's survey weight, the benefit of all who are ill, the year of birth.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.attacking import dimension, measure

VILLAGES = 120
VILLAGERS = 60
NAMES = [f"v{number:03}" for number in range(VILLAGES)]
_DRAW = np.random.default_rng(20260101)
ELDERS = _DRAW.permutation(np.arange(VILLAGES) % 2 == 0)
"""Whether each village has an elder."""
ILL_SMITHS = _DRAW.permutation(np.arange(VILLAGES) % 2 == 0)
"""Whether each village's smith is ill."""

COLUMNS: dict[str, Any] = {
    "village": dimension(NAMES),
    "age_group": dimension(["0-39", "40-79", "80+"]),
    "sex": dimension(["F", "M"]),
    "trade": dimension(["farm", "fish", "smith"]),
    "ill": dimension(["N", "Y"]),
    "income": measure(0, 5_000),
    "sick": measure(0, 1),
    "weight": measure(0, 3, decimals=1),
    "benefit": measure(0, 1_000),
    "birth_year": measure(1900, 2026),
}
WEIGHT, BENEFIT, BIRTH_YEARS = 1.5, 500, {"0-39": 2006, "40-79": 1966, "80+": 1941}


@cache
def rows() -> pa.Table:
    """The town's people, one row for each."""
    return pa.Table.from_pylist([person for number in range(VILLAGES) for person in _village(number)])


def _village(number: int) -> list[dict[str, Any]]:
    draw = np.random.default_rng([7, number])
    people = [_villager(draw) for _ in range(VILLAGERS)]
    people.append(_person("40-79", "M", "smith", ILL_SMITHS[number], int(draw.integers(500, 3000))))
    if ELDERS[number]:
        people.append(_person("80+", "F", "farm", ill=False, income=int(draw.integers(500, 3000))))
    return [{"person": f"{NAMES[number]}-{i}", "village": NAMES[number], **each} for i, each in enumerate(people)]


def _villager(draw: np.random.Generator) -> dict[str, Any]:
    band, sex, trade = (str(draw.choice(values)) for values in (["0-39", "40-79"], ["F", "M"], ["farm", "fish"]))
    return _person(band, sex, trade, ill=draw.random() < 0.5, income=int(draw.integers(500, 3000)))


def _person(age_group: str, sex: str, trade: str, ill: Any, income: int) -> dict[str, Any]:
    sick = int(ill)
    return {
        "age_group": age_group,
        "sex": sex,
        "trade": trade,
        "ill": "NY"[sick],
        "income": income,
        "sick": sick,
        "weight": WEIGHT,
        "benefit": BENEFIT * sick,
        "birth_year": BIRTH_YEARS[age_group],
    }
