"""A business register of many regions: each is one trial of an attack on its giant, whose turnover is the secret.

Sixty small firms of three sectors work in each region, and a giant whose turnover is either of two values. In another
register that giant is not there, but the mines of half the regions have one. Attributes do not depend on the secrets.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.attacking import dimension, measure

REGIONS = [f"r{number:03}" for number in range(1000)]
SMALL = 60
SECTORS = ("mine", "farm", "shop")
ATTRIBUTES = tuple(f"a{number}" for number in range(6))
LOW, HIGH = 10_000, 11_500
"""Fifteen per cent apart, as near as the p %-rule lets nobody come by default."""
_DRAW = np.random.default_rng(20260102)
RICH = _DRAW.permutation(np.arange(len(REGIONS)) % 2 == 0)
"""Whether each region's giant has the higher turnover."""
MINED = _DRAW.permutation(np.arange(len(REGIONS)) % 2 == 0)
"""Whether each region has a giant mine."""
_TURNOVER = measure(0, 52_000, source="turnover")
COLUMNS: dict[str, Any] = {
    "region": dimension(REGIONS),
    "sector": dimension(SECTORS),
    **{attribute: dimension(["N", "Y"]) for attribute in ATTRIBUTES},
    "turnover": _TURNOVER,
    **{f"turnover_again_{number}": _TURNOVER for number in range(6)},
}


@cache
def rows(*, mines: bool = False) -> pa.Table:
    """The register, one row for each firm.

    Args:
        mines: with the giant mines instead of the giants whose turnover is the secret.
    """
    firms: list[dict[str, Any]] = []
    for number, region in enumerate(REGIONS):
        draw = np.random.default_rng([8, number])
        turnovers, said = draw.integers(150, 250, SMALL), draw.choice(["N", "Y"], (SMALL + 1, len(ATTRIBUTES)))
        found = [_firm(SECTORS[i % 3], int(turnovers[i]), said[i]) for i in range(SMALL)]
        if mines and MINED[number]:
            found.append(_firm("mine", 50_000, said[SMALL]))
        if not mines:
            found.append(_firm("farm", HIGH if RICH[number] else LOW, ["Y"] * len(ATTRIBUTES)))
        firms += [{"person": f"{region}-{i}", "region": region, **firm} for i, firm in enumerate(found)]
    return pa.Table.from_pylist(firms)


def _firm(sector: str, turnover: int, said: Iterable[str]) -> dict[str, Any]:
    return {"sector": sector, "turnover": turnover, **dict(zip(ATTRIBUTES, map(str, said), strict=True))}


@cache
def small_turnover(**where: str) -> dict[str, float]:
    """What the firms other than the giants turn over in each region: the attacker's knowledge."""
    totals = dict.fromkeys(REGIONS, 0.0)
    for firm in rows().to_pylist():
        if firm["turnover"] < LOW and all(firm[name] == code for name, code in where.items()):
            totals[firm["region"]] += firm["turnover"]
    return totals
