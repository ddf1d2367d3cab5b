"""What the conformance suite loads into a source, how it asks for it, and how it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from bandung.connectors.base import Banded, Connector, FixedPoint, KeyColumn, Measure, Recode, RowQuery, Stop, View

Load = Callable[[pa.Table], tuple[Connector, str]]
"""Stores a table in the source and returns the open connector and the name of the relation.

Every call of one `load` stores into the same source, so that the newest connector reaches what was stored before.
"""


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
            "record_key": pa.array([a_key(unit) for unit in units], pa.int64()),
        }
    )


def a_key(unit: int) -> int:
    """Return a unit's key: some at the ends of the 64 bits, so that sums need more."""
    return (2**63 - 1, -(2**63))[unit % 2] if unit % 5 == 0 else (unit * 0x9E3779B97F4A7C15) % 2**64 - 2**63


_REGION = Recode(
    "region",
    (("N", ("north",)), ("S", ("south",)), ("NONE", ("None",)), ("X", ("o'k\"; DROP TABLE x--", "%s $1 :a"))),
    missing="_U",
)
_UREA = Banded(FixedPoint(("urea",)), (("low", 0, 20), ("high", 20, 40)))
_AGE = Banded(FixedPoint(("age",), missing_values=(13.0, 59.0)), (("10-29", 10, 30), ("30-59", 30, 60)), missing="_U")
COLUMNS = (
    ("area", _REGION),
    ("sex", Recode("sex", (("F", (1,)), ("M", (2,))))),
    ("age_group", _AGE),
    ("urea", _UREA),
    ("fertiliser", FixedPoint(("urea", "phosphate"), scale=0.1, offset=1.0, decimals=2, missing_values=(4.25, 30.5))),
    ("balance", FixedPoint(("balance",), decimals=2)),
)
FERTILISER = Measure("fertiliser", optional=True, nonzero=True)
BALANCE = Measure("balance", signed=True, nonzero=True)
BOUNDED = (
    Measure("fertiliser", optional=True, bounds=(110, 420), squares=True),
    Measure("balance", signed=True, bounds=(-1000, 55), squares=True),
)


def a_view(relation: str) -> View:
    """Return `COLUMNS` over the loaded rows, with unit and record key."""
    return View(relation, COLUMNS, "id", KeyColumn("record_key"))


def read(connector: Connector, query: RowQuery) -> pa.Table:
    """Return all rows."""
    return connector.rows(query, Stop()).read_all()


def same_table(found: pa.Table, expected: pa.Table, keys: int) -> None:
    """Compare schema and rows, whatever their order.

    Args:
        keys: how many columns, the first ones, tell rows apart; 0 for all.

    Raises:
        NonConforming: they differ.
    """
    same(found.schema, expected.schema)
    same(_sorted(found, keys), _sorted(expected, keys))


def _sorted(table: pa.Table, keys: int) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    names = table.schema.names[: keys or None]
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def same(found: object, expected: object) -> None:
    """Compare.

    Raises:
        NonConforming: they differ.
    """
    if found != expected:
        raise NonConforming(f"found {_short(found)}, expected {_short(expected)}")


def _short(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} rows, {str(value[:3])[:600]}"
    return str(value)[:2000]


def fails(kind: type[Exception], act: Callable[[], object]) -> None:
    """Act, which must raise this.

    Raises:
        NonConforming: there was an answer.
    """
    try:
        answer = act()
    except kind:
        return
    raise NonConforming(f"{kind.__name__} was expected; the answer was {_short(answer)}")
