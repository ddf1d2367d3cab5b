"""What a snapshot stores beside its rows: they are added up by all dimensions, and the leading units are listed.

See `bandung.connectors.relation.Finest` and `Leading` for what the tables hold.
"""

from __future__ import annotations

import duckdb

from bandung.connectors.relation import clamped
from bandung.gateway.domain.dataset import Dataset, Measure
from bandung.gateway.domain.policy import DifferentialPrivacy, TableBuilder

FINEST = "finest"
"""The table of finest cells."""
LEADING = "leading_units"
"""The table of their leading units, where dominance is asked for and units may have several rows."""
LISTED = 32
"""How many leading units are listed of each finest cell, for each measure."""

_ROWS_PER_CELL_MIN = 2
"""Fewest rows of a finest cell, on average, for finest cells to be worth their room."""

_SQUARED_MAX = 10**13
"""Squares of greater values are not stored: those of 10^12 rows might need more than 38 digits."""


def add_up(database: duckdb.DuckDBPyConnection, dataset: Dataset, relation: str) -> None:
    """Store the finest cells of the epoch's rows and their leading units, unless they would be hardly fewer.

    Args:
        database: has the database of the epoch attached as `epoch`.
        relation: its table of rows.
    """
    names = [quoted(column.name) for column in dataset.dimensions]
    columns = [*names, 'count(*) AS ".rows"', 'sum(record_key) AS ".key"']
    columns += [part for measure in dataset.measures for part in _parts(measure, dataset)]
    grouped = f"GROUP BY {', '.join(names)}" if names else "HAVING count(*) > 0"
    database.execute(f"CREATE TABLE {FINEST} AS SELECT {', '.join(columns)} FROM epoch.{relation} {grouped}")  # noqa: S608
    ((cells, rows),) = database.execute(
        f"SELECT (SELECT count(*) FROM {FINEST}), (SELECT count(*) FROM epoch.{relation})"  # noqa: S608
    ).fetchall()
    if cells * _ROWS_PER_CELL_MIN <= rows:
        database.execute(f"CREATE TABLE epoch.{FINEST} AS FROM {FINEST}")
        if dataset.unit_rows_max > 1 and isinstance(dataset.policy, TableBuilder):
            database.execute(_leading(dataset, relation))


def summaries(
    database: duckdb.DuckDBPyConnection,
) -> tuple[tuple[str, frozenset[str]] | None, tuple[str, int] | None]:
    """Return the table of finest cells with its dimensions, and that of leading units with how many are listed.

    None for what the snapshot does not store.
    """
    found = database.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE table_name IN (?, ?)", [FINEST, LEADING]
    ).fetchall()
    dimensions = frozenset(column for table, column in found if table == FINEST and "." not in column)
    tables = {table for table, _ in found}
    return (FINEST, dimensions) if FINEST in tables else None, (LEADING, LISTED) if LEADING in tables else None


def quoted(name: str) -> str:
    """Return a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text literal as SQL."""
    return "'" + value.replace("'", "''") + "'"


def _parts(measure: Measure, dataset: Dataset) -> list[str]:
    """Return what is stored of a measure: of its values as the dataset's policy takes them."""
    value, private, bounds = quoted(measure.name), isinstance(dataset.policy, DifferentialPrivacy), None
    if private and measure.bounds_steps != measure.range_steps:
        low, high = bounds = measure.bounds_steps
        value = f"CASE WHEN {value} < {low} THEN {low} WHEN {value} > {high} THEN {high} ELSE {value} END"
    parts = {
        "sum": f"sum({value})",
        "max": f"max(abs({value}))",
        "abs": f"sum(abs({value}))",
        "rows": f"count({value})",
        "key": f"coalesce(sum(record_key) FILTER ({quoted(measure.name)} IS NOT NULL), 0)",
    }
    if private and max(map(abs, measure.bounds_steps)) <= _SQUARED_MAX:
        parts["squares"] = f"sum(CAST({value} AS HUGEINT) * {value})"
    if isinstance(dataset.policy, TableBuilder):
        parts["nonzero"] = f"count(nullif({value}, 0))"
    name = clamped(measure.name, bounds)
    return [f"{part} AS {quoted(f'{name}.{called}')}" for called, part in parts.items()]


def _leading(dataset: Dataset, relation: str) -> str:
    """Return the statement that stores the leading units of the finest cells."""
    codes = [quoted(dimension.name) for dimension in dataset.dimensions]
    sums, totals, rests = list[str](), list[str](), list[str]()
    # Where every value may be missing, units without one are listed too: all of them, or as many as of any measure.
    lists = [f"max(unit, {LISTED})"] if all(measure.optional for measure in dataset.measures) else []
    for measure in dataset.measures:
        value, total = quoted(measure.name), quoted(measure.name + ".total")
        sums.append(f"sum({value}) AS {value}")
        totals.append(f"sum(abs({value})) AS {total}")
        lists.append(f"arg_max(unit, {total}, {LISTED}) FILTER ({value} IS NOT NULL)")
        greatest = f"max({total}, {LISTED + 1}) FILTER ({value} IS NOT NULL)"
        rests.append(f"list_extract({greatest}, {LISTED + 1}) AS {quoted(measure.name + '.rest')}")
    units = f"flatten([{', '.join(lists)}]) AS units"
    return f"""
        CREATE TABLE epoch.{LEADING} AS
        WITH parts AS (SELECT {", ".join([*codes, "unit", *sums])} FROM epoch.{relation} GROUP BY ALL),
             totals AS (SELECT {", ".join(["unit", *totals])} FROM epoch.{relation} GROUP BY ALL),
             cells AS (SELECT {", ".join([*codes, *rests, units])} FROM parts JOIN totals USING (unit) GROUP BY ALL),
             listed AS (SELECT * EXCLUDE (units), unnest(list_distinct(units)) AS unit FROM cells)
        SELECT * FROM parts JOIN listed USING ({", ".join([*codes, "unit"])})"""  # noqa: S608
