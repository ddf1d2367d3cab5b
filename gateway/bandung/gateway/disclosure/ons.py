"""The perturbation table of the United Kingdom's Office for National Statistics, as others publish it.

Rows (pcv, ckey, pvalue): a count of `pcv` whose cell key is `ckey` changes by `pvalue`. Record keys are small whole
numbers (0..255); a cell key is their sum modulo the number of keys. Counts above 750 use the rows 501..750 in turn.
The same tables and keys give the same counts as the package `cell-key-perturbation` 3.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_MAX: Final = 750
_CYCLE: Final = 250


class OnsTable:
    """A table of changes by count and cell key. Immutable; safe for use by several threads at once.

    Args:
        rows: (pcv, ckey, pvalue); what is not listed does not change.
    """

    def __init__(self, rows: Iterable[tuple[int, int, int]]) -> None:
        listed = np.array(list(rows), dtype=np.int64).reshape(-1, 3)
        self.keys = int(listed[:, 1].max()) + 1 if len(listed) else 1
        self._changes = np.zeros((_ROWS_MAX + 1, self.keys), dtype=np.int64)
        used = listed[(listed[:, 0] >= 0) & (listed[:, 0] <= _ROWS_MAX)]
        self._changes[used[:, 0], used[:, 1]] = used[:, 2]

    def perturb(self, counts: NDArray[np.int64], key_sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the changed counts.

        Args:
            key_sums: sum of the record keys of each cell's rows; 0 for an empty cell.
        """
        rows = np.where(counts <= _ROWS_MAX, counts, (counts - 1) % _CYCLE + 2 * _CYCLE + 1)
        return counts + self._changes[rows, key_sums % self.keys]
