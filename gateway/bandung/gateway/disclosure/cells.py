"""Arrow cells of a source, laid out on the padded table as exact integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bandung.connectors.base import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Keys = tuple[tuple[str, ...], ...]


class OutOfRange(SourceError):
    """A sum does not fit 64 bits; the declared ranges forbid it, so the source is not what was published."""


@dataclass(frozen=True, slots=True, eq=False)
class Padded:
    """Columns of a source's table, one element for each key of the padded table.

    Attributes:
        rows: position in the source's table of each key, -1 where the source has no such cell.
    """

    table: pa.Table
    rows: NDArray[np.int64]

    @classmethod
    def on(cls, keys: Keys, table: pa.Table, group_by: tuple[str, ...]) -> Padded:
        """Lay a table out on the keys, which are codes in the order of `group_by`."""
        columns = [table.column(name).to_pylist() for name in group_by]
        cells: Iterable[tuple[str, ...]] = zip(*columns, strict=True) if columns else [()] * table.num_rows
        places = {key: row for row, key in enumerate(cells)}
        return cls(table, np.array([places.get(key, -1) for key in keys], dtype=np.int64))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Where the source has a cell."""
        return self.rows >= 0

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return a column as 64-bit integers; 0 where it is null or there is no cell.

        Raises:
            OutOfRange: a value does not fit.
        """
        low, high = _words(self.table.column(name))
        if (high != low >> 63).any():
            raise OutOfRange(name)
        return self._laid(low)

    def fingerprints(self, name: str) -> NDArray[np.uint64]:
        """Return a column of sums of record keys modulo 2^64; 0 where there is no cell."""
        return self._laid(_words(self.table.column(name))[0]).view(np.uint64)

    def _laid(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(self.present, values[self.rows], 0) if len(values) else np.zeros(len(self.rows), np.int64)


def _words(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The low and the high 64 bits of integers or decimals without fraction; null is 0."""
    filled = column.fill_null(0).combine_chunks()
    if pa.types.is_decimal(filled.type):
        buffer = filled.buffers()[1]
        words = np.frombuffer(buffer, dtype="<i8").reshape(-1, 2)[filled.offset : filled.offset + len(filled)]
        return words[:, 0].copy(), words[:, 1].copy()
    low = filled.to_numpy(zero_copy_only=False).astype(np.int64)
    return low, low >> 63
