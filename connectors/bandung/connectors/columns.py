"""Where the columns of a relation stand in SQL: its own, and those joined to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import FromClause, Subquery

from bandung.connectors.base import Join
from bandung.connectors.relation import Relation

Sql = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A joined relation.

    Attributes:
        rows: its columns as `c0`, `c1`, … in the schema's order; and `copies`, how many rows have the row's key.
        keys: the columns of `rows` that make the key.
    """

    rows: Subquery
    keys: Sequence[Sql]


class Columns:
    """The columns of a relation, by the names that a `View` uses.

    Args:
        numbered: the rows are numbered, from 0 in the order of the relation, before anything is joined.

    Attributes:
        schema: their plain types.
        source: the relation's rows, with what is joined.
        row: the row's number, if `numbered`.
        lookups: what is joined, by the join's name.
    """

    def __init__(self, relation: Relation, *, numbered: bool = False) -> None:
        self.schema = relation.schema
        self.lookups: dict[str, Lookup] = {}
        foreign = {f"{join.name}.{name}" for join, other in relation.joins for name in other.schema.names}
        names = [name for name in relation.schema.names if name not in foreign]
        own = sa.table(relation.name, *map(sa.column, names), schema=relation.namespace)
        table: FromClause = own.alias("own") if relation.joins else own
        columns: list[Sql] = [
            sa.cast(column, sa.String) if name in relation.as_text else column
            for name, column in zip(names, table.c, strict=True)
        ]
        self.row: Sql = sa.cast(sa.func.row_number().over() - 1, sa.BigInteger)
        self.source = table
        if numbered and relation.joins:
            # Engines give a join's rows in any order.
            rows = sa.select(*_placed(columns), self.row.label("row")).select_from(table).subquery("own")
            self.source, self.row, columns = rows, rows.c.row, [*rows.c][:-1]
        self._columns = dict(zip(names, columns, strict=True))
        for join, other in relation.joins:
            self._join(join, other)

    def column(self, name: str) -> Sql:
        """Return a column; of another than a plain type, as text.

        Raises:
            KeyError: there is no such column.
        """
        return self._columns[name]

    def _join(self, join: Join, other: Relation) -> None:
        names = other.schema.names
        columns = Columns(other)
        keys = [columns.column(name) for _, name in join.on]
        copies = sa.func.count().over(partition_by=keys).label("copies")
        placed = _placed([columns.column(name) for name in names])
        rows = sa.select(*placed, copies).select_from(columns.source).subquery(f"j{len(self.lookups)}")
        joined: dict[str, Sql] = dict(zip(names, rows.c, strict=False))
        # A key of several rows matches none of them: no row is ever multiplied. The key stands on the left, so that
        # SQLite compares as it counts copies, by the joined column's collation.
        equal = [joined[name] == self.column(before) for before, name in join.on]
        self.source = self.source.outerjoin(rows, sa.and_(*equal, rows.c.copies == 1))
        self.lookups[join.name] = Lookup(rows, [joined[name] for _, name in join.on])
        self._columns |= {f"{join.name}.{name}": column for name, column in joined.items()}


def _placed(columns: Sequence[Sql]) -> list[Sql]:
    return [column.label(f"c{index}") for index, column in enumerate(columns)]
