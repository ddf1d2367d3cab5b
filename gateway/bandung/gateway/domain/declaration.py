"""A declaration, as loaded from TOML, to a `Dataset`; or every problem of the file at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from bandung.gateway.domain.dataset import Dataset, Dimension, Measure, Mode, Source
from bandung.gateway.domain.declaration_columns import Problems, dimension, measure
from bandung.gateway.domain.declaration_form import (
    DatasetSection,
    DimensionForm,
    MeasureForm,
    PrivacySection,
    PublishedTablesSection,
    SourceSection,
    TableBuilderSection,
    TrainingSection,
    UnitSection,
)
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import DifferentialPrivacy, Policy, PublishedTables, TrainingRules

RESERVED_COLUMNS = frozenset(
    {"unit", "record_key", "obs_status", "conf_status", "rows", "key", "units", "bin", "count"}
)
"""Names that answers, sources' answers or the gateway's own copies use beside declared columns."""

BASE_OPTION = "base"
"""Source option that holds the declaration's directory; set by the parser, never written in a file."""

FINEST_CELLS_MAX = 50_000
"""Most cells over all dimensions of a registered set of tables: each is an unknown of the audit's programs."""

_COLUMN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CREDENTIALS = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_PATH_PART = re.compile(r"[a-z_][a-z0-9_]*")
_ROLES: Mapping[str, type[BaseModel]] = {
    "dimension": DimensionForm,
    "measure": MeasureForm,
    "weight": MeasureForm,
}
_Section = TypeVar("_Section", bound=BaseModel)


def parse_declaration(document: Mapping[str, object], base: str) -> Dataset:
    """Return the dataset that a declaration describes.

    Args:
        document: the loaded TOML file, with the text of the file that `policy.ptable` names in place of its name.
        base: absolute directory of the file; relative paths of the source start there.

    Raises:
        Refusal: BAD_DECLARATION, listing each problem of the file as `key.path: reason`.
    """
    problems = Problems()
    known = {"dataset", "source", "unit", "columns", "policy", "training"}
    for name in document.keys() - known:
        problems.add(name, "is not a section of a declaration")
    about = section_of(document, "dataset", DatasetSection, problems)
    source = _source(document, base, problems)
    unit = section_of(document, "unit", UnitSection, problems)
    policy = _policy(document, problems)
    training = section_of({"training": document.get("training", {})}, "training", TrainingSection, problems)
    columns = _columns(document.get("columns"), problems)
    if about and unit and about.mode == "live" and unit.rows and unit.key is None:
        problems.add("unit", "a live dataset needs column, or a record key that the source provides in key")
    if isinstance(policy, DifferentialPrivacy):
        _check_private(about, training, columns, policy, problems)
    elif any(column.bounds if isinstance(column, Measure) else column.open for column in columns):
        problems.add("columns", "bounds and open belong to the policy differential-privacy")
    if isinstance(policy, PublishedTables):
        _check_published(policy, about, training, columns, problems)
    if problems.found or not (about and source and unit and policy and training):
        raise _refused(problems)
    return Dataset(
        name=about.name,
        title=about.title,
        description=about.description,
        licence=about.licence,
        country=about.country,
        period=about.period,
        source=source,
        mode=Mode(about.mode),
        unit_name=unit.name,
        unit_column=unit.column,
        unit_rows_max=unit.rows_max,
        key_column=unit.key,
        columns=columns,
        policy=policy,
        training=TrainingRules(**training.model_dump()),
        digest=digest_of(document),
    )


def parse_source(section: Mapping[str, object], base: str) -> Source:
    """Return the source that a section `[source]` describes.

    Args:
        section: its keys.
        base: see `parse_declaration`.

    Raises:
        Refusal: BAD_DECLARATION, as for `parse_declaration`.
    """
    problems = Problems()
    source = _source({"source": section}, base, problems)
    if problems.found or source is None:
        raise _refused(problems)
    return source


def _refused(problems: Problems) -> Refusal:
    return Refusal(ErrorKind.BAD_DECLARATION, "; ".join(sorted(problems.found)) + ".")


def _source(document: Mapping[str, object], base: str, problems: Problems) -> Source | None:
    form = section_of(document, "source", SourceSection, problems)
    if form is None:
        return None
    return Source(form.connector, _options(form, base, problems), form.relation, form.joins)


def _policy(document: Mapping[str, object], problems: Problems) -> Policy | None:
    kind = _key(document.get("policy"), "kind")
    if kind == "differential-privacy":
        private = section_of(document, "policy", PrivacySection, problems)
        return None if private is None else private.policy()
    if kind == "published-tables":
        registered = section_of(document, "policy", PublishedTablesSection, problems)
        return None if registered is None else registered.policy()
    rules = section_of(document, "policy", TableBuilderSection, problems)
    return None if rules is None else rules.policy()


def _check_private(
    about: DatasetSection | None,
    training: TrainingSection | None,
    columns: Sequence[Dimension | Measure],
    policy: DifferentialPrivacy,
    problems: Problems,
) -> None:
    """Bounds hold for certain only in a copy, and exact training statistics would go round the budget."""
    if about and about.mode == "live":
        problems.add("dataset.mode", "must be snapshot under the policy differential-privacy")
    if training and training.allowed:
        problems.add("training.allowed", "exact training statistics are not offered under differential-privacy")
    for column in columns:
        if isinstance(column, Measure) and column.bounds and not _within(column):
            problems.add(f"columns.{column.name}.bounds", "must be an increasing part of range")
        if isinstance(column, Dimension) and column.open and not policy.atto_delta_per_table:
            problems.add(f"columns.{column.name}.open", "needs open_delta_per_dataset and open_delta_per_table")


def _check_published(
    policy: PublishedTables,
    about: DatasetSection | None,
    training: TrainingSection | None,
    columns: Sequence[Dimension | Measure],
    problems: Problems,
) -> None:
    """What was audited must stay as it is, and nothing else of the same records may be told."""
    if about and about.mode == "live":
        problems.add("dataset.mode", "must be snapshot under the policy published-tables")
    if training and training.allowed:
        problems.add("training.allowed", "training is not offered under published-tables")
    dimensions = {column.name: column for column in columns if isinstance(column, Dimension)}
    measures = {column.name for column in columns if isinstance(column, Measure)}
    for number, table in enumerate(policy.tables):
        for name in table.group_by:
            if name not in dimensions:
                problems.add(f"policy.tables.{number}.group_by", f"{name} is not a dimension of this dataset")
        for statistic in table.statistics:
            if statistic.measure and statistic.measure not in measures:
                problems.add(f"policy.tables.{number}.statistics", f"{statistic.measure} is not a measure")
    used = [dimensions[name] for name in {n for t in policy.tables for n in t.group_by} if name in dimensions]
    parents = {dimension.parent for dimension in used}
    if prod(len(dimension.codes) for dimension in used if dimension.name not in parents) > FINEST_CELLS_MAX:
        problems.add("policy.tables", f"all dimensions together make more than {FINEST_CELLS_MAX} cells")


def _within(measure: Measure) -> bool:
    (least, greatest), (low, high) = measure.range_steps, measure.bounds_steps
    return least <= low < high <= greatest


def digest_of(document: Mapping[str, object]) -> str:
    """Return the SHA-256 of a declaration's canonical form, hexadecimal."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def section_of(document: Mapping[str, object], name: str, form: type[_Section], problems: Problems) -> _Section | None:
    """Return a section in its form, or None with the problems noted."""
    if name not in document:
        problems.add(name, "the section is missing")
        return None
    return _validated(document[name], name, form, problems)


def _validated(value: object, path: str, form: type[_Section], problems: Problems) -> _Section | None:
    try:
        return form.model_validate(value)
    except ValidationError as error:
        reasons: dict[str, list[str]] = {}
        for problem in error.errors(include_url=False, include_input=False):
            place = ".".join([path, *_place(problem["loc"])])
            reasons.setdefault(place, []).append(_reason(problem["type"], problem["msg"]))
        for place, texts in reasons.items():
            problems.add(place, ", or ".join(dict.fromkeys(texts)))
        return None


def _place(location: Sequence[int | str]) -> list[str]:
    """Return the key path, without the tags that say which member of a union was tried."""
    parts: list[str] = []
    for part in location:
        if isinstance(part, str) and not _PATH_PART.fullmatch(part):
            break
        if part not in {"str", "int", "float", "bool", "tuple"}:
            parts.append(str(part))
    return parts


def _reason(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a key of this section"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ").removeprefix("Input ")


def _columns(value: object, problems: Problems) -> tuple[Dimension | Measure, ...]:
    sections = column_sections(value, problems)
    found = [_column(name, section, problems) for name, section in sections.items()]
    columns = tuple(column for column in found if column is not None)
    _check_parents([column for column in columns if isinstance(column, Dimension)], sections, problems)
    return columns


def column_sections(value: object, problems: Problems) -> Mapping[str, object]:
    """Return the section of each column; none, with the problem noted, if there is none."""
    if not isinstance(value, Mapping) or not value:
        problems.add("columns", "declare at least one column, each in a section [columns.<name>]")
        return {}
    return cast("Mapping[str, object]", value)


def _column(name: str, section: object, problems: Problems) -> Dimension | Measure | None:
    path = f"columns.{name}"
    match column_form(name, section, _ROLES, problems):
        case DimensionForm() as form:
            return dimension(name, form, path, problems)
        case MeasureForm() as form:
            return measure(name, form, path, problems)
        case _:
            return None


def column_form(
    name: str, section: object, roles: Mapping[str, type[BaseModel]], problems: Problems
) -> BaseModel | None:
    """Return the section of one column in the form of its role, or None with the problems noted."""
    path = f"columns.{name}"
    if not _COLUMN_NAME.fullmatch(name):
        problems.add(path, "a column name has 1 to 40 lower-case letters, digits and underscores, a letter first")
    if name in RESERVED_COLUMNS:
        problems.add(path, "this name is reserved")
    role = _key(section, "role")
    form = roles.get(role) if isinstance(role, str) else None
    if form is None:
        problems.add(f"{path}.role", "must be {} or {}".format(", ".join([*roles][:-1]), [*roles][-1]))
        return None
    return _validated(section, path, form, problems)


def _check_parents(dimensions: Sequence[Dimension], sections: Mapping[str, object], problems: Problems) -> None:
    parents = {dimension.name: dimension.parent for dimension in dimensions}
    opened = {dimension.name: dimension.open for dimension in dimensions}
    for name, parent in parents.items():
        path = f"columns.{name}.parent"
        if parent is not None and parent not in parents:
            # A dimension that is itself in error has been reported already.
            if _key(sections.get(parent), "role") != "dimension":
                problems.add(path, f"{parent} is not a dimension of this dataset")
        elif parent is not None and opened[parent]:
            problems.add(path, f"{parent} is open: nothing nests in it")
        elif parent is not None and name in _ancestors(parent, parents):
            problems.add(path, "the hierarchy goes in a circle")
    listed = {dimension.name: {code.code for code in dimension.codes} for dimension in dimensions}
    for child in dimensions:
        above = listed.get(child.parent or "", set())
        for index, code in enumerate(child.codes):
            if code.parent is not None and code.parent not in above:
                reason = f"{code.parent} is no code of the parent that the column names"
                problems.add(f"columns.{child.name}.codes.{index}.parent", reason)


def _ancestors(name: str, parents: Mapping[str, str | None]) -> set[str]:
    """Return the name and all that it nests in."""
    found: set[str] = set()
    above: str | None = name
    while above is not None and above not in found:
        found.add(above)
        above = parents.get(above)
    return found


def _key(section: object, name: str) -> object:
    return cast("Mapping[str, object]", section).get(name) if isinstance(section, Mapping) else None


def _options(source: SourceSection, base: str, problems: Problems) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in (source.model_extra or {}).items():
        text = _option_text(value)
        if name == BASE_OPTION or text is None:
            problems.add(f"source.{name}", "must be a text, number, truth value or list of texts")
        elif "password" in name.lower() or _CREDENTIALS.search(text):
            problems.add(f"source.{name}", "a declaration holds no password; name a variable or a file that does")
        else:
            options[name] = text
    return {**options, BASE_OPTION: base}


def _option_text(value: object) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float() | str():
            return str(value)
        case list():
            items = cast("list[object]", value)
            return json.dumps(items) if all(isinstance(item, str) for item in items) else None
        case _:
            return None
