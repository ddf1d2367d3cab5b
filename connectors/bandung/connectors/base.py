"""What a gateway asks of a national data source, as frozen values.

A connector aggregates *where the rows are*. It never sees an analyst's text: the gateway hands it a `View`
(the declared columns over one relation) and one of four closed requests. Every expression in this module is
total: for any row it yields a value or NULL, and can neither fail nor overflow within the declared ranges.

This module imports nothing of the gateway and no engine, so that third parties can depend on it alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the relation, taken unchanged (snapshots; identifiers)."""

    name: str


@dataclass(frozen=True, slots=True)
class Recode:
    """Source values to codes: the code whose values contain the source value, else NULL.

    Attributes:
        column: source column.
        codes: pairs of code and the source values that mean it, compared in the source's own type.
        missing: code for a NULL source value, or None when NULL stays NULL.
    """

    column: str
    codes: tuple[tuple[str, tuple[Scalar, ...]], ...]
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A fixed-point integer: floor((sum of columns x scale + offset) x 10^decimals + 1/2).

    Computed in IEEE double precision up to the floor, so that every engine gives the same integer
    (ROUND differs between engines: half away from zero or half to even). NULL if any input is missing: NULL, or
    one of `missing_values`.

    Attributes:
        missing_values: source numbers that stand for no value, as -99 for a refused answer.
    """

    columns: tuple[str, ...]
    scale: float = 1.0
    offset: float = 0.0
    decimals: int = 0
    missing_values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Banded:
    """A number to the code of the band that holds it, else NULL.

    Attributes:
        number: the number, in fixed point.
        bands: code, lower bound (inclusive) and upper bound (exclusive) in units of 10^-decimals.
        missing: code for a NULL number, or None when NULL stays NULL.
    """

    number: FixedPoint
    bands: tuple[tuple[str, int, int], ...]
    missing: str | None = None


Expression = Column | Recode | FixedPoint | Banded


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """The record key is a column of the relation (signed 64-bit integer)."""

    name: str


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The record key stands in a table beside the relation, joined on the unit.

    Attributes:
        table: table with the columns `unit` (the source's own type) and `record_key` (signed 64-bit).
    """

    table: str


@dataclass(frozen=True, slots=True)
class Join:
    """Beside each row, the one row of another relation that has its key: a person's household, a sale's enterprise.

    A row whose key stands in no row of the joined relation, or in several, or is NULL in a part, has NULL in all
    joined columns. So a join neither drops nor multiplies rows, whatever becomes of the data.

    In a `View`, `<name>.<column>` is a joined column, even if the view's own relation has a column of that name.

    Attributes:
        relation: table, view or file of the same source; the view's own one too.
        name: without a dot; no other join of the view has it.
        on: pairs of a column of what stands before (the view's relation, or an earlier join's `<name>.<column>`) and
            the column of the joined relation that it equals; both whole numbers or both texts. At least one pair.
    """

    relation: str
    name: str
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class View:
    """A dataset's declared columns over one relation of a source, and over what is joined to it.

    Source columns, the unit's and the key's too, are named as in the relation, joined ones as `Join` says.

    Attributes:
        relation: table, view or file of the source; its rows are the view's rows.
        columns: declared name and the expression that computes it.
        unit: source column that identifies the unit of privacy; None when each row is one unit.
        key: where the record key stands; None while there is none yet (checking, publishing).
        unit_rows_max: most rows that a unit is declared to have; a profile counts the units that have more.
        joins: in the order in which they are made.
    """

    relation: str
    columns: tuple[tuple[str, Expression], ...]
    unit: str | None
    key: KeyColumn | KeyTable | None = None
    unit_rows_max: int | None = None
    joins: tuple[Join, ...] = ()

    def expression(self, name: str) -> Expression:
        """Return the expression of a declared column.

        Raises:
            KeyError: the view has no such column.
        """
        return dict(self.columns)[name]


@dataclass(frozen=True, slots=True, order=True)
class Among:
    """Rows whose coded column has one of these codes.

    Attributes:
        codes: at least one.
    """

    column: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Between:
    """Rows whose number lies in a range, in units of 10^-decimals, both ends inclusive. NULL lies in none."""

    column: str
    low: int
    high: int


Condition = Among | Between


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure to aggregate.

    Attributes:
        name: declared column, a `FixedPoint` (or an integer `Column` of a snapshot).
        signed: values below zero are possible, so absolute values are needed beside the sum.
        optional: values may be missing, so contributors are counted and fingerprinted apart.
        bounds: values are clamped to this range before anything is computed of them; None to take them as they are.
        squares: squares are added up too.
        nonzero: rows with another value than zero are counted too.
    """

    name: str
    signed: bool = False
    optional: bool = False
    bounds: tuple[int, int] | None = None
    squares: bool = False
    nonzero: bool = False


@dataclass(frozen=True, slots=True)
class CellQuery:
    """Aggregate a view into cells. Only cells with at least one row come back, in no order.

    The answer's Arrow schema, columns in this order:

    - each column of `group_by`: utf8
    - `rows`: int64, rows in the cell
    - `key`: decimal128(38, 0), sum of the record keys of its rows
    - per measure m: `m.sum` decimal128(38, 0) (NULL if no value), `m.max` int64 (largest absolute value
      of one row, NULL if no value); if signed `m.abs` decimal128(38, 0), the sum of absolute values;
      if optional `m.rows` int64 and `m.key` decimal128(38, 0), over the rows with a value;
      if squares `m.squares` decimal128(38, 0), the sum of squares (NULL if no value); if nonzero `m.nonzero` int64,
      the rows with a value other than zero
    """

    view: View
    group_by: tuple[str, ...]
    where: tuple[Condition, ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class HistogramQuery:
    """Count the values of a measure in bins of equal width, by cell. Rows without a value are in no bin.

    Bin b holds the values from low + b x width up to, not including, low + (b + 1) x width; values below the first
    bin are counted in it, values beyond the last bin in that one. Only bins with a row come back, in no order. The
    answer's Arrow schema, columns in this order:

    - each column of `group_by`: utf8
    - `bin`: int64, from 0 to bins - 1
    - `rows`: int64

    Attributes:
        low, width: in units of 10^-decimals; width at least 1.
    """

    view: View
    group_by: tuple[str, ...]
    where: tuple[Condition, ...]
    measure: str
    low: int
    width: int
    bins: int


@dataclass(frozen=True, slots=True)
class ContributionQuery:
    """The exact number of units in cells, and their largest contributions to each measure.

    A unit's contribution to a cell is the absolute value of the sum of its rows in it. The answer's schema:

    - each column of `group_by`: utf8
    - `units`: int64, distinct units in the cell
    - per measure m: `m.units` int64 (units with a value) and `m.top1` … `m.top<top>`: decimal128(38, 0),
      the largest contributions in descending order, NULL where there are fewer units

    Attributes:
        top: how many contributions of each measure (0 to 9).
        cells: only these cells, as codes in the order of `group_by`; None for all.
        least: for each measure the least contribution that matters (None: none does). Units none of whose
            contributions reaches it are left out of everything, of `units` too. Empty: nobody is left out.
        units_enough: from this many units on, a number of units may come out lower, but not below this. None: every
            number is exact.
    """

    view: View
    group_by: tuple[str, ...]
    where: tuple[Condition, ...]
    measures: tuple[Measure, ...]
    top: int
    cells: tuple[tuple[str, ...], ...] | None = None
    least: tuple[int | None, ...] = ()
    units_enough: int | None = None


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Rows of declared columns, for publication and training inside the gateway. Never for a query.

    The answer's schema: `unit` (the source's type; int64 row number from 0 where the view has no unit),
    `record_key` int64 (only if the view has a key), then each of `columns`: utf8 for `Recode` and `Banded`,
    int64 for `FixedPoint`, the source's type for `Column`. Rows come in no promised order.
    """

    view: View
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the data say of one declared column, in counts and bounds.

    Attributes:
        missing: rows whose source value is NULL, or one of the `missing_values` of a `FixedPoint`.
        unmatched: rows with a source value that yields NULL (outside the code list or the bands).
        minimum, maximum: of a `FixedPoint`, in units of 10^-decimals; None for codes or if no row has a value.
        unit_total_max: largest sum of absolute values over one unit's rows (`FixedPoint`), else None.
        codes_used: codes that occur (`Recode`, `Banded`); never source values.
    """

    missing: int
    unmatched: int
    minimum: int | None = None
    maximum: int | None = None
    unit_total_max: int | None = None
    codes_used: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyProfile:
    """What the data say of a record-key column that the source provides, in counts.

    Attributes:
        missing: rows whose key is NULL.
        units_split: units with more than one key.
        keys_shared: keys that stand for more than one unit (0 where the view has no unit column).
    """

    missing: int
    units_split: int
    keys_shared: int


@dataclass(frozen=True, slots=True)
class JoinProfile:
    """What the data say of a join, in counts.

    Attributes:
        keys_repeated: keys that several rows of the joined relation have, whether or not a row of the view has them.
        unmatched: rows of the view that have no row beside them.
    """

    keys_repeated: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Verified facts of a view.

    Attributes:
        rows: number of rows.
        units: number of distinct units (= rows where the view has no unit column).
        rows_per_unit_max: most rows of one unit.
        units_missing: rows whose unit is NULL.
        columns: by declared name.
        nesting: for each pair (child, parent) asked for, the parent codes seen per child code.
        key: of a view whose key is a `KeyColumn`, else None.
        units_over: units with more rows than the view's `unit_rows_max`; 0 if it has none.
        joins: by name.
    """

    rows: int
    units: int
    rows_per_unit_max: int
    units_missing: int
    columns: Mapping[str, ColumnProfile]
    nesting: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, frozenset[str]]]
    )
    key: KeyProfile | None = None
    units_over: int = 0
    joins: Mapping[str, JoinProfile] = field(default_factory=dict[str, JoinProfile])


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do beyond being read.

    Attributes:
        live: cells can be aggregated in the source itself, record keys permitting.
        writes_keys: the record-key table can be written beside the data.
    """

    live: bool
    writes_keys: bool


class SourceError(Exception):
    """The source failed. The text is for the operator's log only: it may hold data."""


class OptionError(Exception):
    """A connector's options are wrong. The text is public: it depends on the declaration and the settings alone."""


class Stopped(Exception):
    """The request was given up by its caller; nothing was returned."""


class Stop:
    """A request's brake: set once, from any thread, by a deadline, a cancellation or a shutdown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._brakes: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        """Whether the request has been given up."""
        return self._stopped

    def set(self) -> None:
        """Give the request up: run every brake that is on, at most once."""
        with self._lock:
            self._stopped = True
            brakes, self._brakes = self._brakes, []
        for brake in brakes:
            brake()

    @contextmanager
    def brake(self, action: Callable[[], None]) -> Generator[None]:
        """Run `action` if the request is given up inside the block.

        Raises:
            Stopped: the request had been given up before.
        """
        with self._lock:
            if self._stopped:
                raise Stopped
            self._brakes.append(action)
        try:
            yield
        finally:
            with self._lock:
                if action in self._brakes:
                    self._brakes.remove(action)


class Connector(Protocol):
    """One data source. Safe for use by several threads at once.

    Every method raises `SourceError` when the source fails and `Stopped` when `stop` was set.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this source can do."""
        ...

    def schema(self, relation: str) -> pa.Schema:
        """Return the relation's columns with their Arrow types."""
        ...

    def profile(self, view: View, nesting: tuple[tuple[str, str], ...], stop: Stop) -> Profile:
        """Verify a declaration against the data: counts and bounds, never values."""
        ...

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        """Aggregate into cells; see `CellQuery` for the schema."""
        ...

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        """Count units and find the largest contributions; see `ContributionQuery` for the schema."""
        ...

    def histogram(self, query: HistogramQuery, stop: Stop) -> pa.Table:
        """Count values in bins; see `HistogramQuery` for the schema."""
        ...

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        """Stream rows; see `RowQuery` for the schema. Closing the reader frees the source."""
        ...

    def write_keys(self, view: View, table: str, keys: pa.RecordBatchReader, stop: Stop) -> None:
        """Replace the record-key table: `keys` has `unit` (the source's type) and `record_key` int64.

        A unit may come several times, always with the same key. The old table stays in force until the new
        one is complete.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...
