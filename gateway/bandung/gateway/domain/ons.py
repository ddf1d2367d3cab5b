"""A published perturbation table in the form of the United Kingdom's Office for National Statistics.

A CSV file with the columns `pcv`, `ckey` and `pvalue`: a count of `pcv` whose cell key is `ckey` changes by `pvalue`.
"""

from __future__ import annotations

import csv
import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

KEYS: Final = 256
"""Record keys and cell keys are 0 to 255."""
COUNTS_MAX: Final = 750
"""The largest count with a row of its own; larger ones use the rows 501 to 750 in turn."""

_COLUMNS: Final = ("pcv", "ckey", "pvalue")
_CHANGE_MAX: Final = 127


@dataclass(frozen=True)
class OnsNoise:
    """Counts change by a published table, chosen by the sum of their records' keys modulo 256.

    Attributes:
        changes: signed bytes, the change of a count n under the cell key k at 256 n + k, for counts 0 to 750.
    """

    changes: bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the changes, hexadecimal: how the record names the table."""
        return hashlib.sha256(self.changes).hexdigest()


def parse_ptable(text: str) -> OnsNoise:
    """Return the table of a CSV file; what it does not list does not change.

    Raises:
        ValueError: with the number of the first bad line, which is not three whole numbers in range, comes twice,
            makes a count negative, or changes an empty cell.
    """
    changes = array("b", bytes(KEYS * (COUNTS_MAX + 1)))
    listed: set[int] = set()
    for line, (count, key, change) in _rows(text):
        place = KEYS * count + key
        if not (0 <= count <= COUNTS_MAX and 0 <= key < KEYS and abs(change) <= _CHANGE_MAX):
            raise ValueError(f"line {line}: pcv is 0 to {COUNTS_MAX}, ckey 0 to {KEYS - 1}, pvalue at most 127")
        if place in listed:
            raise ValueError(f"line {line}: this pcv and ckey are listed twice")
        if count + change < 0 or (count == 0 and change != 0):
            raise ValueError(f"line {line}: a count must not become negative, nor an empty cell change")
        listed.add(place)
        changes[place] = change
    if not listed:
        raise ValueError("the table lists no change")
    return OnsNoise(changes.tobytes())


def _rows(text: str) -> Iterator[tuple[int, tuple[int, int, int]]]:
    reader = csv.DictReader(text.splitlines())
    if sorted(reader.fieldnames or ()) != sorted(_COLUMNS):
        raise ValueError("the columns must be pcv, ckey and pvalue")
    for row in reader:
        yield reader.line_num, _whole(row, reader.line_num)


def _whole(row: Mapping[str, str | None], line: int) -> tuple[int, int, int]:
    try:
        count, key, change = (int(row[name] or "") for name in _COLUMNS)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"line {line}: not three whole numbers") from error
    return count, key, change
