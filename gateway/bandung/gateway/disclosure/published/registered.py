"""From a declaration's registered tables and what the source says of them to links and needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import compress, product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from bandung.connectors.base import CellQuery, ContributionQuery
from bandung.connectors.base import Measure as SourceMeasure
from bandung.gateway.disclosure.cells import Padded
from bandung.gateway.disclosure.published.links import COUNT, Links, Margin, Quantity
from bandung.gateway.disclosure.published.suppress import Needs
from bandung.gateway.disclosure.safety import Safety, Thresholds
from bandung.gateway.domain.dataset import Dimension, Measure
from bandung.gateway.domain.policy import PublishedTables, RegisteredTable
from bandung.gateway.domain.release import Raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.dataset import Epoch

Ask = Callable[[CellQuery, ContributionQuery], Raw]
"""Asks the source for a table's cells, and for the units and largest contributions of each."""


def linked(epoch: Epoch, ask: Ask) -> tuple[Links, Needs]:
    """Return an epoch's registered tables as one system, and what is sensitive in it.

    Raises:
        SourceError: the source failed, or does not hold what was published.
    """
    return _Reader(epoch, ask).read()


@dataclass(frozen=True, slots=True, eq=False)
class _Sensitive:
    """A table's numbers of one statistic: which are sensitive, and how uncertain they must be, in steps."""

    where: NDArray[np.bool_]
    up: NDArray[np.float64]
    down: NDArray[np.float64]


class _Reader:
    def __init__(self, epoch: Epoch, ask: Ask) -> None:
        self._epoch = epoch
        self._policy = epoch.dataset.policy_as(PublishedTables)
        self._ask = ask
        self._tables = self._policy.margins
        names = {s.measure for table in self._tables.values() for s in table.statistics if s.measure}
        self._measures = [measure for measure in epoch.dataset.measures if measure.name in names]
        every = {name for group_by in self._tables for name in group_by}
        self._finest = tuple(sorted(every))

    def read(self) -> tuple[Links, Needs]:
        found = {group_by: self._looked(group_by) for group_by in {*self._tables, self._finest}}
        at = _possible(self._epoch, self._finest)
        margins: list[Margin] = []
        sensitive: dict[tuple[tuple[str, ...], str], _Sensitive] = {}
        for group_by, table in self._tables.items():
            safety = found[group_by]
            margins.append(self._margin(table, safety, at))
            for statistic in table.statistics:
                measure = next((m for m in self._measures if m.name == statistic.measure), None)
                sensitive[group_by, statistic.name] = (
                    self._count(safety) if measure is None else self._sum(safety, measure)
                )
        quantities = self._quantities(found[self._finest].cells, at, sensitive)
        links = Links(tuple(margins), quantities)
        return links, _needs(links, sensitive, self._tables)

    def _looked(self, group_by: tuple[str, ...]) -> Safety:
        measures = tuple(_asked(measure) for measure in self._measures)
        top = max(2, self._policy.dominance_n) if measures else 0
        view, codes = self._epoch.view, _codes(self._epoch, group_by)
        raw = self._ask(CellQuery(view, group_by, (), measures), ContributionQuery(view, group_by, (), measures, top))
        if raw.contributions is None:
            raise ValueError("published tables need every cell's contributions")
        cells, looked = (Padded.over(group_by, codes, table) for table in (raw.cells, raw.contributions))
        return Safety(self._epoch, cells, looked, Thresholds(self._policy.min_units))

    def _margin(self, table: RegisteredTable, safety: Safety, at: NDArray[np.int64]) -> Margin:
        """A finest cell lies where its codes of the table's dimensions are, the last dimension running fastest."""
        codes = _codes(self._epoch, table.group_by)
        place = np.zeros(at.shape[1], dtype=np.int64)
        for name, known in zip(table.group_by, codes, strict=True):
            place = place * len(known) + at[self._finest.index(name)]
        looked = safety.looked
        names = [statistic.name for statistic in table.statistics]
        single = {
            f"sum({measure.name})": looked.integers(f"{measure.name}.units") == 1
            for measure in self._measures
            if looked is not None and f"sum({measure.name})" in names
        }
        return Margin(table.group_by, tuple(product(*codes)), place, frozenset(names), single)

    def _quantities(
        self, finest: Padded, at: NDArray[np.int64], sensitive: Mapping[tuple[tuple[str, ...], str], _Sensitive]
    ) -> dict[str, Quantity]:
        sizes = tuple(len(codes) for codes in _codes(self._epoch, self._finest))
        here = np.ravel_multi_index(tuple(at), sizes) if sizes else np.zeros(1, dtype=np.int64)
        quantities = {COUNT: Quantity(finest.integers("rows")[here], 1, 1)}
        for measure in self._measures:
            name = f"sum({measure.name})"
            wanted = [np.maximum(found.up, found.down)[found.where] for (_, s), found in sensitive.items() if s == name]
            needed = [width for widths in wanted for width in widths.tolist() if width > 0]
            scale = max(1, int(min(needed, default=1)))
            quantities[name] = Quantity(finest.integers(f"{measure.name}.sum")[here], *_range(measure), scale)
        return quantities

    def _count(self, safety: Safety) -> _Sensitive:
        """A count of too few units: for all that can be worked out, there may be enough of them."""
        rows = safety.rows(None)
        where = (rows > 0) & ~safety.enough_units(None)
        up = np.where(where, np.maximum(1, self._policy.min_units - rows), 0).astype(np.float64)
        return _Sensitive(where, up, np.zeros(len(rows)))

    def _sum(self, safety: Safety, measure: Measure) -> _Sensitive:
        """A sum that gives a contributor away, or tells everybody's value.

        The widths for the p %-rule, p/100 x1 - (X - x1 - x2), and for dominance, 100/k (x1 + … + xn) - X, are those of
        Hundepool et al., Statistical Disclosure Control, 2012, section 4.2; a sum of too few units must be uncertain by
        p % of it. A sum near its least or greatest value must be possible as far from it as the rule asks for. Nothing
        can be made uncertain beyond what the declared range says of so many records.
        """
        asked, policy, looked = _asked(measure), self._policy, safety.looked
        if looked is None:
            raise ValueError("published tables need every cell's contributions")
        rows, everybody = safety.rows(None), safety.tells_everybody(asked)
        where = (rows > 0) & (~safety.sum_safe(asked) | everybody)
        value, total = safety.cells.integers(f"{measure.name}.sum").astype(np.float64), safety.total(asked)
        top = [looked.integers(f"{measure.name}.top{rank + 1}") for rank in range(max(2, policy.dominance_n))]
        share = policy.p_percent / 100
        few = ~(safety.enough_units(None) & safety.enough_units(asked))
        width = np.maximum.reduce(
            [
                np.ones(len(rows)),
                share * top[0] - (total - top[0] - top[1]),
                100 / policy.dominance_k_percent * sum(top[: policy.dominance_n]) - total,
                np.where(few, share * total, 0),
            ]
        )
        (least, greatest), contributors = measure.range_steps, safety.rows(asked)
        far = policy.min_units * self._epoch.dataset.unit_rows_max
        up = np.maximum(width, np.where(everybody, far - (value - contributors * least), 0))
        down = np.maximum(width, np.where(everybody, far - (contributors * greatest - value), 0))
        lowest, highest = (bound * rows.astype(np.float64) for bound in _range(measure))
        return _Sensitive(
            where,
            np.where(where, np.minimum(up, highest - value), 0),
            np.where(where, np.minimum(down, value - lowest), 0),
        )


def _asked(measure: Measure) -> SourceMeasure:
    return SourceMeasure(measure.name, signed=measure.minimum < 0, optional=measure.optional)


def _range(measure: Measure) -> tuple[int, int]:
    """What one record may add, in steps; nothing where a value may be missing."""
    least, greatest = measure.range_steps
    return (min(0, least), max(0, greatest)) if measure.optional else (least, greatest)


def _codes(epoch: Epoch, group_by: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    dimensions = [epoch.dataset.column(name) for name in group_by]
    return tuple(tuple(c.code for c in column.codes) for column in dimensions if isinstance(column, Dimension))


def _possible(epoch: Epoch, finest: tuple[str, ...]) -> NDArray[np.int64]:
    """The finest cells that can have records: for each dimension (rows), the position of the code of each cell.

    A code that nests in another occurs with that one alone, as publication verified.
    """
    codes = _codes(epoch, finest)
    at = np.indices(tuple(map(len, codes))).reshape(len(codes), prod(map(len, codes)))
    possible = np.ones(at.shape[1], dtype=np.bool_)
    for (child, parent), above in epoch.facts.nesting.items():
        if child in finest and parent in finest:
            own, upper = finest.index(child), finest.index(parent)
            meets = np.array(
                [[above.get(code, outer) == outer for outer in codes[upper]] for code in codes[own]], dtype=np.bool_
            )
            possible &= meets[at[own], at[upper]]
    return at[:, possible]


def _needs(
    links: Links,
    sensitive: Mapping[tuple[tuple[str, ...], str], _Sensitive],
    tables: Mapping[tuple[str, ...], RegisteredTable],
) -> Needs:
    """Lay what is sensitive out on the rows of the links, which are in the order of a table's keys."""
    where, kept = np.zeros(len(links), dtype=np.bool_), np.zeros(len(links), dtype=np.bool_)
    up, down = np.zeros(len(links)), np.zeros(len(links))
    for (group_by, statistic), rows in links.blocks.items():
        kept[rows] = tables[group_by].complete
        found = sensitive.get((group_by, statistic))
        if found is not None:
            where[rows] = found.where
            up[rows], down[rows] = found.up / links.scale[rows], found.down / links.scale[rows]
    return Needs(where, up, down, kept)


def cells_of(links: Links, mask: NDArray[np.bool_]) -> Mapping[tuple[tuple[str, ...], str], frozenset[tuple[str, ...]]]:
    """Return the cells of the marked numbers, with an entry for every statistic that a table tells."""
    return {
        place: frozenset(number.key for number in compress(links.numbers[rows], mask[rows]))
        for place, rows in links.blocks.items()
        if links.told[rows].all()
    }
