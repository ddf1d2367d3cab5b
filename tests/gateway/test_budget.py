"""Quotas and budgets are shown: an analyst's own to the analyst, everything to the country's staff."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bandung.gateway.client import GatewayClient, Identity
from tests.support.gateway import Gateway, a_gateway

SQL = "SELECT area, COUNT(*) FROM farms GROUP BY area"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree()
        yield gateway


@contextmanager
def client(gateway: Gateway, who: str) -> Iterator[GatewayClient]:
    files = gateway.identity(who)
    with GatewayClient(gateway.address, Identity(gateway.idn.ca, files.certificate, files.key)) as client:
        yield client


def spent(gateway: Gateway, who: str) -> dict[str, tuple[int, int]]:
    with client(gateway, who) as asking:
        (budget,) = asking.budgets()
    assert (budget.epoch, budget.policy) == ("farms@1", "table-builder")
    return {account.scope: (account.spent, account.cap) for account in budget.accounts}


def test_an_analyst_sees_own_accounts_and_nothing_of_what_others_spent(gateway: Gateway):
    for who in ("analyst/ani", "analyst/budi"):
        with client(gateway, who) as asking:
            asking.query(SQL)
    ani = gateway.idn.uri("analyst/ani")
    assert spent(gateway, "analyst/ani") == {f"tables/farms:1976/{ani}": (1, 500), f"steps/farms:1976/{ani}": (0, 500)}
    assert all(total == 0 for total, _ in spent(gateway, "analyst/budi").values())


def test_a_custodian_sees_every_account(gateway: Gateway):
    with client(gateway, "analyst/ani") as asking:
        asking.query(SQL)
    assert spent(gateway, "custodian/citra") == {
        "tables/farms:1976": (1, 5000),
        f"tables/farms:1976/{gateway.idn.uri('analyst/ani')}": (1, 500),
        "exposures/farms:1976": (1, 20_000),
        "steps/farms:1976": (0, 5000),
    }
