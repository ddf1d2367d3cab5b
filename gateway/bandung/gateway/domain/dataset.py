"""What a custodian declares of a dataset: source, unit of privacy, columns, policy, documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from posixpath import join, normpath
from typing import TypeVar
from urllib.parse import quote

from bandung.connectors.base import Banded, Column, Expression, FixedPoint, Join, Recode, View
from bandung.gateway.domain.policy import CellRules, Policy, TrainingRules

_Policy = TypeVar("_Policy", bound=Policy | CellRules)


class ColumnRole(Enum):
    """What a column may be used for."""

    IDENTIFIER = "identifier"
    DIMENSION = "dimension"
    MEASURE = "measure"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a code list.

    Attributes:
        parent: code of the dimension's parent that this one lies in, so that it cannot occur beside another; None
            if that is not declared.
    """

    code: str
    label: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Dimension:
    """A classification: grouped and filtered by code.

    Attributes:
        codes: the whole public code list in its order, the code for missing included.
        missing: the code that stands for a missing value, or None where none may be missing.
        parent: dimension that this one nests in (district in province), or None.
        open: there is no public code list, so `codes` is empty and a table shows the codes that its release has;
            grouped only, and only under a policy that hides which codes occur.
    """

    name: str
    label: str
    expression: Recode | Banded | Column
    codes: tuple[Code, ...]
    missing: str | None = None
    parent: str | None = None
    open: bool = False

    @property
    def role(self) -> ColumnRole:
        """Always `DIMENSION`."""
        return ColumnRole.DIMENSION


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that may be summed and averaged.

    Attributes:
        expression: fixed-point value; `decimals` says how many.
        minimum, maximum: declared range in the unit of measurement, both inclusive.
        bounds: a narrower range that values are clamped to under `differential-privacy`, or None for the whole one.
        optional: values may be missing.
        weight: declared as a survey weight.
        adds: of a governed view, the base's measures that this one adds up, sorted; else empty.
    """

    name: str
    label: str
    expression: FixedPoint
    minimum: float
    maximum: float
    unit_of_measurement: str
    optional: bool = False
    weight: bool = False
    bounds: tuple[float, float] | None = None
    adds: tuple[str, ...] = ()

    @property
    def values_of(self) -> str:
        """What its values are, whatever it is called: equal values get equal noise under every name."""
        return "+".join(self.adds) or self.name

    @property
    def role(self) -> ColumnRole:
        """`MEASURE` or `WEIGHT`."""
        return ColumnRole.WEIGHT if self.weight else ColumnRole.MEASURE

    @property
    def decimals(self) -> int:
        """Digits after the point that are carried."""
        return self.expression.decimals

    @property
    def range_steps(self) -> tuple[int, int]:
        """The declared range in units of 10^-decimals, both inclusive."""
        factor = 10**self.decimals
        return round(self.minimum * factor), round(self.maximum * factor)

    @property
    def bounds_steps(self) -> tuple[int, int]:
        """The range that values are clamped to, in units of 10^-decimals, both inclusive."""
        low, high = self.bounds or (self.minimum, self.maximum)
        factor = 10**self.decimals
        return round(low * factor), round(high * factor)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows are: a registered connector, its options, the relation, and what is joined to its rows."""

    connector: str
    options: Mapping[str, str]
    relation: str
    joins: tuple[Join, ...] = ()

    def same_rows(self, other: Source) -> bool:
        """Tell whether a relation is read by both; where the declaration stands matters to files alone.

        What is joined counts: its rows are told of beside whatever they are joined to.
        """
        return any(place in other._places() for place in self._places())

    def _places(self) -> list[tuple[str, dict[str, str], str]]:
        options = dict(self.options)
        declared = options.pop("base", "")
        base = declared if self.connector == "files" else ""
        relations = (self.relation, *(joined.relation for joined in self.joins))
        return [(self.connector, options, normpath(join(base, relation))) for relation in relations]


class Mode(Enum):
    """How an epoch holds its rows."""

    SNAPSHOT = "snapshot"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A declaration, read from one TOML file; says nothing yet of what the data hold.

    Attributes:
        name: SQL name: lower-case letters, digits, underscores.
        unit_name: what a unit is called (woman, farm, enterprise).
        unit_column: source column with the unit's id; None when each row is one unit.
        unit_rows_max: most rows that a unit may have; public, and verified at publication.
        key_column: source column that provides the record key, or None.
        digest: SHA-256 of the declaration's canonical form, hexadecimal.
        base: of a governed view, the dataset whose rows, key, policy and budget it has; else None.
    """

    name: str
    title: str
    description: str
    licence: str
    country: str
    period: str
    source: Source
    mode: Mode
    unit_name: str
    unit_column: str | None
    unit_rows_max: int
    key_column: str | None
    columns: tuple[Dimension | Measure, ...]
    policy: Policy
    training: TrainingRules
    digest: str
    base: str | None = None

    @property
    def rows_of(self) -> str:
        """Name of the dataset that has the rows, their key and the budget."""
        return self.base or self.name

    @property
    def rows_of_period(self) -> str:
        """The same with the reference period, as one part of a scope: `farms:2024-Q3`."""
        return f"{self.rows_of}:{quote(self.period, safe='')}"

    def column(self, name: str) -> Dimension | Measure | None:
        """Return the declared column, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the dimensions that this one nests in, the nearest first."""
        found: list[str] = []
        while (above := self._parent(found[-1] if found else name)) is not None:
            found.append(above)
        return tuple(found)

    def codes_above(self, name: str, ancestor: str) -> Mapping[str, str]:
        """Return the code of an ancestor that each code of a dimension lies in, as far as that is declared."""
        found = self._code_parents(name)
        for between in self.ancestors(name):
            if between == ancestor:
                break
            higher = self._code_parents(between)
            found = {code: higher[parent] for code, parent in found.items() if parent in higher}
        return found

    def _code_parents(self, name: str) -> Mapping[str, str]:
        column = self.column(name)
        codes = column.codes if isinstance(column, Dimension) else ()
        return {entry.code: entry.parent for entry in codes if entry.parent is not None}

    def _parent(self, name: str) -> str | None:
        column = self.column(name)
        return column.parent if isinstance(column, Dimension) else None

    def policy_as(self, kind: type[_Policy]) -> _Policy:
        """Return the dataset's policy, which is of this kind.

        Raises:
            TypeError: another policy protects the dataset; it has one, never two.
        """
        if not isinstance(self.policy, kind):
            raise TypeError(f"{self.name} is not under {kind.__name__}")
        return self.policy

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Declared dimensions in order."""
        return tuple(column for column in self.columns if isinstance(column, Dimension))

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Declared measures and weights in order."""
        return tuple(column for column in self.columns if isinstance(column, Measure))

    def opened(self, names: Sequence[str]) -> tuple[Dimension, ...]:
        """Return which of these columns are open dimensions."""
        return tuple(dimension for dimension in self.dimensions if dimension.name in names and dimension.open)

    def source_view(self) -> View:
        """The declared columns over the source relation, without a record key."""
        columns: list[tuple[str, Expression]] = [(column.name, column.expression) for column in self.columns]
        return View(
            self.source.relation,
            tuple(columns),
            self.unit_column,
            unit_rows_max=self.unit_rows_max,
            joins=self.source.joins,
        )

    def snapshot_view(self, relation: str) -> View:
        """The declared columns over the gateway's own copy, where they stand already computed."""
        columns: list[tuple[str, Expression]] = [(column.name, Column(column.name)) for column in self.columns]
        return View(relation, tuple(columns), "unit", unit_rows_max=self.unit_rows_max)


@dataclass(frozen=True, slots=True)
class MeasureFacts:
    """Verified at publication, in units of 10^-decimals.

    Attributes:
        unit_total_max: largest sum of absolute values over one unit's rows.
    """

    minimum: int
    maximum: int
    unit_total_max: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What publication verified of the data; secret unless a policy says otherwise.

    Attributes:
        nesting: parent code of each child code, by (child dimension, parent dimension).
    """

    rows: int
    units: int
    rows_per_unit_max: int
    measures: Mapping[str, MeasureFacts]
    nesting: Mapping[tuple[str, str], Mapping[str, str]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, str]]
    )


Withheld = Mapping[tuple[tuple[str, ...], str], frozenset[tuple[str, ...]]]
"""Cells that are not shown, by their table's dimensions and the name of a statistic of it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A published version of a dataset: the thing that is queried.

    Attributes:
        id: `<dataset>@<number>`, for instance `family_planning@1`.
        view: what executors aggregate: the snapshot's table or the live relation, with its record key.
        published_at: RFC 3339, UTC.
        withheld: under `published-tables`, the cells that are not shown: an entry for each statistic that may be asked
            for, also if nothing of it is withheld.
        base: of a governed view, id of the epoch that it stands over; else None.
    """

    id: str
    number: int
    dataset: Dataset
    facts: Facts
    view: View
    published_at: str
    withheld: Withheld = field(default_factory=dict[tuple[tuple[str, ...], str], frozenset[tuple[str, ...]]])
    base: str | None = None

    @property
    def name(self) -> str:
        """Name that the dataset is asked by."""
        return self.dataset.name

    @property
    def rows_of(self) -> str:
        """Id of the epoch that has the rows."""
        return self.base or self.id
