"""Publishing a dataset as a snapshot or live: the same rows give the same releases, and nothing else gets out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from bandung.connectors.base import KeyColumn, KeyTable, RowQuery, SourceError, Stop
from bandung.gateway.disclosure.keys import record_keys
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import EventKind
from tests.support.postgres import Databases, postgres
from tests.support.publishing import FARMS, Node, a_declaration, a_node, farm_rows
from tests.support.sources import write_file, write_table

__all__ = ["postgres"]

TABLES: tuple[tuple[tuple[str, ...], tuple[str, ...], dict[str, str]], ...] = (
    ((), ("count",), {}),
    (("area",), ("count", "sum(fertiliser)", "mean(balance)"), {}),
    (("area", "age"), ("count", "sum(balance)", "mean(fertiliser)"), {}),
    (("age",), ("count", "sum(fertiliser)"), {"area": "odd"}),
    (("age",), ("count",), {"area": "_U"}),
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    write_file(farm_rows(), tmp_path / "farms.csv")
    with a_node(tmp_path) as node:
        yield node


@pytest.fixture
def database(postgres: Databases) -> str:
    url = postgres()
    write_table(url, "farms", farm_rows())
    return url


@pytest.fixture
def pg_node(tmp_path: Path, database: str) -> Iterator[Node]:
    with a_node(tmp_path, {"FARMS_URL": database}) as node:
        yield node


def in_database(mode: str, **changes: object):
    return a_declaration("sqlalchemy", "farms", source__url_env="FARMS_URL", dataset__mode=mode, **changes)


def refusal_of(node: Node, document: object, stop: Stop | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        node.publish_now(document, stop)  # type: ignore[arg-type]
    return caught.value


def run(url: str, *statements: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def test_the_same_dataset_published_both_ways_gives_identical_releases(pg_node: Node):
    copied, _ = pg_node.publish_now(in_database("snapshot"))
    live, _ = pg_node.publish_now(in_database("live"))
    assert copied.facts == live.facts
    assert (type(copied.view.key), type(live.view.key)) == (KeyColumn, KeyTable)
    for group_by, statistics, where in TABLES:
        first = pg_node.release(copied, group_by, *statistics, **where)
        second = pg_node.release(live, group_by, *statistics, **where)
        assert first.table.equals(second.table)
        assert first.noise == second.noise
    assert pg_node.release(copied, ("area",), "count").table["count"].to_pylist() != [0] * 5


def test_a_file_and_a_database_with_the_same_rows_give_identical_releases(pg_node: Node, tmp_path: Path):
    epochs = [pg_node.publish_now(in_database("snapshot"))[0]]
    for suffix in ("csv", "parquet", "arrow"):
        write_file(farm_rows(), tmp_path / f"farms.{suffix}")
        epochs.append(pg_node.publish_now(a_declaration(relation=f"farms.{suffix}"))[0])
    for group_by, statistics, where in TABLES:
        first, *others = (pg_node.release(epoch, group_by, *statistics, **where).table for epoch in epochs)
        assert all(first.equals(other) for other in others)


def test_a_published_epoch_is_current_and_on_the_record(node: Node):
    epoch, receipt = node.publish_now(a_declaration())
    assert epoch.id == "farms@1"
    assert node.catalogue.current("farms") == epoch
    (entry,) = node.ledger.entries(receipt.index, 1)
    assert entry.event.kind is EventKind.DATASET_PUBLISHED
    assert entry.event.principal == "local:citra"
    assert entry.event.body["declaration"] == epoch.dataset.digest
    assert entry.event.body["policy"] == {**entry.event.body["policy"], "kind": "table-builder", "min_units": 5}
    assert entry.event.body["rows_about"] == 1400


def test_the_facts_are_those_of_the_rows(node: Node):
    facts = node.publish_now(a_declaration())[0].facts
    rows = farm_rows()
    assert (facts.rows, facts.units, facts.rows_per_unit_max) == (rows.num_rows, FARMS, 3)
    balance = [round(value * 10) for value in rows["balance"].to_pylist()]
    assert (facts.measures["balance"].minimum, facts.measures["balance"].maximum) == (min(balance), max(balance))


def test_record_keys_are_those_of_the_units_text(node: Node):
    epoch, _ = node.publish_now(a_declaration())
    rows = node.epochs.open(epoch).rows(RowQuery(epoch.view, ("area", "balance")), Stop()).read_all()
    key = node.secrets.dataset_key("farms")
    assert set(rows["record_key"].to_pylist()) == {
        whole % 2**32 for whole in record_keys(key, [f"F{farm:05d}" for farm in range(FARMS)]).to_pylist()
    }
    assert rows.schema.field("area").type == pa.string()
    assert sorted(set(rows["unit"].to_pylist())) == list(range(FARMS))


def test_a_snapshot_is_read_only_and_holds_no_identifier(node: Node, tmp_path: Path):
    node.publish_now(a_declaration())
    (path,) = (tmp_path / "snapshots" / "farms").iterdir()
    assert path.name == "1.duckdb"
    assert path.stat().st_mode & 0o777 == 0o400
    content = path.read_bytes()
    assert b"F00001" not in content
    assert b"F00699" not in content


def test_publishing_again_makes_the_next_epoch_with_equal_releases(node: Node):
    first, _ = node.publish_now(a_declaration())
    second, _ = node.publish_now(a_declaration())
    assert second.id == "farms@2"
    assert node.release(first, ("area",), "count").table.equals(node.release(second, ("area",), "count").table)


def test_each_row_can_be_a_unit(node: Node):
    epoch, _ = node.publish_now(a_declaration(unit__column=None, unit__rows=True, unit__rows_max=1))
    assert epoch.facts.units == epoch.facts.rows == farm_rows().num_rows
    assert epoch.facts.rows_per_unit_max == 1


def test_units_with_more_rows_than_declared_are_not_published(node: Node):
    with pytest.raises(Refusal) as caught:
        node.publish_now(a_declaration(unit__rows_max=2))
    assert caught.value.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    assert "unit: too many rows" in caught.value.private


def test_progress_is_told_from_nothing_to_everything(node: Node):
    told: list[tuple[int, int]] = []
    node.publish(node.declare(a_declaration()), "local:citra", Stop(), lambda done, total: told.append((done, total)))
    total = farm_rows().num_rows
    assert told[0] == (0, total)
    assert told[-1] == (total, total)


def test_data_that_break_the_declaration_are_not_published(node: Node, tmp_path: Path):
    refusal = refusal_of(node, a_declaration(columns__balance__range=[0, 200]))
    assert refusal.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    assert "balance: out of range" in refusal.private
    assert refusal.detail == ""
    assert node.catalogue.current("farms") is None
    assert node.ledger.head()[0] == 0
    assert not (tmp_path / "snapshots").exists()


def test_a_publication_that_is_given_up_leaves_nothing(node: Node, tmp_path: Path):
    stop = Stop()

    def give_up(done: int, total: int) -> None:
        stop.set()

    with pytest.raises(Refusal) as caught:
        node.publish(node.declare(a_declaration()), "local:citra", stop, give_up)
    assert caught.value.kind is ErrorKind.CANCELLED
    assert node.ledger.head()[0] == 0
    assert not list((tmp_path / "snapshots").rglob("*.duckdb"))


def test_a_source_that_is_not_there_is_unavailable(node: Node):
    refusal = refusal_of(node, a_declaration(relation="elsewhere.csv"))
    assert refusal.kind is ErrorKind.SOURCE_UNAVAILABLE
    assert "elsewhere" not in refusal.message


@pytest.mark.parametrize("source", [{"source__connector": "abacus"}, {"source__colour": "red"}])
def test_an_unknown_connector_or_option_is_a_bad_declaration(node: Node, source: dict[str, str]):
    assert refusal_of(node, a_declaration(**source)).kind is ErrorKind.BAD_DECLARATION


def test_a_file_without_keys_cannot_be_live(node: Node):
    assert refusal_of(node, a_declaration(dataset__mode="live")).kind is ErrorKind.NOT_LIVE


def test_a_key_column_serves_a_file_live_and_as_a_snapshot_alike(node: Node, tmp_path: Path):
    rows = farm_rows()
    keys = [hash_ * 2654435761 - 2**40 for hash_ in (int(farm[1:]) for farm in rows["farm"].to_pylist())]
    write_file(rows.append_column("k", pa.array(keys, pa.int64())), tmp_path / "keyed.parquet")
    keyed = {"relation": "keyed.parquet", "unit__key": "k"}
    live, _ = node.publish_now(a_declaration(**keyed, dataset__mode="live"))
    copied, _ = node.publish_now(a_declaration(**keyed))
    assert live.view.key == KeyColumn("k")
    for group_by, statistics, where in TABLES:
        first = node.release(live, group_by, *statistics, **where)
        assert first.table.equals(node.release(copied, group_by, *statistics, **where).table)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ("UPDATE farms SET k = 1", "key shared"),
        ("UPDATE farms SET k = NULL WHERE farm = 'F00001'", "key missing"),
        ("UPDATE farms SET k = k + balance::int WHERE farm = 'F00002'", "key differs"),
    ],
)
def test_a_key_column_that_does_not_tell_units_apart_is_refused(pg_node: Node, database: str, changed: str, rule: str):
    run(database, "ALTER TABLE farms ADD k bigint", "UPDATE farms SET k = substr(farm, 2)::bigint", changed)
    refusal = refusal_of(pg_node, in_database("live", unit__key="k"))
    assert refusal.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    assert f"unit: {rule}" in refusal.private


def test_numbers_that_stand_for_no_value_are_missing_in_a_copy_and_in_a_live_database(pg_node: Node, database: str):
    some, asked = "WHERE farm < 'F00100'", (("area",), "count", "sum(fertiliser)", "mean(fertiliser)")
    run(database, f"UPDATE farms SET urea = NULL {some}")
    expected = pg_node.release(pg_node.publish_now(in_database("snapshot"))[0], *asked)
    run(database, f"UPDATE farms SET urea = -99 {some}")
    assert "fertiliser: out of range" in refusal_of(pg_node, in_database("snapshot")).private
    for mode in ("snapshot", "live"):
        epoch, _ = pg_node.publish_now(in_database(mode, columns__fertiliser__missing_values=[-99]))
        assert pg_node.release(epoch, *asked).table.equals(expected.table)


def test_a_look_for_one_measure_decides_nothing_of_another(node: Node, tmp_path: Path):
    rows = {"area": ["A"] * 40, "a": [1000, 700, *[14] * 38], "b": [10, 10, 900_000, *[10] * 37]}
    write_file(pa.table(rows), tmp_path / "farms.csv")
    document = a_declaration() | {
        "unit": {"name": "farm", "rows": True},
        "policy": {"kind": "table-builder"},
        "columns": {
            "area": {"role": "dimension", "codes": [{"code": "A"}]},
            "a": {"role": "measure", "range": [0, 10**6]},
            "b": {"role": "measure", "range": [0, 10**6]},
        },
    }
    epoch, _ = node.publish_now(document)
    for asked in (("sum(b)",), ("sum(a)", "sum(b)")):
        assert node.release(epoch, (), *asked).table["sum(b)"].to_pylist() == [None]


def live_epoch(node: Node) -> Epoch:
    epoch, _ = node.publish_now(in_database("live"))
    node.release(epoch, ("area",), "count", "sum(balance)", "sum(fertiliser)")
    return epoch


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM farms WHERE farm = 'F00001'",
        "INSERT INTO farms SELECT * FROM farms WHERE farm = 'F00001'",
        "UPDATE farms SET farm = 'F99999' WHERE farm = 'F00001'",
        "UPDATE farms SET place = 'elsewhere' WHERE farm = 'F00001'",
        "UPDATE farms SET balance = 150 WHERE farm = 'F00001'",
        "UPDATE farms SET balance = NULL WHERE farm = 'F00001'",
        "UPDATE farms SET urea = -1, phosphate = 0 WHERE farm = 'F00001'",
    ],
)
def test_a_live_source_that_changed_is_not_answered_from(pg_node: Node, database: str, change: str):
    epoch = live_epoch(pg_node)
    run(database, change)
    with pytest.raises(SourceError):
        pg_node.release(epoch, ("area",), "count", "sum(balance)", "sum(fertiliser)")


def test_superseded_epochs_can_be_closed(pg_node: Node):
    first = live_epoch(pg_node)
    executor = pg_node.epochs.open(first)
    assert pg_node.epochs.open(first) is executor
    pg_node.epochs.retain(frozenset({"farms@2"}))
    assert pg_node.epochs.open(first) is not executor


def test_a_lost_snapshot_is_a_source_error(node: Node, tmp_path: Path):
    epoch, _ = node.publish_now(a_declaration())
    (tmp_path / "snapshots" / "farms" / "1.duckdb").unlink()
    with pytest.raises(SourceError):
        node.epochs.open(epoch)
