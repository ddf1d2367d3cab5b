"""What can be worked out of the tables as they would be published: the attainable bounds of every withheld number.

The attack is a linear program for each bound, by somebody who knows all shown numbers, the declared ranges and which
cells are empty; against a sensitive number, also every other sum that has but one contributor, who knows it.
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
    from bandung.gateway.disclosure.published.suppress import Needs

TOLERANCE = 1e-6
"""By how much, in units of a number's scale, an attainable bound may fall short: ten times the solver's tolerance."""


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """How far each withheld number is uncertain; one element for each number of the set, 0 for shown ones.

    Attributes:
        withheld: numbers that are not shown.
        down, up: how far below and above its value a number is possible, in units of its scale; infinite if unbounded.
        short: withheld numbers that are less uncertain than they have to be, and sensitive ones that are shown.
    """

    withheld: NDArray[np.bool_]
    down: NDArray[np.float64]
    up: NDArray[np.float64]
    short: NDArray[np.bool_]

    @property
    def safe(self) -> bool:
        """Whether every sensitive number is protected and none of the others is known exactly."""
        return not self.short.any()


def audit(links: Links, needs: Needs, withheld: NDArray[np.bool_], advance: Callable[[], None] = lambda: None) -> Audit:
    """Attack every withheld number and judge what comes out.

    Args:
        advance: called after each withheld number.
    """
    withheld = links.told & withheld
    sensitive = links.told & needs.sensitive
    down, up = attainable(links, withheld, sensitive, advance)
    enough = (up >= needs.up - TOLERANCE) & (down >= needs.down - TOLERANCE)
    exact = withheld & (up + down <= TOLERANCE)
    return Audit(withheld, down, up, (sensitive & ~(withheld & enough)) | exact)


def attainable(
    links: Links,
    withheld: NDArray[np.bool_],
    sensitive: NDArray[np.bool_],
    advance: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far below and above its value each withheld number is possible; 0 for shown ones.

    Args:
        sensitive: numbers that are attacked by insiders too.
    """
    deviations = Deviations(links, links.told & ~withheld)
    down, up = np.zeros(len(links)), np.zeros(len(links))
    for row in np.flatnonzero(withheld).tolist():
        known = links.insiders(row) if sensitive[row] else np.array([], dtype=np.int64)
        known = known[withheld[known]]
        deviations.bound(known, 0, 0)
        down[row], up[row] = deviations.furthest(row, -1), deviations.furthest(row, 1)
        deviations.bound(known, -np.inf, np.inf)
        advance()
    return down, up
