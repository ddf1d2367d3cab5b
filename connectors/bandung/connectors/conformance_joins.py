"""The part of the conformance suite that is about joins; see `conformance`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from bandung.connectors import reckoning
from bandung.connectors.base import (
    Among,
    Banded,
    Between,
    CellQuery,
    Connector,
    ContributionQuery,
    FixedPoint,
    HistogramQuery,
    Join,
    JoinProfile,
    KeyColumn,
    KeyTable,
    Measure,
    Recode,
    RowQuery,
    SourceError,
    Stop,
    View,
)
from bandung.connectors.conformance_rows import (
    BALANCE,
    COLUMNS,
    ROWS,
    Load,
    a_key,
    a_view,
    awkward_rows,
    fails,
    read,
    same,
    same_table,
)


def awkward_homes() -> pa.Table:
    """Return what the rows' `id` is joined to: keys that are absent, repeated or NULL, and names that collide."""
    keys: list[int | None] = [*range(80), *range(75, 80), *range(90, 95), None, None]
    return pa.table(
        {
            "id": pa.array(keys, pa.int64()),
            "region": pa.array([("hill", "coast", None)[index % 3] for index in range(len(keys))], pa.string()),
            'a."b': pa.array([index * 1.5 for index in range(len(keys))], pa.float64()),
            "twin": pa.array([None if key is None else 79 - key for key in keys], pa.int64()),
            "town": pa.array([f"t{index % 6}" for index in range(len(keys))], pa.string()),
            "ward": pa.array([None if index % 7 == 0 else index % 4 for index in range(len(keys))], pa.int64()),
            "record_key": pa.array([a_key(key or 0) for key in keys], pa.int64()),
        }
    )


def awkward_wards() -> pa.Table:
    """Return what a home's town and ward are joined to: some pairs absent, one repeated, one NULL in a part."""
    pairs = [(f"t{town}", ward) for town in range(5) for ward in range(3)]
    return pa.table(
        {
            "town": pa.array([*(town for town, _ in pairs), "t1", "t2"], pa.string()),
            "ward": pa.array([*(ward for _, ward in pairs), 1, None], pa.int64()),
            "rain": pa.array([index * 10 for index in range(len(pairs) + 2)], pa.int64()),
        }
    )


_SETTING = Recode("home.region", (("H", ("hill",)), ("C", ("coast",))), missing="_U")
_RAIN = Banded(FixedPoint(("ward.rain",)), (("dry", 0, 80), ("wet", 80, 200)), missing="_U")
_JOINED_COLUMNS = (
    *COLUMNS,
    ("setting", _SETTING),
    ("rain", _RAIN),
    ("twin", Recode("twin.region", (("H", ("hill",)), ("C", ("coast",))), missing="_U")),
    ("before", Recode("before.sex", (("F", (1,)), ("M", (2,))), missing="_U")),
    ("worth", FixedPoint(('home.a."b', "urea"), decimals=1)),
)
_WORTH = Measure("worth", optional=True)
_HAS_A_HOME = Among("setting", ("H", "C"))


@dataclass(frozen=True, slots=True)
class _Joined:
    """An open source of joined rows; and what they are, computed here."""

    connector: Connector
    view: View
    rows: pa.Table
    facts: Mapping[str, JoinProfile]


def _load_joined(load: Load) -> _Joined:
    """Join twice to one relation, to a joined column, by two columns, to the rows themselves; hide a column's name."""
    numbers = pa.array(range(ROWS), pa.int64())
    rows = awkward_rows().append_column("row", numbers).append_column("next", pa.array(range(1, ROWS + 1), pa.int64()))
    rows = rows.append_column("home.region", pa.array(["hidden"] * ROWS))
    homes, wards = _stored(load, awkward_homes()), _stored(load, awkward_wards())
    connector, relation = load(rows)
    joins = [
        (Join(homes, "home", (("id", "id"),)), awkward_homes()),
        (Join(wards, "ward", (("home.town", "town"), ("home.ward", "ward"))), awkward_wards()),
        (Join(homes, "twin", (("home.twin", "id"),)), awkward_homes()),
        (Join(relation, "before", (("row", "next"),)), rows),
    ]
    facts: dict[str, JoinProfile] = {}
    for join, other in joins:
        rows, facts[join.name] = reckoning.joined(rows, join, other)
    view = replace(a_view(relation), columns=_JOINED_COLUMNS, joins=tuple(join for join, _ in joins))
    return _Joined(connector, view, rows, facts)


def _stored(load: Load, table: pa.Table) -> str:
    connector, relation = load(table)
    connector.close()
    return relation


def joined_rows_keep_their_number(load: Load) -> None:
    """A join neither drops nor multiplies rows: without exactly one partner, a row has NULL beside it."""
    joined = _load_joined(load)
    names = tuple(name for name, _ in _JOINED_COLUMNS)
    for view in (joined.view, replace(joined.view, unit="home.id", key=KeyColumn("home.record_key"))):
        query = RowQuery(view, names)
        same_table(read(joined.connector, query), reckoning.rows(query, joined.rows), 0)
    numbered = read(joined.connector, RowQuery(replace(joined.view, unit=None, key=None), ("setting",)))
    same(sorted(numbered["unit"].to_pylist()), list(range(ROWS)))
    joined.connector.close()


def profile_counts_what_joins_lack(load: Load) -> None:
    """`profile` counts repeated keys and rows without a partner, and the unit may be a joined column."""
    joined = _load_joined(load)
    for unit in ("id", "home.id", "ward.rain", None):
        view = replace(joined.view, unit=unit, key=KeyColumn("home.record_key"))
        expected = replace(reckoning.profile(view, (("rain", "setting"),), joined.rows), joins=joined.facts)
        same(joined.connector.profile(view, (("rain", "setting"),), Stop()), expected)
    joined.connector.close()


def a_join_that_does_not_fit_is_a_source_error(load: Load) -> None:
    """Keys that are not there, numbers joined to texts, measurements and absent relations raise `SourceError`."""
    joined = _load_joined(load)
    home = joined.view.joins[0]
    pairs = ((("nowhere", "id"),), (("id", "nowhere"),), (("id", "region"),), (("urea", 'a."b'),))
    unfit = [*(replace(home, on=on) for on in pairs), replace(home, relation="no such relation")]
    for join in unfit:
        view = View(joined.view.relation, (), "id", joins=(join,))
        fails(SourceError, lambda view=view: joined.connector.profile(view, (), Stop()))
    joined.connector.close()


def joined_columns_are_aggregated(load: Load) -> None:
    """Cells, contributions and histograms are those of the rows with what is joined beside them."""
    joined = _load_joined(load)
    source, rows = joined.connector, joined.rows
    of_home = replace(joined.view, unit="home.id")
    for group_by in ((), ("setting", "rain"), ("area", "twin"), ("before", "sex")):
        for where in ((), (_HAS_A_HOME, Among("rain", ("wet", "_U"))), (Between("worth", 100, 900),)):
            cells = CellQuery(joined.view, group_by, where, (_WORTH, BALANCE))
            same_table(source.cells(cells, Stop()), reckoning.cells(cells, rows), len(group_by))
            units = ContributionQuery(of_home, group_by, where, (_WORTH,), 2)
            same_table(source.contributions(units, Stop()), reckoning.contributions(units, rows), len(group_by))
            bins = HistogramQuery(of_home, group_by, where, "worth", 0, 100, 9)
            same_table(source.histogram(bins, Stop()), reckoning.histogram(bins, rows), len(group_by) + 1)
    source.close()


def a_joined_key_must_be_there(load: Load) -> None:
    """Unit and record key may be joined columns; a cell with a row that has none is refused."""
    joined = _load_joined(load)
    keys = [replace(joined.view, key=KeyColumn("home.record_key"))]
    if joined.connector.capabilities.writes_keys:
        table = awkward_homes().select(["id", "record_key"]).rename_columns(["unit", "record_key"]).slice(0, 85)
        keys.append(replace(joined.view, unit="home.id", key=KeyTable("conformance_keys")))
        joined.connector.write_keys(keys[-1], "conformance_keys", table.to_reader(), Stop())
    for view in keys:
        query = CellQuery(view, ("rain",), (_HAS_A_HOME,), (_WORTH,))
        expected = reckoning.cells(replace(query, view=keys[0]), joined.rows)
        same_table(joined.connector.cells(query, Stop()), expected, 1)
        fails(SourceError, lambda view=view: joined.connector.cells(CellQuery(view, ("rain",), (), ()), Stop()))
    joined.connector.close()
