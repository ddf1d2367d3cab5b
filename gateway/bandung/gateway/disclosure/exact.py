"""Comparisons of whole numbers that neither round nor overflow."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FITS: Final = 2**62


def is_negative(*terms: tuple[int, NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Return where the sum of the terms (factor times values) is below zero.

    Computed in 64 bits where they certainly suffice, else in Python's whole numbers.
    """
    largest = sum(abs(factor) * _magnitude(values) for factor, values in terms)
    if largest < _FITS:
        return sum((factor * values for factor, values in terms), np.zeros(terms[0][1].shape, np.int64)) < 0
    exact = sum((factor * values.astype(object) for factor, values in terms), 0)
    return np.asarray(exact < 0, dtype=np.bool_)


def percentage(declared: float) -> Fraction:
    """Return a declared percentage as a share, with the digits that it was declared with."""
    return Fraction(repr(float(declared))) / 100


def _magnitude(values: NDArray[np.int64]) -> int:
    return max(abs(int(values.max())), abs(int(values.min()))) if values.size else 0
