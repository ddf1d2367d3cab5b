"""Governed views: other columns over a dataset's rows, never another policy, another key or another budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import adbc_driver_manager
import pyarrow as pa
import pytest

from bandung.federation.cli import main
from bandung.gateway.domain.declaration_view import parse_view
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.service.publish_view import PublishView
from bandung.gateway.store.system import SystemClock, SystemRandomness
from tests.support.clients import an_adbc_connection
from tests.support.gateway import OPERATOR, Gateway, a_gateway
from tests.support.publishing import a_declaration

PRIVATE = {"kind": "differential-privacy", "rho_per_table": 0.001, "rho_per_table_max": 0.01, "rho_per_dataset": 0.02}


def a_view(**columns: Any) -> dict[str, Any]:
    """Farms by coarser areas and by bands of their balance; a keyword changes a column, None removes it."""
    declared: dict[str, Any] = {
        "part": {
            "role": "dimension",
            "source": "area",
            "codes": [{"code": "west", "values": ["31", "32"]}, {"code": "else", "values": ["odd", "NONE", "_U"]}],
        },
        "same": {
            "role": "dimension",
            "source": "area",
            "codes": [{"code": c} for c in ("31", "32", "odd", "NONE", "_U")],
        },
        "result": {
            "role": "dimension",
            "source": "balance",
            "decimals": 1,
            "bands": [float("-inf"), 0, float("inf")],
        },
        "gain": {"role": "measure", "source": "balance"},
    }
    declared.update(columns)
    return {
        "dataset": {"name": "farms_by_part", "title": "Farms", "description": "Farms by part."},
        "view": {"of": "farms"},
        "columns": {name: column for name, column in declared.items() if column is not None},
    }


def publish_view(gateway: Gateway, document: dict[str, Any] | None = None) -> str:
    publish = PublishView(gateway.catalogue, SystemClock(), SystemRandomness())
    return publish(parse_view(document or a_view()), OPERATOR)[0].id


@pytest.fixture
def gateway(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        publish_view(gateway)
        gateway.agree()
        yield gateway


def ask(gateway: Gateway, sql: str, who: str = "ani") -> pa.Table:
    files = gateway.identity(f"analyst/{who}")
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def refused(gateway: Gateway, sql: str) -> str:
    with pytest.raises(adbc_driver_manager.Error) as caught:
        ask(gateway, sql)
    return str(caught.value)


def told(table: pa.Table, name: str) -> Any:
    return (table.schema.metadata or {})[f"bandung.{name}".encode()].decode()


def counts(gateway: Gateway, sql: str) -> dict[str, Any]:
    table = ask(gateway, sql)
    return dict(zip(table[0].to_pylist(), table[1].to_pylist(), strict=True))


def test_a_view_is_asked_like_a_table_and_names_the_epoch_it_stands_over(gateway: Gateway):
    table = ask(gateway, "SELECT part, result, COUNT(*) AS n, SUM(gain) AS g FROM farms_by_part GROUP BY part, result")
    assert table["part"].to_pylist() == ["west", "west", "else", "else"]
    assert table["n"].null_count == 0
    assert (told(table, "epoch"), told(table, "policy")) == ("farms_by_part@1/farms@1", "table-builder")
    for result, gain in zip(table["result"].to_pylist(), table["g"].to_pylist(), strict=True):
        assert (gain < 0) == result.startswith("<")


def test_the_same_records_get_the_same_noise_under_every_name(gateway: Gateway):
    """Else a view would be one more draw of the noise, to be averaged with the first."""
    for statistic, renamed in (("COUNT(*)", "COUNT(*)"), ("SUM(balance)", "SUM(gain)"), ("AVG(balance)", "AVG(gain)")):
        base = counts(gateway, f"SELECT area, {statistic} FROM farms GROUP BY area")
        assert counts(gateway, f"SELECT same, {renamed} FROM farms_by_part GROUP BY same") == base
    whole = ask(gateway, "SELECT COUNT(*) FROM farms")[0].to_pylist()
    assert ask(gateway, "SELECT COUNT(*) FROM farms_by_part")[0].to_pylist() == whole


def test_a_view_brings_no_budget_of_its_own(gateway: Gateway):
    ask(gateway, "SELECT area, COUNT(*) FROM farms GROUP BY area")
    table = ask(gateway, "SELECT part, COUNT(*) FROM farms_by_part GROUP BY part")
    assert gateway.spent("tables/farms:1976") == gateway.spent("exposures/farms:1976") == 2
    assert gateway.spent(f"tables/farms:1976/{gateway.idn.uri('analyst/ani')}") == 2
    assert json.loads(told(table, "left"))["tables"] == 498


def test_who_used_up_the_quota_of_the_base_cannot_go_on_in_a_view(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy__tables_per_analyst=1)
        publish_view(gateway)
        gateway.agree()
        ask(gateway, "SELECT area, COUNT(*) FROM farms GROUP BY area")
        assert "B303" in refused(gateway, "SELECT part, COUNT(*) FROM farms_by_part GROUP BY part")
        publish_view(gateway)
        assert "B303" in refused(gateway, "SELECT result, COUNT(*) FROM farms_by_part GROUP BY result")


def test_a_privacy_budget_is_the_bases_too(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=PRIVATE | {"rho_per_analyst": 0.002}, training__allowed=False)
        publish_view(gateway)
        gateway.agree()
        table = ask(gateway, "SELECT part, COUNT(*), SUM(gain) FROM farms_by_part GROUP BY part")
        assert told(table, "policy") == "differential-privacy"
        assert gateway.spent("nano_rho/farms_by_part") == 0
        ask(gateway, "SELECT area, COUNT(*) FROM farms GROUP BY area")
        assert gateway.ledger.remaining("nano_rho/farms", 2_000_000) == 0
        assert "B303" in refused(gateway, "SELECT result, COUNT(*) FROM farms_by_part GROUP BY result")


def test_a_views_table_is_held_to_the_bases_rules(gateway: Gateway):
    table = ask(gateway, "SELECT same, result, COUNT(*) FROM farms_by_part GROUP BY same, result")
    assert table.num_rows == 10
    columns = ", ".join(("part", "same", "result"))
    with_all = f"SELECT {columns}, COUNT(*) FROM farms_by_part GROUP BY {columns}"
    assert ask(gateway, with_all).num_rows == 20
    gateway.publish(policy__variables_max=2)
    assert "B209" in refused(gateway, with_all)


def test_a_view_needs_an_agreement_that_names_it(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree()
        publish_view(gateway)
        assert "B203" in refused(gateway, "SELECT part, COUNT(*) FROM farms_by_part GROUP BY part")


def test_publishing_the_base_anew_takes_the_view_along(gateway: Gateway):
    sql = "SELECT part, COUNT(*) FROM farms_by_part GROUP BY part"
    assert told(ask(gateway, sql), "epoch") == "farms_by_part@1/farms@1"
    gateway.publish()
    table = ask(gateway, sql)
    assert told(table, "epoch") == "farms_by_part@1/farms@2"
    assert json.loads(told(table, "cost"))["tables"] == 1
    assert gateway.spent("tables/farms:1976") == 2, "the base's accounts go on"


def test_withdrawing_the_base_withdraws_the_view_and_it_comes_back_with_it(gateway: Gateway):
    sql = "SELECT part, COUNT(*) FROM farms_by_part GROUP BY part"
    first = ask(gateway, sql)
    gateway.withdraw()
    assert "B203" in refused(gateway, sql)
    gateway.publish()
    assert ask(gateway, sql)[1].equals(first[1])


def test_a_view_that_no_longer_fits_its_base_is_not_answered(gateway: Gateway):
    gateway.publish(columns__balance=None)
    assert "B203" in refused(gateway, "SELECT part, COUNT(*) FROM farms_by_part GROUP BY part")


def test_nobody_trains_on_a_view(gateway: Gateway):
    shown = gateway.catalogue.current("farms_by_part")
    assert shown is not None
    assert not shown.dataset.training.allowed


def test_measures_can_be_added_if_they_are_of_one_kind(tmp_path: Path):
    columns = {name: {"role": "measure", "decimals": 2, "range": [0, 200], "unit": "kg"} for name in ("urea", "more")}
    columns["more"] |= {"source": "phosphate", "missing": "allowed"}
    with a_gateway(tmp_path) as gateway:
        gateway.publish(columns=a_declaration()["columns"] | columns)
        publish_view(gateway, a_view(both={"role": "measure", "source": ["urea", "more"]}))
        gateway.agree()
        both = ask(gateway, "SELECT AVG(both) FROM farms_by_part")[0][0].as_py()
        fertiliser = ask(gateway, "SELECT AVG(fertiliser) FROM farms")[0][0].as_py()
        assert both == pytest.approx(fertiliser, rel=0.05)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"part": {"role": "dimension", "source": "area", "codes": [{"code": "31"}]}}, "no code stands for 32"),
        ({"part": {"role": "dimension", "source": "area", "codes": [{"code": "99"}]}}, "area has no code 99"),
        ({"part": {"role": "dimension", "source": "balance", "codes": [{"code": "1"}]}}, "not a dimension"),
        ({"result": {"role": "dimension", "source": "balance", "bands": [-200, 0, 201]}}, "1 decimals"),
        (
            {"result": {"role": "dimension", "source": "balance", "decimals": 1, "bands": [-200, 0, 5]}},
            "cover the range",
        ),
        (
            {"result": {"role": "dimension", "source": "fertiliser", "decimals": 2, "bands": [0, 5, 201]}},
            "may be missing",
        ),
        ({"gain": {"role": "measure", "source": "area"}}, "different measures"),
        ({"gain": {"role": "measure", "source": ["balance", "balance"]}}, "different measures"),
        ({"gain": {"role": "measure", "source": ["balance", "fertiliser"]}}, "same unit and the same decimals"),
        ({"gain": {"role": "measure", "source": "balance", "scale": 2}}, "scale: is not a key"),
        ({"part": {"role": "dimension", "source": "area", "codes": [{"code": "31", "parent": "3"}]}}, "parent is not"),
    ],
)
def test_a_view_that_does_not_fit_is_refused_with_the_reason(gateway: Gateway, columns: dict[str, Any], why: str):
    with pytest.raises(Refusal, match="B501") as caught:
        publish_view(gateway, a_view(**columns))
    assert why in str(caught.value)


@pytest.mark.parametrize("section", ["policy", "unit", "source", "training"])
def test_a_view_declares_no_policy_no_unit_and_no_source(section: str):
    with pytest.raises(Refusal, match=f"{section}: is not a section of a view"):
        parse_view({**a_view(), section: {"kind": "table-builder"}})


def test_a_view_stands_over_a_dataset_that_is_published_not_over_a_view_nor_in_its_place(gateway: Gateway):
    nowhere = a_view() | {"view": {"of": "nothing"}}
    over_a_view = a_view() | {"view": {"of": "farms_by_part"}}
    over_a_view["dataset"] = {**over_a_view["dataset"], "name": "deeper"}
    with pytest.raises(Refusal, match="B203"):
        publish_view(gateway, nowhere)
    with pytest.raises(Refusal, match="is a view itself"):
        publish_view(gateway, over_a_view)
    gateway.publish(dataset__name="other")
    with pytest.raises(Refusal, match="other is a published dataset"):
        publish_view(gateway, a_view() | {"dataset": {"name": "other", "title": "T", "description": "D"}})
    with pytest.raises(Refusal, match="farms_by_part is a view"):
        gateway.publish(dataset__name="farms_by_part")


def test_the_same_rows_are_never_under_two_kinds_of_policy(gateway: Gateway):
    with pytest.raises(Refusal, match=r"B507.*farms is under table-builder"):
        gateway.publish(dataset__name="again", source__relation="./farms.csv", policy=PRIVATE, training__allowed=False)
    gateway.publish(dataset__name="again")
    gateway.withdraw()
    with pytest.raises(Refusal, match="B507"):
        gateway.publish(policy=PRIVATE, training__allowed=False)


def test_who_withdraws_rows_and_opens_them_under_another_policy_is_told_what_was_open_and_so_is_the_ledger(
    gateway: Gateway,
):
    assert gateway.entries()[0].event.body["formerly"] == []
    gateway.publish()
    gateway.withdraw()
    gateway.publish(dataset__name="again", policy=PRIVATE, training__allowed=False)
    open_before = ["farms@1 under table-builder", "farms@2 under table-builder"]
    assert gateway.entries()[-1].event.body["formerly"] == open_before


VIEW = """
[dataset]
name = "people_by_sex"
title = "People by sex"
description = "Men and women."
[view]
of = "people"
[columns.gender]
role = "dimension"
source = "sex"
codes = [{ code = "women", values = ["F"] }, { code = "men", values = ["M"] }]
"""
BASE = """
dataset = {name = "people", title = "P", description = "P.", licence = "CC0-1.0", country = "IDN", period = "2026"}
source = {connector = "files", relation = "people.csv"}
unit = {name = "person", rows = true}
policy = {kind = "table-builder"}
columns.sex = {role = "dimension", codes = [{code = "F"}, {code = "M"}]}
"""


def test_the_command_line_checks_publishes_and_withdraws_a_view(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "people.csv").write_text("sex\n" + "F\nM\n" * 200)
    (tmp_path / "people.toml").write_text(BASE)
    (tmp_path / "view.toml").write_text(VIEW)
    (tmp_path / "bad.toml").write_text(VIEW.replace('"F"', '"X"'))
    node, view = str(tmp_path / "idn"), str(tmp_path / "view.toml")
    assert main(["gateway", "init", node, "--member", "IDN", "--trust-domain", "idn.example"]) == 0
    assert main(["dataset", "publish", view, "--gateway", node]) == 3
    assert main(["dataset", "publish", str(tmp_path / "people.toml"), "--gateway", node]) == 0
    assert main(["dataset", "check", view]) == 3
    assert main(["dataset", "check", str(tmp_path / "bad.toml"), "--gateway", node]) == 1
    assert "columns.gender: sex has no code X." in capsys.readouterr().out
    assert main(["dataset", "check", view, "--gateway", node]) == 0
    assert "people_by_sex can be published over people@1." in capsys.readouterr().out
    assert main(["dataset", "publish", view, "--gateway", node, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epoch"] == "people_by_sex@1/people@1"
    assert (
        main(["agreement", "draft", "people_by_sex", "--gateway", node, "--principal", "spiffe://a.example/analyst/a"])
        == 0
    )
    assert "gender" in capsys.readouterr().out
    assert main(["dataset", "withdraw", "people_by_sex", "--gateway", node, "--reason", "done"]) == 0
    assert main(["ledger", "verify", "--gateway", node]) == 0
