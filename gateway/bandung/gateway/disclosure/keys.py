"""Keyed numbers: the secret record key of a unit, and the noise and the threshold that a set of units always gets.

All come from the dataset's secret key by AES-256-CMAC, under keys of their own derived by HKDF-SHA256 (RFC 5869), so
nobody without it can foresee any, and the same records get the same noise and threshold in every table, for every
caller, in every epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bandung.gateway.disclosure.cmac import Cmac

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINGERPRINT_BITS: Final = 32
"""Record keys are added up modulo 2^32: two sets of as many records get the same noise with that chance only."""

_BLOCK_BYTES: Final = 16
_RECORDS: Final = b"bandung record keys 1"
_NOISE: Final = b"bandung noise 2"
_THRESHOLDS: Final = b"bandung thresholds 1"


def record_keys(dataset_key: bytes, unit_ids: Iterable[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the record keys of units, int64, in their order: the first 64 bits of CMAC(unit id), signed.

    Args:
        unit_ids: text, or an Arrow array whose values are taken in Arrow's text form.

    Raises:
        ValueError: an id is null.
    """
    ids: Any = unit_ids if isinstance(unit_ids, pa.Array | pa.ChunkedArray) else pa.array(unit_ids, pa.string())
    if ids.null_count:
        raise ValueError("a row without a unit has no record key")
    texts = ids.cast(pa.string())
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return pa.array(_first_word(_cmac(dataset_key, _RECORDS).tags(whole)).view(np.int64))


def uniforms(
    dataset_key: bytes, fingerprints: NDArray[np.uint64], counts: NDArray[np.int64], statistic: str
) -> NDArray[np.float64]:
    """Return each cell's own number in [0, 1), with 53 random bits, fixed by its records and the statistic.

    Args:
        fingerprints: sum of the record keys of the cell's rows modulo 2^32.
        counts: number of these rows.
        statistic: its canonical name; different statistics of the same records get independent numbers.
    """
    return (_drawn(_cmac(dataset_key, _NOISE), fingerprints, counts, statistic) >> np.uint64(11)) / 2.0**53


def threshold_draws(
    dataset_key: bytes, fingerprints: NDArray[np.uint64], counts: NDArray[np.int64], rule: str, spread: int
) -> NDArray[np.int64]:
    """Return each cell's own number among 0 to `spread`, each as likely, independent of its noise.

    Args:
        fingerprints, counts: as for `uniforms`.
        rule: what has a threshold; different rules of the same records get independent numbers.
    """
    drawn = _drawn(_cmac(dataset_key, _THRESHOLDS), fingerprints, counts, rule)
    return (drawn % np.uint64(spread + 1)).astype(np.int64)


def _drawn(cmac: Cmac, fingerprints: NDArray[np.uint64], counts: NDArray[np.int64], name: str) -> NDArray[np.uint64]:
    label = name.encode()
    # Names hold no zero bytes, so what the label is filled up with cannot be taken for a part of it.
    prefix = label.ljust(-(-len(label) // _BLOCK_BYTES) * _BLOCK_BYTES, b"\0")
    cells = np.column_stack([fingerprints.astype(">u8"), counts.astype(">u8")])
    return _first_word(cmac.tags_after(prefix, cells.view(np.uint8)))


@lru_cache(maxsize=64)
def _cmac(dataset_key: bytes, purpose: bytes) -> Cmac:
    return Cmac(HKDF(SHA256(), 32, salt=None, info=purpose).derive(dataset_key))


def _first_word(tags: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(tags[:, :8]).view(">u8").astype(np.uint64).reshape(-1)
