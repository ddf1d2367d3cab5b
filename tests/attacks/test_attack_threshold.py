"""Thresholds: bring a group to one person below the threshold, and see whether the cell is shown.

Whoever knows nine others of a group need not read a number: that there is one says that the tenth is there. The rule
itself becomes the oracle (Fellegi 1972; Adam, Wortmann: Security-control methods for statistical databases, ACM
Computing Surveys 21(4), 1989, section 3.1). Here the attacker knows everybody of a hamlet but its guest, or everybody's
yes or no but one. Under `table-builder` a cell's threshold is its own, drawn by its records, so that one chance in five
turns on the guest; but several cells with the guest, which leave another acquaintance out each, all turn on the guest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    WEAKENED,
    Analysts,
    Ground,
    advantage,
    cannot_promise,
    dimension,
    measure,
)

OTHERS = [9, 10, 11, 12, 13, 3, 20]
"""People besides the guest: one below each threshold that there may be, and away from all of them."""
KNOWN = np.repeat(OTHERS, [4200] * 5 + [600] * 2)
"""By hamlet."""
GUESTS = np.random.default_rng(11).permutation(np.arange(len(KNOWN)) % 2 == 0)
FEW = slice(400)
RESIDENTS = 30
SIDE = 150
"""Districts, and hamlets in each; the last district is a town."""
AWAY = [f"away{number}" for number in range(12)]
"""Columns that each leave one acquaintance out."""
DISTRICTS = [f"d{number}" for number in range(SIDE)]
COLUMNS = {
    "district": dimension(DISTRICTS),
    "hamlet": dimension([f"h{number}" for number in range(SIDE)]),
    "spend": measure(0, 1000),
    "agrees": measure(0, 1),
}


def population(residents: np.ndarray, agreeing: np.ndarray) -> pa.Table:
    """Hamlets with so many residents each, of whom so many agree, and a town, of which half does."""
    townspeople = 2 * 20 * SIDE * SIDE - residents.sum()
    homes = np.repeat([*range(len(residents)), SIDE * SIDE - 1], [*residents, townspeople])
    place = np.arange(len(homes)) - np.searchsorted(homes, homes)
    agrees = place < np.append(agreeing, townspeople // 2)[np.minimum(homes, len(residents))]
    return pa.table(
        {
            "district": pa.array(DISTRICTS).take(pa.array(homes // SIDE)),
            "hamlet": pa.array([f"h{number}" for number in range(SIDE)]).take(pa.array(homes % SIDE)),
            "person": pa.array(np.arange(len(homes))),
            "spend": np.random.default_rng(12).integers(100, 200, len(homes)),
            "agrees": agrees.astype(np.int64),
            **{name: pa.array(place == number).cast(pa.string()) for number, name in enumerate(AWAY)},
        }
    )


def with_guests(others: np.ndarray) -> pa.Table:
    """So many people in each hamlet, its guest in half of them, and a town."""
    return population(others + GUESTS[: len(others)], others)


def all_known(others: np.ndarray) -> pa.Table:
    """As many residents in every hamlet, of whom so many agree, and one more in half of the hamlets."""
    return population(np.full(len(others), RESIDENTS), others + GUESTS[: len(others)])


def shown(analysts: Analysts, table: str, statistic: str, where: str = "") -> np.ndarray:
    """In which hamlets there is a number."""
    rows = analysts.table(
        f"SELECT district, hamlet, {statistic} AS told FROM {table} {where} GROUP BY district, hamlet"
    )
    told = {(row["district"], row["hamlet"]) for row in rows if row["told"] is not None}
    assert (DISTRICTS[-1], f"h{SIDE - 1}") in told
    return np.array([(DISTRICTS[at // SIDE], f"h{at % SIDE}") in told for at in range(len(KNOWN))])


@pytest.mark.parametrize("statistic", ["COUNT(*)", "SUM(spend)", "AVG(spend)"])
def test_whether_a_cell_is_shown_does_not_say_who_is_in_it(
    ground: Ground, analysts: Analysts, policy: str, statistic: str
) -> None:
    table = ground.publish(f"threshold {policy}", lambda: with_guests(KNOWN), COLUMNS, POLICIES[policy])
    said = shown(analysts, table, statistic)
    for here in (others == KNOWN for others in OTHERS):
        assert advantage(said[here], GUESTS[here]) <= ground.most(policy, table, GUESTS[here])


@pytest.mark.parametrize("statistic", ["SUM(agrees)", "AVG(agrees)"])
def test_whether_a_sum_of_ones_is_shown_does_not_say_whose_they_are(
    ground: Ground, analysts: Analysts, policy: str, statistic: str
) -> None:
    table = ground.publish(f"agreement {policy}", lambda: all_known(KNOWN), COLUMNS, POLICIES[policy])
    said = shown(analysts, table, statistic)
    for here in (others == KNOWN for others in OTHERS):
        assert advantage(said[here], GUESTS[here]) <= ground.most(policy, table, GUESTS[here])


def test_whether_several_cells_are_shown_does_not_say_who_is_in_all_of_them(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    """Thirteen acquaintances and the guest; each cell leaves one of the thirteen out."""
    cannot_promise(request, policy, "threshold")
    columns = {**COLUMNS, **{name: dimension(["false", "true"]) for name in AWAY}}
    thirteen = np.full(FEW.stop, 13)
    table = ground.publish(f"several {policy}", lambda: with_guests(thirteen), columns, POLICIES[policy])
    found = sum(shown(analysts, table, "COUNT(*)", f"WHERE {name} = 'false'")[FEW].astype(int) for name in AWAY)
    assert advantage(found > 0.7 * len(AWAY), GUESTS[FEW]) <= ground.most(policy, table, GUESTS[FEW])


@pytest.mark.parametrize("policy", ["table-builder"])
@pytest.mark.parametrize(
    ("statistic", "rows"), [("COUNT(*)", with_guests), ("SUM(spend)", with_guests), ("SUM(agrees)", all_known)]
)
def test_control_a_bare_threshold_says_it(
    ground: Ground, policy: str, statistic: str, rows: Callable[[np.ndarray], pa.Table]
) -> None:
    two = np.full(FEW.stop, 2)
    table = ground.publish(f"{rows.__name__} {policy} weakened", lambda: rows(two), COLUMNS, WEAKENED[policy])
    assert advantage(shown(ground.analysts(1), table, statistic)[FEW], GUESTS[FEW]) >= CONTROL_MIN
