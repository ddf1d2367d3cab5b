"""The public cells of a table: combinations of codes, known without looking at the cells' data.

What is taken from the data is only which parent a nested code lies in (districts in provinces), as publication
verified it. A code that no row has is offered under every parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bandung.gateway.domain.dataset import Dimension

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.plan import Plan

    Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Every cell of a plan's table, in code-list order of its grouped columns.

    Attributes:
        codes: the code list of each grouped column.
        positions: for each grouped column, each cell's position in its code list.
        size: number of cells; 1 where nothing is grouped.
    """

    codes: tuple[tuple[str, ...], ...]
    positions: tuple[Positions, ...]
    size: int

    def column(self, index: int) -> pa.Array:
        """Return each cell's code of one grouped column (utf8)."""
        return pa.array(self.codes[index], pa.string()).take(pa.array(self.positions[index]))

    def locate(self, table: pa.Table) -> Positions:
        """Return the cell that each row of an executor's answer belongs to; -1 for a row outside the grid."""
        if not self.codes:
            return np.zeros(len(table), dtype=np.int64)
        if not self.size:
            return np.full(len(table), -1)
        found = [_positions(table.column(index), codes) for index, codes in enumerate(self.codes)]
        known = np.logical_and.reduce([positions >= 0 for positions in found])
        own, wanted = self._rank(self.positions), self._rank(found)
        place = np.minimum(np.searchsorted(own, wanted), self.size - 1)
        return np.where(known & (own[place] == wanted), place, -1)

    def _rank(self, positions: Sequence[Positions]) -> Positions:
        """Number code combinations in code-list order; cells stand in the grid with rising numbers."""
        rank = np.zeros(len(positions[0]), dtype=np.int64)
        for codes, column in zip(self.codes, positions, strict=True):
            rank = rank * len(codes) + column
        return rank


def grid(plan: Plan, epoch: Epoch) -> Grid:
    """Return the cells that a table shows: its code lists, kept to the filters and to nestings that hold."""
    fixed = dict(plan.where)
    codes = {name: _codes(epoch, name) for name in plan.variables}
    filtered = {name: codes[name].index(code) for name, code in fixed.items()}
    placed: dict[str, Positions] = {}
    size = 1
    for name in plan.group_by:
        allowed = np.ones((size, len(codes[name])), dtype=np.bool_)
        if name in filtered:
            allowed &= np.arange(len(codes[name])) == filtered[name]
        for other, position in filtered.items():
            allowed &= _fits(epoch, name, other)[:, [position]].T
        for other, positions in placed.items():
            allowed &= _fits(epoch, name, other)[:, positions].T
        rows, added = np.nonzero(allowed)
        placed = {**{other: positions[rows] for other, positions in placed.items()}, name: added}
        size = len(rows)
    return Grid(tuple(codes[name] for name in plan.group_by), tuple(placed[name] for name in plan.group_by), size)


def cells_at_most(variables: Sequence[str], epoch: Epoch) -> int:
    """Return a bound on the cells of a table of these dimensions; one that another is nested in does not multiply."""
    above = {name: [a for a in _ancestors(epoch, name) if a in variables] for name in variables}
    inner = [name for name in variables if not any(name in ancestors for ancestors in above.values())]
    return prod(_combinations(name, above[name], epoch) for name in inner)


def _combinations(name: str, ancestors: Sequence[str], epoch: Epoch) -> int:
    free = prod(len(_codes(epoch, ancestor)) for ancestor in ancestors)
    lineages = [_lineage(epoch, name, ancestor) for ancestor in ancestors]
    return sum(1 if all(code in lineage for lineage in lineages) else free for code in _codes(epoch, name))


def _fits(epoch: Epoch, name: str, other: str) -> NDArray[np.bool_]:
    """Return for each pair of a code of `name` and one of `other` whether they can meet."""
    if name in _ancestors(epoch, other):
        return _fits(epoch, other, name).T
    fits = np.ones((len(_codes(epoch, name)), len(_codes(epoch, other))), dtype=np.bool_)
    if other in _ancestors(epoch, name):
        lineage, parents = _lineage(epoch, name, other), np.array(_codes(epoch, other))
        for row, code in enumerate(_codes(epoch, name)):
            if code in lineage:
                fits[row] = parents == lineage[code]
    return fits


def _lineage(epoch: Epoch, name: str, ancestor: str) -> dict[str, str]:
    """Return the ancestor's code of each code that occurs."""
    path = [name, *_ancestors(epoch, name)]
    lineage = {code: code for code in _codes(epoch, name)}
    for child, parent in pairwise(path[: path.index(ancestor) + 1]):
        known = epoch.facts.nesting.get((child, parent), {})
        lineage = {code: known[at] for code, at in lineage.items() if at in known}
    return lineage


def _ancestors(epoch: Epoch, name: str) -> tuple[str, ...]:
    """Return the dimensions that this one nests in, nearest first."""
    found: list[str] = []
    column = epoch.dataset.column(name)
    while isinstance(column, Dimension) and column.parent is not None and column.parent not in found:
        found.append(column.parent)
        column = epoch.dataset.column(column.parent)
    return tuple(found)


def _codes(epoch: Epoch, name: str) -> tuple[str, ...]:
    column = epoch.dataset.column(name)
    return tuple(code.code for code in column.codes) if isinstance(column, Dimension) else ()


def _positions(column: pa.ChunkedArray, codes: tuple[str, ...]) -> Positions:
    found = pc.call_function("index_in", [column], pc.SetLookupOptions(pa.array(codes, pa.string())))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)
