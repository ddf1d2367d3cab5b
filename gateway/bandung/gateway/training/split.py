"""Training and held-out units: a keyed, fixed split that nobody outside can foresee or steer."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from bandung.gateway.training.design import Design

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.job import Job

_SPACE: Final = float(1 << 64)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The records of units that are trained on, and of those that are held out; no unit is in both."""

    train: Design
    holdout: Design


def split(design: Design, job: Job, job_digest: str, member: str, dataset_key: bytes) -> Split:
    """Split by unit: all records of a unit go the same way.

    A unit's place is a keyed hash of its id, different for every job. The places below `job.holdout` are held out.
    Where `job.train_units` limits this member, the units that follow next are trained on, the rest is in neither part.
    """
    place = _places(design, job_digest, dataset_key)
    held_out = place < job.holdout
    trained = ~held_out
    limit = dict(job.train_units).get(member)
    if limit is not None:
        present = np.bincount(design.units, minlength=len(place)) > 0
        candidates = np.sort(place[trained & present])
        trained &= place <= candidates[limit - 1] if limit <= len(candidates) else True
    return Split(design.take(trained[design.units]), design.take(held_out[design.units]))


def _places(design: Design, job_digest: str, dataset_key: bytes) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each unit."""
    key = hmac.digest(dataset_key, b"bandung-split/v1\n" + job_digest.encode(), "sha256")
    hashes = (
        hashlib.blake2b(str(unit).encode(), key=key, digest_size=8).digest() for unit in design.unit_ids.to_pylist()
    )
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.float64) / _SPACE
