"""Perturbation by a published table in the form of the United Kingdom's Office for National Statistics.

The same tables and keys give the same counts as the package `cell-key-perturbation` 3.1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bandung.gateway.domain.ons import COUNTS_MAX, KEYS, OnsNoise

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CYCLE: Final = 250


def changes(noise: OnsNoise) -> NDArray[np.int64]:
    """Return the change of each count 0 to 750 (rows) under each cell key 0 to 255 (columns)."""
    return np.frombuffer(noise.changes, np.int8).reshape(COUNTS_MAX + 1, KEYS).astype(np.int64)


def perturb(noise: OnsNoise, counts: NDArray[np.int64], fingerprints: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the changed counts.

    Args:
        fingerprints: sum of the record keys of each cell's rows modulo 2^32. Its low eight bits are the cell key, for
            keys of 0 to 255 and for the low eight bits of wider ones alike.
    """
    rows = np.where(counts <= COUNTS_MAX, counts, (counts - 1) % _CYCLE + 2 * _CYCLE + 1)
    keys = (fingerprints & np.uint64(KEYS - 1)).astype(np.int64)
    return counts + np.frombuffer(noise.changes, np.int8)[rows * KEYS + keys]


def mean_square(noise: OnsNoise, least: int) -> float:
    """Return the largest mean square of the change of a count of at least `least`, over all cell keys."""
    rows = changes(noise)[min(least, COUNTS_MAX - _CYCLE + 1) :]
    return float((rows**2).mean(axis=1).max())
