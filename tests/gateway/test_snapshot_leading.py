"""Leading units: a copy's closer looks are exact, whether these tell the answer or the rows have to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from bandung.connectors.base import Among, Condition, ContributionQuery, Measure, Stop
from bandung.connectors.embedded import Embedded
from bandung.gateway.domain.dataset import Dataset
from bandung.gateway.store import finest_cells
from bandung.gateway.store.finest_cells import LEADING
from bandung.gateway.store.snapshot import RECORD_KEY, RELATION, SnapshotFiles
from tests.support.builders import a_dataset, a_measure

ROWS_MAX = 6
TABLES: tuple[tuple[str, ...], ...] = ((), ("region",), ("sex", "age_group"), ("region", "sex", "age_group"))


def a_register(*, optional: bool = True) -> Dataset:
    """Several rows of one unit, and two measures."""
    columns = (*a_dataset().dimensions, a_measure(optional=optional), a_measure("wealth", optional=optional))
    return replace(a_dataset(columns=columns), unit_rows_max=ROWS_MAX)


def establishments(rows: int, *, optional: bool = True, seed: int = 7) -> pa.RecordBatch:
    """Rows of units that are spread over cells, skewed, with ties, and with values missing."""
    draw = np.random.default_rng(seed)
    units = draw.permutation(rows) // ROWS_MAX
    amounts = np.minimum(900_000, np.round(20 / (draw.random(rows) + 1e-5), -1)).astype(int)
    gone = draw.random((2, rows)) < (0.3 if optional else 0)
    return pa.RecordBatch.from_pydict(
        {
            "unit": [f"E{unit}" for unit in units],
            "record_key": units,
            "region": draw.choice(["N", "S"], rows, p=[0.9, 0.1]),
            "sex": draw.choice(["F", "M"], rows),
            "age_group": draw.choice(["15-29", "30-49"], rows),
            "income": [None if missing else int(amount) for amount, missing in zip(amounts, gone[0], strict=True)],
            "wealth": [None if missing else int(unit % 9) for unit, missing in zip(units, gone[1], strict=True)],
        }
    )


def looks(embedded: Embedded, query: ContributionQuery) -> list[dict[str, int]]:
    return sorted(embedded.contributions(query, Stop()).to_pylist(), key=str)


def a_look(dataset: Dataset, group_by: tuple[str, ...], where: tuple[Condition, ...] = (), top: int = 3):
    view = replace(dataset.snapshot_view(RELATION), key=RECORD_KEY)
    optional = dataset.measures[0].optional
    measures = tuple(Measure(name, optional=optional) for name in ("income", "wealth"))
    return ContributionQuery(view, group_by, where, measures, top)


@pytest.mark.parametrize("where", [(), (Among("sex", ("F",)),), (Among("region", ("N", "S")), Among("sex", ("M",)))])
@pytest.mark.parametrize("group_by", TABLES)
@pytest.mark.parametrize("optional", [True, False])
def test_leading_units_tell_what_the_rows_tell(
    tmp_path: Path, group_by: tuple[str, ...], where: tuple[Condition, ...], optional: bool
):
    dataset, batch = a_register(optional=optional), establishments(3000, optional=optional)
    files = SnapshotFiles(tmp_path, memory_mib_max=256, threads_max=2)
    files.write(dataset, 1, [batch], batch.schema)
    opened = files.open(dataset.name, 1)
    query = a_look(dataset, group_by, where)
    exact = looks(opened, query)
    for enough in (1, 10, finest_cells.LISTED):
        found = looks(opened, replace(query, units_enough=enough))
        assert len(found) == len(exact) > 0
        for cell, truth in zip(found, exact, strict=True):
            for name, value in truth.items():
                if name.endswith("units"):
                    assert min(value, enough) <= cell[name] <= value
                else:
                    assert cell[name] == value
    opened.close()


@pytest.mark.parametrize("listed", [1, 2, 5])
@pytest.mark.parametrize("group_by", TABLES)
def test_cells_that_few_listed_units_leave_open_are_looked_up_in_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: int, group_by: tuple[str, ...]
):
    monkeypatch.setattr(finest_cells, "LISTED", listed)
    dataset, batch = a_register(), establishments(900)
    files = SnapshotFiles(tmp_path, memory_mib_max=256, threads_max=2)
    files.write(dataset, 1, [batch], batch.schema)
    opened = files.open(dataset.name, 1)
    query = a_look(dataset, group_by)
    tops = [{n: v for n, v in cell.items() if not n.endswith("units")} for cell in looks(opened, query)]
    found = looks(opened, replace(query, units_enough=1))
    assert [{n: v for n, v in cell.items() if not n.endswith("units")} for cell in found] == tops
    opened.close()


def test_leading_units_are_stored_where_a_unit_may_have_several_rows_and_nowhere_else(tmp_path: Path):
    files = SnapshotFiles(tmp_path, memory_mib_max=256, threads_max=2)
    for number, rows_max in ((1, ROWS_MAX), (2, 1)):
        dataset, batch = replace(a_register(), unit_rows_max=rows_max), establishments(600)
        files.write(dataset, number, [batch], batch.schema)
        with duckdb.connect(str(tmp_path / dataset.name / f"{number}.duckdb"), read_only=True) as database:
            stored = database.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [LEADING]).fetchall()
        assert stored == [(int(rows_max > 1),)]
