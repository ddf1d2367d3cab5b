"""The contract computed the slow and obvious way, row by row in Python: what connectors are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from bandung.connectors.base import (
    Among,
    Banded,
    CellQuery,
    Column,
    ColumnProfile,
    Condition,
    ContributionQuery,
    Expression,
    FixedPoint,
    HistogramQuery,
    Join,
    JoinProfile,
    KeyColumn,
    KeyProfile,
    Profile,
    Recode,
    RowQuery,
    View,
)
from bandung.connectors.schemas import cell_schema, contribution_schema, histogram_schema, joined_schema, row_schema

Row = Mapping[str, Any]


def value(expression: Expression, row: Row) -> Any:
    """Return what an expression yields for a source row."""
    match expression:
        case Column(name=name):
            return row[name]
        case Recode(column=name, codes=codes, missing=missing):
            found = [code for code, values in codes if row[name] in values]
            return missing if row[name] is None else next(iter(found), None)
        case FixedPoint():
            return _fixed_point(expression, [row[name] for name in expression.columns])
        case Banded(number=number, bands=bands, missing=missing):
            held = value(number, row)
            return missing if held is None else next((c for c, low, high in bands if low <= held < high), None)


def _fixed_point(number: FixedPoint, values: Sequence[Any]) -> int | None:
    if any(part is None or part in number.missing_values for part in values):
        return None
    total = float(values[0])
    for part in values[1:]:
        total += float(part)
    return math.floor((total * number.scale + number.offset) * 10.0**number.decimals + 0.5)


def joined(rows: pa.Table, join: Join, other: pa.Table) -> tuple[pa.Table, JoinProfile]:
    """Return source rows with a joined relation beside them, over which all else is computed; and what is counted."""
    members = other.to_pylist()
    keys = [tuple(row[column] for _, column in join.on) for row in members]
    found: list[dict[str, Any]] = []
    unmatched = 0
    for row in rows.to_pylist():
        key = tuple(row[before] for before, _ in join.on)
        partners = [] if None in key else [partner for held, partner in zip(keys, members, strict=True) if held == key]
        beside = partners[0] if len(partners) == 1 else {}
        unmatched += not beside
        found.append({**row, **{f"{join.name}.{column}": beside.get(column) for column in other.schema.names}})
    repeated = {key for key in keys if keys.count(key) > 1 and None not in key}
    table = pa.Table.from_pylist(found, schema=joined_schema(rows.schema, join, other.schema))
    return table, JoinProfile(len(repeated), unmatched)


def cells(query: CellQuery, rows: pa.Table) -> pa.Table:
    """Return the answer to a `CellQuery` over these source rows."""
    found: list[dict[str, Any]] = []
    for codes, members in _cells(query.view, query.group_by, query.where, rows).items():
        cell: dict[str, Any] = {**dict(zip(query.group_by, codes, strict=True)), "rows": len(members)}
        cell["key"] = _keys(query.view, members)
        for measure in query.measures:
            name = measure.name
            held = [row for row in members if _of(query.view, name, row) is not None]
            low, high = measure.bounds or (-math.inf, math.inf)
            numbers = [max(low, min(high, _of(query.view, name, row))) for row in held]
            cell[f"{name}.sum"] = Decimal(sum(numbers)) if numbers else None
            cell[f"{name}.max"] = max(map(abs, numbers)) if numbers else None
            if measure.signed:
                cell[f"{name}.abs"] = Decimal(sum(map(abs, numbers))) if numbers else None
            if measure.optional:
                cell[f"{name}.rows"], cell[f"{name}.key"] = len(held), _keys(query.view, held)
            if measure.squares:
                cell[f"{name}.squares"] = Decimal(sum(number**2 for number in numbers)) if numbers else None
            if measure.nonzero:
                cell[f"{name}.nonzero"] = sum(number != 0 for number in numbers)
        found.append(cell)
    return pa.Table.from_pylist(found, schema=cell_schema(query))


def contributions(query: ContributionQuery, rows: pa.Table) -> pa.Table:
    """Return the answer to a `ContributionQuery` over these source rows."""
    found: list[dict[str, Any]] = []
    for codes, members in _cells(query.view, query.group_by, query.where, rows).items():
        if query.cells is not None and codes not in query.cells:
            continue
        units = [held for held in _units(query.view, members).values() if _reaches(query, held)]
        if not units:
            continue
        cell: dict[str, Any] = {**dict(zip(query.group_by, codes, strict=True)), "units": len(units)}
        for measure in query.measures:
            totals = [_total(query.view, measure.name, held) for held in units]
            ranked = sorted((abs(total) for total in totals if total is not None), reverse=True)
            cell[f"{measure.name}.units"] = len(ranked)
            for rank in range(1, query.top + 1):
                cell[f"{measure.name}.top{rank}"] = Decimal(ranked[rank - 1]) if rank <= len(ranked) else None
        found.append(cell)
    return pa.Table.from_pylist(found, schema=contribution_schema(query))


def _reaches(query: ContributionQuery, held: Sequence[Row]) -> bool:
    if not query.least:
        return True
    totals = [_total(query.view, measure.name, held) for measure in query.measures]
    pairs = zip(totals, query.least, strict=True)
    return any(total is not None and least is not None and abs(total) >= least for total, least in pairs)


def histogram(query: HistogramQuery, rows: pa.Table) -> pa.Table:
    """Return the answer to a `HistogramQuery` over these source rows."""
    found: list[dict[str, Any]] = []
    for codes, members in _cells(query.view, query.group_by, query.where, rows).items():
        values = [number for number in (_of(query.view, query.measure, row) for row in members) if number is not None]
        places = [max(0, min(query.bins - 1, (number - query.low) // query.width)) for number in values]
        for place in sorted(set(places)):
            cell = dict(zip(query.group_by, codes, strict=True))
            found.append({**cell, "bin": place, "rows": places.count(place)})
    return pa.Table.from_pylist(found, schema=histogram_schema(query))


def rows(query: RowQuery, source: pa.Table) -> pa.Table:
    """Return the answer to a `RowQuery` over these source rows."""
    found: list[dict[str, Any]] = []
    for number, row in enumerate(source.to_pylist()):
        unit = number if query.view.unit is None else row[query.view.unit]
        key = {"record_key": _key(query.view, row)} if query.view.key is not None else {}
        found.append({"unit": unit, **key, **{name: _of(query.view, name, row) for name in query.columns}})
    return pa.Table.from_pylist(found, schema=row_schema(query, source.schema))


def profile(view: View, nesting: Sequence[tuple[str, str]], source: pa.Table) -> Profile:
    """Return the verified facts of these source rows."""
    members = source.to_pylist()
    units = _units(view, [row for row in members if view.unit is None or row[view.unit] is not None])
    return Profile(
        rows=len(members),
        units=len(units),
        rows_per_unit_max=max(map(len, units.values()), default=0),
        units_missing=0 if view.unit is None else sum(row[view.unit] is None for row in members),
        columns={name: _column(view, name, members, units) for name, _ in view.columns},
        nesting={pair: _nesting(view, pair, members) for pair in nesting},
        key=_key_profile(view, members) if isinstance(view.key, KeyColumn) else None,
        units_over=sum(len(held) > (view.unit_rows_max or len(held)) for held in units.values()),
    )


def _column(view: View, name: str, members: Sequence[Row], units: Mapping[Any, Sequence[Row]]) -> ColumnProfile:
    expression = view.expression(name)
    gaps = [_missing(expression, row) for row in members]
    values = [_of(view, name, row) for row in members]
    missing = sum(gaps)
    unmatched = sum(found is None and not gap for found, gap in zip(values, gaps, strict=True))
    present = [found for found in values if found is not None]
    if not isinstance(expression, FixedPoint):
        return ColumnProfile(missing, unmatched, codes_used=frozenset(present))
    sizes = [sum(abs(_of(view, name, row) or 0) for row in held) for held in units.values()]
    return ColumnProfile(missing, unmatched, min(present), max(present), max(sizes))


def _nesting(view: View, pair: tuple[str, str], members: Sequence[Row]) -> dict[str, frozenset[str]]:
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for row in members:
        child, parent = (_of(view, name, row) for name in pair)
        if child is not None and parent is not None:
            parents[child].add(parent)
    return {child: frozenset(found) for child, found in parents.items()}


def _key_profile(view: View, members: Sequence[Row]) -> KeyProfile:
    keys = [_key(view, row) for row in members]
    missing = sum(key is None for key in keys)
    if view.unit is None:
        return KeyProfile(missing, 0, 0)
    by_unit: defaultdict[Any, set[Any]] = defaultdict(set)
    by_key: defaultdict[Any, set[Any]] = defaultdict(set)
    for row, key in zip(members, keys, strict=True):
        if key is not None:
            by_unit[row[view.unit]].add(key)
            by_key[key].add(row[view.unit])
    several = [sum(len(found) > 1 for found in held.values()) for held in (by_unit, by_key)]
    return KeyProfile(missing, several[0], several[1])


def _missing(expression: Expression, row: Row) -> bool:
    match expression:
        case Column(name=name) | Recode(column=name):
            return row[name] is None
        case Banded(number=number):
            return _missing(number, row)
        case FixedPoint(columns=names, missing_values=values):
            return any(row[name] is None or row[name] in values for name in names)


def _cells(
    view: View, group_by: Sequence[str], where: Sequence[Condition], source: pa.Table
) -> dict[tuple[Any, ...], list[Row]]:
    found: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in source.to_pylist():
        if all(_holds(view, condition, row) for condition in where):
            found[tuple(_of(view, name, row) for name in group_by)].append(row)
    return dict(found)


def _holds(view: View, condition: Condition, row: Row) -> bool:
    found = _of(view, condition.column, row)
    if isinstance(condition, Among):
        return found in condition.codes
    return found is not None and condition.low <= found <= condition.high


def _units(view: View, members: Sequence[Row]) -> dict[Any, list[Row]]:
    found: defaultdict[Any, list[Row]] = defaultdict(list)
    for number, row in enumerate(members):
        found[number if view.unit is None else row[view.unit]].append(row)
    return dict(found)


def _total(view: View, name: str, members: Sequence[Row]) -> int | None:
    numbers = [found for found in (_of(view, name, row) for row in members) if found is not None]
    return sum(numbers) if numbers else None


def _of(view: View, name: str, row: Row) -> Any:
    return value(view.expression(name), row)


def _key(view: View, row: Row) -> Any:
    return row[view.key.name] if isinstance(view.key, KeyColumn) else None


def _keys(view: View, members: Sequence[Row]) -> Decimal:
    return Decimal(sum(_key(view, row) or 0 for row in members))
