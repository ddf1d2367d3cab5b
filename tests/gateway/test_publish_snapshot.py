"""The gateway's own copy: locked down, interruptible, and never half written."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from bandung.connectors.base import Among, CellQuery, ContributionQuery, KeyColumn, Measure, RowQuery, Stop, Stopped
from bandung.connectors.embedded import Embedded
from bandung.gateway.domain.dataset import Dataset
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import DifferentialPrivacy
from bandung.gateway.store.snapshot import RECORD_KEY, RELATION, SnapshotFiles
from tests.support.builders import a_dataset, a_dimension, a_measure

KEYS = (2**63 - 1, -(2**63), 2**63 - 1, -1, 2**32, -(2**32) - 1)
LOW = [key % 2**32 for key in KEYS]


def a_batch(dataset: Dataset, incomes: list[int | None], **changes: list[object]) -> pa.RecordBatch:
    count = len(incomes)
    columns = {
        "unit": [f"P{index // 2}" for index in range(count)],
        "record_key": [KEYS[index % len(KEYS)] for index in range(count)],
        "region": ["S", "N"] * (count // 2),
        "sex": ["F"] * count,
        "age_group": ["15-29"] * count,
        "income": incomes,
    } | changes
    return pa.RecordBatch.from_pydict(columns)


def write(snapshots: SnapshotFiles, batch: pa.RecordBatch, dataset: Dataset | None = None) -> None:
    snapshots.write(dataset or a_dataset(), 1, [batch], batch.schema)


@pytest.fixture
def snapshots(tmp_path: Path) -> SnapshotFiles:
    return SnapshotFiles(tmp_path, memory_mib_max=256, threads_max=2)


def view():
    return replace(a_dataset().snapshot_view(RELATION), key=KeyColumn("record_key"))


def test_a_copy_adds_up_the_low_halves_of_keys_exactly(snapshots: SnapshotFiles):
    write(snapshots, a_batch(a_dataset(), [1] * 600))
    with_cells = snapshots.open("persons", 1)
    cells = with_cells.cells(CellQuery(view(), (), (), ()), Stop())
    assert cells["key"].to_pylist() == [sum(LOW) * 100]
    by_region = with_cells.cells(CellQuery(view(), ("region",), (), (Measure("income", optional=True),)), Stop())
    assert {row["region"]: int(row["income.key"]) for row in by_region.to_pylist()} == {
        "S": sum(LOW[::2]) * 100,
        "N": sum(LOW[1::2]) * 100,
    }
    rows = with_cells.rows(RowQuery(view(), ()), Stop()).read_all()
    assert sorted(rows["record_key"].to_pylist()) == sorted(LOW * 100)
    with_cells.close()


@pytest.mark.parametrize(
    "changes", [{"region": ["nowhere", "N"]}, {"region": [None, "N"]}, {"unit": [None, "P1"]}, {"income": [None, 1]}]
)
def test_a_row_outside_the_declaration_stops_the_writing_and_leaves_nothing(
    snapshots: SnapshotFiles, tmp_path: Path, changes: dict[str, list[object]]
):
    with pytest.raises(Refusal) as caught:
        write(snapshots, a_batch(a_dataset(), [1, 2], **changes))
    assert caught.value.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    assert "nowhere" not in caught.value.message
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_writer_that_dies_leaves_the_old_epoch_as_it_was(snapshots: SnapshotFiles, tmp_path: Path):
    write(snapshots, a_batch(a_dataset(), [1, 2]))
    before = (tmp_path / "persons" / "1.duckdb").read_bytes()

    def dying() -> Iterator[pa.RecordBatch]:
        yield a_batch(a_dataset(), [3, 4])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        snapshots.write(a_dataset(), 1, dying(), a_batch(a_dataset(), [3, 4]).schema)
    assert (tmp_path / "persons" / "1.duckdb").read_bytes() == before
    assert [path.name for path in (tmp_path / "persons").iterdir()] == ["1.duckdb"]


def test_codes_with_quotes_are_codes_and_nothing_else(snapshots: SnapshotFiles):
    odd = "N'); DROP TABLE data; --"
    dataset = a_dataset()
    region = replace(dataset.columns[0], codes=(replace(dataset.dimensions[0].codes[0], code=odd),))
    changed = replace(dataset, columns=(region, *dataset.columns[1:]))
    write(snapshots, a_batch(dataset, [1, 2], region=[odd, odd]), changed)
    opened = snapshots.open("persons", 1)
    cells = opened.cells(CellQuery(view(), ("region",), (Among("region", (odd,)),), ()), Stop())
    assert cells.select(["region", "rows"]).to_pylist() == [{"region": odd, "rows": 2}]
    opened.close()


def test_the_engine_can_touch_nothing_but_its_own_file(snapshots: SnapshotFiles, tmp_path: Path):
    write(snapshots, a_batch(a_dataset(), [1, 2]))
    opened = snapshots.open("persons", 1)
    engine = opened._database.cursor()
    for attempt in (
        "SELECT * FROM read_csv('/etc/passwd')",
        f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
        "ATTACH ':memory:' AS other (TYPE sqlite)",
        "SET enable_external_access=true",
        "SET memory_limit='1TB'",
        "INSTALL httpfs",
        "DELETE FROM data",
    ):
        with pytest.raises(duckdb.Error):
            engine.execute(attempt)
    opened.close()


def test_a_request_given_up_stops_the_running_statement(snapshots: SnapshotFiles):
    dataset = a_dataset()
    count = 400_000
    batch = pa.RecordBatch.from_pydict(
        {
            "unit": pa.array(range(count)),
            "record_key": pa.array(range(count)),
            "region": ["N", "S"] * (count // 2),
            "sex": ["F"] * count,
            "age_group": ["15-29"] * count,
            "income": pa.array([index * 7919 % 1000 for index in range(count)]),
        }
    )
    write(snapshots, batch, dataset)
    opened = snapshots.open("persons", 1)
    measures = tuple(Measure("income", signed=True) for _ in range(9))
    query = ContributionQuery(view(), ("region",), (), measures, 9)
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()

    def ask_on() -> None:
        for _ in range(50):
            opened.contributions(query, stop)

    with pytest.raises(Stopped):
        ask_on()
    assert time.monotonic() - started < 5
    assert opened.cells(CellQuery(view(), (), (), ()), Stop())["rows"].to_pylist() == [count]
    opened.close()


def test_many_threads_share_one_snapshot(snapshots: SnapshotFiles):
    write(snapshots, a_batch(a_dataset(), [5] * 100))
    opened = snapshots.open("persons", 1)
    answers: list[list[int]] = []

    def ask() -> None:
        for _ in range(5):
            answers.append(opened.cells(CellQuery(view(), (), (), ()), Stop())["rows"].to_pylist())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[100]] * 40
    opened.close()


def test_cells_added_up_at_publication_give_what_the_rows_give(tmp_path: Path):
    bands = a_measure("balance", -500, 500, optional=True)
    dataset = a_dataset(columns=(a_dimension(), a_dimension("sex", ("F", "M")), a_measure(), bands))
    rng = np.random.default_rng(1955)
    batch = pa.record_batch(
        {
            "unit": np.arange(600),
            "record_key": rng.integers(-(2**63), 2**63 - 1, 600),
            "region": rng.choice(["N", "S"], 600),
            "sex": rng.choice(["F", "M"], 600, p=[0.9, 0.1]),
            "income": rng.integers(0, 1000, 600),
            "balance": pa.array(rng.integers(-500, 500, 600), mask=rng.random(600) < 0.3),
        }
    )
    stored = SnapshotFiles(tmp_path, memory_mib_max=256, threads_max=2)
    stored.write(dataset, 1, [batch], batch.schema)
    added = stored.open(dataset.name, 1)
    other_name = tmp_path / "rows.duckdb"
    other_name.hardlink_to(tmp_path / dataset.name / "1.duckdb")
    rows = duckdb.connect(str(other_name), read_only=True)
    assert rows.sql("SELECT count(*) FROM finest").fetchall() == [(4,)]
    by_row = Embedded(rows, RELATION, verified=True)
    measures = (Measure("income"), Measure("balance", signed=True, optional=True))
    view_ = replace(dataset.snapshot_view(RELATION), key=RECORD_KEY)
    for group_by in ((), ("region",), ("sex", "region")):
        for where in ((), (Among("sex", ("M",)),), (Among("region", ("N", "S")), Among("sex", ("F",)))):
            query = CellQuery(view_, group_by, where, measures)
            found, expected = (sorted(opened.cells(query, Stop()).to_pylist(), key=str) for opened in (added, by_row))
            assert found == expected
    added.close()
    by_row.close()


def test_private_sums_and_squares_of_clamped_values_come_from_finest_cells_as_from_the_rows(
    snapshots: SnapshotFiles, tmp_path: Path
):
    narrow = a_measure("income", minimum=-1000, bounds=(-50, 300), optional=True)
    columns = (*a_dataset().dimensions, narrow, a_measure("wealth"))
    dataset = a_dataset(policy=DifferentialPrivacy(), columns=columns)
    draw = np.random.default_rng(5)
    income = [None if i % 7 == 0 else int(draw.integers(-1000, 1000)) for i in range(400)]
    write(snapshots, a_batch(dataset, income, wealth=draw.integers(0, 1000, 400).tolist()), dataset)
    without_rows = tmp_path / dataset.name / "2.duckdb"
    without_rows.write_bytes((tmp_path / dataset.name / "1.duckdb").read_bytes())
    with duckdb.connect(str(without_rows)) as database:
        database.execute(f"DELETE FROM {RELATION}")
    stored = snapshots.open(dataset.name, 2)
    by_row = Embedded(
        duckdb.connect(str(tmp_path / dataset.name / "1.duckdb"), read_only=True), RELATION, verified=True
    )
    clamped = Measure("income", optional=True, bounds=narrow.bounds_steps, squares=True)
    query = CellQuery(
        replace(dataset.snapshot_view(RELATION), key=RECORD_KEY), ("region",), (), (clamped, Measure("wealth"))
    )
    found, expected = (sorted(opened.cells(query, Stop()).to_pylist(), key=str) for opened in (stored, by_row))
    assert found == expected
    stored.close()
    by_row.close()
