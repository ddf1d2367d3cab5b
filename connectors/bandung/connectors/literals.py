"""Source types in their few kinds, and declared values in the source's own type."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from bandung.connectors.base import Scalar

_TRUTH = {"true": True, "false": False}


def plain(type_: pa.DataType) -> pa.DataType | None:
    """Return the type that a source column is offered as: int64, float64, bool or string.

    Returns:
        None for a type that is neither; such a column is offered as text, in the source's own spelling.
    """
    if pa.types.is_boolean(type_):
        return pa.bool_()
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_floating(type_):
        return pa.float64()
    if pa.types.is_decimal(type_):
        return pa.int64() if type_.scale == 0 and type_.precision <= 18 else pa.float64()
    if pa.types.is_dictionary(type_):
        return pa.string() if _is_text(type_.value_type) else None
    return pa.string() if _is_text(type_) else None


def is_number(type_: pa.DataType) -> bool:
    """Whether a plain type can be a measure or be banded."""
    return pa.types.is_integer(type_) or pa.types.is_floating(type_)


def literal(value: Scalar, type_: pa.DataType) -> Scalar | None:
    """Return a declared value in a plain source type, or None where no row could hold it.

    A code written "1" means 1 in an integer column and "1" in a text column.
    """
    if pa.types.is_boolean(type_):
        return _truth(value)
    if pa.types.is_integer(type_):
        return _whole(value)
    if pa.types.is_floating(type_):
        return _real(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _spell(value)


def literals(values: Sequence[Scalar], type_: pa.DataType) -> list[Scalar]:
    """Return those of the values that a column of this type can hold, each once."""
    found = [literal(value, type_) for value in values]
    return list(dict.fromkeys(value for value in found if value is not None))


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _truth(value: Scalar) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _TRUTH.get(value.strip().lower())
    return bool(value) if value in {0, 1} else None


def _whole(value: Scalar) -> int | None:
    number = _real(value)
    if number is None or not number.is_integer():
        return None
    exact = int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdecimal() else int(number)
    exact = value if isinstance(value, int) and not isinstance(value, bool) else exact
    return exact if -(2**63) <= exact < 2**63 else None


def _real(value: Scalar) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _spell(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
