"""Check a declaration against the data: every violation with its count, never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from bandung.connectors.base import (
    Banded,
    Column,
    Connector,
    FixedPoint,
    Join,
    KeyColumn,
    OptionError,
    Profile,
    Recode,
    SourceError,
    Stopped,
    View,
)
from bandung.connectors.literals import is_number, literal, literals
from bandung.connectors.schemas import joined_schema
from bandung.gateway.domain.dataset import ColumnRole, Dataset, Dimension, Measure, Mode
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import CellRules, TableBuilder

if TYPE_CHECKING:
    from bandung.connectors.base import Stop
    from bandung.gateway.domain.dataset import Source
    from bandung.gateway.service.ports import Connectors


LIVE_RULE = "not live"
TO_COMPLETE = "TO COMPLETE"
"""What a draft says where only the custodian knows."""
"""The rule of a source that cannot serve a dataset live."""

_WIDEN = "Add bands for these rows (the outermost may be open: inf), or correct the rows."
_LIST = "Add these source values to a code's values, or correct the rows."
_ALLOW_MISSING: Mapping[ColumnRole, str] = {
    ColumnRole.DIMENSION: 'Declare a code for missing values (missing = "…"), or correct the rows.',
    ColumnRole.MEASURE: 'Declare missing = "allowed", or correct the rows.',
    ColumnRole.WEIGHT: "Every row needs its weight; correct the rows.",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which the data do not hold what the declaration says.

    Attributes:
        column: declared column, or what else is concerned (`unit`, `source`, `join <name>`).
        rule: short, stable name of the rule.
        count: rows (codes for `nesting` and `parent`, units or keys for `key`, columns for `name taken`) that break
            it; 0 where nothing is counted.
        remedy: what to do.
    """

    column: str
    rule: str
    count: int
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the data say of a declaration. For the custodian, at home.

    Attributes:
        violations: empty if the dataset can be published.
        notes: what the epoch would be, and what is worth a second look.
        profile: the verified facts; None where the source's columns do not allow any.
    """

    violations: tuple[Violation, ...]
    notes: tuple[str, ...]
    profile: Profile | None


def check_dataset(dataset: Dataset, connectors: Connectors, stop: Stop) -> CheckReport:
    """Verify a declaration in its source.

    Raises:
        Refusal: SOURCE_UNAVAILABLE if the source cannot be read, CANCELLED if `stop` was set, BAD_DECLARATION
            for wrong connector options.
    """
    with closing(connectors.open(dataset.source)) as connector, refusing():
        return check_source(dataset, connector, stop)


@contextmanager
def refusing() -> Generator[None]:
    """Tell a source's failures, wrong options, and the end of patience, as refusals."""
    try:
        yield
    except Stopped as error:
        raise Refusal(ErrorKind.CANCELLED) from error
    except OptionError as error:
        raise Refusal(ErrorKind.BAD_DECLARATION, f"source: {error}.") from error
    except SourceError as error:
        raise Refusal(ErrorKind.SOURCE_UNAVAILABLE, private=str(error)) from error


def check_source(dataset: Dataset, connector: Connector, stop: Stop) -> CheckReport:
    """Verify a declaration in a source that is open.

    Raises:
        SourceError: the source failed.
        OptionError: the connector's options do not fit the source.
        Stopped: `stop` was set.
    """
    schema, unfit = _joined(dataset.source, connector)
    types = {field.name: field.type for field in schema}
    structural = (*_incomplete(dataset), *unfit, *_columns(dataset, types), *_live(dataset, connector))
    if any(violation.rule in {"no such column", "type"} for violation in structural):
        return CheckReport(structural, (), None)
    profile = connector.profile(_probe(dataset), nesting_pairs(dataset), stop)
    return CheckReport((*structural, *violations(dataset, profile)), _notes(dataset, profile), profile)


def violations(dataset: Dataset, profile: Profile) -> tuple[Violation, ...]:
    """Return how verified facts break a declaration; the same judgement over a source and over its copy."""
    return (
        *_row_violations(dataset, profile),
        *_join_violations(profile),
        *_column_violations(dataset, profile),
        *_nesting_violations(dataset, profile),
    )


def nesting_pairs(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Return each (child, parent) pair of dimensions."""
    return tuple((d.name, d.parent) for d in dataset.dimensions if d.parent is not None)


def source_view(dataset: Dataset) -> View:
    """Return the declared columns over the source, with the record key if the source provides it."""
    view = dataset.source_view()
    return view if dataset.key_column is None else replace(view, key=KeyColumn(dataset.key_column))


def _probe(dataset: Dataset) -> View:
    """The view to profile: each measure a second time as a band from its least to its largest value."""
    view = source_view(dataset)
    ranges = tuple((_range(m.name), Banded(m.expression, (("inside", *_bounds(m)),))) for m in dataset.measures)
    return replace(view, columns=(*view.columns, *ranges))


def _range(measure: str) -> str:
    return f"{measure} in range"


def _bounds(measure: Measure) -> tuple[int, int]:
    """Return the declared range in units of 10^-decimals: lower bound inclusive, upper exclusive."""
    least, greatest = measure.range_steps
    return least, greatest + 1


def _incomplete(dataset: Dataset) -> Iterator[Violation]:
    """What a draft left to the custodian: nothing of it may be published."""
    texts = ("title", "description", "licence", "period")
    if names := [name for name in texts if TO_COMPLETE in getattr(dataset, name)]:
        yield Violation("dataset", "to complete", len(names), f"Complete {', '.join(names)}.")
    for measure in dataset.measures:
        if TO_COMPLETE in measure.unit_of_measurement:
            yield Violation(measure.name, "to complete", 1, "Say what it is measured in: unit.")


def _joined(source: Source, connector: Connector) -> tuple[pa.Schema, tuple[Violation, ...]]:
    """Return the columns that there are once everything is joined, and what keeps it from being joined."""
    schema = connector.schema(source.relation)
    unfit: list[Violation] = []
    for join in source.joins:
        other = connector.schema(join.relation)
        unfit += _unfit(join, schema, other)
        schema = joined_schema(schema, join, other)
    return schema, tuple(unfit)


def _unfit(join: Join, schema: pa.Schema, other: pa.Schema) -> Iterator[Violation]:
    section = f"join {join.name}"
    if taken := sum(name.startswith(f"{join.name}.") for name in schema.names):
        yield Violation(
            section, "name taken", taken, "The relation has columns of such a name; name the join otherwise."
        )
    if not all(before in schema.names and column in other.names for before, column in join.on):
        yield _no_such_column(section)
        return
    types = [{schema.field(before).type, other.field(column).type} for before, column in join.on]
    if not all(len(both) == 1 and _can_identify(*both) for both in types):
        yield Violation(section, "type", 0, "Columns that are joined must both be whole numbers, or both texts.")


def _columns(dataset: Dataset, types: Mapping[str, pa.DataType]) -> Iterator[Violation]:
    yield from _unit_column(dataset.unit_column, types, _can_identify, "The unit must be a whole number or a text.")
    yield from _unit_column(dataset.key_column, types, pa.types.is_integer, "The key must be a 64-bit whole number.")
    for column in dataset.columns:
        if any(name not in types for name in _sources(column)):
            yield _no_such_column(column.name)
        else:
            yield from _types(column, types)


def _unit_column(
    name: str | None, types: Mapping[str, pa.DataType], fits: Callable[[pa.DataType], bool], remedy: str
) -> Iterator[Violation]:
    if name is not None and name not in types:
        yield _no_such_column("unit")
    elif name is not None and not fits(types[name]):
        yield Violation("unit", "type", 0, remedy)


def _no_such_column(section: str) -> Violation:
    return Violation(section, "no such column", 0, "Correct the source column's name; upper and lower case differ.")


def _can_identify(type_: pa.DataType) -> bool:
    return pa.types.is_integer(type_) or pa.types.is_string(type_)


def _sources(column: Dimension | Measure) -> tuple[str, ...]:
    match column.expression:
        case Banded(number=FixedPoint(columns=columns)) | FixedPoint(columns=columns):
            return columns
        case Recode(column=name) | Column(name=name):
            return (name,)


def _types(column: Dimension | Measure, types: Mapping[str, pa.DataType]) -> Iterator[Violation]:
    match column.expression:
        case Recode(column=name, codes=codes, missing=missing):
            holds = f"The source column holds {types[name]}"
            values = [value for code, meant in codes if code != missing for value in meant]
            if misfits := sum(literal(value, types[name]) is None for value in values):
                yield Violation(column.name, "type", misfits, f"{holds}; correct the values that it cannot hold.")
            meanings = Counter(value for _, meant in codes for value in literals(meant, types[name]))
            if several := sum(count > 1 for count in meanings.values()):
                yield Violation(column.name, "several codes", several, f"{holds}, where these values are the same.")
        case Column(name=name):
            if not pa.types.is_string(types[name]):
                yield Violation(column.name, "type", 0, "An open column holds texts; declare codes or bands instead.")
        case Banded() | FixedPoint():
            if not all(is_number(types[name]) for name in _sources(column)):
                yield Violation(column.name, "type", 0, "The source column holds no numbers; declare codes instead.")


def _live(dataset: Dataset, connector: Connector) -> Iterator[Violation]:
    if dataset.mode is not Mode.LIVE:
        return
    able = connector.capabilities
    if not able.live:
        yield Violation("source", LIVE_RULE, 0, "This source cannot aggregate by itself; publish a snapshot.")
    elif dataset.key_column is None and not (able.writes_keys and dataset.unit_column is not None):
        yield Violation("source", LIVE_RULE, 0, "Record keys cannot be written here; provide them in unit.key.")


def _row_violations(dataset: Dataset, profile: Profile) -> Iterator[Violation]:
    if profile.rows == 0:
        yield Violation("source", "no rows", 0, "The relation is empty; check its name and its filters.")
    if profile.units_missing:
        yield Violation("unit", "missing", profile.units_missing, "Every row needs its unit's identifier.")
    if profile.rows_per_unit_max > dataset.unit_rows_max:
        yield Violation("unit", "too many rows", profile.units_over, "Raise rows_max, or correct the units.")
    if profile.key is not None:
        if profile.key.missing:
            yield Violation("unit", "key missing", profile.key.missing, "Every row needs its record key.")
        if profile.key.units_split:
            yield Violation("unit", "key differs", profile.key.units_split, "All rows of a unit need the same key.")
        if profile.key.keys_shared and not _keys_may_be_shared(dataset):
            yield Violation("unit", "key shared", profile.key.keys_shared, "No two units may have the same key.")


def _join_violations(profile: Profile) -> Iterator[Violation]:
    for name, found in profile.joins.items():
        if found.keys_repeated:
            remedy = "Each key must stand in one row of the joined relation; correct it, or join on more columns."
            yield Violation(f"join {name}", "key repeated", found.keys_repeated, remedy)


def _keys_may_be_shared(dataset: Dataset) -> bool:
    """There are only 256 different keys where noise is by a table in ONS's form."""
    return isinstance(dataset.policy, TableBuilder) and dataset.policy.ons is not None


def _column_violations(dataset: Dataset, profile: Profile) -> Iterator[Violation]:
    for column in dataset.columns:
        facts = profile.columns[column.name]
        may_be_missing = column.optional if isinstance(column, Measure) else column.missing is not None
        if facts.missing and not may_be_missing:
            yield Violation(column.name, "missing", facts.missing, _ALLOW_MISSING[column.role])
        if isinstance(column, Measure):
            yield from _range_violations(column, profile)
            yield from _sum_violations(dataset, column, profile)
        elif facts.unmatched:
            banded = isinstance(column.expression, Banded)
            rule, remedy = ("outside the bands", _WIDEN) if banded else ("outside the code list", _LIST)
            yield Violation(column.name, rule, facts.unmatched, remedy)


def _range_violations(measure: Measure, profile: Profile) -> Iterator[Violation]:
    probed = profile.columns.get(_range(measure.name))
    facts, (low, high) = profile.columns[measure.name], _bounds(measure)
    known = facts.minimum is not None and facts.maximum is not None
    outside = known and not (low <= (facts.minimum or 0) and (facts.maximum or 0) < high)
    count = probed.unmatched if probed else 0
    if count or outside:
        yield Violation(measure.name, "out of range", count, "Widen range, or correct the rows or the scale.")


def _sum_violations(dataset: Dataset, measure: Measure, profile: Profile) -> Iterator[Violation]:
    """What could not be added up in 64 bits would be refused in every answer, so it is not published."""
    facts = profile.columns[measure.name]
    largest = max(abs(facts.minimum or 0), abs(facts.maximum or 0))
    if isinstance(dataset.policy, CellRules) and profile.rows * largest >= 2**62:
        remedy = "Sums may be too large: declare fewer decimals, or a larger unit of measurement (scale)."
        yield Violation(measure.name, "too large", 0, remedy)


def _nesting_violations(dataset: Dataset, profile: Profile) -> Iterator[Violation]:
    for (child, parent), parents in profile.nesting.items():
        declared = dataset.codes_above(child, parent)
        strays = sum(bool(found - {declared.get(code)}) for code, found in parents.items() if code in declared)
        if strays:
            yield Violation(child, "parent", strays, f"Correct the declared parent of these codes in {parent}.")
        split = sum(len(found) > 1 for found in parents.values())
        if split:
            yield Violation(child, "nesting", split, f"Each code must lie in one code of {parent} only.")


def _notes(dataset: Dataset, profile: Profile) -> tuple[str, ...]:
    unit = dataset.unit_name
    notes = [
        f"The epoch would have {profile.rows} rows of {profile.units} units ({unit}), "
        f"up to {profile.rows_per_unit_max} rows per unit ({dataset.unit_rows_max} declared)."
    ]
    if isinstance(dataset.policy, TableBuilder) and profile.units < dataset.policy.min_units:
        notes.append("There are fewer units than the policy's min_units: no cell could be released.")
    for name, found in profile.joins.items():
        if found.unmatched:
            notes.append(f"join {name}: {found.unmatched} rows have no match; what is joined is missing there.")
    for dimension in dataset.dimensions:
        unused = len(dimension.codes) - len(profile.columns[dimension.name].codes_used)
        if unused:
            notes.append(f"{dimension.name}: {unused} of {len(dimension.codes)} codes do not occur.")
    return tuple(notes)
