"""A question put to several countries, and what each of them said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from bandung.gateway.domain.noise import BY_CONTRIBUTORS, FORMS, Noise, half_width, variance

INTERVAL = "_ci95"
"""How the name of a column ends that holds half the width of a statistic's 95 % interval."""
STATUS_COLUMNS = ("OBS_STATUS", "CONF_STATUS")
"""Columns of a release that say why a value is absent; they are neither dimensions nor statistics."""

Cell = tuple[str, ...]
"""A code for each dimension of a table."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A country's released table.

    Attributes:
        table: dimensions (utf8), statistics (null where suppressed), then the status columns.
        noise: by statistic as released (`count`, `sum(x)`, `mean(x)`): what its published noise implies.
        columns: what each column of the table is in the release, by its name or alias.
        epoch: `<dataset>@<number>` that was asked.
        policy: public name of its release policy.
        receipt: where the answer stands in the country's ledger.
        bytes: size of the answer as it crossed the border.
        seconds: from asking to having the table.
    """

    member: str
    table: pa.Table
    noise: Noise
    columns: Mapping[str, str]
    epoch: str
    policy: str
    receipt: str
    bytes: int
    seconds: float

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the columns that classify: text."""
        return tuple(name for name in self._values if pa.types.is_string(self.table.schema.field(name).type))

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the columns that hold statistics: numbers."""
        return tuple(name for name in self._values if name not in self.dimensions and name not in self.intervals)

    @property
    def intervals(self) -> tuple[str, ...]:
        """Names of the columns that hold half the width of a statistic's 95 % interval."""
        return tuple(name for name in self._values if name.endswith(INTERVAL) and name not in self.columns)

    @property
    def count(self) -> str | None:
        """Name of the column that counts records, if there is one."""
        return next((name for name in self.statistics if self.columns.get(name, name) == "count"), None)

    @property
    def cells(self) -> list[Cell]:
        """The codes of each row, in the order of the dimensions; empty tuples if there are none."""
        return cells_of(self.table, self.dimensions)

    def noise_of(self, statistic: str) -> Mapping[str, float]:
        """Return what is published about the noise on a column.

        Raises:
            KeyError: nothing is.
        """
        return self.noise[self.columns.get(statistic, statistic)]

    def states_noise(self, statistic: str) -> bool:
        """Tell whether anything that can be understood is published about the noise on a column."""
        stated = self.noise.get(self.columns.get(statistic, statistic), {})
        return not stated.keys().isdisjoint(FORMS)

    def noise_variance(self, statistic: str) -> float:
        """Return the variance of the noise on a count, or the largest that it can have on a sum.

        Raises:
            KeyError: the column is a mean, whose noise depends on the cell.
        """
        found = variance(self.noise_of(statistic))
        if found is None:
            raise KeyError(statistic)
        return found

    def noise_variances(self, statistic: str) -> list[float | None]:
        """Return, for each row, the variance of the noise on a column, or the largest that it can have.

        The error of a mean shrinks with the number of its contributors: it is known where the answer counts them.
        """
        noise = self.noise_of(statistic)
        return [variance(noise, records) for records in self._records(noise)]

    def half_widths(self, statistic: str) -> list[float | None]:
        """Return, for each row, half the width of the 95 % interval of the noise on a column, or the largest it can be.

        As the country released it; where it did not, as the published noise implies.
        """
        released = f"{statistic}{INTERVAL}"
        if released in self.intervals:
            return self.table[released].to_pylist()
        noise = self.noise_of(statistic)
        return [half_width(noise, records) for records in self._records(noise)]

    def _records(self, noise: Mapping[str, float]) -> list[float | None]:
        """Return the number of records by row, by which a published noise is to be divided; None if it is not known."""
        if self.count is None or not noise.keys().isdisjoint(BY_CONTRIBUTORS):
            return [None] * len(self.table)
        return self.table[self.count].to_pylist()

    @property
    def _values(self) -> tuple[str, ...]:
        return tuple(name for name in self.table.column_names if name not in STATUS_COLUMNS)


@dataclass(frozen=True, slots=True)
class Declined:
    """A country said no.

    Attributes:
        code: stable, from the error catalogue.
        reason: in the gateway's own public words.
    """

    member: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A country could not be asked, or its answer could not be had."""

    member: str
    reason: str


Outcome = Answered | Declined | Unreachable


def answered(outcomes: Iterable[Outcome]) -> tuple[Answered, ...]:
    """Return the outcomes that hold a table, in their order."""
    return tuple(outcome for outcome in outcomes if isinstance(outcome, Answered))


def cells_of(table: pa.Table, dimensions: tuple[str, ...]) -> list[Cell]:
    """Return the codes of each row of a table."""
    if not dimensions:
        return [()] * len(table)
    return list(zip(*(table[name].to_pylist() for name in dimensions), strict=True))
