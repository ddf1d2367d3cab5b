"""The closed form of a declaration's sections: what may be written, key by key. `docs/datasets.md` explains each."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bandung.connectors.base import Join
from bandung.gateway.domain.ons import OnsNoise, parse_ptable
from bandung.gateway.domain.plan import Statistic
from bandung.gateway.domain.policy import (
    DifferentialPrivacy,
    Mechanism,
    PublishedTables,
    RegisteredTable,
    Secondary,
    TableBuilder,
)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Text = Annotated[str, Field(min_length=1, max_length=4000)]
CodeText = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
SourceColumn = Annotated[str, Field(min_length=1, max_length=200)]
WholeNumber = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
RealNumber = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Truth = Annotated[bool, Field(strict=True)]
Value = Truth | WholeNumber | RealNumber | Annotated[str, Field(strict=True, max_length=1000)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Edge = Annotated[float, Field(strict=True)]


def country_code(text: str) -> str:
    """Return the text if it has the form of an ISO 3166-1 alpha-3 code.

    Raises:
        ValueError: it has not.
    """
    if not re.fullmatch("[A-Z]{3}", text):
        raise ValueError("must be an ISO 3166-1 alpha-3 code: three capital letters, as KEN for Kenya")
    return text


class Section(BaseModel):
    """A section of the file: a key that is not declared here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSection(Section):
    """`[dataset]`: what the data are."""

    name: Name
    title: Text
    description: Text
    licence: Text
    country: Annotated[str, AfterValidator(country_code)]
    period: Text
    mode: Literal["snapshot", "live"] = "snapshot"


class JoinForm(Section):
    """`[[source.join]]`: another relation of the source, of which each row has at most one row beside it."""

    relation: Text
    name: Name
    on: Annotated[dict[SourceColumn, SourceColumn], Field(min_length=1, max_length=10)]


class SourceSection(BaseModel):
    """`[source]`: where the rows are; every other key is an option of the connector."""

    model_config = ConfigDict(extra="allow", frozen=True)

    connector: Text
    relation: Text
    join: Annotated[tuple[JoinForm, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> SourceSection:
        if len({join.name for join in self.join}) < len(self.join):
            raise ValueError("two joins have the same name")
        return self

    @property
    def joins(self) -> tuple[Join, ...]:
        """The joins in their order."""
        return tuple(Join(join.relation, join.name, tuple(join.on.items())) for join in self.join)


class UnitSection(Section):
    """`[unit]`: what privacy is promised to."""

    name: Text
    column: SourceColumn | None = None
    rows: Truth = False
    rows_max: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1
    key: SourceColumn | None = None

    @model_validator(mode="after")
    def _one_way(self) -> UnitSection:
        if self.rows and self.rows_max > 1:
            raise ValueError("rows_max is 1 where each row is one unit")
        if (self.column is None) == (not self.rows):
            raise ValueError("give either column, or rows = true if each row is one unit")
        return self


class CodeEntry(Section):
    """One code of a list, the source values that mean it, and the code that it lies in."""

    code: CodeText
    label: Text | None = None
    parent: CodeText | None = None
    values: tuple[Value, ...] | None = None


class NumberForm(Section):
    """How a number is read: (sum of source columns x scale + offset), rounded to `decimals`.

    Source numbers among `missing_values` stand for no value.
    """

    scale: Annotated[Finite, Field(ge=-1e9, le=1e9)] = 1.0
    offset: Annotated[Finite, Field(ge=-1e12, le=1e12)] = 0.0
    decimals: Annotated[int, Field(strict=True, ge=0, le=9)] = 0
    missing_values: Annotated[tuple[Finite, ...], Field(max_length=100)] = ()


class DimensionForm(NumberForm):
    """`[columns.<name>]` with `role = "dimension"`."""

    role: Literal["dimension"]
    label: Text | None = None
    source: SourceColumn | Annotated[tuple[SourceColumn, ...], Field(min_length=1, max_length=50)] | None = None
    codes: Annotated[tuple[CodeEntry, ...], Field(min_length=1, max_length=10_000)] | None = None
    bands: Annotated[tuple[Edge, ...], Field(min_length=2, max_length=200)] | None = None
    missing: CodeText | None = None
    parent: Name | None = None
    open: Truth = False

    @model_validator(mode="after")
    def _one_form(self) -> DimensionForm:
        if [self.codes is not None, self.bands is not None, self.open].count(True) != 1:
            raise ValueError("give either codes or bands, or open = true")
        if self.bands is None and isinstance(self.source, tuple):
            raise ValueError(f"{'an open' if self.open else 'a coded'} column has one source column")
        if self.bands is None and self.model_fields_set & set(NumberForm.model_fields):
            raise ValueError("scale, offset, decimals and missing_values belong to bands")
        if self.missing_values and self.missing is None:
            raise ValueError("missing_values need a code for rows without a value: missing")
        if self.open and self.model_fields_set & {"missing", "parent"}:
            raise ValueError("an open column has no missing values and no parent")
        return self


class MeasureForm(NumberForm):
    """`[columns.<name>]` with `role = "measure"` or `role = "weight"`."""

    role: Literal["measure", "weight"]
    label: Text | None = None
    source: SourceColumn | Annotated[tuple[SourceColumn, ...], Field(min_length=1, max_length=50)] | None = None
    range: tuple[Finite, Finite]
    bounds: tuple[Finite, Finite] | None = None
    unit: Annotated[str, Field(max_length=100)] = ""
    missing: Literal["never", "allowed"] = "never"

    @model_validator(mode="after")
    def _missing_where_allowed(self) -> MeasureForm:
        if self.missing_values and self.missing == "never":
            raise ValueError('missing_values need missing = "allowed"')
        return self


def _ptable(text: object) -> OnsNoise:
    if not isinstance(text, str):
        raise ValueError("must name a CSV file")
    return parse_ptable(text)


class TableBuilderSection(Section):
    """`[policy]` with `kind = "table-builder"`: its parameters."""

    kind: Literal["table-builder"]
    min_units: Annotated[int, Field(strict=True, ge=3)] = 10
    p_percent: Annotated[Finite, Field(gt=0, le=100)] = 15.0
    dominance_n: Annotated[int, Field(strict=True, ge=1, le=9)] = 2
    dominance_k_percent: Annotated[Finite, Field(gt=0, lt=100)] = 85.0
    threshold_spread: Annotated[int, Field(strict=True, ge=0, le=100)] = 4
    variables_max: Annotated[int, Field(strict=True, ge=1, le=6)] = 3
    mean_cell_min: Annotated[Finite, Field(ge=1)] = 20.0
    noise_max: Annotated[int, Field(strict=True, ge=1, le=50)] = 5
    noise_variance: Annotated[Finite, Field(gt=0)] = 3.0
    noise_js: Annotated[int, Field(strict=True, ge=0, le=20)] = 2
    sum_noise: Annotated[Finite, Field(gt=0, le=10)] = 0.5
    tables_per_analyst: Annotated[int, Field(strict=True, ge=1)] = 500
    tables_per_dataset: Annotated[int, Field(strict=True, ge=1)] = 5000
    exposures_max: Annotated[int, Field(strict=True, ge=1)] = 20_000
    noise: Literal["maximum-entropy", "ons"] = "maximum-entropy"
    ptable: Annotated[OnsNoise, BeforeValidator(_ptable)] | None = None

    @model_validator(mode="after")
    def _attainable(self) -> TableBuilderSection:
        if (self.noise == "ons") != (self.ptable is not None):
            raise ValueError('a ptable belongs to noise = "ons", and only to that')
        if self.noise_js >= min(self.min_units, self.noise_max):
            raise ValueError("noise_js must be below min_units and below noise_max")
        if self.noise_variance > self.noise_max**2:
            raise ValueError("noise_variance cannot be above noise_max squared")
        return self

    def policy(self) -> TableBuilder:
        """Return the policy."""
        return TableBuilder(**self.model_dump(exclude={"kind", "noise", "ptable"}), ons=self.ptable)


Rho = Annotated[Finite, Field(ge=1e-9, le=1000)]
Chance = Annotated[Finite, Field(ge=0, le=0.01)]


class PrivacySection(Section):
    """`[policy]` with `kind = "differential-privacy"`: budgets in rho of zCDP, chances as delta."""

    kind: Literal["differential-privacy"]
    rho_per_dataset: Rho = 0.5
    rho_per_agreement: Rho = 0.2
    rho_per_analyst: Rho = 0.05
    rho_per_table: Rho = 0.001
    rho_per_table_max: Rho = 0.005
    delta: Annotated[Finite, Field(gt=0, le=0.01)] = 1e-10
    open_delta_per_dataset: Chance = 0.0
    open_delta_per_table: Chance = 0.0
    mechanism: Literal["gaussian", "laplace"] = "gaussian"
    variables_max: Annotated[int, Field(strict=True, ge=1, le=10)] = 6
    cells_max: Annotated[int, Field(strict=True, ge=1, le=200_000)] = 100_000
    quantile_bins: Annotated[int, Field(strict=True, ge=2, le=4096)] = 256

    @model_validator(mode="after")
    def _nested(self) -> PrivacySection:
        if not self.rho_per_table <= self.rho_per_table_max <= self.rho_per_dataset:
            raise ValueError("rho_per_table, rho_per_table_max and rho_per_dataset must not decrease")
        if self.open_delta_per_table > self.open_delta_per_dataset:
            raise ValueError("open_delta_per_table is above open_delta_per_dataset")
        return self

    def policy(self) -> DifferentialPrivacy:
        """Return the policy, its budgets in whole units, rounded down."""
        return DifferentialPrivacy(
            nano_rho_per_dataset=_units(self.rho_per_dataset, 9),
            nano_rho_per_agreement=_units(self.rho_per_agreement, 9),
            nano_rho_per_analyst=_units(self.rho_per_analyst, 9),
            nano_rho_per_table=_units(self.rho_per_table, 9),
            nano_rho_per_table_max=_units(self.rho_per_table_max, 9),
            delta=self.delta,
            atto_delta_per_dataset=_units(self.open_delta_per_dataset, 18),
            atto_delta_per_table=_units(self.open_delta_per_table, 18),
            mechanism=Mechanism(self.mechanism),
            variables_max=self.variables_max,
            cells_max=self.cells_max,
            quantile_bins=self.quantile_bins,
        )


def _units(amount: float, digits: int) -> int:
    """Return the amount, as it was written, in units of 10^-digits."""
    return int(Decimal(repr(amount)).scaleb(digits))


class RegisteredTableForm(Section):
    """`[[policy.tables]]`: one table of a registered set."""

    group_by: Annotated[tuple[Name, ...], Field(max_length=6)]
    statistics: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(count|sum\([a-z][a-z0-9_]*\))$")], ...], Field(min_length=1)
    ]
    complete: Truth = False

    def table(self) -> RegisteredTable:
        """Return the table, its parts sorted."""
        statistics = (Statistic(*name.rstrip(")").split("(")) for name in self.statistics)
        return RegisteredTable(tuple(sorted(set(self.group_by))), tuple(sorted(set(statistics))), self.complete)


class PublishedTablesSection(Section):
    """`[policy]` with `kind = "published-tables"`: what is sensitive, and the registered set."""

    kind: Literal["published-tables"]
    min_units: Annotated[int, Field(strict=True, ge=3)] = 10
    p_percent: Annotated[Finite, Field(gt=0, le=100)] = 15.0
    dominance_n: Annotated[int, Field(strict=True, ge=1, le=9)] = 2
    dominance_k_percent: Annotated[Finite, Field(gt=0, lt=100)] = 85.0
    secondary: Literal["joint", "tau-argus"] = "joint"
    tables: Annotated[tuple[RegisteredTableForm, ...], Field(min_length=1, max_length=50)]

    def policy(self) -> PublishedTables:
        """Return the policy."""
        rules = self.model_dump(exclude={"kind", "tables", "secondary"})
        tables = tuple(form.table() for form in self.tables)
        return PublishedTables(**rules, tables=tables, secondary=Secondary(self.secondary))


class TrainingSection(Section):
    """`[training]`: what training jobs may do; without the section, nothing."""

    allowed: Truth = False
    cohort_min: Annotated[int, Field(strict=True, ge=2)] = 3
    units_min: Annotated[int, Field(strict=True, ge=3)] = 10
    units_per_parameter_min: Annotated[Finite, Field(gt=0)] = 1.0
    rounds_max: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 50
    steps_per_analyst: Annotated[int, Field(strict=True, ge=1)] = 500
    steps_per_dataset: Annotated[int, Field(strict=True, ge=1)] = 5000
