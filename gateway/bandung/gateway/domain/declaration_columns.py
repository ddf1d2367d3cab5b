"""Declared columns: from their validated form to expressions and code lists."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal

from bandung.connectors.base import Banded, Column, FixedPoint, Recode, Scalar
from bandung.gateway.domain.dataset import Code, Dimension, Measure
from bandung.gateway.domain.declaration_form import CodeEntry, DimensionForm, MeasureForm

FIXED_POINT_MAX = 9 * 10**15
"""Largest value in units of 10^-decimals: below 2^53, where every integer is a double."""

_OPEN_END = 9 * 10**18
_MISSING_LABEL = "Missing"


class Problems:
    """Collects what is wrong with a file as `key.path: reason`."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, path: str, reason: str) -> None:
        """Note one problem."""
        self.found.append(f"{path}: {reason}")


def dimension(name: str, form: DimensionForm, path: str, problems: Problems) -> Dimension:
    """Return the dimension that the form describes."""
    label = form.label or name
    if form.open:
        return Dimension(name, label, Column(_sources(name, form.source)[0]), (), open=True)
    if form.bands is not None:
        number = _number(name, form)
        bands = _bands(form.bands, form.decimals, f"{path}.bands", problems)
        codes = [Code(code, code) for code, _, _ in bands]
        if form.missing in {code.code for code in codes}:
            problems.add(f"{path}.missing", "is the code of a band")
        banded = Banded(number, tuple(bands), form.missing)
        return Dimension(name, label, banded, _with_missing(codes, form.missing), form.missing, form.parent)
    entries = form.codes or ()
    _check_codes(entries, path, problems)
    recode = Recode(_sources(name, form.source)[0], tuple((e.code, _values(e)) for e in entries), form.missing)
    codes = [Code(entry.code, entry.label or entry.code, entry.parent) for entry in entries]
    return Dimension(name, label, recode, _with_missing(codes, form.missing), form.missing, form.parent)


def measure(name: str, form: MeasureForm, path: str, problems: Problems) -> Measure:
    """Return the measure or weight that the form describes."""
    low, high = form.range
    if low > high:
        problems.add(f"{path}.range", "the lower bound is above the upper one")
    if max(abs(low), abs(high)) * 10**form.decimals > FIXED_POINT_MAX:
        problems.add(f"{path}.range", "too large to be carried exactly with so many decimals")
    return Measure(
        name=name,
        label=form.label or name,
        expression=_number(name, form),
        minimum=low,
        maximum=high,
        unit_of_measurement=form.unit,
        optional=form.missing == "allowed",
        weight=form.role == "weight",
        bounds=form.bounds,
    )


def _number(name: str, form: DimensionForm | MeasureForm) -> FixedPoint:
    return FixedPoint(_sources(name, form.source), form.scale, form.offset, form.decimals, form.missing_values)


def _sources(name: str, source: str | tuple[str, ...] | None) -> tuple[str, ...]:
    if source is None:
        return (name,)
    return (source,) if isinstance(source, str) else source


def _values(entry: CodeEntry) -> tuple[Scalar, ...]:
    return (entry.code,) if entry.values is None else entry.values


def _with_missing(codes: list[Code], missing: str | None) -> tuple[Code, ...]:
    if missing is None or any(code.code == missing for code in codes):
        return tuple(codes)
    return (*codes, Code(missing, _MISSING_LABEL))


def _check_codes(entries: Sequence[CodeEntry], path: str, problems: Problems) -> None:
    codes: set[str] = set()
    meanings: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.code in codes:
            problems.add(f"{path}.codes.{index}.code", f"{entry.code} is listed twice")
        codes.add(entry.code)
        for value in map(_spelled, _values(entry)):
            if value in meanings:
                problems.add(f"{path}.codes.{index}.values", f"{value} has a meaning already")
            meanings.add(value)


def _spelled(value: Scalar) -> str:
    """Return one spelling for values that are the same in some source type (1, 1.0 and "1")."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _bands(edges: Sequence[float], decimals: int, path: str, problems: Problems) -> list[tuple[str, int, int]]:
    """Return code, lower (inclusive) and upper bound (exclusive) of each band, in units of 10^-decimals."""
    if any(not low < high for low, high in itertools.pairwise(edges)):
        problems.add(path, "the edges must increase")
        return []
    if not all(math.isfinite(edge) for edge in edges[1:-1]):
        problems.add(path, "only the first and the last edge may be infinite")
        return []
    scaled = [_scaled(edge, decimals) for edge in edges]
    whole = [bound for bound in scaled if bound is not None]
    if len(whole) < len(scaled):
        problems.add(path, f"every edge must have at most {decimals} decimals and be below 9e15 in all its digits")
        return []
    return [(_band_code(low, high, decimals), low, high) for low, high in itertools.pairwise(whole)]


def _scaled(edge: float, decimals: int) -> int | None:
    if math.isinf(edge):
        return _OPEN_END if edge > 0 else -_OPEN_END
    shifted = Decimal(repr(float(edge))).scaleb(decimals)
    exact = shifted == shifted.to_integral_value() and abs(shifted) <= FIXED_POINT_MAX
    return int(shifted) if exact else None


def _band_code(low: int, high: int, decimals: int) -> str:
    """Return `15-19`, `50+` or `<15`: the lowest and the highest value that the band holds."""
    first, last = (_in_decimals(bound, decimals) for bound in (low, high - 1))
    if low == -_OPEN_END:
        return "any" if high == _OPEN_END else f"<{_in_decimals(high, decimals)}"
    if high == _OPEN_END:
        return f"{first}+"
    if first == last:
        return first
    return f"{first} to {last}" if low < 0 else f"{first}-{last}"


def _in_decimals(value: int, decimals: int) -> str:
    return f"{Decimal(value).scaleb(-decimals):.{decimals}f}"
