"""A set of linked tables as one system of sums over the finest cells that all of its tables are made of.

A linear relation between published numbers is a relation between such sums: margins, hierarchies, tables that share
a margin, and several statistics of the same records alike. So nothing that links tables has to be listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Scalar = TypeVar("_Scalar", bound=np.generic)

COUNT = "count"


@dataclass(frozen=True, slots=True, eq=False)
class Margin:
    """One table of the set; the margins of a table are tables of their own.

    Attributes:
        group_by: its dimensions, sorted.
        keys: its cells, all of the public code lists.
        place: for each finest cell, the position in `keys` of the cell that it lies in.
        statistics: what the table tells: `count`, `sum(x)`.
        single: by statistic, where one unit alone contributes to a cell; a statistic that is not there has no such
            cell.
    """

    group_by: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    place: NDArray[np.int64]
    statistics: frozenset[str]
    single: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """What is added up: records, or a measure of theirs.

    Attributes:
        values: at each finest cell, in steps of the last carried digit.
        least, greatest: of one record, as is publicly known, in steps.
        scale: steps that programs reckon with as one: the least protection that is wanted of a sum.
    """

    values: NDArray[np.int64]
    least: int
    greatest: int
    scale: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Number:
    """One number of the set: a statistic of a cell of a table."""

    group_by: tuple[str, ...]
    statistic: str
    key: tuple[str, ...]


class Links:
    """The numbers of a set of tables as sums of unknowns: one row for each number.

    The unknowns are each quantity at each finest cell, quantity after quantity. The count of every cell has a row,
    whether or not a table tells it, because everybody knows of a cell that is not shown as empty that it is not.

    Attributes:
        numbers: what each row is.
        blocks: the rows of each table's statistic, one for each of its keys.
        index, owner: the unknowns that are added up, row after row, and the row that each of these belongs to.
        told: rows that a table tells.
        count: rows that count records.
        records: the records in the cell of each row.
        scale: steps that one unit of the row stands for.
        values: each unknown in units of its quantity's scale.
        single: rows of sums to which one unit alone contributes.
    """

    def __init__(self, margins: tuple[Margin, ...], quantities: Mapping[str, Quantity]) -> None:
        self.quantities = quantities
        names, cells = list(quantities), len(quantities[COUNT].values)
        self.cells = cells
        blocks = [(m, s) for m in margins for s in names if s == COUNT or s in m.statistics]
        self.numbers = tuple(Number(m.group_by, s, key) for m, s in blocks for key in m.keys)
        self.index = np.concatenate([np.argsort(m.place, kind="stable") + names.index(s) * cells for m, s in blocks])
        lengths = np.concatenate([np.bincount(m.place, minlength=len(m.keys)) for m, _ in blocks])
        self.start = np.concatenate([[0], np.cumsum(lengths)])
        ends = np.cumsum([len(m.keys) for m, _ in blocks]).tolist()
        self.blocks = {(m.group_by, s): slice(end - len(m.keys), end) for (m, s), end in zip(blocks, ends, strict=True)}
        self.owner = np.repeat(np.arange(len(lengths)), lengths)

        def each(of: Callable[[Margin, str], NDArray[_Scalar]]) -> NDArray[_Scalar]:
            return np.concatenate([of(margin, statistic) for margin, statistic in blocks])

        counts = quantities[COUNT].values
        self.told = each(lambda m, s: np.full(len(m.keys), s in m.statistics))
        self.count = each(lambda m, s: np.full(len(m.keys), s == COUNT))
        self.records = each(lambda m, _: np.bincount(m.place, counts, len(m.keys)))
        self.scale = each(lambda m, s: np.full(len(m.keys), quantities[s].scale))
        self.single = each(lambda m, s: m.single.get(s, np.zeros(len(m.keys), dtype=np.bool_)))
        self.values = np.concatenate([quantity.values / quantity.scale for quantity in quantities.values()])

    def __len__(self) -> int:
        return len(self.numbers)

    def unknowns(self, row: int) -> NDArray[np.int64]:
        """Return the unknowns that a row adds up."""
        return self.index[self.start[row] : self.start[row + 1]]

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each row adds up to, of values of the unknowns."""
        return np.bincount(self.owner, values[self.index], len(self)).astype(np.float64)

    @cached_property
    def empty(self) -> NDArray[np.bool_]:
        """Unknowns that everybody knows to be 0: those of a cell that a table shows as empty, which is always shown."""
        known = np.zeros(self.cells, dtype=np.bool_)
        known[self.index[(self.told & (self.records == 0))[self.owner]] % self.cells] = True
        return np.tile(known, len(self.quantities))

    def insiders(self, row: int) -> NDArray[np.int64]:
        """Return the rows whose only contributor knows them, apart from those that share a record with this row."""
        mine = np.zeros(self.cells, dtype=np.bool_)
        mine[self.unknowns(row) % self.cells] = True
        mine &= self.quantities[COUNT].values > 0
        shared = np.bincount(self.owner, mine[self.index % self.cells], len(self)) > 0
        return np.flatnonzero(self.single & ~shared)
