"""Names to declared things, with a near match where a name is off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from bandung.gateway.domain.dataset import Dataset, Dimension, Epoch, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal

Find = Callable[[str], Epoch | None]
"""Finds a dataset's current epoch among those open to the caller."""

Place = tuple[int, int] | None


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


def code(value: str, of: Dimension, place: Place = None) -> str:
    """Return the code of a dimension's code list.

    Raises:
        Refusal: UNKNOWN_CODE, naming codes of the list.
    """
    codes = [entry.code for entry in of.codes]
    if value not in codes:
        near = get_close_matches(value, codes, n=3) or codes[:12]
        raise Refusal(ErrorKind.UNKNOWN_CODE, f"{of.name} has no such code; it has {_listed(near)}", position=place)
    return value


def _wrong(name: str, column: object, names: list[str], called: str, place: Place) -> Refusal:
    kind = ErrorKind.UNKNOWN_COLUMN if column is None else ErrorKind.WRONG_ROLE
    near = get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the {called} are {_listed(names)}."
    return Refusal(kind, f"{name[:80]}: {hint}", position=place)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
