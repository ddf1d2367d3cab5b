"""A closed plan: all that a question can be, whatever interface it came through."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum

from bandung.connectors.base import Among, Condition


class StatisticKind(Enum):
    """What can be asked of the records of a cell."""

    COUNT = "count"
    UNITS = "units"
    SUM = "sum"
    MEAN = "mean"
    VARIANCE = "variance"
    STDDEV = "stddev"
    QUANTILE = "quantile"


@dataclass(frozen=True, slots=True, order=True)
class Statistic:
    """One statistic.

    Attributes:
        measure: empty for a count of records or of units.
        share: of a quantile, the share of records at or below it, as its shortest decimal text (`0.5`); else empty.
    """

    kind: str
    measure: str = ""
    share: str = ""

    @property
    def name(self) -> str:
        """Canonical column name: `count`, `units`, `sum(x)`, `mean(x)`, `quantile(x,0.5)`."""
        of = ",".join(filter(None, (self.measure, self.share)))
        return f"{self.kind}({of})" if of else self.kind


@dataclass(frozen=True, slots=True)
class Plan:
    """A canonical question to one epoch: sorted, without duplicates, without presentation.

    Two requests that mean the same table have the same plan, hence the same release.

    Attributes:
        filters: at most one for each column; codes sorted.
        nano_rho: what the whole table may spend of a privacy budget, in 10^-9 of zCDP's rho; 0 under a policy
            without such a budget.
    """

    epoch: str
    group_by: tuple[str, ...]
    filters: tuple[Condition, ...]
    statistics: tuple[Statistic, ...]
    nano_rho: int = 0

    def canonical(self) -> str:
        """Canonical JSON, the digest's pre-image."""
        document = {
            "epoch": self.epoch,
            "group_by": list(self.group_by),
            "filters": [_written(condition) for condition in self.filters],
            "statistics": [s.name for s in self.statistics],
            "nano_rho": self.nano_rho,
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


def _written(condition: Condition) -> list[object]:
    if isinstance(condition, Among):
        return [condition.column, list(condition.codes)]
    return [condition.column, condition.low, condition.high]


class Operator(Enum):
    """How a column is compared with literals; `=` and `<>` of a dimension take several, of which one or none holds."""

    EQUAL = "="
    UNEQUAL = "<>"
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="


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
class Threshold:
    """A row is shown only if its released value of a statistic is there and compares like this."""

    source: str
    operator: Operator
    number: float


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a release is shown; applied after protection, so it can reveal nothing more.

    Attributes:
        having: all of them hold in each row that is shown.
        order_by: pairs of a release column and a direction.
        limit: most rows shown, or None.
    """

    outputs: tuple[Output, ...]
    having: tuple[Threshold, ...] = ()
    order_by: tuple[tuple[str, Direction], ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A parameter of a prepared statement, by its 0-based position in the text."""

    index: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a dimension with codes, or of a measure with one number, as text."""

    column: str
    operator: Operator
    values: tuple[str | Placeholder, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A planned statement whose filters may still wait for parameters.

    Attributes:
        levels: what is grouped by, once for each level of a ROLLUP, the finest first; else one entry.
        filters: all of them hold for each record that is counted.
        statistics: those that are shown, then those that only HAVING looks at.
        parameters: column that each placeholder is compared with, by position.
        explain: the asker wants to know what the statement would give and cost, not its answer.
    """

    epoch: str
    levels: tuple[tuple[str, ...], ...]
    filters: tuple[Comparison, ...]
    statistics: tuple[Statistic, ...]
    presentation: Presentation
    parameters: tuple[str, ...] = ()
    explain: bool = False

    @property
    def group_by(self) -> tuple[str, ...]:
        """The dimensions of the finest level."""
        return self.levels[0]
