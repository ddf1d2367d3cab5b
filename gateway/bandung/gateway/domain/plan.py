"""A closed plan: all that a question can be, whatever interface it came through."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum


class StatisticKind(Enum):
    """What can be asked of the records of a cell."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, order=True)
class Statistic:
    """One statistic; `measure` is empty for a count."""

    kind: str
    measure: str = ""

    @property
    def name(self) -> str:
        """Canonical column name: `count`, `sum(x)`, `mean(x)`."""
        return f"{self.kind}({self.measure})" if self.measure else self.kind


@dataclass(frozen=True, slots=True, order=True)
class Filter:
    """Rows whose dimension has this code."""

    column: str
    code: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A canonical question to one epoch: sorted, without duplicates, without presentation.

    Two requests that mean the same table have the same plan, hence the same release.
    """

    epoch: str
    group_by: tuple[str, ...]
    filters: tuple[Filter, ...]
    statistics: tuple[Statistic, ...]

    def canonical(self) -> str:
        """Canonical JSON, the digest's pre-image."""
        document = {
            "epoch": self.epoch,
            "group_by": list(self.group_by),
            "filters": [[f.column, f.code] for f in self.filters],
            "statistics": [s.name for s in self.statistics],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every dimension that the table uses, filters counted, sorted."""
        return tuple(sorted({*self.group_by, *(f.column for f in self.filters)}))


class Direction(Enum):
    """Sort direction; nulls come last either way."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the answer: the release's column `source` under the name `alias`."""

    source: str
    alias: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a release is shown; applied after protection, so it can reveal nothing more.

    Attributes:
        order_by: pairs of a release column and a direction.
        limit: most rows shown, or None.
    """

    outputs: tuple[Output, ...]
    order_by: tuple[tuple[str, Direction], ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A parameter of a prepared statement, by its 0-based position in the text."""

    index: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A planned statement whose filters may still wait for parameters.

    Attributes:
        filters: dimension and its code, or the placeholder that will give it.
        parameters: dimension that each placeholder is compared with, by position.
    """

    epoch: str
    group_by: tuple[str, ...]
    filters: tuple[tuple[str, str | Placeholder], ...]
    statistics: tuple[Statistic, ...]
    presentation: Presentation
    parameters: tuple[str, ...] = ()
