"""The numbers that are masked and added: fixed point with 64 bits after the point, modulo 2^192.

Three 64-bit words per number instead of one, so that sums over unscaled columns neither overflow (squares of incomes in
rupiah fit: anything below 1.7e38 divided by the number of countries) nor lose digits (5.4e-20 is the smallest step).
Adding is exact, so masks cancel to the last bit and the pooled sum does not depend on its order.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite, ldexp
from typing import Final

FRACTION_BITS: Final = 64
ELEMENT_BYTES: Final = 24
MODULUS: Final = 1 << (8 * ELEMENT_BYTES)
_MAGNITUDE_MAX: Final = float(1 << 127)


def fits(values: Iterable[float], parties: int) -> bool:
    """Tell whether every value is finite and so small that as many of them as there are parties can be added."""
    return all(isfinite(value) and abs(value) < _MAGNITUDE_MAX / parties for value in values)


def encode(values: Iterable[float]) -> list[int]:
    """Return the elements, 0 to 2^192 - 1; negative values stand as complements.

    Raises:
        OverflowError, ValueError: a value is infinite or not a number.
    """
    return [int(ldexp(value, FRACTION_BITS)) % MODULUS for value in values]


def decode(elements: Iterable[int]) -> list[float]:
    """Return the values, correctly rounded to double precision."""
    return [(e - MODULUS if e >= MODULUS // 2 else e) / (1 << FRACTION_BITS) for e in elements]


def to_bytes(elements: Iterable[int]) -> bytes:
    """Return 24 bytes for each element, little-endian."""
    return b"".join(element.to_bytes(ELEMENT_BYTES, "little") for element in elements)


def from_bytes(data: bytes) -> list[int]:
    """Read what `to_bytes` wrote.

    Raises:
        ValueError: the length is no multiple of 24.
    """
    if len(data) % ELEMENT_BYTES:
        raise ValueError("the elements are cut short")
    starts = range(0, len(data), ELEMENT_BYTES)
    return [int.from_bytes(data[start : start + ELEMENT_BYTES], "little") for start in starts]
