"""The suite that every connector passes, public for third parties.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_connector(check):
        check(load)  # load(table) stores an Arrow table in your source

Each check loads the same awkward rows into the source, asks the connector, and compares with an answer computed
here from the rows themselves, number by number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa

from bandung.connectors import reckoning
from bandung.connectors.base import (
    Among,
    Between,
    CellQuery,
    ContributionQuery,
    HistogramQuery,
    KeyTable,
    Recode,
    RowQuery,
    SourceError,
    Stop,
    Stopped,
)
from bandung.connectors.conformance_joins import (
    a_join_that_does_not_fit_is_a_source_error,
    a_joined_key_must_be_there,
    joined_columns_are_aggregated,
    joined_rows_keep_their_number,
    profile_counts_what_joins_lack,
)
from bandung.connectors.conformance_rows import (
    BALANCE,
    BOUNDED,
    COLUMNS,
    FERTILISER,
    ROWS,
    Load,
    a_view,
    awkward_rows,
    fails,
    read,
    same,
    same_table,
)


def schema_has_every_column_with_its_plain_type(load: Load) -> None:
    """`schema` names the columns as int64, float64 and string."""
    connector, relation = load(awkward_rows())
    found = connector.schema(relation)
    same({f.name: f.type for f in found}, {f.name: f.type for f in awkward_rows().schema})
    connector.close()


def profile_counts_what_is_there(load: Load) -> None:
    """`profile` agrees with the rows in every fact, with and without a unit column."""
    connector, relation = load(awkward_rows())
    strict = ("strict", Recode("region", (("N", ("north",)),)))
    view = replace(a_view(relation), columns=(*COLUMNS, strict))
    for seen in (view, replace(view, unit=None)):
        pairs = (("area", "sex"), ("age_group", "area"))
        same(connector.profile(seen, pairs, Stop()), reckoning.profile(seen, pairs, awkward_rows()))
    connector.close()


def cells_hold_exact_sums(load: Load) -> None:
    """`cells` has the promised schema and every sum, to the last digit."""
    connector, relation = load(awkward_rows())
    for group_by in ((), ("area",), ("area", "sex", "age_group")):
        for measures in ((), (FERTILISER, BALANCE), BOUNDED):
            query = CellQuery(a_view(relation), group_by, (), measures)
            same_table(connector.cells(query, Stop()), reckoning.cells(query, awkward_rows()), len(group_by))
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
            query = CellQuery(a_view(relation), group_by, (where, Among("sex", ("F",))), (BALANCE,))
            same_table(connector.cells(query, Stop()), reckoning.cells(query, awkward_rows()), len(group_by))
    connector.close()


def cells_outside_the_declaration_are_refused(load: Load) -> None:
    """A row whose grouped column has no code is never dropped silently: the request fails."""
    connector, relation = load(awkward_rows())
    view = replace(a_view(relation), columns=(("area", Recode("region", (("N", ("north",)),))),))
    fails(SourceError, lambda: connector.cells(CellQuery(view, ("area",), (), ()), Stop()))
    connector.close()


def histograms_count_values_in_bins(load: Load) -> None:
    """`histogram` puts each value into one bin, values beyond the ends into the outermost, missing ones into none."""
    connector, relation = load(awkward_rows())
    for measure, low, width, bins in (("balance", -1500, 321, 7), ("fertiliser", 100, 1, 500), ("balance", 0, 10, 1)):
        for group_by in ((), ("area", "sex")):
            where = (Among("age_group", ("10-29", "30-59")),)
            query = HistogramQuery(a_view(relation), group_by, where, measure, low, width, bins)
            expected = reckoning.histogram(query, awkward_rows())
            same_table(connector.histogram(query, Stop()), expected, len(group_by) + 1)
    connector.close()


def contributions_are_per_unit(load: Load) -> None:
    """`contributions` counts units once however many rows they have, and ranks their totals."""
    connector, relation = load(awkward_rows())
    for unit in ("id", None):
        view = replace(a_view(relation), unit=unit)
        for group_by, cells in (((), None), (("area",), (("N",), ("_U",))), (("area", "sex"), (("S", "F"),))):
            query = ContributionQuery(view, group_by, (), (FERTILISER, BALANCE), 3, cells)
            expected = reckoning.contributions(query, awkward_rows())
            same_table(connector.contributions(query, Stop()), expected, len(group_by))
        for least in ((None, None), (480, None), (300, 1500)):
            query = ContributionQuery(view, ("area", "sex"), (), (FERTILISER, BALANCE), 2, None, least)
            expected = reckoning.contributions(query, awkward_rows())
            same_table(connector.contributions(query, Stop()), expected, 2)
    filtered = ContributionQuery(a_view(relation), ("sex",), (Among("area", ("X",)),), (), 0)
    same_table(connector.contributions(filtered, Stop()), reckoning.contributions(filtered, awkward_rows()), 1)
    connector.close()


def rows_stream_with_unit_and_key(load: Load) -> None:
    """`rows` has the promised schema and every row once; without a unit column, row numbers from 0."""
    connector, relation = load(awkward_rows())
    names = tuple(name for name, _ in COLUMNS)
    for view in (a_view(relation), replace(a_view(relation), key=None)):
        query = RowQuery(view, names)
        same_table(read(connector, query), reckoning.rows(query, awkward_rows()), 0)
    numbered = read(connector, RowQuery(replace(a_view(relation), unit=None, key=None), ()))
    same(sorted(numbered["unit"].to_pylist()), list(range(ROWS)))
    connector.close()


def a_key_table_gives_the_same_cells(load: Load) -> None:
    """Keys written beside the data (if the source can) give what a key column gives."""
    connector, relation = load(awkward_rows())
    if connector.capabilities.writes_keys:
        view = replace(a_view(relation), key=KeyTable("conformance_keys"))
        rows = awkward_rows()
        keys = pa.table({"unit": rows["id"], "record_key": rows["record_key"]})
        for written in (keys.slice(0, 1), keys):
            connector.write_keys(view, "conformance_keys", written.to_reader(), Stop())
        query = CellQuery(view, ("area",), (), (FERTILISER,))
        expected = reckoning.cells(replace(query, view=a_view(relation)), awkward_rows())
        same_table(connector.cells(query, Stop()), expected, 1)
        # All units come up in the first 90 rows; the last of them loses its key.
        connector.write_keys(view, "conformance_keys", keys.slice(0, 89).to_reader(), Stop())
        fails(SourceError, lambda: connector.cells(query, Stop()))
    connector.close()


def a_request_given_up_is_not_begun(load: Load) -> None:
    """With `stop` set, every method raises `Stopped`."""
    connector, relation = load(awkward_rows())
    stop = Stop()
    stop.set()
    view = a_view(relation)
    fails(Stopped, lambda: connector.cells(CellQuery(view, (), (), ()), stop))
    fails(Stopped, lambda: connector.contributions(ContributionQuery(view, (), (), (), 0), stop))
    fails(Stopped, lambda: connector.histogram(HistogramQuery(view, (), (), "balance", 0, 1, 1), stop))
    fails(Stopped, lambda: connector.rows(RowQuery(view, ()), stop).read_all())
    fails(Stopped, lambda: connector.profile(view, (), stop))
    connector.close()


def a_missing_relation_is_a_source_error(load: Load) -> None:
    """A relation that is not there raises `SourceError`, not an engine's own exception."""
    connector, _ = load(awkward_rows())
    fails(SourceError, lambda: connector.schema("no such relation"))
    connector.close()


Check = Callable[[Load], None]

CHECKS: tuple[Check, ...] = (
    schema_has_every_column_with_its_plain_type,
    profile_counts_what_is_there,
    rows_stream_with_unit_and_key,
    joined_rows_keep_their_number,
    profile_counts_what_joins_lack,
    a_join_that_does_not_fit_is_a_source_error,
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
    joined_columns_are_aggregated,
    a_joined_key_must_be_there,
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
