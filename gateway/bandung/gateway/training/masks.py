"""Pairwise masks: the coordinator can read the sum of a cohort and nothing else.

For each pair of a cohort both countries derive the same pad from their pinned X25519 keys; the one whose id sorts
first adds it, the other subtracts it, modulo 2^192. Added over exactly the cohort the pads vanish; any sum over fewer
countries is uniform. The idea is that of Bonawitz et al., Practical Secure Aggregation, CCS 2017, without its recovery
phase: a country that drops out costs a new round with a new pad. Pads are HKDF-SHA256 (RFC 5869) and AES-256-CTR.

What it does not do: the coordinator together with all other countries of a cohort learns the last one's sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bandung.gateway.domain import fixed_point
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.release import ReleasedVector

if TYPE_CHECKING:
    from bandung.gateway.training.newton import NewtonSums

_COHORT_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class MaskKeys:
    """Who we are among the countries.

    Attributes:
        private: our X25519 private key, 32 bytes.
        public: X25519 public keys by member id, from the pinned membership documents.
    """

    member: str
    private: bytes
    public: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"MaskKeys(member={self.member!r})"


@dataclass(frozen=True, slots=True)
class Round:
    """What a pad belongs to. It is used for one vector only; the ledger remembers which.

    Attributes:
        cohort: members whose vectors are added, sorted.
    """

    job_digest: str
    number: int
    cohort: tuple[str, ...]

    @property
    def info(self) -> bytes:
        """HKDF's context; the parts cannot run into one another."""
        return "\n".join(("bandung-mask/v1", self.job_digest, str(self.number), *self.cohort)).encode()


def mask(sums: NewtonSums, schema: tuple[str, ...], turn: Round, keys: MaskKeys) -> ReleasedVector:
    """Return the sums in fixed point (`domain.fixed_point`) under the pads of this round.

    Args:
        schema: what the sums are, one name for each; the vector holds three words, the lowest first, for each.

    Raises:
        Refusal: JOB_INVALID if the cohort is not one to hide in; PROTECTED if the cohort's sum could overflow.
    """
    if len(turn.cohort) < _COHORT_MIN or keys.member not in turn.cohort or not keys.public.keys() >= set(turn.cohort):
        raise Refusal(ErrorKind.JOB_INVALID, "The cohort is not made of two or more known members, this one included.")
    values = sums.vector().tolist()
    if len(values) != len(schema):
        raise Refusal(ErrorKind.INTERNAL, private=f"{len(values)} sums for {len(schema)} names")
    if not fixed_point.fits(values, len(turn.cohort)):
        raise Refusal(ErrorKind.PROTECTED, private="a sum is too large for fixed point: rescale the columns")
    pad = _pad(turn, keys, len(values))
    masked = [(value + p) % fixed_point.MODULUS for value, p in zip(fixed_point.encode(values), pad, strict=True)]
    return ReleasedVector(np.frombuffer(fixed_point.to_bytes(masked), dtype="<u8").astype(np.uint64), schema)


def _pad(turn: Round, keys: MaskKeys, count: int) -> list[int]:
    """Return the sum of this member's signed pads with every other member of the cohort."""
    own = X25519PrivateKey.from_private_bytes(keys.private)
    total = [0] * count
    for peer in turn.cohort:
        if peer != keys.member:
            sign = 1 if keys.member < peer else -1
            stream = _stream(own.exchange(X25519PublicKey.from_public_bytes(keys.public[peer])), turn.info, count)
            total = [t + sign * s for t, s in zip(total, stream, strict=True)]
    return total


def _stream(shared: bytes, info: bytes, count: int) -> list[int]:
    key = HKDF(SHA256(), 32, None, info).derive(shared)
    # The key belongs to this round alone, so the counter may always begin at zero.
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return fixed_point.from_bytes(encryptor.update(bytes(count * fixed_point.ELEMENT_BYTES)))
