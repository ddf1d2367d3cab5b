"""The policy `published-tables` from declaration to answer, over a gateway's real doors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bandung.connectors.base import Stop
from bandung.gateway.client import GatewayError, TableRequest
from bandung.gateway.client.values import RegisteredTable
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Statistic
from bandung.gateway.store.tau_argus import TauArgus
from tests.support.clients import a_client, an_adbc_connection
from tests.support.gateway import Gateway, a_gateway

DISTRICTS = ["A1", "A2", "B1", "B2", "B3"]
SECTORS = ["farms", "shops", "mills", "banks"]


def firms(size: int = 800) -> pa.Table:
    """Firms of two provinces with five districts; few banks, and turnovers as skewed as turnovers are."""
    draw = np.random.default_rng(20260102)
    districts = draw.choice(DISTRICTS, size, p=[0.4, 0.3, 0.2, 0.06, 0.04]).tolist()
    return pa.table(
        {
            "farm": [f"F{i:04}" for i in range(size)],
            "district": districts,
            "province": [district[0] for district in districts],
            "sector": draw.choice(SECTORS, size, p=[0.5, 0.3, 0.15, 0.05]).tolist(),
            "turnover": np.round(draw.lognormal(5, 2, size), 1),
        }
    )


def a_registration(**changes: Any) -> dict[str, Any]:
    """Count and turnover by district and sector, and by province and sector."""
    statistics = ["count", "sum(turnover)"]
    tables = [{"group_by": [place, "sector"], "statistics": statistics} for place in ("district", "province")]
    return {
        "dataset": {
            "name": "firms",
            "title": "Firms",
            "description": "Firms and their turnover.",
            "licence": "CC0-1.0",
            "country": "IDN",
            "period": "2026",
        },
        "source": {"connector": "files", "relation": "farms.csv"},
        "unit": {"name": "firm", "column": "farm"},
        "columns": {
            "district": {"role": "dimension", "parent": "province", "codes": [{"code": c} for c in DISTRICTS]},
            "province": {"role": "dimension", "codes": [{"code": "A"}, {"code": "B"}]},
            "sector": {"role": "dimension", "codes": [{"code": c} for c in SECTORS]},
            "turnover": {"role": "measure", "decimals": 1, "range": [0, 1_000_000]},
        },
        "policy": {"kind": "published-tables", "tables": tables},
        **changes,
    }


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with a_gateway(tmp_path_factory.mktemp("published"), firms()) as gateway:
        gateway.publish_document(a_registration())
        gateway.agree()
        yield gateway


def asked(gateway: Gateway, sql: str) -> pa.Table:
    with (
        an_adbc_connection(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def by_key(table: pa.Table, *dimensions: str) -> Mapping[tuple[str, ...], dict[str, Any]]:
    return {tuple(record[name] for name in dimensions): record for record in table.to_pylist()}


def truth(*dimensions: str) -> Mapping[tuple[str, ...], tuple[int, float]]:
    found: dict[tuple[str, ...], tuple[int, float]] = {}
    for record in firms().to_pylist():
        key = tuple(record[name] for name in dimensions)
        count, total = found.get(key, (0, 0.0))
        found[key] = count + 1, total + record["turnover"]
    return found


def test_the_catalogue_names_the_tables_that_are_answered(gateway: Gateway) -> None:
    with a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as client:
        (dataset,) = client.datasets()
    assert dataset.policy.tables == tuple(
        RegisteredTable((place, "sector"), ("count", "sum(turnover)")) for place in ("district", "province")
    )


def test_what_a_registered_table_shows_is_exact_and_the_rest_is_missing(gateway: Gateway) -> None:
    sql = "SELECT district, sector, COUNT(*) AS n, SUM(turnover) AS t FROM firms GROUP BY district, sector"
    table, expected = by_key(asked(gateway, sql), "district", "sector"), truth("district", "sector")
    assert len(table) == len(DISTRICTS) * len(SECTORS)
    for key, cell in table.items():
        count, total = expected.get(key, (0, 0.0))
        assert cell["n"] in {None, count}
        assert cell["t"] is None or cell["t"] == pytest.approx(total)
        assert 0 < count < 10 or cell["n"] == count or cell["n"] is None
        if 0 < count < 10:
            assert cell["n"] is None
            assert cell["t"] is None
        withheld = cell["n"] is None or cell["t"] is None
        assert (cell["OBS_STATUS"], cell["CONF_STATUS"]) == (("Q", "C") if withheld else ("A", "F"))
    assert sum(cell["n"] is None for cell in table.values()) < len(table) / 2


def test_margins_and_slices_are_answered_from_the_same_numbers(gateway: Gateway) -> None:
    whole = by_key(
        asked(gateway, "SELECT district, sector, COUNT(*) AS n FROM firms GROUP BY 1, 2"), "district", "sector"
    )
    slice_ = by_key(
        asked(gateway, "SELECT sector, COUNT(*) AS n FROM firms WHERE district = 'B3' GROUP BY 1"), "sector"
    )
    assert {key: cell["n"] for (place, *key), cell in whole.items() if place == "B3" for key in [tuple(key)]} == {
        key: cell["n"] for key, cell in slice_.items()
    }
    assert asked(gateway, "SELECT COUNT(*) AS n FROM firms")["n"].to_pylist() == [800]


def test_published_numbers_carry_no_noise_and_cost_nothing(gateway: Gateway) -> None:
    with a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as client:
        answer = client.table(TableRequest("firms", ("sector",), statistics=(Statistic("count"),)))
    metadata = {name.decode(): value.decode() for name, value in (answer.table.schema.metadata or {}).items()}
    assert metadata["bandung.policy"] == "published-tables"
    assert json.loads(metadata["bandung.noise"]) == {"count": {"variance": 0.0}}
    assert json.loads(metadata["bandung.cost"]) == {}


def test_every_answer_is_on_the_record(gateway: Gateway) -> None:
    asked(gateway, "SELECT province, COUNT(*) FROM firms GROUP BY province")
    kind, _ = gateway.last()
    assert kind in {"query.answered", "query.repeated"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT district, province, COUNT(*) FROM firms GROUP BY district, province",
        "SELECT district, AVG(turnover) FROM firms GROUP BY district",
        "SELECT COUNT(*) FROM firms WHERE district = 'A1' AND province = 'A' AND sector = 'banks'",
    ],
)
def test_any_other_table_is_refused_with_the_list_of_registered_ones(gateway: Gateway, sql: str) -> None:
    with pytest.raises(Exception, match=r"B214.*count, sum\(turnover\) by district, sector; ") as caught:
        asked(gateway, sql)
    assert "province, sector" in str(caught.value)


def test_an_unsafe_set_is_refused_with_the_cells_that_give_way_and_nothing_is_published(tmp_path: Path) -> None:
    with a_gateway(tmp_path, firms()) as gateway:
        tables = [{"group_by": ["district", "sector"], "statistics": ["count"], "complete": True}]
        document = a_registration(policy={"kind": "published-tables", "tables": tables})
        with pytest.raises(Refusal) as caught:
            gateway.publish_document(document)
        assert caught.value.kind is ErrorKind.UNSAFE_TABLES
        assert "count of district=B3, sector=banks" in caught.value.private
        small = min(count for count, _ in truth("district", "sector").values())
        assert f"={small}" not in caught.value.private
        assert "B3" not in caught.value.message
        assert gateway.catalogue.current("firms") is None


def test_an_audit_publishes_nothing_and_tells_the_custodian_the_bounds(tmp_path: Path) -> None:
    from bandung.gateway.cli.tables_report import document, lines

    with a_gateway(tmp_path, firms()) as gateway:
        dataset = parse_declaration(a_registration(), str(tmp_path))
        steps: list[tuple[int, int]] = []
        found = gateway.publisher.tables(dataset, Stop(), lambda done, total: steps.append((done, total)))
        assert gateway.catalogue.current("firms") is None
    told = document(found)
    assert told["safe"]
    assert told["giving_way"] == []
    assert {number["kind"] for number in told["withheld"]} == {"primary", "secondary"}
    for number in told["withheld"]:
        assert number["above"] is None or number["above"] + number["below"] > 0
    assert json.loads(json.dumps(told))["dataset"] == "firms"
    assert lines(found)[-1] == "The tables of firms can be published."
    assert steps[-1][0] == steps[-1][1] == len(told["withheld"])


def test_what_tau_argus_proposes_is_completed_over_the_links_and_audited(tmp_path: Path) -> None:
    """It sees no districts beside their provinces, nor counts beside sums, so alone it is not enough."""
    with a_gateway(tmp_path, firms()) as gateway:
        policy = {**a_registration()["policy"], "secondary": "tau-argus"}
        dataset = parse_declaration(a_registration(policy=policy), str(tmp_path))
        found = gateway.publisher.tables(dataset, Stop(), lambda done, total: None)
        proposed = TauArgus(tmp_path).propose(found.links, found.needs, found.epoch.dataset.policy.tables)
        assert [path.name for path in tmp_path.glob(".tau-argus-*")] == []
    sensitive = found.needs.sensitive & found.links.told
    assert (proposed >= sensitive).all()
    assert proposed.sum() > sensitive.sum()
    assert not proposed[found.links.records == 0].any()
    assert found.audit.safe
    assert (found.audit.withheld >= proposed).all()


def test_without_tau_argus_a_declaration_that_wants_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandung.gateway.store.tau_argus.find_spec", lambda name: None)
    with a_gateway(tmp_path, firms()) as gateway:
        policy = {**a_registration()["policy"], "secondary": "tau-argus"}
        with pytest.raises(Refusal) as caught:
            gateway.publish_document(a_registration(policy=policy))
    assert caught.value.kind is ErrorKind.BAD_CONFIGURATION


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"training": {"allowed": True}}, "training.allowed"),
        ({"policy": {"kind": "published-tables", "tables": []}}, "policy.tables"),
        (
            {"policy": {"kind": "published-tables", "tables": [{"group_by": ["age"], "statistics": ["count"]}]}},
            "age is not",
        ),
        (
            {"policy": {"kind": "published-tables", "tables": [{"group_by": [], "statistics": ["sum(x)"]}]}},
            "x is not a m",
        ),
        (
            {"policy": {"kind": "published-tables", "tables": [{"group_by": [], "statistics": ["mean(x)"]}]}},
            "statistics",
        ),
    ],
)
def test_a_wrong_registration_is_a_wrong_declaration(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_declaration(a_registration(**changes), "/nowhere")
    assert caught.value.kind is ErrorKind.BAD_DECLARATION
    assert problem in caught.value.detail


def test_the_typed_door_refuses_the_same(gateway: Gateway) -> None:
    with (
        a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as client,
        pytest.raises(GatewayError, match="B214"),
    ):
        client.table(TableRequest("firms", ("sector",), statistics=(Statistic("mean", "turnover"),)))
