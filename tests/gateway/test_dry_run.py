"""A dry run says what a question would give and cost, spends nothing, and holds what the answer then publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandung.gateway.client import GatewayClient, GatewayError, Identity
from tests.support.gateway import Gateway, a_gateway

SQL = "SELECT area, COUNT(*) AS farms, SUM(fertiliser) AS fertiliser, AVG(fertiliser) AS mean FROM farms GROUP BY area"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree()
        yield gateway


@pytest.fixture
def ani(gateway: Gateway) -> Iterator[GatewayClient]:
    files = gateway.identity("analyst/ani")
    with GatewayClient(gateway.address, Identity(gateway.idn.ca, files.certificate, files.key)) as client:
        yield client


def test_a_dry_run_spends_nothing_and_tells_what_the_answer_then_publishes(ani: GatewayClient, gateway: Gateway):
    before, again = ani.plan(SQL), ani.plan(SQL)
    assert before == again
    assert (before.cost, before.released, gateway.spent("tables/farms:1976")) == (
        {"tables": 1, "exposures": 3},
        False,
        0,
    )
    answer = ani.query(SQL)
    assert (answer.noise, answer.table.num_rows) == (before.noise, before.cells)
    assert answer.left["tables"] == before.left["tables"] - 1
    after = ani.plan(SQL)
    assert (after.cost, after.released, after.left) == ({"tables": 0, "exposures": 0}, True, answer.left)


def test_the_size_of_an_answer_is_told_about_right(ani: GatewayClient):
    assert ani.plan(SQL).bytes_about == pytest.approx(ani.query(SQL).bytes_received, rel=0.6)


def test_what_depends_on_a_parameter_is_told_once_it_is_bound(ani: GatewayClient):
    sql = "SELECT COUNT(*) FROM farms WHERE area = ?"
    assert (ani.plan(sql).cells, ani.plan(sql).cost, ani.plan(sql).noise) == (0, {}, {})
    assert (ani.plan(sql, ["31"]).cells, ani.plan(sql, ["31"]).cost) == (1, {"tables": 1, "exposures": 1})


def test_a_dry_run_of_what_could_not_be_paid_is_refused_as_the_question_is(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy__tables_per_analyst=1)
        gateway.agree()
        files = gateway.identity("analyst/ani")
        with GatewayClient(gateway.address, Identity(gateway.idn.ca, files.certificate, files.key)) as ani:
            ani.query(SQL)
            assert ani.plan(SQL).released
            for ask in (ani.plan, ani.query):
                with pytest.raises(GatewayError, match=r"B303.*analyst/ani: 1 table to pay, 0 left of 1 in all"):
                    ask("SELECT COUNT(*) FROM farms")
            with pytest.raises(GatewayError, match="B303"):
                ani.query("EXPLAIN SELECT COUNT(*) FROM farms")
            assert gateway.spent("tables/farms:1976") == 1


def test_a_dry_run_of_what_is_not_allowed_is_the_refusal_itself_on_the_record(ani: GatewayClient, gateway: Gateway):
    with pytest.raises(GatewayError, match="B205"):
        ani.plan("SELECT fertiliser, COUNT(*) FROM farms GROUP BY fertiliser")
    assert gateway.last() == ("query.refused", "B205")
