"""What a draft goes by: what the columns of a relation hold, seen in one pass over its rows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import filterfalse, islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bandung.connectors.base import Column, Connector, RowQuery, Stop, View
from bandung.connectors.literals import is_number

VALUES_MAX = 40
"""Most different values of a column that are kept: as many as a drafted code list may have."""

_MARKS_MAX = 3
_DECIMALS_MAX = 4
_IDENTIFIER_SHARE = 0.95
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_COMMA_NUMBER = re.compile(r"\s*[+-]?\d+(,\d+)?\s*")
_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))\s*")


@dataclass(slots=True)
class Seen:
    """What was seen of one source column.

    Attributes:
        values: its different values, not all of them if there are more than `VALUES_MAX`; empty for real numbers.
        present, missing: rows with and without a value.
        decimals: of its numbers, at most 4.
        distinct: number of its different values; 0 for real numbers.
    """

    type: pa.DataType
    values: set[str | int] = field(default_factory=set[str | int])
    present: int = 0
    missing: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    finite: bool = True
    decimals: int = 0
    distinct: int = 0
    _words: set[str] = field(default_factory=set[str])
    _dates: bool = True
    _commas: bool = True

    @property
    def number(self) -> bool:
        """Whether it is a column of numbers."""
        return is_number(self.type)

    @property
    def marks(self) -> tuple[str, ...]:
        """The few texts that keep a column from being one of numbers, for instance `NA`; none if it is not so."""
        few = not self.commas and len(self._words) <= _MARKS_MAX and len(self.values) > 2 * len(self._words)
        return tuple(sorted(self._words)) if few else ()

    @property
    def dates(self) -> bool:
        """Whether all values are texts that look like dates."""
        return pa.types.is_string(self.type) and self.present > 0 and self._dates

    @property
    def commas(self) -> bool:
        """Whether all values are texts that look like numbers, with a decimal comma in some."""
        return bool(self._words) and self._commas

    @property
    def identifying(self) -> bool:
        """Whether nearly every row has a value of its own."""
        return self.distinct > _IDENTIFIER_SHARE * self.present

    def look(self, column: pa.Array) -> None:
        """Take in some more rows."""
        self.missing += column.null_count
        present = column.drop_null()
        self.present += len(present)
        if not len(present):
            return
        if self.number:
            self._look_at_numbers(present.to_numpy(zero_copy_only=False))
        if not pa.types.is_floating(self.type):
            different = present.unique()
            if pa.types.is_string(self.type):
                self._look_at_texts(different.to_pylist())
            if len(self.values) <= VALUES_MAX:
                self.values.update(different[: VALUES_MAX + 1].to_pylist())

    def _look_at_numbers(self, numbers: NDArray[np.float64]) -> None:
        self.finite = self.finite and bool(np.isfinite(numbers).all())
        if self.finite:
            self.minimum = min(self.minimum, float(numbers.min()))
            self.maximum = max(self.maximum, float(numbers.max()))
            while self.decimals < _DECIMALS_MAX and not _whole(numbers * 10.0**self.decimals):
                self.decimals += 1

    def _look_at_texts(self, texts: list[str]) -> None:
        if len(self._words) <= _MARKS_MAX:
            self._words.update(islice(filterfalse(_NUMBER.fullmatch, texts), _MARKS_MAX + 1))
        self._dates = self._dates and all(map(_DATE.fullmatch, texts))
        self._commas = self._commas and all(map(_COMMA_NUMBER.fullmatch, texts))


def look(connector: Connector, relation: str) -> dict[str, Seen]:
    """Return what was seen of each column.

    Raises:
        SourceError: the source failed.
        OptionError: the connector's options do not fit the source.
    """
    schema = connector.schema(relation)
    view = View(relation, tuple((name, Column(name)) for name in schema.names), None)
    found = {name: Seen(schema.field(name).type) for name in schema.names}
    for batch in connector.rows(RowQuery(view, tuple(schema.names)), Stop()):
        for name, seen in found.items():
            seen.look(batch.column(name))
    for name, seen in found.items():
        many = len(seen.values) > VALUES_MAX
        seen.distinct = connector.profile(View(relation, (), name), (), Stop()).units if many else len(seen.values)
    return found


def _whole(numbers: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(numbers - np.round(numbers)) < 1e-6))
