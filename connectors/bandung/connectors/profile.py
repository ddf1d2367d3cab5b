"""Verifying a declaration in the source: the same few statements for every engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.sql.selectable import FromClause

from bandung.connectors.base import (
    Banded,
    Column,
    ColumnProfile,
    FixedPoint,
    JoinProfile,
    KeyColumn,
    KeyProfile,
    Profile,
    Recode,
    View,
)
from bandung.connectors.columns import Columns, Lookup
from bandung.connectors.schemas import source_type
from bandung.connectors.sql import Emitter, Statement

Run = Callable[[Statement], Sequence[Sequence[Any]]]
"""Executes one statement and returns its (few) rows."""


def profile(view: View, nesting: Sequence[tuple[str, str]], source: pa.Schema, emitter: Emitter, run: Run) -> Profile:
    """Return the verified facts of a view.

    Args:
        source: plain column types of the relation, and of what is joined.
    """
    names = [name for name, _ in view.columns]
    numbers = [name for name in names if _is_number(view, name, source)]
    coded = {name for name, expression in view.columns if isinstance(expression, Recode | Banded)}
    totals = dict(zip(_total_names(names, numbers), run(_totals(view, names, numbers, emitter))[0], strict=True))
    rows = int(totals["rows"])
    units, rows_max, units_over, unit_totals = _units(view, numbers, emitter, run, totals)
    columns = {
        name: ColumnProfile(
            missing=int(totals[f"missing {name}"] or 0),
            unmatched=int(totals[f"unmatched {name}"] or 0),
            minimum=_whole(totals.get(f"minimum {name}")),
            maximum=_whole(totals.get(f"maximum {name}")),
            unit_total_max=unit_totals.get(name),
            codes_used=_codes(view, name, emitter, run) if name in coded else frozenset(),
        )
        for name in names
    }
    return Profile(
        rows=rows,
        units=units,
        rows_per_unit_max=rows_max,
        units_missing=int(totals["units missing"] or 0),
        columns=columns,
        nesting={pair: _nesting(view, pair, emitter, run) for pair in nesting},
        key=_keys(view, emitter, run) if isinstance(view.key, KeyColumn) else None,
        units_over=units_over,
        joins=_joins(emitter.columns, run),
    )


def _is_number(view: View, name: str, source: pa.Schema) -> bool:
    match view.expression(name):
        case FixedPoint():
            return True
        case Column(name=column):
            return pa.types.is_integer(source_type(source, column))
        case _:
            return False


def _total_names(names: Sequence[str], numbers: Sequence[str]) -> list[str]:
    flags = [f"{flag} {name}" for name in names for flag in ("missing", "unmatched")]
    bounds = [f"{bound} {name}" for name in numbers for bound in ("minimum", "maximum", "largest")]
    return ["rows", "units missing", *flags, *bounds]


def _totals(view: View, names: Sequence[str], numbers: Sequence[str], emitter: Emitter) -> Statement:
    """One scan: columns in the order of `_total_names`."""
    frame = emitter.frame(view, names, unit=view.unit is not None, gaps=True)
    unit_missing = _count(frame.c.unit.is_(None)) if view.unit is not None else sa.literal(0, sa.Integer)
    columns: list[sa.ColumnElement[Any]] = [sa.func.count(), unit_missing]
    for index in range(len(names)):
        value, gap = frame.c[f"v{index}"], frame.c[f"n{index}"]
        columns += [_count(gap == 1), _count(sa.and_(gap == 0, value.is_(None)))]
    for name in numbers:
        value = frame.c[f"v{names.index(name)}"]
        columns += [sa.func.min(value), sa.func.max(value), sa.func.max(sa.func.abs(value))]
    return sa.select(*(column.label(f"c{index}") for index, column in enumerate(columns))).select_from(frame)


def _units(
    view: View, numbers: Sequence[str], emitter: Emitter, run: Run, totals: Mapping[str, Any]
) -> tuple[int, int, int, dict[str, int | None]]:
    """Return units, most rows of one unit, units with too many, and the largest unit total of each number."""
    if view.unit is None:
        rows = int(totals["rows"])
        return rows, min(rows, 1), 0, {name: _whole(totals[f"largest {name}"]) for name in numbers}
    frame = emitter.frame(view, numbers, unit=True)
    sums = [sa.func.sum(sa.func.abs(frame.c[f"v{i}"])).label(f"t{i}") for i in range(len(numbers))]
    grouped = sa.select(sa.func.count().label("n"), *sums).select_from(frame).where(frame.c.unit.is_not(None))
    per_unit = grouped.group_by(frame.c.unit).subquery("per_unit")
    largest = [sa.func.max(per_unit.c[f"t{i}"]) for i in range(len(numbers))]
    bound = view.unit_rows_max
    over = sa.literal(0, sa.Integer) if bound is None else _count(per_unit.c.n > bound)
    found = run(sa.select(sa.func.count(), sa.func.max(per_unit.c.n), over, *largest).select_from(per_unit))[0]
    units, rows_max, units_over, *amounts = found
    totals_by_name = {name: _whole(amount) for name, amount in zip(numbers, amounts, strict=True)}
    return int(units), int(rows_max or 0), int(units_over or 0), totals_by_name


def _codes(view: View, name: str, emitter: Emitter, run: Run) -> frozenset[str]:
    value = emitter.frame(view, [name]).c.v0
    return frozenset(str(code) for (code,) in run(sa.select(value).where(value.is_not(None)).distinct()))


def _nesting(view: View, pair: tuple[str, str], emitter: Emitter, run: Run) -> dict[str, frozenset[str]]:
    frame = emitter.frame(view, pair)
    both = sa.select(frame.c.v0, frame.c.v1).where(frame.c.v0.is_not(None), frame.c.v1.is_not(None)).distinct()
    parents: dict[str, set[str]] = {}
    for child, parent in run(both):
        parents.setdefault(str(child), set()).add(str(parent))
    return {child: frozenset(found) for child, found in parents.items()}


def _joins(columns: Columns, run: Run) -> dict[str, JoinProfile]:
    return {
        name: JoinProfile(_number(run, _repeated(lookup)), _number(run, _unmatched(columns.source, lookup)))
        for name, lookup in columns.lookups.items()
    }


def _repeated(lookup: Lookup) -> Statement:
    whole = (key.is_not(None) for key in lookup.keys)
    keys = sa.select(*lookup.keys).where(lookup.rows.c.copies > 1, *whole).distinct().subquery("repeated")
    return sa.select(sa.func.count()).select_from(keys)


def _unmatched(source: FromClause, lookup: Lookup) -> Statement:
    return sa.select(sa.func.count()).select_from(source).where(lookup.rows.c.copies.is_(None))


def _number(run: Run, statement: Statement) -> int:
    ((count,),) = run(statement)
    return int(count)


def _keys(view: View, emitter: Emitter, run: Run) -> KeyProfile:
    frame = emitter.frame(view, (), unit=view.unit is not None, key=True)
    ((missing,),) = run(sa.select(_count(frame.c.key.is_(None))).select_from(frame))
    if view.unit is None:
        return KeyProfile(int(missing or 0), 0, 0)
    pairs = sa.select(frame.c.unit, frame.c.key).where(frame.c.key.is_not(None)).distinct().subquery("pairs")

    def repeated(column: sa.ColumnElement[Any]) -> int:
        several = sa.select(column).group_by(column).having(sa.func.count() > 1).subquery("several")
        return _number(run, sa.select(sa.func.count()).select_from(several))

    return KeyProfile(int(missing or 0), repeated(pairs.c.unit), repeated(pairs.c.key))


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
