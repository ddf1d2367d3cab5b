"""Keyed hashes: of units into record keys, and of cells into the noise they get.

The cell-key method adds the record keys of a cell's rows; the same rows give the same sum, hence the same noise,
however the cell was asked for (Fraser and Wooton, UNECE work session on statistical data confidentiality, 2005;
Thompson, Broadfoot and Elazar, 2013).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNIFORM_BITS = 53


def record_key(dataset_key: bytes, unit_id: str) -> int:
    """Return a unit's record key: the first 64 bits of HMAC-SHA256(dataset key, unit id), as a signed integer."""
    return int.from_bytes(hmac.digest(dataset_key, unit_id.encode(), "sha256")[:8], "big", signed=True)


def record_keys(dataset_key: bytes, unit_ids: Iterable[str]) -> pa.Array:
    """Return the record keys of units, int64, in their order."""
    digests = b"".join(hmac.digest(dataset_key, unit_id.encode(), "sha256")[:8] for unit_id in unit_ids)
    return pa.array(np.frombuffer(digests, dtype=">i8").astype(np.int64))


def uniforms(
    dataset_key: bytes, fingerprints: NDArray[np.uint64], counts: NDArray[np.int64], statistic: str
) -> NDArray[np.float64]:
    """Return one number in [0, 1) per cell, decided by its fingerprint, its count and the statistic alone.

    Args:
        fingerprints: sums of record keys modulo 2^64.
    """
    prefix = statistic.encode() + b"\0"
    cells = np.stack((fingerprints, counts.astype(np.uint64)), axis=1).astype(">u8").tobytes()
    pieces: Sequence[bytes] = [
        hmac.digest(dataset_key, prefix + cells[start : start + 16], "sha256")[:8] for start in range(0, len(cells), 16)
    ]
    words = np.frombuffer(b"".join(pieces), dtype=">u8").astype(np.uint64)
    return (words >> np.uint64(64 - _UNIFORM_BITS)).astype(np.float64) / 2.0**_UNIFORM_BITS
