"""Arrow cells of a source, laid out on the padded table as exact integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bandung.connectors.base import SourceError
from bandung.gateway.disclosure.keys import FINGERPRINT_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.planning.check import CheckedPlan


_FINGERPRINT = 2**FINGERPRINT_BITS - 1


class OutOfRange(SourceError):
    """A number does not fit the declared ranges, so the source is not what was published."""


class ForeignCell(SourceError):
    """A cell's codes are not of the code lists, or came twice, so the source is not what was published."""


class KeyMissing(SourceError):
    """Rows without a record key: the noise would no longer depend on who they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Padded:
    """Columns of a source's table, one element for each key of the padded table.

    Attributes:
        rows: position in the source's table of each key, -1 where the source has no such cell.
    """

    table: pa.Table
    rows: NDArray[np.int64]
    _known: dict[str, NDArray[np.int64]] = field(default_factory=dict[str, "NDArray[np.int64]"])

    @classmethod
    def on(cls, checked: CheckedPlan, table: pa.Table) -> Padded:
        """Lay a table with the columns of `group_by` out on the plan's keys; errors as of `over`."""
        return cls.over(checked.plan.group_by, checked.codes, table)

    @classmethod
    def over(cls, group_by: tuple[str, ...], codes: tuple[tuple[str, ...], ...], table: pa.Table) -> Padded:
        """Lay a table with the columns of `group_by` out on the product of their codes.

        Raises:
            ForeignCell: the table has a cell that is not among these, or one twice.
        """
        rows = np.full(prod(map(len, codes)), -1, dtype=np.int64)
        rows[places(group_by, codes, table)] = np.arange(table.num_rows)
        if np.count_nonzero(rows >= 0) < table.num_rows:
            raise ForeignCell("twice")
        return cls(table, rows)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Where the source has a cell."""
        return self.rows >= 0

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return a column as 64-bit integers; 0 where it is null or there is no cell.

        Raises:
            OutOfRange: a value does not fit.
        """
        if name not in self._known:
            low, high = _words(self.table.column(name))
            if (high != low >> 63).any():
                raise OutOfRange(name)
            self._known[name] = self._laid(low)
            self._known[name].flags.writeable = False
        return self._known[name]

    def exact(self, name: str) -> NDArray[np.object_]:
        """Return a column as Python integers of any size; 0 where it is null or there is no cell."""
        low, high = (self._laid(word) for word in _words(self.table.column(name)))
        return high.astype(object) * 2**64 + low.view(np.uint64).astype(object)

    def fingerprints(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return a column of sums of record keys modulo 2^32; 0 where there is no cell.

        A copy adds up the low halves of the keys, a live source whole ones: so both give the same.

        Args:
            rows: number of the rows whose keys were added up.

        Raises:
            KeyMissing: there are rows, but no sum.
        """
        column = self.table.column(name)
        if column.null_count and (self._laid(column.is_null().to_numpy().astype(np.int64)) * rows).any():
            raise KeyMissing(name)
        return (self._laid(_words(column)[0]) & _FINGERPRINT).view(np.uint64)

    def _laid(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(self.present, values[self.rows], 0) if len(values) else np.zeros(len(self.rows), np.int64)


def key_columns(checked: CheckedPlan) -> dict[str, pa.Array]:
    """Return the columns of a padded table's codes (utf8), in the order of its keys."""
    columns: dict[str, pa.Array] = {}
    total, inner = prod(map(len, checked.codes)), 1
    for name, codes in reversed(list(zip(checked.plan.group_by, checked.codes, strict=True))):
        places = np.arange(total) // inner % max(1, len(codes))
        columns[name] = pa.array(codes, pa.utf8()).take(pa.array(places))
        inner *= len(codes)
    return dict(reversed(columns.items()))


def places(group_by: tuple[str, ...], codes: tuple[tuple[str, ...], ...], table: pa.Table) -> NDArray[np.int64]:
    """Return the position in the product of codes of each row of a table with the columns of `group_by`.

    Raises:
        ForeignCell: a row is not of the padded table.
    """
    found = np.zeros(table.num_rows, dtype=np.int64)
    for name, known in zip(group_by, codes, strict=True):
        found = found * len(known) + _indices(table.column(name), known)
    return found


def _indices(column: pa.ChunkedArray, codes: tuple[str, ...]) -> NDArray[np.int64]:
    """The place of each code in the list."""
    found = pc.call_function("index_in", [column], pc.SetLookupOptions(pa.array(codes, pa.utf8())))
    if found.null_count:
        raise ForeignCell("not in the code list")
    return found.to_numpy().astype(np.int64)


def _words(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The low and the high 64 bits of integers or decimals without fraction; null is 0."""
    filled = column.fill_null(0).combine_chunks()
    if pa.types.is_decimal(filled.type):
        buffer = filled.buffers()[1]
        words = np.frombuffer(buffer, dtype="<i8").reshape(-1, 2)[filled.offset : filled.offset + len(filled)]
        return words[:, 0].copy(), words[:, 1].copy()
    low = filled.to_numpy(zero_copy_only=False).astype(np.int64)
    return low, low >> 63
