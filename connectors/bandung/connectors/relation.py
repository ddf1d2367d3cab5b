"""What an engine knows of the relation that it is asked about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

from bandung.connectors.base import (
    Banded,
    CellQuery,
    Column,
    ContributionQuery,
    Expression,
    FixedPoint,
    Join,
    Recode,
    SourceError,
)
from bandung.connectors.schemas import joined_schema


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation as the engine knows it.

    Attributes:
        schema: plain column types (see `literals.plain`), of joined columns too.
        as_text: the relation's own columns of other types, offered in the source's own text form.
        namespace: database schema of the relation, if it is not the default one.
        key_namespace: database schema of the record-key table.
        top_lists: the engine has DuckDB's `max(x, n)`, the n largest values as a list, and joins VALUES; both are
            many times faster there than windows and long lists of conditions.
        verified: the rows are a copy that nobody changes, of which publication verified `View.unit_rows_max`.
        finest: the copy's rows added up by all of its dimensions, if it stores that.
        joins: what is joined to its rows; see `joined`.
    """

    name: str
    schema: pa.Schema
    as_text: frozenset[str] = frozenset()
    namespace: str | None = None
    key_namespace: str | None = None
    top_lists: bool = False
    verified: bool = False
    finest: Finest | None = None
    joins: tuple[tuple[Join, Relation], ...] = ()


def joined(relation: Relation, joins: Iterable[tuple[Join, Relation]]) -> Relation:
    """Return the relation with others joined to it, one after the other.

    Raises:
        SourceError: a key's columns are not there, or are not both whole numbers or both texts.
    """
    for join, other in joins:
        if not all(_comparable(relation.schema, before, other.schema, column) for before, column in join.on):
            raise SourceError(f"{relation.name} and {other.name} cannot be joined as {join.name}")
        relation = replace(
            relation,
            schema=joined_schema(relation.schema, join, other.schema),
            joins=(*relation.joins, (join, other)),
        )
    return relation


def _comparable(schema: pa.Schema, before: str, other: pa.Schema, column: str) -> bool:
    if schema.get_field_index(before) < 0 or other.get_field_index(column) < 0:
        return False
    types = {schema.field(before).type, other.field(column).type}
    return types in ({pa.int64()}, {pa.string()})


@dataclass(frozen=True, slots=True)
class Finest:
    """The finest cells of a copy: one row for each combination of codes that occurs.

    A cell of a table by dimensions, filtered by their codes, is a union of finest cells, so that its numbers are sums
    and maxima of theirs.

    Attributes:
        relation: columns of codes as in the copy; `.rows`, `.key`; for a measure m of the copy `m.sum`, `m.max`,
            `m.abs`, `m.rows`, `m.key`, `m.squares` and `m.nonzero`, as in the answer to a `CellQuery`, for values
            clamped to bounds under the name of `clamped`; some may not be stored.
        dimensions: names of the columns of codes.
    """

    relation: Relation
    dimensions: frozenset[str]

    def answers(self, query: CellQuery) -> bool:
        """Whether the query's cells are unions of finest cells, and all of its measures are stored."""
        return _made_of(self.dimensions, query) and set(stored_parts(query)) <= set(self.relation.schema.names)


def stored_parts(query: CellQuery) -> list[str]:
    """Return the columns of finest cells that hold a query's measures, in the order of its answer."""
    stored: list[str] = []
    for measure in query.measures:
        name = clamped(column_of(query.view.expression(measure.name)), measure.bounds)
        signed, optional = ["abs"] if measure.signed else [], ["rows", "key"] if measure.optional else []
        more = [part for part, asked in (("squares", measure.squares), ("nonzero", measure.nonzero)) if asked]
        stored += [f"{name}.{part}" for part in ("sum", "max", *signed, *optional, *more)]
    return stored


def clamped(column: str, bounds: tuple[int, int] | None) -> str:
    """Return what a measure's parts are stored under, for values that are clamped to bounds or taken as they are."""
    return column if bounds is None else f"{column}[{bounds[0]},{bounds[1]}]"


@dataclass(frozen=True, slots=True)
class Leading:
    """The leading units of each finest cell of a copy, where units may have several rows.

    A unit's *total* of a measure is the sum of the absolute values of all its rows, wherever they are: no contribution
    of it to any cell is greater. For each measure the `listed` units with the greatest totals of those with a value in
    the finest cell are listed, or all if they are not more, and the greatest total of the others is its *rest*. So in
    a union of finest cells whatever is greater than all of their rests is the contribution of a unit that is listed in
    each of them, and exact.

    Attributes:
        relation: columns of codes and `unit` as in the copy, one row for each unit listed in a finest cell; for each
            measure m its column m, the sum of the unit's rows there, and `m.rest`, NULL if nobody is left out.
        dimensions: names of the columns of codes.
        listed: also the number of units that are certainly listed where any is left out.
    """

    relation: Relation
    dimensions: frozenset[str]
    listed: int

    def answers(self, query: ContributionQuery) -> bool:
        """Whether cells that the query asks for can be told exactly, and as many units as it needs."""
        if query.units_enough is None or query.units_enough > self.listed or query.least:
            return False
        # Rows of one unit may cancel each other; how many units there are then decides what is certain of the sum.
        return _made_of(self.dimensions, query) and not any(measure.signed for measure in query.measures)

    def rests(self, query: ContributionQuery) -> tuple[str, ...]:
        """Return the column of the rest of each measure, if the query asks for contributions."""
        columns = [column_of(query.view.expression(measure.name)) for measure in query.measures]
        return tuple(f"{column}.rest" for column in columns) if query.top else ()


def _made_of(dimensions: frozenset[str], query: CellQuery | ContributionQuery) -> bool:
    """Whether the query's cells are unions of finest cells, and its measures columns as they stand."""
    view = query.view
    coded = [view.expression(name) for name in (*query.group_by, *(held.column for held in query.where))]
    return all(isinstance(e, Column | Recode) and column_of(e) in dimensions for e in coded) and all(
        isinstance(view.expression(measure.name), Column) for measure in query.measures
    )


def column_of(expression: Expression) -> str:
    """Return the one column that an expression reads as it stands or as codes.

    Raises:
        TypeError: it reads numbers.
    """
    match expression:
        case Column(name=name) | Recode(column=name):
            return name
        case FixedPoint() | Banded():
            raise TypeError("not one column as it stands")
