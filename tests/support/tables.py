"""Registered tables in memory: rows by brute force, then the product's own links, suppression and audit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bandung.connectors import reckoning
from bandung.connectors.base import CellQuery, ContributionQuery, Stop
from bandung.gateway.disclosure.published.links import COUNT, Links, Margin, Quantity
from bandung.gateway.disclosure.published.registered import linked
from bandung.gateway.disclosure.published.suppress import Needs
from bandung.gateway.domain.dataset import Dataset, Epoch
from bandung.gateway.domain.plan import Statistic
from bandung.gateway.domain.policy import PublishedTables, RegisteredTable, TrainingRules
from bandung.gateway.domain.release import Raw
from tests.support.builders import a_dataset, an_epoch
from tests.support.protection import rows_of

SUM = "sum(income)"


def a_table(*group_by: str, statistics: tuple[str, ...] = (COUNT, SUM), complete: bool = False) -> RegisteredTable:
    """A registered table; statistics are `count` or `sum(x)`."""
    asked = tuple(sorted(Statistic(*name.rstrip(")").split("(")) for name in statistics))
    return RegisteredTable(tuple(sorted(group_by)), asked, complete)


def a_registered_dataset(*tables: RegisteredTable, **changes: Any) -> Dataset:
    """`a_dataset()` with these tables registered; rules such as `min_units=3` and fields of the dataset can change."""
    rules = {name: changes.pop(name) for name in list(changes) if name in PublishedTables.__dataclass_fields__}
    return a_dataset(policy=PublishedTables(tables=tables, **rules), training=TrainingRules(), **changes)


@dataclass(frozen=True)
class Held:
    """Rows as a source holds them."""

    rows: pa.Table

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        return reckoning.cells(query, self.rows)

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        return reckoning.contributions(query, self.rows)


def links_of(
    dataset: Dataset,
    records: list[dict[str, Any]],
    nesting: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
) -> tuple[Epoch, Links, Needs]:
    """What publication works out of these records: the epoch, the linked numbers, and what they need."""
    epoch, held = an_epoch(dataset, rows=len(records)), Held(rows_of(records))
    epoch = replace(epoch, facts=replace(epoch.facts, nesting=nesting or {}))
    return epoch, *linked(epoch, lambda cells, look: Raw(held.cells(cells, Stop()), held.contributions(look, Stop())))


def a_square(values: list[list[int]], *, records: int = 100) -> Links:
    """Sums in rows and columns, with all margins: as many records in each cell, none of them worth less than 0."""
    height, width = len(values), len(values[0])
    cells = list(itertools.product([f"{i}" for i in range(height)], [f"{j}" for j in range(width)]))
    margins = tuple(_margin(dims, cells) for size in range(3) for dims in itertools.combinations((0, 1), size))
    flat = np.array(values, dtype=np.int64).ravel()
    counts = np.full(len(flat), records, dtype=np.int64)
    return Links(margins, {COUNT: Quantity(counts, 1, 1), SUM: Quantity(flat, 0, 10**6)})


def _margin(dims: tuple[int, ...], cells: list[tuple[str, str]]) -> Margin:
    keys = list(dict.fromkeys(tuple(cell[d] for d in dims) for cell in cells))
    place = np.array([keys.index(tuple(cell[d] for d in dims)) for cell in cells])
    return Margin(tuple("rc"[d] for d in dims), tuple(keys), place, frozenset({COUNT, SUM}), {})


def marked(links: Links, statistic: str, *cells: tuple[str, ...]) -> NDArray[np.bool_]:
    """Mark numbers of a statistic by their keys; `()` is the total, `("1", "2")` a cell of the finest table."""
    wanted = [n.statistic == statistic and n.key in cells for n in links.numbers]
    return np.array(wanted)


def row(links: Links, statistic: str, group_by: tuple[str, ...], *key: str) -> int:
    """The row of one number."""
    return next(
        i for i, n in enumerate(links.numbers) if (n.group_by, n.statistic, n.key) == (group_by, statistic, key)
    )


def consistent(counts: NDArray[np.int64], withheld: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Every table of counts with the same margins and the same shown cells, no withheld cell empty: by trying all."""
    most = np.minimum.outer(counts.sum(1), counts.sum(0))
    ranges = [range(1, most[place] + 1) if withheld[place] else [counts[place]] for place in np.ndindex(*counts.shape)]
    for guess in itertools.product(*ranges):
        table = np.array(guess).reshape(counts.shape)
        if (table.sum(0) == counts.sum(0)).all() and (table.sum(1) == counts.sum(1)).all():
            yield table
