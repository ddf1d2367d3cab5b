"""Builders such as `a_dataset(...)`: valid by default, one thing changed per test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bandung.connectors.base import Banded, FixedPoint, KeyColumn, Recode
from bandung.gateway.domain.agreement import Agreement, AgreementState, Grant, Use
from bandung.gateway.domain.dataset import (
    Code,
    Dataset,
    Dimension,
    Epoch,
    Facts,
    Measure,
    MeasureFacts,
    Mode,
    Source,
)
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.domain.policy import TableBuilder, TrainingRules

ANI = Principal("idn.bandung.example", Role.ANALYST, "ani")
BUDI = Principal("idn.bandung.example", Role.ANALYST, "budi")
CUSTODIAN = Principal("idn.bandung.example", Role.CUSTODIAN, "citra")
COURIER = Principal("idn.bandung.example", Role.COURIER)
NOW = "2026-01-01T00:00:00.000Z"


def a_dimension(name: str = "region", codes: tuple[str, ...] = ("N", "S"), **changes: Any) -> Dimension:
    """A dimension whose codes are their own source values."""
    expression = Recode(name, tuple((code, (code,)) for code in codes))
    return replace(Dimension(name, name, expression, tuple(Code(c, c) for c in codes)), **changes)


def a_banded_dimension(name: str = "age_group", source: str = "age") -> Dimension:
    """Ages 15-49 in two bands."""
    bands = (("15-29", 15, 30), ("30-49", 30, 50))
    return Dimension(name, name, Banded(FixedPoint((source,)), bands), tuple(Code(code, code) for code, _, _ in bands))


def a_measure(
    name: str = "income", minimum: float = 0, maximum: float = 1000, decimals: int = 0, **changes: Any
) -> Measure:
    """A never-missing measure."""
    return replace(Measure(name, name, FixedPoint((name,), decimals=decimals), minimum, maximum, "units"), **changes)


def a_dataset(**changes: Any) -> Dataset:
    """Persons with region, sex, age group and income; any field can be changed."""
    default = Dataset(
        name="persons",
        title="Persons",
        description="A small register for tests.",
        licence="CC0-1.0",
        country="IDN",
        period="2026",
        source=Source("files", {"path": "persons.parquet"}, "persons.parquet"),
        mode=Mode.SNAPSHOT,
        unit_name="person",
        unit_column="person_id",
        unit_rows_max=1,
        key_column=None,
        columns=(a_dimension(), a_dimension("sex", ("F", "M")), a_banded_dimension(), a_measure()),
        policy=TableBuilder(),
        training=TrainingRules(allowed=True, cohort_min=2),
        digest="0" * 64,
    )
    return replace(default, **changes)


def an_epoch(dataset: Dataset | None = None, *, rows: int = 1000, rows_per_unit_max: int = 1, number: int = 1) -> Epoch:
    """A published snapshot of `a_dataset()`, its facts at the declared bounds."""
    dataset = replace(dataset or a_dataset(), unit_rows_max=rows_per_unit_max)
    facts = Facts(
        rows=rows,
        units=rows // rows_per_unit_max,
        rows_per_unit_max=rows_per_unit_max,
        measures={
            m.name: MeasureFacts(
                int(m.minimum * 10**m.decimals),
                int(m.maximum * 10**m.decimals),
                int(max(abs(m.minimum), abs(m.maximum)) * 10**m.decimals) * rows_per_unit_max,
            )
            for m in dataset.measures
        },
    )
    view = replace(dataset.snapshot_view("data"), key=KeyColumn("record_key"))
    return Epoch(f"{dataset.name}@{number}", number, dataset, facts, view, NOW)


def an_agreement(**changes: Any) -> Agreement:
    """Everything of `a_dataset()` for Indonesia's analysts."""
    dataset = a_dataset()
    uses = {
        c.name: frozenset({Use.GROUP, Use.FILTER, Use.TRAIN})
        if c in dataset.dimensions
        else frozenset({Use.AGGREGATE, Use.TRAIN})
        for c in dataset.columns
    }
    default = Agreement(
        id="test-1",
        version=1,
        purpose="tests",
        principals=("spiffe://idn.bandung.example/analyst/*",),
        grants=(Grant("persons", uses),),
        not_after="2030-01-01T00:00:00.000Z",
        state=AgreementState.ACTIVE,
    )
    return replace(default, **changes)
