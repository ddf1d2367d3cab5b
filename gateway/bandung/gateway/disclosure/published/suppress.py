"""Primary suppression is not enough: which other numbers must be withheld too, so that none can be worked out.

For each sensitive number, upwards and downwards, the cheapest deviation that moves it as far as its protection asks for
is sought; every number that moves in it must be withheld. Numbers that are withheld already move free of charge. This
is the heuristic of Kelly, Golden and Assad (Cell suppression: disclosure protection for sensitive tabular data,
Networks 22, 1992), over all tables of the set at once and with what insiders know. What it returns is protected by
construction, and audited all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.disclosure.published.deviations import Deviations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.disclosure.published.links import Links

MOVED = 1e-7
"""Deviations that are smaller, in units of a number's scale, are the solver's rounding (its feasibility tolerance)."""


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """What is sensitive, and how uncertain it has to be: one element for each number of the set.

    Attributes:
        sensitive: numbers that no table may show.
        up, down: how far above and below its value a sensitive number must be possible, in units of its scale.
        kept: numbers that must not be withheld.
    """

    sensitive: NDArray[np.bool_]
    up: NDArray[np.float64]
    down: NDArray[np.float64]
    kept: NDArray[np.bool_]


def suppress(
    links: Links, needs: Needs, withheld: NDArray[np.bool_], advance: Callable[[], None] = lambda: None
) -> NDArray[np.bool_]:
    """Return the numbers to withhold so that every sensitive one is as uncertain as it has to be.

    A sensitive number for which there is no such set, because of what must be kept or is known, is left as it is; the
    audit finds it.

    Args:
        withheld: numbers that are withheld anyhow, sensitive ones or not.
        advance: called after each sensitive number.
    """
    kept = links.told & needs.kept
    withheld = links.told & (withheld | needs.sensitive) & ~kept
    deviations = Deviations(links, kept)
    moving = deviations.moving
    may_move = moving[~kept[moving]]
    costs = np.where(links.told & ~withheld, 1 + np.log1p(links.records), 0.0)
    deviations.price(moving, costs[moving])
    # How far, upwards and downwards, numbers moved in solutions that need no insider's own sum: these stay solutions.
    reached = np.zeros((2, len(links)))
    sensitive = np.flatnonzero(needs.sensitive & withheld)
    for row in sensitive[np.argsort(-(needs.up + needs.down)[sensitive], kind="stable")].tolist():
        deviations.bound(may_move, -np.inf, np.inf)
        deviations.bound(links.insiders(row), 0, 0)
        for side, (sign, width) in enumerate(((1, float(needs.up[row])), (-1, float(needs.down[row])))):
            if reached[side, row] < width:
                low, high = sorted((sign * width, sign * np.inf))
                deviations.bound(np.array([row]), low, high)
                moved = deviations.cheapest()
                if moved is not None:
                    newly = moving[(np.abs(moved) > MOVED) & (links.told & ~withheld)[moving]]
                    withheld[newly] = True
                    deviations.price(newly, np.zeros(len(newly)))
                    if not (np.abs(moved) > MOVED)[links.single[moving]].any():
                        reached[:, moving] = np.maximum(reached[:, moving], (moved, -moved))
        advance()
    return withheld
