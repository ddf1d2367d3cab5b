"""From an analyst's ADBC to the ledger and back: one real gateway, from the file to the released table."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from pathlib import Path
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pyarrow.csv
import pytest
from sqlalchemy import event

from bandung.gateway.domain.agreement import AgreementState
from tests.support.clients import a_client, a_command, a_flight_client, an_adbc_connection
from tests.support.gateway import Gateway, a_gateway
from tests.support.postgres import Databases, postgres
from tests.support.publishing import a_declaration, farm_rows
from tests.support.sources import write_table

__all__ = ["postgres"]

SQL = "SELECT area, COUNT(*) AS farms, AVG(balance) AS balance FROM farms GROUP BY area"
OTHER = "SELECT age, COUNT(*) FROM farms GROUP BY age"
METADATA = {"member", "epoch", "policy", "noise", "columns", "cost", "left", "release", "receipt"}


@pytest.fixture
def gateway(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree()
        yield gateway


def ask(gateway: Gateway, sql: str = SQL, who: str = "analyst/ani") -> pa.Table:
    files = gateway.identity(who)
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def refused(gateway: Gateway, sql: str = SQL, who: str = "analyst/ani") -> str:
    with pytest.raises(adbc_driver_manager.Error) as caught:
        ask(gateway, sql, who)
    return str(caught.value) + repr(caught.value.details)


def told(table: pa.Table, name: str) -> str:
    return (table.schema.metadata or {})[f"bandung.{name}".encode()].decode()


def kinds(gateway: Gateway) -> list[str]:
    return [entry.event.kind.value for entry in gateway.entries()]


def test_an_answer_says_all_about_itself_and_its_receipt_is_its_ledger_entry(gateway: Gateway):
    table = ask(gateway)
    assert table["farms"].null_count < table.num_rows
    assert {key.decode().removeprefix("bandung.") for key in table.schema.metadata} == METADATA
    assert (told(table, "member"), told(table, "epoch"), told(table, "policy")) == ("IDN", "farms@1", "table-builder")
    assert json.loads(told(table, "cost")) == {"tables": 1, "exposures": 2}
    assert json.loads(told(table, "columns"))["farms"] == "count"
    assert json.loads(told(table, "noise"))["count"]["variance"] > 0
    entry = gateway.entries()[-1]
    assert told(table, "receipt") == told(table, "release") == f"{entry.index}:{entry.leaf[:16]}"
    assert (entry.event.kind.value, entry.event.principal) == ("query.answered", gateway.idn.uri("analyst/ani"))
    assert gateway.ledger.verify() == ()


def test_a_repeat_is_free_identical_and_on_the_record_whoever_asks(gateway: Gateway):
    first, again, others = ask(gateway), ask(gateway), ask(gateway, who="analyst/budi")
    assert first.equals(again)
    assert first.equals(others)
    assert [json.loads(told(t, "cost"))["tables"] for t in (first, again, others)] == [1, 0, 0]
    assert told(again, "release") == told(first, "receipt") != told(again, "receipt")
    entry = gateway.entries()[-1]
    assert told(others, "receipt") == f"{entry.index}:{entry.leaf[:16]}"
    assert kinds(gateway)[-3:] == ["query.answered", "query.repeated", "query.repeated"]
    assert gateway.spent("tables/farms:1976") == 1


ROLLUP = "SELECT area, COUNT(*) AS farms FROM farms GROUP BY ROLLUP (area)"


def test_the_levels_of_a_rollup_are_tables_of_their_own_and_totals_follow_their_parts(gateway: Gateway):
    alone = ask(gateway, "SELECT COUNT(*) AS farms FROM farms")
    table = ask(gateway, ROLLUP)
    assert table["area"].to_pylist() == ["31", "32", "odd", "NONE", "_U", "_T"]
    assert table["farms"][-1] == alone["farms"][0]
    assert json.loads(told(table, "cost")) == {"tables": 1, "exposures": 1}
    assert len(told(table, "receipt").split()) == len(told(table, "release").split()) == 2
    assert told(table, "release").endswith(told(alone, "receipt"))
    assert kinds(gateway)[-3:] == ["query.answered", "query.answered", "query.repeated"]
    assert gateway.spent("tables/farms:1976") == 2


def test_explain_says_what_a_statement_would_cost_on_the_record_and_spends_nothing(gateway: Gateway):
    table = ask(gateway, f"EXPLAIN {ROLLUP}")
    said = {(row["aspect"], row["subject"]): row["value"] for row in table.to_pylist()}
    assert (said["cost", "tables"], said["size", "cells"], said["released", "answer"]) == ("2", "6", "no")
    assert json.loads(told(table, "cost"))["tables"] == 0
    assert kinds(gateway)[-1] == "query.explained"
    assert gateway.spent("tables/farms:1976") == 0
    ask(gateway, ROLLUP)
    assert "yes" in ask(gateway, f"EXPLAIN {ROLLUP}")["value"].to_pylist()


def test_no_level_of_a_rollup_is_begun_that_cannot_be_paid_for_with_the_others(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy__tables_per_analyst=1)
        gateway.agree()
        assert "B303" in refused(gateway, ROLLUP)
        assert gateway.last() == ("query.refused", "B303")
        assert gateway.spent("tables/farms:1976") == 0


def test_a_refusal_is_on_the_record_before_it_is_told(gateway: Gateway):
    assert "B204" in refused(gateway, "SELECT nothing, COUNT(*) FROM farms GROUP BY nothing")
    assert gateway.last() == ("query.refused", "B204")
    assert gateway.spent("tables/farms:1976") == 0


@pytest.mark.parametrize(("state", "code"), [(AgreementState.SUSPENDED, "B302"), (AgreementState.ENDED, "B203")])
def test_what_was_prepared_before_stops_at_once_with_the_agreement_and_so_does_a_stored_release(
    gateway: Gateway, state: AgreementState, code: str
):
    files = gateway.identity("analyst/ani")
    ask(gateway)
    flight = a_flight_client(gateway.address, gateway.idn.ca, files)
    ticket = flight.get_flight_info(_command(SQL)).endpoints[0].ticket
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.adbc_prepare(OTHER)
        gateway.set_state(state)
        with pytest.raises(adbc_driver_manager.Error, match=code):
            cursor.execute(OTHER)
    with pytest.raises(pa.ArrowException, match=code):
        flight.do_get(ticket).read_all()
    assert code in refused(gateway)
    assert kinds(gateway)[-3:] == ["query.refused"] * 3
    flight.close()


@pytest.mark.parametrize(
    ("stopping", "code"),
    [
        (lambda gateway: gateway.set_state(AgreementState.SUSPENDED), "B302"),
        (lambda gateway: gateway.withdraw(), "B203"),
    ],
)
def test_what_stops_while_the_source_works_stops_the_answer(gateway: Gateway, stopping: Any, code: str):
    gateway.between.meanwhile = lambda: stopping(gateway)
    assert code in refused(gateway)
    assert gateway.last() == ("query.failed", code)
    assert "query.answered" not in kinds(gateway)
    assert gateway.spent("tables/farms:1976") == 1


def test_an_epoch_replaced_between_ticket_and_answer_is_answered_from_the_new_one(gateway: Gateway):
    flight = a_flight_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani"))
    info = flight.get_flight_info(_command(SQL))
    gateway.publish()
    table = flight.do_get(info.endpoints[0].ticket).read_all()
    assert told(table, "epoch") == "farms@2"
    assert table.schema.equals(info.schema)
    flight.close()


def test_an_agreement_that_no_longer_covers_a_column_denies_its_stored_release(gateway: Gateway):
    ask(gateway)
    current = gateway.desk.list(_custodian(gateway))[0]
    uses = {name: use for name, use in current.grants[0].uses.items() if name != "balance"}
    gateway.agree(version=2, grants=(type(current.grants[0])("farms", uses),))
    assert "AGG balance" in refused(gateway)
    assert gateway.last() == ("query.refused", "B301")


def test_a_used_up_quota_refuses_on_the_record_and_keeps_what_was_answered_open(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy__tables_per_analyst=1)
        gateway.agree()
        ask(gateway)
        assert "B303" in refused(gateway, OTHER)
        assert gateway.last() == ("query.refused", "B303")
        assert json.loads(told(ask(gateway), "cost")) == {"tables": 0, "exposures": 0}
        assert gateway.spent("tables/farms:1976") == 1


def test_the_charge_of_a_failed_source_is_kept(gateway: Gateway):
    snapshot = gateway.directory / "snapshots" / "farms" / "1.duckdb"
    snapshot.chmod(0o600)
    snapshot.write_bytes(b"not a database any more" * 1000)
    assert "B401" in refused(gateway)
    assert gateway.last() == ("query.failed", "B401")
    assert gateway.spent("tables/farms:1976") == 1
    assert gateway.spent(f"tables/farms:1976/{gateway.idn.uri('analyst/ani')}") == 1


def test_failures_that_together_exceed_the_quota_are_all_on_the_record(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy__tables_per_analyst=1)
        gateway.agree()
        (gateway.directory / "snapshots" / "farms" / "1.duckdb").unlink()
        gateway.identity("analyst/ani")
        both = threading.Barrier(2)
        gateway.between.meanwhile = lambda: both.wait(10)
        heard: list[str] = []
        threads = [threading.Thread(target=lambda sql=sql: heard.append(refused(gateway, sql))) for sql in (SQL, OTHER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all("B401" in text for text in heard)
        assert kinds(gateway)[-2:] == ["query.failed"] * 2
        assert gateway.spent(f"tables/farms:1976/{gateway.idn.uri('analyst/ani')}") == 1


def test_a_ledger_that_cannot_be_written_answers_nothing_stored_releases_included(gateway: Gateway):
    ask(gateway)

    def fail(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")

    client = a_client(gateway.address, gateway.idn.ca, gateway.identity("operator/o"))
    assert client.health() == "SERVING"
    event.listen(gateway.engine, "before_cursor_execute", fail)
    assert "B405" in refused(gateway, OTHER)
    assert "B405" in refused(gateway)
    event.remove(gateway.engine, "before_cursor_execute", fail)
    assert "B405" in refused(gateway)
    assert client.health() == "NOT_SERVING"
    client.close()


def test_planted_values_are_in_no_answer_no_log_and_no_ledger_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    rows = farm_rows()
    units = ["CANARY-4711" if unit == "F00007" else unit for unit in rows["farm"].to_pylist()]
    keyed = rows.set_column(0, "farm", pa.array(units)).append_column("k", pa.array(_keys(units)))
    with a_gateway(tmp_path, keyed) as gateway:
        gateway.publish(dataset__mode="live", unit__key="k")
        gateway.agree()
        answered = str(ask(gateway).to_pylist()) + str(ask(gateway).schema.metadata)
        broken = (tmp_path / "farms.csv").read_text().replace("\n", "\n", 1).splitlines()
        broken[5] = ",".join([*broken[5].split(",")[:5], "CANARY-0815", *broken[5].split(",")[6:]])
        (tmp_path / "farms.csv").write_text("\n".join(broken) + "\n")
        answered += refused(gateway, "SELECT age, SUM(balance) FROM farms GROUP BY age")
        assert gateway.last() == ("query.failed", "B401")
        recorded = str([entry.event for entry in gateway.entries()])
    assert "B401" in caplog.text
    for text in (answered, recorded, caplog.text):
        assert "CANARY" not in text
    caplog.clear()


def test_the_operator_can_have_the_reason_of_a_failure_by_turning_the_log_up(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
):
    (gateway.directory / "snapshots" / "farms" / "1.duckdb").unlink()
    with caplog.at_level(logging.DEBUG, "bandung"):
        refused(gateway)
    assert "does not exist" in caplog.text


def test_a_snapshot_and_the_live_database_give_the_same_releases_cell_for_cell(
    tmp_path: Path, postgres: Databases, monkeypatch: pytest.MonkeyPatch
):
    url = postgres()
    write_table(url, "farms", farm_rows())
    questions = (SQL, OTHER, "SELECT area, age, COUNT(*), SUM(fertiliser), AVG(balance) FROM farms GROUP BY ALL")
    with a_gateway(tmp_path, environment={"FARMS_URL": url}) as gateway:
        answers: dict[str, list[pa.Table]] = {}
        for mode in ("snapshot", "live"):
            document = a_declaration("sqlalchemy", "farms", source__url_env="FARMS_URL", dataset__mode=mode)
            gateway.publish_document(document)
            if mode == "snapshot":
                gateway.agree()
            answers[mode] = [ask(gateway, question) for question in questions]
    for copied, live in zip(answers["snapshot"], answers["live"], strict=True):
        assert (told(copied, "epoch"), told(live, "epoch")) == ("farms@1", "farms@2")
        assert copied.equals(live)
        assert told(copied, "noise") == told(live, "noise")


def test_the_products_client_and_adbc_are_given_the_same_release(gateway: Gateway):
    with a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as client:
        assert client.query(SQL).table.equals(ask(gateway))


def _command(sql: str) -> Any:
    from pyarrow.flight import FlightDescriptor

    return FlightDescriptor.for_command(a_command("CommandStatementQuery", query=sql))


def _custodian(gateway: Gateway) -> Any:
    from bandung.gateway.domain.party import Principal

    return Principal.from_uri(gateway.idn.uri("custodian/citra"))


def _keys(units: list[str]) -> list[int]:
    """A record key for each unit, as a source could hold them."""
    import hashlib

    return [int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8], "big", signed=True) for unit in units]
