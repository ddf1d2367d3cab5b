"""Keyed hashes: the secret record key of a unit, and the noise that a set of units always gets.

Both come from the dataset's secret key by HMAC-SHA256 (RFC 2104), so nobody without it can foresee either, and the
same records get the same noise in every table, for every caller, in every epoch.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_BYTES: Final = 64
_NOISE: Final = b"\x00bandung noise 1"
_RECORD_KEY_BYTES: Final = 8


def record_key(dataset_key: bytes, unit_id: str) -> int:
    """Return a unit's record key: the first 64 bits of HMAC-SHA256(dataset key, unit id), signed."""
    return _signed(hmac.digest(dataset_key, unit_id.encode(), "sha256"))


def record_keys(dataset_key: bytes, unit_ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the record keys of many units, int64, in their order.

    Args:
        unit_ids: text, or an Arrow array whose values are taken in Arrow's text form.

    Raises:
        ValueError: an id is null.
    """
    ids: Any = unit_ids if isinstance(unit_ids, pa.Array | pa.ChunkedArray) else pa.array(unit_ids, pa.string())
    if ids.null_count:
        raise ValueError("a row without a unit has no record key")
    digest = _prf(dataset_key)
    return pa.array([_signed(digest(unit.encode())) for unit in ids.cast(pa.string()).to_pylist()], pa.int64())


def uniforms(
    dataset_key: bytes, fingerprints: NDArray[np.uint64], counts: NDArray[np.int64], statistic: str
) -> NDArray[np.float64]:
    """Return each cell's own number in [0, 1), with 53 random bits, fixed by its records and the statistic.

    Args:
        fingerprints: sum of the record keys of the cell's rows modulo 2^64.
        counts: number of these rows.
        statistic: its canonical name; different statistics of the same records get independent numbers.
    """
    digest = _prf(hmac.digest(dataset_key, _NOISE, "sha256"))
    label = statistic.encode()
    cells = np.column_stack([fingerprints.astype(">u8"), counts.astype(">u8")]).tobytes()
    drawn = b"".join(digest(cells[at : at + 16] + label)[:8] for at in range(0, len(cells), 16))
    return (np.frombuffer(drawn, ">u8") >> np.uint64(11)).astype(np.float64) / 2.0**53


def _signed(digest: bytes) -> int:
    return int.from_bytes(digest[:_RECORD_KEY_BYTES], "big", signed=True)


def _prf(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA256 under a key; keeping the states after the key halves the time per message."""
    block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))

    def digest(message: bytes) -> bytes:
        first = inner.copy()
        first.update(message)
        second = outer.copy()
        second.update(first.digest())
        return second.digest()

    return digest
