"""The one emitter of SQL: views and closed requests to SQLAlchemy Core, every literal bound.

Columns are named by position (`v0`, `v1`, …), never by declared names, so that no declaration can collide with or
reach into a statement. Every expression is total (see `base`): numbers are guarded before arithmetic, so that no
row can make a statement fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import FromClause, Subquery

from bandung.connectors.base import (
    CellQuery,
    Column,
    Condition,
    ContributionQuery,
    HistogramQuery,
    KeyColumn,
    KeyTable,
    Measure,
    RowQuery,
    View,
)
from bandung.connectors.columns import Columns, Sql
from bandung.connectors.expressions import Expressions, clamped, exact, integer
from bandung.connectors.relation import Relation, stored_parts

Statement = sa.Select[*tuple[Any, ...]]

CELLS_LISTED_MAX = 2_000
"""Beyond this many cells a contribution query computes them all; the answer is cut down afterwards."""


class Emitter:
    """Writes the statements for views over one relation, with what is joined to it.

    Attributes:
        columns: of the relation.
    """

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self.columns = Columns(relation)
        self._of = Expressions(self.columns)
        self._finest = None if relation.finest is None else Emitter(relation.finest.relation)

    def cells(self, query: CellQuery) -> Statement:
        """Return the statement of a `CellQuery`."""
        stored = self._relation.finest
        if self._finest is not None and stored is not None and stored.answers(query):
            return self._finest._added_up(query)
        names = (*query.group_by, *(measure.name for measure in query.measures))
        frame = self.frame(query.view, names, query.where, key=True)
        groups = _values(frame, len(query.group_by))
        values = _values(frame, len(names))[len(groups) :]
        columns: list[Sql] = [*groups, sa.func.count(), self._key_sum(frame, query.view)]
        for measure, value in zip(query.measures, values, strict=True):
            columns += self._measure_columns(frame, measure, value, query.view)
        return _grouped(_numbered(columns), frame, groups)

    def _added_up(self, query: CellQuery) -> Statement:
        """Return the statement of a `CellQuery` over finest cells."""
        view = query.view
        coded = [view.expression(name) for name in query.group_by]
        groups = [self._of.value(expression) for expression in coded]
        stored = [".rows", *([".key"] if view.key is not None else []), *stored_parts(query)]
        # Only what is asked for: a table of a dozen measures has sixty columns, and naming them all takes milliseconds.
        parts: list[Sql] = [self.columns.column(name) for name in stored]
        conditions = [self._of.holds(view.expression(condition.column), condition) for condition in query.where]
        source = self.columns.source
        if not all(isinstance(expression, Column) for expression in coded):
            # An expression with literals of its own is computed once, so that selecting and grouping mean the same.
            named = [value.label(f"v{i}") for i, value in enumerate([*groups, *parts])]
            source = sa.select(*named).where(*conditions).subquery("frame")
            computed: list[Sql] = list(source.c)
            groups, parts, conditions = computed[: len(groups)], computed[len(groups) :], []
        columns = list(groups)
        for name, part in zip(stored, parts, strict=True):
            columns.append(sa.func.max(part) if name.endswith(".max") else exact(sa.func.sum(part)))
        if view.key is None:
            columns.insert(len(groups) + 1, exact(sa.literal(0, sa.BigInteger)))
        return _grouped(_numbered(columns), source, groups).where(*conditions)

    def contributions(self, query: ContributionQuery, rests: Sequence[str] = ()) -> Statement:
        """Return the statement of a `ContributionQuery`; more cells than asked for may come back.

        Args:
            rests: of each measure the relation's column of what is left out at most (see `Leading`). The answer's last
                column is then whether no contribution that is asked for can be among what is left out. Only with
                `top_lists`.
        """
        per_unit = self._per_unit(query, rests)
        groups = _values(per_unit, len(query.group_by))
        amounts = [per_unit.c[f"a{index}"] for index in range(len(query.measures))]
        if self._relation.top_lists:
            tops = [_top_columns(amount, query.top) for amount in amounts]
            decided = [_greater(top[-1], per_unit.c[f"r{index}"]) for index, top in enumerate(tops[: len(rests)])]
            columns = [*groups, sa.func.count(), *(column for top in tops for column in top)]
            return _grouped(_numbered([*columns, *([sa.and_(*decided)] if decided else [])]), per_unit, groups)
        ranked = _ranked(per_unit, groups, amounts).subquery("ranked")
        columns: list[Sql] = [*_values(ranked, len(groups)), sa.func.count()]
        for index in range(len(amounts)):
            amount, rank = ranked.c[f"a{index}"], ranked.c[f"r{index}"]
            columns.append(sa.func.count(amount))
            columns += [exact(sa.func.max(sa.case((rank == place, amount)))) for place in range(1, query.top + 1)]
        return _grouped(_numbered(columns), ranked, _values(ranked, len(groups)))

    def histogram(self, query: HistogramQuery) -> Statement:
        """Return the statement of a `HistogramQuery`."""
        frame = self.frame(query.view, (*query.group_by, query.measure), query.where)
        *groups, value = _values(frame, len(query.group_by) + 1)
        # Engines divide whole numbers differently, but all agree where nothing is left over.
        above = clamped(value, query.low, query.low + query.bins * query.width - 1) - integer(query.low)
        place = sa.cast((above - above % integer(query.width)) / integer(query.width), sa.BigInteger)
        binned = sa.select(*groups, place.label("bin")).where(value.is_not(None)).subquery("binned")
        keys = [*_values(binned, len(groups)), binned.c.bin]
        return sa.select(*_numbered([*keys, sa.func.count()])).select_from(binned).group_by(*keys)

    def rows(self, query: RowQuery) -> Statement:
        """Return the statement of a `RowQuery`."""
        frame = self.frame(query.view, query.columns, (), unit=True, key=query.view.key is not None)
        keys = [] if query.view.key is None else [frame.c.key]
        return sa.select(*_numbered([frame.c.unit, *keys, *_values(frame, len(query.columns))])).select_from(frame)

    def frame(
        self,
        view: View,
        names: Sequence[str],
        where: Sequence[Condition] = (),
        *,
        unit: bool = False,
        key: bool = False,
        gaps: bool = False,
    ) -> Subquery:
        """Return the rows of a view with the named columns as `v0`, `v1`, …

        Args:
            unit: with the unit as `unit`; the row number from 0 where the view has none.
            key: with the record key as `key`.
            gaps: with `n0`, `n1`, …: 1 where a source value of the column is NULL, else 0.
        """
        numbered = unit and view.unit is None
        of = Expressions(Columns(self._relation, numbered=True)) if numbered else self._of
        source = of.columns.source
        expressions = [view.expression(name) for name in names]
        columns: list[Sql] = [of.value(e).label(f"v{i}") for i, e in enumerate(expressions)]
        if gaps:
            columns += [sa.case((of.any_missing(e), 1), else_=0).label(f"n{i}") for i, e in enumerate(expressions)]
        if unit:
            columns.append(_unit(view, of.columns).label("unit"))
        match view.key if key else None:
            case KeyColumn(name=name):
                columns.append(of.columns.column(name).label("key"))
            case KeyTable(table=table):
                keys = key_table(table, self._relation.key_namespace)
                source = source.outerjoin(keys, keys.c.unit == _unit(view, of.columns))
                columns.append(keys.c.record_key.label("key"))
            case None:
                pass
        conditions = [of.holds(view.expression(condition.column), condition) for condition in where]
        # A statement needs a column, even where only rows are counted.
        columns = columns or [sa.literal(1, sa.Integer).label("one")]
        return sa.select(*columns).select_from(source).where(*conditions).subquery("frame")

    def _measure_columns(self, frame: Subquery, measure: Measure, value: Sql, view: View) -> list[Sql]:
        if measure.bounds is not None:
            value = clamped(value, *measure.bounds)
        size = sa.func.abs(value) if measure.signed else value
        columns = [exact(sa.func.sum(value)), sa.func.max(size)]
        if measure.signed:
            columns.append(exact(sa.func.sum(size)))
        if measure.optional:
            columns += [sa.func.count(value), sa.func.coalesce(self._key_sum(frame, view, value), 0)]
        if measure.squares:
            columns.append(exact(sa.func.sum(exact(value) * value)))
        if measure.nonzero:
            columns.append(sa.func.count(sa.func.nullif(value, 0)))
        return columns

    def _key_sum(self, frame: Subquery, view: View, value: Sql | None = None) -> Sql:
        """Return the exact sum of the keys of all rows, or of the rows in which `value` is not NULL."""

        def counted(key: Sql) -> Sql:
            return key if value is None else sa.case((value.is_not(None), key))

        if view.key is None:
            return exact(sa.literal(0, sa.BigInteger))
        total = exact(sa.func.sum(counted(frame.c.key)))
        if self._relation.verified:
            return total
        # NULL where a row has no key: such a cell must not be answered.
        return sa.case((sa.func.count(frame.c.key) == sa.func.count(), total), else_=None)

    def _per_unit(self, query: ContributionQuery, rests: Sequence[str]) -> Subquery:
        """Return each unit's contributions to each cell as `v0` … and `a0` …, and the greatest of `rests` as `r0` …"""
        names = (*query.group_by, *(measure.name for measure in query.measures))
        whole = self._rows_are_units(query.view)
        view = replace(query.view, columns=(*query.view.columns, *((rest, Column(rest)) for rest in rests)))
        frame = self.frame(view, (*names, *rests), query.where, unit=not whole)
        values = _values(frame, len(names) + len(rests))
        groups, measures = values[: len(query.group_by)], values[len(query.group_by) : len(names)]
        # Where rows are units, a plain comparison lets an engine skip blocks of rows by their extremes.
        amounts = [
            (sa.func.abs(value) if measure.signed else value) if whole else sa.func.abs(sa.func.sum(value))
            for measure, value in zip(query.measures, measures, strict=True)
        ]
        source, conditions = self._among(query, frame, groups, whole=whole)
        labelled = [amount.label(f"a{i}") for i, amount in enumerate(amounts)]
        labelled += [sa.func.max(rest).label(f"r{i}") for i, rest in enumerate(values[len(names) :])]
        statement = sa.select(*groups, *labelled, sa.literal(1, sa.Integer).label("one")).select_from(source)
        statement, large = statement.where(*conditions), _reaching(amounts, query.least)
        if not whole:
            return statement.group_by(*groups, frame.c.unit).having(*large).subquery("per_unit")
        return statement.where(*large).subquery("per_unit")

    def _rows_are_units(self, view: View) -> bool:
        return view.unit is None or (self._relation.verified and view.unit_rows_max == 1)

    def _among(
        self, query: ContributionQuery, frame: Subquery, groups: list[Sql], *, whole: bool
    ) -> tuple[FromClause, list[Sql]]:
        """Return where the rows of the cells asked for come from, and conditions on them; more may come."""
        if not self._relation.top_lists:
            return frame, _listed(groups, query.cells)
        # One pass over all rows costs DuckDB less than to look up each row's cell, but grouping by unit costs more.
        few = not whole and groups and query.cells and len(query.cells) <= CELLS_LISTED_MAX
        return (_joined(frame, groups, query.cells or ()) if few else frame), []


def _unit(view: View, columns: Columns) -> Sql:
    return columns.row if view.unit is None else columns.column(view.unit)


def key_table(name: str, namespace: str | None) -> sa.TableClause:
    """Return the record-key table's clause."""
    return sa.table(name, sa.column("unit"), sa.column("record_key"), schema=namespace)


def _reaching(amounts: Sequence[Sql], least: Sequence[int | None]) -> list[Sql]:
    reaching = [
        amount >= sa.literal(enough, sa.BigInteger)
        for amount, enough in zip(amounts, least, strict=False)
        if enough is not None
    ]
    return [sa.or_(sa.false(), *reaching)] if least else []


def _ranked(per_unit: Subquery, groups: Sequence[Sql], amounts: Sequence[Sql]) -> Statement:
    # Contributions are never negative, so -1 puts the missing ones last, whatever the engine does with NULLs.
    ranks = [
        sa.func.row_number()
        .over(partition_by=groups or None, order_by=sa.func.coalesce(amount, -1).desc())
        .label(f"r{index}")
        for index, amount in enumerate(amounts)
    ]
    return sa.select(*groups, *amounts, per_unit.c.one, *ranks).select_from(per_unit)


def _top_columns(amount: Sql, top: int) -> list[Sql]:
    # The number of values must be a constant of the statement's text; it is ours.
    largest = sa.func.max(amount, sa.literal_column(str(int(top))))
    places = (sa.literal(place, sa.Integer) for place in range(1, top + 1))
    return [sa.func.count(amount), *(exact(sa.func.list_extract(largest, place)) for place in places)]


def _greater(least: Sql, rest: Sql) -> Sql:
    return sa.or_(sa.func.max(rest).is_(None), sa.func.coalesce(least > sa.func.max(rest), sa.false()))


def _joined(frame: Subquery, groups: list[Sql], cells: tuple[tuple[str, ...], ...]) -> FromClause:
    """Return the frame's rows in these cells."""
    columns = [sa.column(f"k{index}", sa.String) for index in range(len(groups))]
    listed = sa.values(*columns, name="listed").data(list(dict.fromkeys(cells)))
    return frame.join(listed, sa.and_(*(group == code for group, code in zip(groups, listed.c, strict=True))))


def _listed(groups: list[Sql], cells: tuple[tuple[str, ...], ...] | None) -> list[Sql]:
    if cells is None or not groups or len(cells) > CELLS_LISTED_MAX:
        return []
    used = [sorted({cell[index] for cell in cells}) for index in range(len(groups))]
    conditions: list[Sql] = [group.in_(codes) for group, codes in zip(groups, used, strict=True)]
    if len(groups) > 1:
        conditions.append(sa.or_(sa.false(), *(_is_cell(groups, cell) for cell in cells)))
    return conditions


def _is_cell(groups: list[Sql], cell: tuple[str, ...]) -> Sql:
    return sa.and_(*(group == sa.literal(code, sa.String) for group, code in zip(groups, cell, strict=True)))


def _grouped(columns: list[Sql], source: FromClause, groups: list[Sql]) -> Statement:
    statement = sa.select(*columns).select_from(source)
    # Without groups SQL answers one row even if there is nothing to count.
    return statement.group_by(*groups) if groups else statement.having(sa.func.count() > 0)


def _values(frame: Subquery, count: int) -> list[Sql]:
    return [frame.c[f"v{index}"] for index in range(count)]


def _numbered(columns: Sequence[Sql]) -> list[Sql]:
    return [column.label(f"c{index}") for index, column in enumerate(columns)]
