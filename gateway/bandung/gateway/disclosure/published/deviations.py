"""By how much the numbers of a set of tables could differ from the true ones, for all that is publicly known.

A *deviation* is another set of tables less the true one. It is linear: unknowns deviate, and a number deviates by the
sum of its unknowns. Reckoning with deviations keeps the true values, however large, out of the programs' equations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.disclosure.published.links import COUNT
from bandung.gateway.disclosure.published.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bandung.gateway.disclosure.published.links import Links, Quantity
    from bandung.gateway.disclosure.published.program import Bounds, Entries


class Deviations:
    """The program of all deviations; each number's ways up and down are columns of it.

    What is known whoever asks: counts are not negative, records add to a sum within the declared range of the measure,
    and a cell that is not shown as empty is not. Deviations are in units of a number's `scale`.

    Args:
        still: numbers that are shown, and never deviate.

    Attributes:
        moving: the numbers that can deviate at all, as rows of `links`.
    """

    def __init__(self, links: Links, still: NDArray[np.bool_]) -> None:
        self._links = links
        self._free = _free(links, still)
        inside = self._free[links.index]
        movable = np.bincount(links.owner, inside, len(links)) > 0
        self.moving = np.flatnonzero(movable)
        self._place = np.where(movable, np.cumsum(movable) - 1, -1)
        self._column = np.cumsum(self._free) - 1
        self._unknowns, moving = int(self._free.sum()), len(self.moving)
        low, ranges = self._lowest(), list(self._ranges())
        sums = self._sums(inside)
        height = sum(len(slack) for slack, _ in ranges)
        zero, infinite = np.zeros(moving), np.full(moving, np.inf)
        self._down_most = self._known(low)
        columns: Bounds = (
            np.concatenate([low, zero, zero]),
            np.concatenate([np.full(self._unknowns, np.inf), infinite, self._down_most]),
        )
        rows: Bounds = (
            np.concatenate([zero, np.full(height, -np.inf)]),
            np.concatenate([zero, *(slack for slack, _ in ranges)]),
        )
        self._program = Program(columns, rows, _stacked(sums, moving, ranges))
        self.bound(np.flatnonzero(still), 0, 0)

    def bound(self, rows: NDArray[np.int64], low: float, high: float) -> None:
        """Let numbers deviate from `low` to `high` and no further; infinite means as far as is possible."""
        at = self._at(rows)
        each = np.ones(len(at))
        self._program.bound(self._up(at), (each * max(low, 0), each * max(high, 0)))
        self._program.bound(self._down(at), (each * max(-high, 0), np.minimum(self._down_most[at], max(-low, 0))))

    def price(self, rows: NDArray[np.int64], costs: NDArray[np.float64]) -> None:
        """Set what a deviation of numbers by one unit costs, in either direction."""
        keep = self._place[rows] >= 0
        for column in (self._up, self._down):
            self._program.price(column(self._at(rows)), costs[keep])

    def furthest(self, row: int, sign: int) -> float:
        """Return how far a number can deviate upwards (sign 1) or downwards (-1), while nothing has a price."""
        at = self._at(np.array([row]))
        if not len(at):
            return 0.0
        pair = np.concatenate([self._up(at), self._down(at)])
        self._program.price(pair, np.array([-sign, sign], dtype=np.float64))
        found = self._program.solve()
        self._program.price(pair, np.zeros(2))
        return np.inf if found is None else max(0.0, float(sign * (found[pair[0]] - found[pair[1]])))

    def cheapest(self) -> NDArray[np.float64] | None:
        """Return the deviation of each of `moving` in a cheapest solution, or None if the bounds allow none."""
        found = self._program.solve()
        if found is None:
            return None
        at = np.arange(len(self.moving))
        return found[self._up(at)] - found[self._down(at)]

    def _at(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        at = self._place[rows]
        return at[at >= 0]

    def _up(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        return at + self._unknowns

    def _down(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        return at + self._unknowns + len(self.moving)

    def _known(self, low: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far each moving number can go down: a cell that is not shown as empty has a record."""
        links, lowest = self._links, np.zeros(len(self._free))
        lowest[self._free] = low
        records = np.where(links.count & (links.records > 0), links.records - 1, np.inf)
        return np.minimum(-links.total(lowest), records)[self.moving]

    def _lowest(self) -> NDArray[np.float64]:
        """How far each free unknown can go down, whatever else is true: 0 at least, where nothing is below 0."""
        links = self._links
        parts = [
            -quantity.values / quantity.scale if quantity.least >= 0 else np.full(links.cells, -np.inf)
            for quantity in links.quantities.values()
        ]
        return np.concatenate(parts)[self._free]

    def _sums(self, inside: NDArray[np.bool_]) -> Entries:
        """A number's way up less its way down is the sum of its unknowns' deviations."""
        row, column = self._place[self._links.owner[inside]], self._column[self._links.index[inside]]
        at = np.arange(len(self.moving))
        ones = np.ones(len(at))
        return (
            np.concatenate([row, at, at]),
            np.concatenate([column, self._up(at), self._down(at)]),
            np.concatenate([np.ones(len(row)), -ones, ones]),
        )

    def _ranges(self) -> Iterator[tuple[NDArray[np.float64], Entries]]:
        """With n records of a measure from a to b, their sum s is from n a to n b; slacks and coefficients."""
        for number, (name, quantity) in enumerate(self._links.quantities.items()):
            if name != COUNT:
                yield self._range(number, quantity, quantity.greatest, 1)
                if quantity.least:
                    yield self._range(number, quantity, quantity.least, -1)

    def _range(self, number: int, quantity: Quantity, bound: int, sign: int) -> tuple[NDArray[np.float64], Entries]:
        """`sign (s - bound n)` is at most 0, divided by the larger coefficient."""
        cells, counts = self._links.cells, self._links.quantities[COUNT].values
        summed, counted = (self._free[at * cells : (at + 1) * cells] for at in (number, 0))
        at = np.flatnonzero(summed | counted)
        size = max(quantity.scale, abs(bound))
        slack = sign * (bound * counts.astype(object) - quantity.values)[at]
        in_sum, in_count = np.flatnonzero(summed[at]), np.flatnonzero(counted[at])
        entries: Entries = (
            np.concatenate([in_sum, in_count]),
            np.concatenate([self._column[at[in_sum] + number * cells], self._column[at[in_count]]]),
            np.concatenate(
                [
                    np.full(len(in_sum), sign * quantity.scale / size),
                    np.full(len(in_count), -sign * bound / size),
                ]
            ),
        )
        return (slack / size).astype(np.float64), entries


def _free(links: Links, still: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Unknowns that may deviate: not in a cell known as empty, and not the last free one of a number that is shown."""
    free = ~links.empty
    while True:
        left = np.bincount(links.owner, free[links.index], len(links))
        last = (still & (left == 1))[links.owner] & free[links.index]
        if not last.any():
            return free
        free[links.index[last]] = False


def _stacked(sums: Entries, height: int, ranges: list[tuple[NDArray[np.float64], Entries]]) -> Entries:
    blocks = [sums]
    for slack, (row, column, factor) in ranges:
        blocks.append((row + height, column, factor))
        height += len(slack)
    row, column, factor = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return row, column, factor
