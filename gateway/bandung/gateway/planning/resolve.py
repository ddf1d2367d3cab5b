"""Names to declared things, with a near match where a name is off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fractions import Fraction
from itertools import pairwise
from typing import Final

from bandung.gateway.domain.dataset import Dataset, Dimension, Epoch, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Operator

Find = Callable[[str], Epoch | None]
"""Finds a dataset's current epoch among those open to the caller."""

Place = tuple[int, int] | None

TOTAL: Final = "_T"
"""The code of a dimension that is not broken down, as SDMX code lists have it."""
SHARE_DECIMALS_MAX: Final = 4
_NUMBER: Final = re.compile(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?")
_SHARE: Final = re.compile(rf"0?\.(\d{{1,{SHARE_DECIMALS_MAX}}})0*")


def dataset(name: str, find: Find, place: Place = None) -> Epoch:
    """Return the epoch of a dataset.

    Raises:
        Refusal: UNKNOWN_DATASET.
    """
    epoch = find(name.lower())
    if epoch is None:
        raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {name}", position=place)
    return epoch


def dimension(name: str, of: Dataset, place: Place = None) -> Dimension:
    """Return a declared dimension.

    Raises:
        Refusal: UNKNOWN_COLUMN or WRONG_ROLE, naming the dimensions.
    """
    column = of.column(name.lower())
    if isinstance(column, Dimension):
        return column
    names = [column.name for column in of.dimensions]
    raise _wrong(name, column, names, "dimensions", place)


def measure(name: str, of: Dataset, place: Place = None) -> Measure:
    """Return a declared measure or weight.

    Raises:
        Refusal: UNKNOWN_COLUMN or WRONG_ROLE, naming the measures.
    """
    column = of.column(name.lower())
    if isinstance(column, Measure):
        return column
    names = [column.name for column in of.measures]
    raise _wrong(name, column, names, "measures", place)


def filtered(name: str, of: Dataset, place: Place = None) -> Dimension | Measure:
    """Return a declared column that a filter may compare.

    Raises:
        Refusal: UNKNOWN_COLUMN, or WRONG_ROLE for a dimension without a public code list.
    """
    column = of.column(name.lower())
    if column is None:
        raise _wrong(name, column, [column.name for column in of.columns], "columns", place)
    if isinstance(column, Dimension) and column.open:
        raise Refusal(ErrorKind.WRONG_ROLE, f"{column.name} has no public code list: group by it", position=place)
    return column


def operator(asked: Operator, column: Dimension | Measure, place: Place = None) -> Operator:
    """Return the operator, which fits the column's role: dimensions are equal or not, measures lie in a range.

    Raises:
        Refusal: WRONG_ROLE, naming the operators that fit.
    """
    if isinstance(column, Dimension):
        fits, words = asked in {Operator.EQUAL, Operator.UNEQUAL}, "=, <>, IN or NOT IN"
    else:
        fits, words = asked is not Operator.UNEQUAL, "=, <, <=, >, >= or BETWEEN"
    if not fits:
        raise Refusal(ErrorKind.WRONG_ROLE, f"Compare {column.name} by {words}", position=place)
    return asked


def code(value: str, of: Dimension, place: Place = None) -> str:
    """Return the code of a dimension's code list.

    Raises:
        Refusal: UNKNOWN_CODE, naming codes of the list.
    """
    codes = [entry.code for entry in of.codes]
    if value not in codes:
        near = get_close_matches(value[:80], codes, n=3) or codes[:12]
        raise Refusal(ErrorKind.UNKNOWN_CODE, f"{of.name} has no such code; it has {_listed(near)}", position=place)
    return value


def steps(text: str, of: Measure, place: Place = None) -> int:
    """Return a number in units of the measure's 10^-decimals.

    Raises:
        Refusal: UNKNOWN_CODE for anything but a number in the declared range with no more than the carried decimals.
    """
    exact = number(text)
    scaled = None if exact is None else exact * 10**of.decimals
    low, high = of.range_steps
    if scaled is None or scaled.denominator != 1 or not low <= scaled <= high:
        words = f"{of.name} takes numbers from {of.minimum:g} to {of.maximum:g} with at most {of.decimals} decimals"
        raise Refusal(ErrorKind.UNKNOWN_CODE, words, position=place)
    return int(scaled)


def number(text: str) -> Fraction | None:
    """Return the exact number that a text of ordinary length says, or None."""
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def share(text: str, place: Place = None) -> str:
    """Return a quantile's share in its one way to be written, `0.5` for `.50`.

    Raises:
        Refusal: BAD_REQUEST unless it is strictly between 0 and 1 with at most four decimals.
    """
    found = _SHARE.fullmatch(text)
    digits = found.group(1).rstrip("0") if found else ""
    if not digits:
        words = f"A quantile's share lies between 0 and 1 and has at most {SHARE_DECIMALS_MAX} decimals"
        raise Refusal(ErrorKind.BAD_REQUEST, words, position=place, remedy="For instance 0.5 for the median.")
    return f"0.{digits}"


def hierarchy(names: tuple[str, ...], of: Dataset, place: Place = None) -> tuple[str, ...]:
    """Return the names of dimensions that nest in one another as declared, the coarsest first.

    Raises:
        Refusal: NOT_IN_GRAMMAR, naming the hierarchy that fits; BAD_REQUEST if a code would be taken for a total.
    """
    nested = [dimension(name, of, place) for name in names]
    for above, below in pairwise(nested):
        if below.parent != above.name:
            raise Refusal(
                ErrorKind.NOT_IN_GRAMMAR,
                f"{below.name} is not declared to nest in {above.name}",
                position=place,
                remedy=f"Roll up a declared hierarchy: ROLLUP({', '.join(_chain(nested[-1], of))}).",
            )
    for held in nested:
        if held.open or any(entry.code == TOTAL for entry in held.codes):
            raise Refusal(ErrorKind.BAD_REQUEST, f"{held.name} may have a code {TOTAL} of its own", position=place)
    return tuple(held.name for held in nested)


def levels(grouped: tuple[str, ...], rolled: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
    """Return what each level groups by, the finest first: every level leaves out one more of the rolled-up dimensions.

    Args:
        grouped: all dimensions in their order.
        rolled: those of them that are rolled up, the coarsest first.
    """
    left_out = [frozenset(rolled[kept:]) for kept in range(len(rolled), -1, -1)]
    return tuple(tuple(name for name in dict.fromkeys(grouped) if name not in out) for out in left_out)


def _chain(finest: Dimension, of: Dataset) -> list[str]:
    parents = {held.name: held.parent for held in of.dimensions}
    chain: list[str] = []
    name: str | None = finest.name
    while name is not None and name not in chain:
        chain.insert(0, name)
        name = parents.get(name)
    return chain


def _wrong(name: str, column: object, names: list[str], called: str, place: Place) -> Refusal:
    kind = ErrorKind.UNKNOWN_COLUMN if column is None else ErrorKind.WRONG_ROLE
    near = get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the {called} are {_listed(names)}."
    return Refusal(kind, f"{name[:80]}: {hint}", position=place)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
