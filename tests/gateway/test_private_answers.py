"""Answers under `differential-privacy`, over the wire: noisy everywhere, paid for once, never overspent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

import pytest

from bandung.gateway.client import GatewayClient, GatewayError, Identity
from bandung.gateway.server.door import Limits
from tests.support.clients import an_adbc_connection
from tests.support.gateway import Gateway, a_gateway
from tests.support.publishing import farm_rows

POLICY = {
    "kind": "differential-privacy",
    "rho_per_dataset": 0.1,
    "rho_per_agreement": 0.08,
    "rho_per_analyst": 0.05,
    "rho_per_table": 0.01,
    "rho_per_table_max": 0.05,
}
SQL = "SELECT area, COUNT(*) AS farms, AVG(fertiliser) AS mean FROM farms GROUP BY area"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    limits = Limits(deadline_max_s=60, calls_per_principal_max=32)
    with a_gateway(tmp_path, limits=limits) as gateway:
        gateway.publish(policy=POLICY, training={"allowed": False})
        gateway.agree()
        yield gateway


@contextmanager
def client(gateway: Gateway, who: str = "analyst/ani") -> Iterator[GatewayClient]:
    files = gateway.identity(who)
    with GatewayClient(gateway.address, Identity(gateway.idn.ca, files.certificate, files.key)) as client:
        yield client


def test_an_answer_carries_scale_interval_cost_and_what_is_left(gateway: Gateway):
    files = gateway.identity("analyst/ani")
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.execute(SQL)
        table = cursor.fetch_arrow_table()
    assert table.column_names == ["area", "farms", "mean", "farms_ci95", "mean_ci95", "OBS_STATUS", "CONF_STATUS"]
    told = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert told["bandung.policy"] == "differential-privacy"
    assert json.loads(told["bandung.cost"]) == {"nano_rho": 10_000_000}
    assert json.loads(told["bandung.left"]) == {"nano_rho": 40_000_000}
    assert json.loads(told["bandung.noise"])["count"]["scale"] > 0
    assert table["farms"].null_count == 0
    assert all(width > 0 for width in table["farms_ci95"].to_pylist())


def test_the_same_question_again_is_the_same_answer_and_free_whoever_asks(gateway: Gateway):
    with client(gateway) as ani, client(gateway, "analyst/budi") as budi:
        first, again, others = ani.query(SQL), ani.query(SQL), budi.query(SQL)
    assert first.table.equals(again.table)
    assert first.table.equals(others.table)
    assert (again.cost, others.cost) == ({"nano_rho": 0}, {"nano_rho": 0})
    assert gateway.spent("nano_rho/farms") == 10_000_000


def test_a_request_says_what_it_spends_up_to_the_policy_s_maximum(gateway: Gateway):
    with client(gateway) as ani:
        assert ani.query(SQL, nano_rho=20_000_000).cost == {"nano_rho": 20_000_000}
        with pytest.raises(GatewayError, match="B214"):
            ani.query(SQL, nano_rho=50_000_001)
    assert gateway.spent("nano_rho/farms") == 20_000_000


def test_a_new_epoch_of_the_same_records_brings_no_new_budget(gateway: Gateway):
    with client(gateway) as ani:
        ani.query(SQL)
        gateway.publish(policy=POLICY, training={"allowed": False})
        assert ani.plan(SQL).left == {"nano_rho": 40_000_000}


def test_concurrent_questions_never_overspend_and_nothing_is_refunded(gateway: Gateway):
    areas = ["31", "32", "odd"]
    questions = [
        f"SELECT COUNT(*) FROM farms WHERE area {operator} '{area}' AND fertiliser >= {least}"
        for operator in ("=", "<>")
        for area in areas
        for least in (1, 2)
    ]
    said: list[str] = []

    def ask(sql: str) -> None:
        with client(gateway) as ani:
            try:
                ani.query(sql)
                said.append("answered")
            except GatewayError as error:
                said.append(error.code)

    gateway.identity("analyst/ani")
    threads = [threading.Thread(target=ask, args=(sql,)) for sql in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(said) == {"answered", "B303"}
    assert gateway.spent(f"nano_rho/farms/{gateway.idn.uri('analyst/ani')}") == said.count("answered") * 10_000_000
    assert said.count("answered") == 5


def test_a_budget_is_shown_as_epsilon_too(gateway: Gateway):
    with client(gateway) as ani:
        ani.query(SQL)
        (budget,) = ani.budgets()
    (own,) = [account for account in budget.accounts if "analyst/ani" in account.scope]
    assert (own.spent, own.cap) == (10_000_000, 50_000_000)
    assert own.epsilon_spent is not None
    assert own.epsilon_cap is not None
    assert 0 < own.epsilon_spent < own.epsilon_cap < 3


def test_explain_says_what_a_question_would_cost_is_on_the_record_and_spends_nothing(gateway: Gateway):
    files = gateway.identity("analyst/ani")
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {SQL}")
        rows = cursor.fetch_arrow_table().to_pylist()
    said = {(row["aspect"], row["subject"]): row["value"] for row in rows}
    assert said["decision", "request"] == "allowed"
    assert said["cost", "nano_rho"] == "10000000"
    assert said["rule", "policy"] == "differential-privacy"
    assert ("relative error 95 %", "count") in said
    assert gateway.last() == ("query.explained", None)
    assert gateway.spent("nano_rho/farms") == 0


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_explain_foresees_the_interval_that_the_answer_carries(tmp_path: Path, mechanism: str):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=POLICY | {"mechanism": mechanism}, training={"allowed": False})
        gateway.agree()
        with client(gateway) as ani:
            sql = "SELECT COUNT(*) AS n FROM farms"
            said = {
                (row["aspect"], row["subject"]): row["value"] for row in ani.query(f"EXPLAIN {sql}").table.to_pylist()
            }
            (row,) = ani.query(sql).table.to_pylist()
    assert row["n_ci95"] == ceil(float(said["error 95 %", "count"]))


@pytest.mark.parametrize("bounds", [None, [-200, 200], [-10, 10]])
def test_sums_are_of_values_clamped_to_the_declared_bounds(tmp_path: Path, bounds: list[float] | None):
    plenty = POLICY | {name: 1000 for name in POLICY if name.startswith("rho")}
    declared = {} if bounds is None else {"columns__balance__bounds": bounds}
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=plenty, training={"allowed": False}, **declared)
        gateway.agree()
        with client(gateway) as ani:
            (row,) = ani.query("SELECT SUM(balance) AS total FROM farms").table.to_pylist()
    low, high = bounds or (-200, 200)
    total = sum(max(low, min(high, value)) for value in farm_rows()["balance"].to_pylist())
    assert row["total_ci95"] < 30
    assert row["total"] == pytest.approx(total, abs=4 * row["total_ci95"])


def test_free_predicates_quantiles_and_distinct_units_are_answered(gateway: Gateway):
    sql = (
        "SELECT COUNT(*) AS n, COUNT(DISTINCT farm) AS farms, MEDIAN(fertiliser) AS median, VAR_SAMP(fertiliser) AS v,"
        " STDDEV(fertiliser) AS s, SUM(fertiliser) AS total FROM farms"
        " WHERE area IN ('31', '32') AND fertiliser BETWEEN 1 AND 50"
    )
    with client(gateway) as ani:
        row = ani.query(sql, nano_rho=50_000_000).table.to_pylist()[0]
    assert row["n_ci95"] > 0
    assert row["farms"] is not None


def test_who_has_too_little_left_for_a_table_hears_that_less_rho_may_do(gateway: Gateway):
    with client(gateway) as ani:
        ani.query(SQL, nano_rho=45_000_000)
        with pytest.raises(GatewayError, match=r"ani: 0.01 of rho to pay, 0.005 left of 0.05 in all.*less rho"):
            ani.plan("SELECT COUNT(*) FROM farms")
        assert ani.query("SELECT COUNT(*) FROM farms", nano_rho=5_000_000).left == {"nano_rho": 0}
        with pytest.raises(GatewayError, match=r"0 left of 0.05.*Ask the custodian"):
            ani.query("SELECT AVG(fertiliser) FROM farms")
