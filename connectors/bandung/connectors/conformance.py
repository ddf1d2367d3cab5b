"""The suite that every connector passes, public for third parties.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_connector(check):
        check(load)  # load(table) stores an Arrow table in your source

Each check loads the same awkward rows into the source, asks the connector, and compares with an answer computed
here from the rows themselves, number by number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

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
    KeyColumn,
    KeyTable,
    Measure,
    Recode,
    RowQuery,
    SourceError,
    Stop,
    Stopped,
    View,
)

Load = Callable[[pa.Table], tuple[Connector, str]]
"""Stores a table in the source and returns the open connector and the name of the relation."""


class NonConforming(Exception):
    """The connector does something else than the contract says."""


ROWS = 240
"""Rows of the loaded table."""


def awkward_rows() -> pa.Table:
    """Return the rows: several per unit, NULLs, the answer "None", SQL in values, extreme keys, rounding ties."""
    regions = ["north", "south", "None", "o'k\"; DROP TABLE x--", None, "%s $1 :a"]
    units = [(index * 7) % 90 for index in range(ROWS)]
    return pa.table(
        {
            "id": pa.array(units, pa.int64()),
            "region": pa.array([regions[index % len(regions)] for index in range(ROWS)], pa.string()),
            "sex": pa.array([1 + index * index % 2 for index in range(ROWS)], pa.int64()),
            "age": pa.array([None if index % 11 == 0 else 10 + index % 50 for index in range(ROWS)], pa.int64()),
            "urea": pa.array([index % 37 + 0.5 for index in range(ROWS)], pa.float64()),
            "phosphate": pa.array([None if index % 13 == 0 else index % 5 + 0.25 for index in range(ROWS)]),
            "balance": pa.array([(index % 41 - 20) * 1.005 for index in range(ROWS)], pa.float64()),
            "record_key": pa.array([_key(unit) for unit in units], pa.int64()),
        }
    )


def _key(unit: int) -> int:
    """Return a unit's key: some at the ends of the 64 bits, so that sums need more."""
    return (2**63 - 1, -(2**63))[unit % 2] if unit % 5 == 0 else (unit * 0x9E3779B97F4A7C15) % 2**64 - 2**63


_REGION = Recode(
    "region",
    (("N", ("north",)), ("S", ("south",)), ("NONE", ("None",)), ("X", ("o'k\"; DROP TABLE x--", "%s $1 :a"))),
    missing="_U",
)
_UREA = Banded(FixedPoint(("urea",)), (("low", 0, 20), ("high", 20, 40)))
_AGE = Banded(FixedPoint(("age",)), (("10-29", 10, 30), ("30-59", 30, 60)), missing="_U")
_COLUMNS = (
    ("area", _REGION),
    ("sex", Recode("sex", (("F", (1,)), ("M", (2,))))),
    ("age_group", _AGE),
    ("urea", _UREA),
    ("fertiliser", FixedPoint(("urea", "phosphate"), scale=0.1, offset=1.0, decimals=2)),
    ("balance", FixedPoint(("balance",), decimals=2)),
)
_FERTILISER = Measure("fertiliser", optional=True)
_BALANCE = Measure("balance", signed=True)
_BOUNDED = (
    Measure("fertiliser", optional=True, bounds=(110, 420), squares=True),
    Measure("balance", signed=True, bounds=(-1000, 55), squares=True),
)


def _view(relation: str) -> View:
    return View(relation, _COLUMNS, "id", KeyColumn("record_key"))


def schema_has_every_column_with_its_plain_type(load: Load) -> None:
    """`schema` names the columns as int64, float64 and string."""
    connector, relation = load(awkward_rows())
    found = connector.schema(relation)
    _same({f.name: f.type for f in found}, {f.name: f.type for f in awkward_rows().schema})
    connector.close()


def profile_counts_what_is_there(load: Load) -> None:
    """`profile` agrees with the rows in every fact, with and without a unit column."""
    connector, relation = load(awkward_rows())
    strict = ("strict", Recode("region", (("N", ("north",)),)))
    view = replace(_view(relation), columns=(*_COLUMNS, strict))
    for seen in (view, replace(view, unit=None)):
        pairs = (("area", "sex"), ("age_group", "area"))
        _same(connector.profile(seen, pairs, Stop()), reckoning.profile(seen, pairs, awkward_rows()))
    connector.close()


def cells_hold_exact_sums(load: Load) -> None:
    """`cells` has the promised schema and every sum, to the last digit."""
    connector, relation = load(awkward_rows())
    for group_by in ((), ("area",), ("area", "sex", "age_group")):
        for measures in ((), (_FERTILISER, _BALANCE), _BOUNDED):
            query = CellQuery(_view(relation), group_by, (), measures)
            _same_table(connector.cells(query, Stop()), reckoning.cells(query, awkward_rows()), len(group_by))
    connector.close()


def cells_are_filtered_by_code(load: Load) -> None:
    """A filter keeps the rows with one of the codes, the code for missing included, or with a number in the range."""
    connector, relation = load(awkward_rows())
    filters = [
        Among("area", ("X",)),
        Among("area", ("_U", "N")),
        Among("age_group", ("_U",)),
        Among("age_group", ("30-59", "10-29")),
        Among("urea", ("low",)),
        Among("area", ("nowhere",)),
        Between("balance", -500, 1005),
        Between("fertiliser", 100, 250),
    ]
    for where in filters:
        for group_by in ((), ("sex",)):
            query = CellQuery(_view(relation), group_by, (where, Among("sex", ("F",))), (_BALANCE,))
            _same_table(connector.cells(query, Stop()), reckoning.cells(query, awkward_rows()), len(group_by))
    connector.close()


def cells_outside_the_declaration_are_refused(load: Load) -> None:
    """A row whose grouped column has no code is never dropped silently: the request fails."""
    connector, relation = load(awkward_rows())
    view = replace(_view(relation), columns=(("area", Recode("region", (("N", ("north",)),))),))
    _fails(SourceError, lambda: connector.cells(CellQuery(view, ("area",), (), ()), Stop()))
    connector.close()


def histograms_count_values_in_bins(load: Load) -> None:
    """`histogram` puts each value into one bin, values beyond the ends into the outermost, missing ones into none."""
    connector, relation = load(awkward_rows())
    for measure, low, width, bins in (("balance", -1500, 321, 7), ("fertiliser", 100, 1, 500), ("balance", 0, 10, 1)):
        for group_by in ((), ("area", "sex")):
            where = (Among("age_group", ("10-29", "30-59")),)
            query = HistogramQuery(_view(relation), group_by, where, measure, low, width, bins)
            expected = reckoning.histogram(query, awkward_rows())
            _same_table(connector.histogram(query, Stop()), expected, len(group_by) + 1)
    connector.close()


def contributions_are_per_unit(load: Load) -> None:
    """`contributions` counts units once however many rows they have, and ranks their totals."""
    connector, relation = load(awkward_rows())
    for unit in ("id", None):
        view = replace(_view(relation), unit=unit)
        for group_by, cells in (((), None), (("area",), (("N",), ("_U",))), (("area", "sex"), (("S", "F"),))):
            query = ContributionQuery(view, group_by, (), (_FERTILISER, _BALANCE), 3, cells)
            expected = reckoning.contributions(query, awkward_rows())
            _same_table(connector.contributions(query, Stop()), expected, len(group_by))
        for least in ((None, None), (480, None), (300, 1500)):
            query = ContributionQuery(view, ("area", "sex"), (), (_FERTILISER, _BALANCE), 2, None, least)
            expected = reckoning.contributions(query, awkward_rows())
            _same_table(connector.contributions(query, Stop()), expected, 2)
    filtered = ContributionQuery(_view(relation), ("sex",), (Among("area", ("X",)),), (), 0)
    _same_table(connector.contributions(filtered, Stop()), reckoning.contributions(filtered, awkward_rows()), 1)
    connector.close()


def rows_stream_with_unit_and_key(load: Load) -> None:
    """`rows` has the promised schema and every row once; without a unit column, row numbers from 0."""
    connector, relation = load(awkward_rows())
    names = tuple(name for name, _ in _COLUMNS)
    for view in (_view(relation), replace(_view(relation), key=None)):
        query = RowQuery(view, names)
        _same_table(_read(connector, query), reckoning.rows(query, awkward_rows()), 0)
    numbered = _read(connector, RowQuery(replace(_view(relation), unit=None, key=None), ()))
    _same(sorted(numbered["unit"].to_pylist()), list(range(ROWS)))
    connector.close()


def a_key_table_gives_the_same_cells(load: Load) -> None:
    """Keys written beside the data (if the source can) give what a key column gives."""
    connector, relation = load(awkward_rows())
    if connector.capabilities.writes_keys:
        view = replace(_view(relation), key=KeyTable("conformance_keys"))
        rows = awkward_rows()
        keys = pa.table({"unit": rows["id"], "record_key": rows["record_key"]})
        for written in (keys.slice(0, 1), keys):
            connector.write_keys(view, "conformance_keys", written.to_reader(), Stop())
        query = CellQuery(view, ("area",), (), (_FERTILISER,))
        expected = reckoning.cells(replace(query, view=_view(relation)), awkward_rows())
        _same_table(connector.cells(query, Stop()), expected, 1)
        # All units come up in the first 90 rows; the last of them loses its key.
        connector.write_keys(view, "conformance_keys", keys.slice(0, 89).to_reader(), Stop())
        _fails(SourceError, lambda: connector.cells(query, Stop()))
    connector.close()


def a_request_given_up_is_not_begun(load: Load) -> None:
    """With `stop` set, every method raises `Stopped`."""
    connector, relation = load(awkward_rows())
    stop = Stop()
    stop.set()
    view = _view(relation)
    _fails(Stopped, lambda: connector.cells(CellQuery(view, (), (), ()), stop))
    _fails(Stopped, lambda: connector.contributions(ContributionQuery(view, (), (), (), 0), stop))
    _fails(Stopped, lambda: connector.histogram(HistogramQuery(view, (), (), "balance", 0, 1, 1), stop))
    _fails(Stopped, lambda: connector.rows(RowQuery(view, ()), stop).read_all())
    _fails(Stopped, lambda: connector.profile(view, (), stop))
    connector.close()


def a_missing_relation_is_a_source_error(load: Load) -> None:
    """A relation that is not there raises `SourceError`, not an engine's own exception."""
    connector, _ = load(awkward_rows())
    _fails(SourceError, lambda: connector.schema("no such relation"))
    connector.close()


Check = Callable[[Load], None]

CHECKS: tuple[Check, ...] = (
    schema_has_every_column_with_its_plain_type,
    profile_counts_what_is_there,
    rows_stream_with_unit_and_key,
    a_request_given_up_is_not_begun,
    a_missing_relation_is_a_source_error,
)
"""What every connector passes."""

LIVE_CHECKS: tuple[Check, ...] = (
    cells_hold_exact_sums,
    cells_are_filtered_by_code,
    cells_outside_the_declaration_are_refused,
    contributions_are_per_unit,
    histograms_count_values_in_bins,
    a_key_table_gives_the_same_cells,
)
"""What a connector passes besides if its capabilities say `live`."""


def check_connector(load: Load) -> None:
    """Run every check that the connector's capabilities call for.

    Raises:
        NonConforming: the first difference found.
    """
    connector, _ = load(awkward_rows())
    live = connector.capabilities.live
    connector.close()
    for check in (*CHECKS, *(LIVE_CHECKS if live else ())):
        check(load)


def _read(connector: Connector, query: RowQuery) -> pa.Table:
    return connector.rows(query, Stop()).read_all()


def _same_table(found: pa.Table, expected: pa.Table, keys: int) -> None:
    _same(found.schema, expected.schema)
    _same(_sorted(found, keys), _sorted(expected, keys))


def _sorted(table: pa.Table, keys: int) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    names = table.schema.names[: keys or None]
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def _same(found: object, expected: object) -> None:
    if found != expected:
        raise NonConforming(f"found {_short(found)}, expected {_short(expected)}")


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} rows, {str(value[:3])[:600]}"
    return str(value)[:2000]


def _fails(kind: type[Exception], act: Callable[[], object]) -> None:
    try:
        answer = act()
    except kind:
        return
    raise NonConforming(f"{kind.__name__} was expected; the answer was {_short(answer)}")
