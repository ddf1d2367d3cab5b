"""Declarations: from a TOML file to a dataset, or every problem of the file at once."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bandung.connectors.base import Banded, FixedPoint, Recode
from bandung.gateway.domain.dataset import Code, ColumnRole, Dimension, Measure, Mode
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.declaration_form import (
    CodeEntry,
    DatasetSection,
    DimensionForm,
    JoinForm,
    MeasureForm,
    PrivacySection,
    SourceSection,
    TableBuilderSection,
    TrainingSection,
    UnitSection,
)
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import TableBuilder, TrainingRules

DECLARATION = """
[dataset]
name = "family_planning"
title = "Contraceptive use"
description = "Married women, 1987."
licence = "CC-BY-4.0"
country = "IDN"
period = "1987"

[source]
connector = "files"
relation = "contraceptive.csv"
null = ["NA"]
threads = 1
header = true

[unit]
name = "woman"
column = "id"

[columns.age_group]
role = "dimension"
label = "Age"
source = "Wife_age"
bands = [15, 20, 25, inf]
missing = "_U"

[columns.using]
role = "dimension"
source = "method"
codes = [{ code = "N", label = "Not using", values = [1] }, { code = "Y", values = [2, 3] }]

[columns.province]
role = "dimension"
codes = [{ code = "31" }, { code = "None" }, { code = "_U", label = "Not stated", values = [99] }]
missing = "_U"

[columns.district]
role = "dimension"
codes = [{ code = "3171" }]
parent = "province"

[columns.fertiliser]
role = "measure"
source = ["urea", "phosphate"]
scale = 0.5
decimals = 2
range = [0, 400.5]
unit = "kg"
missing = "allowed"

[columns.children]
role = "measure"
range = [0, 16]

[columns.weight]
role = "weight"
range = [0, 10]
decimals = 3

[policy]
kind = "table-builder"
min_units = 12

[training]
allowed = true
cohort_min = 2
"""


def declared(**changes: Any) -> dict[str, Any]:
    """The declaration above; `columns__age_group__bands=[…]` sets a key, `…=None` removes it."""
    document = deepcopy(tomllib.loads(DECLARATION))
    for path, value in changes.items():
        *sections, key = path.split("__")
        target = document
        for section in sections:
            target = target.setdefault(section, {})
        if value is None:
            target.pop(key)
        else:
            target[key] = value
    return document


def refusal_of(document: Any) -> str:
    with pytest.raises(Refusal) as caught:
        parse_declaration(document, "/data")
    assert caught.value.kind is ErrorKind.BAD_DECLARATION
    return caught.value.detail


def test_a_declaration_becomes_a_dataset():
    dataset = parse_declaration(declared(), "/data")
    assert (dataset.name, dataset.country, dataset.mode) == ("family_planning", "IDN", Mode.SNAPSHOT)
    assert (dataset.unit_name, dataset.unit_column, dataset.key_column) == ("woman", "id", None)
    assert dataset.policy == TableBuilder(min_units=12)
    assert dataset.training == TrainingRules(allowed=True, cohort_min=2)
    names = [column.name for column in dataset.columns]
    assert names == ["age_group", "using", "province", "district", "fertiliser", "children", "weight"]


def test_the_most_rows_of_a_unit_are_declared_and_one_by_default():
    assert parse_declaration(declared(), "/data").unit_rows_max == 1
    assert parse_declaration(declared(unit__rows_max=6), "/data").unit_rows_max == 6
    assert "rows_max is 1 where each row is one unit" in refusal_of(
        declared(unit__column=None, unit__rows=True, unit__rows_max=2)
    )


@pytest.mark.parametrize("policy", [{"noise_js": 5}, {"noise_js": 12, "noise_max": 20}])
def test_a_policy_without_unbiased_noise_is_refused(policy: dict[str, int]):
    changes = {f"policy__{name}": value for name, value in policy.items()}
    assert "noise_js must be below min_units and below noise_max" in refusal_of(declared(**changes))


def test_options_of_the_connector_travel_as_text_with_the_files_directory():
    options = parse_declaration(declared(), "/data").source.options
    assert options == {"null": '["NA"]', "threads": "1", "header": "true", "base": "/data"}


def test_bands_are_named_by_what_they_hold():
    age = parse_declaration(declared(), "/data").column("age_group")
    assert isinstance(age, Dimension)
    assert age.expression == Banded(
        FixedPoint(("Wife_age",)), (("15-19", 15, 20), ("20-24", 20, 25), ("25+", 25, 9 * 10**18)), "_U"
    )
    assert [code.code for code in age.codes] == ["15-19", "20-24", "25+", "_U"]
    assert age.codes[-1].label == "Missing"


@pytest.mark.parametrize(
    ("bands", "decimals", "codes"),
    [
        ([0, 1, 3], 0, ["0", "1-2"]),
        ([0, 0.5, 1], 1, ["0.0-0.4", "0.5-0.9"]),
        ([float("-inf"), 0, 10], 0, ["<0", "0-9"]),
        ([-10, -5, 0], 0, ["-10 to -6", "-5 to -1"]),
        ([float("-inf"), float("inf")], 0, ["any"]),
    ],
)
def test_bands_of_every_kind_get_a_readable_code(bands: list[float], decimals: int, codes: list[str]):
    document = declared(columns__age_group__bands=bands, columns__age_group__decimals=decimals)
    age = parse_declaration(document, "/data").column("age_group")
    assert isinstance(age, Dimension)
    assert [code.code for code in age.codes][:-1] == codes


def test_a_codes_values_default_to_the_code_itself():
    using = parse_declaration(declared(), "/data").column("using")
    province = parse_declaration(declared(), "/data").column("province")
    assert isinstance(using, Dimension)
    assert isinstance(province, Dimension)
    assert using.expression == Recode("method", (("N", (1,)), ("Y", (2, 3))))
    assert province.expression == Recode("province", (("31", ("31",)), ("None", ("None",)), ("_U", (99,))), "_U")


def test_missing_and_not_stated_can_share_a_code():
    province = parse_declaration(declared(), "/data").column("province")
    assert isinstance(province, Dimension)
    assert province.codes == (Code("31", "31"), Code("None", "None"), Code("_U", "Not stated"))
    assert province.missing == "_U"


def test_measures_and_weights_carry_scale_decimals_and_range():
    dataset = parse_declaration(declared(), "/data")
    fertiliser, weight = dataset.column("fertiliser"), dataset.column("weight")
    assert isinstance(fertiliser, Measure)
    assert isinstance(weight, Measure)
    assert fertiliser.expression == FixedPoint(("urea", "phosphate"), 0.5, 0.0, 2)
    assert (fertiliser.minimum, fertiliser.maximum, fertiliser.unit_of_measurement) == (0, 400.5, "kg")
    assert fertiliser.optional
    assert (weight.role, weight.optional) == (ColumnRole.WEIGHT, False)


def test_the_digest_depends_on_what_is_declared_and_on_nothing_else():
    first = parse_declaration(declared(), "/data").digest
    reordered = dict(reversed(declared().items()))
    assert parse_declaration(reordered, "/elsewhere").digest == first
    assert parse_declaration(declared(policy__min_units=13), "/data").digest != first


def test_every_problem_of_a_file_is_reported_at_once():
    document = declared(
        dataset__title=None,
        dataset__country="Indonesia",
        policy__min_units=1,
        policy__colour="red",
        unit__rows=True,
        columns__using__role="secret",
        columns__children__range=[16, 0],
        columns__age_group__bands=[20, 15],
        surprise={},
    )
    detail = refusal_of(document)
    for place in (
        "dataset.title: is missing",
        "dataset.country: ",
        "policy.min_units: ",
        "policy.colour: is not a key of this section",
        "unit: give either column, or rows = true",
        "columns.using.role: must be dimension, measure or weight",
        "columns.children.range: the lower bound is above the upper one",
        "columns.age_group.bands: the edges must increase",
        "surprise: is not a section of a declaration",
    ):
        assert place in detail


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dataset__name": "Robert'); DROP TABLE students;--"}, "dataset.name"),
        ({"dataset__mode": "mirror"}, "dataset.mode"),
        ({"dataset__period": 1987}, "dataset.period"),
        ({"source__password": "x"}, "source.password: a declaration holds no password"),
        ({"source__url": "postgresql://me:secret@host/db"}, "source.url: a declaration holds no password"),
        ({"source__base": "/etc"}, "source.base"),
        ({"source__tree": {"a": 1}}, "source.tree"),
        ({"columns__record_key": {"role": "measure", "range": [0, 1]}}, "columns.record_key: this name is reserved"),
        ({"columns__count": {"role": "measure", "range": [0, 1]}}, "columns.count: this name is reserved"),
        ({"columns__Bad-Name": {"role": "measure", "range": [0, 1]}}, "columns.Bad-Name: a column name has"),
        ({"columns__using__bands": [1, 2]}, "columns.using: give either codes or bands"),
        ({"columns__using__source": ["a", "b"]}, "columns.using: a coded column has one source column"),
        ({"columns__using__scale": 2.0}, "columns.using: scale, offset, decimals and missing_values belong to bands"),
        ({"columns__using__missing_values": [9]}, "scale, offset, decimals and missing_values belong to bands"),
        (
            {"columns__age_group__missing": None, "columns__age_group__missing_values": [99]},
            "missing_values need a code for rows without a value",
        ),
        ({"columns__weight__missing_values": [0]}, 'missing_values need missing = "allowed"'),
        ({"columns__using__codes": [{"code": "a\x00b"}]}, "columns.using.codes.0.code"),
        ({"columns__using__codes": [{"code": "a"}, {"code": "a", "values": [7]}]}, "codes.1.code: a is listed twice"),
        ({"columns__using__codes": [{"code": "1"}, {"code": "b", "values": [1.0]}]}, "codes.1.values: 1 has a meaning"),
        ({"columns__using__codes": []}, "columns.using.codes"),
        ({"columns__age_group__bands": [15, 19.5]}, "columns.age_group.bands: every edge must have at most 0 decimals"),
        ({"columns__age_group__bands": [0, float("inf"), float("inf")]}, "columns.age_group.bands: the edges"),
        ({"columns__age_group__bands": [0, float("nan")]}, "columns.age_group.bands"),
        ({"columns__age_group__missing": "15-19"}, "columns.age_group.missing: is the code of a band"),
        ({"columns__district__parent": "children"}, "columns.district.parent: children is not a dimension"),
        ({"columns__province__parent": "district"}, "columns.province.parent: the hierarchy goes in a circle"),
        ({"columns__district__parent": "district"}, "columns.district.parent: the hierarchy goes in a circle"),
        ({"columns__children__range": [0, 1e16]}, "columns.children.range: too large"),
        ({"columns__children__range": [0, float("inf")]}, "columns.children.range"),
        ({"columns__children__decimals": 10}, "columns.children.decimals"),
        ({"policy__min_units": True}, "policy.min_units"),
        ({"policy__min_units": "10"}, "policy.min_units"),
        ({"policy__kind": "none"}, "policy.kind"),
        ({"policy": None}, "policy: the section is missing"),
        ({"training__cohort_min": 1}, "training.cohort_min"),
        ({"columns": None}, "columns: declare at least one column"),
        ({"columns": [1]}, "columns: declare at least one column"),
        ({"dataset": "text"}, "dataset: "),
    ],
)
def test_a_hostile_or_careless_key_is_refused_by_its_path(changes: dict[str, Any], problem: str):
    assert problem in refusal_of(declared(**changes))


def test_a_live_dataset_of_rows_needs_a_key_from_the_source():
    live = declared(dataset__mode="live", unit__column=None, unit__rows=True)
    assert "unit: a live dataset needs column" in refusal_of(live)
    assert parse_declaration({**live, "unit": {**live["unit"], "key": "k"}}, "/data").key_column == "k"


def test_training_is_forbidden_unless_it_is_allowed():
    assert parse_declaration(declared(training=None), "/data").training == TrainingRules(allowed=False)


@pytest.mark.parametrize(
    "form",
    [
        DatasetSection,
        SourceSection,
        JoinForm,
        UnitSection,
        CodeEntry,
        DimensionForm,
        MeasureForm,
        PrivacySection,
        TableBuilderSection,
        TrainingSection,
    ],
)
def test_every_key_is_documented(form: type[BaseModel]):
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    assert [key for key in form.model_fields if f"`{key}`" not in text and f"`{key} " not in text] == []


def test_the_documented_example_is_a_declaration():
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    assert parse_declaration(tomllib.loads(example), "/data").name == "family_planning"
