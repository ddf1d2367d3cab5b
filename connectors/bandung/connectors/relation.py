"""What an engine knows of the relation that it is asked about."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from bandung.connectors.base import Banded, CellQuery, Column, Expression, FixedPoint, Recode


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation as the engine knows it.

    Attributes:
        schema: plain column types (see `literals.plain`).
        as_text: columns of other types, offered in the source's own text form.
        namespace: database schema of the relation, if it is not the default one.
        key_namespace: database schema of the record-key table.
        top_lists: the engine has DuckDB's `max(x, n)`, the n largest values as a list, and joins VALUES; both are
            many times faster there than windows and long lists of conditions.
        verified: the rows are a copy that nobody changes, of which publication verified `View.unit_rows_max`.
        finest: the copy's rows added up by all of its dimensions, if it stores that.
    """

    name: str
    schema: pa.Schema
    as_text: frozenset[str] = frozenset()
    namespace: str | None = None
    key_namespace: str | None = None
    top_lists: bool = False
    verified: bool = False
    finest: Finest | None = None


@dataclass(frozen=True, slots=True)
class Finest:
    """The finest cells of a copy: one row for each combination of codes that occurs.

    A cell of a table by dimensions, filtered by their codes, is a union of finest cells, so that its numbers are sums
    and maxima of theirs.

    Attributes:
        relation: columns of codes as in the copy; `.rows`, `.key`; for each measure m of the copy `m.sum`, `m.max`,
            `m.abs`, `m.rows` and `m.key`, as in the answer to a `CellQuery`.
        dimensions: names of the columns of codes.
    """

    relation: Relation
    dimensions: frozenset[str]

    def answers(self, query: CellQuery) -> bool:
        """Whether the query's cells are unions of finest cells, and its measures are stored as they are."""
        view = query.view
        coded = [view.expression(name) for name in (*query.group_by, *(held.column for held in query.where))]
        return all(isinstance(e, Column | Recode) and column_of(e) in self.dimensions for e in coded) and all(
            isinstance(view.expression(measure.name), Column) and measure.bounds is None and not measure.squares
            for measure in query.measures
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
