"""The odometer: how many released numbers any one record may have taken part in, with a hard stop."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import adbc_driver_manager
import pyarrow as pa
import pytest

from tests.support.clients import an_adbc_connection
from tests.support.gateway import Gateway, a_gateway

SCOPE = "exposures/farms:1976"
TWO = "SELECT area, COUNT(*) AS n, SUM(balance) AS s FROM farms GROUP BY area"
ONE = "SELECT age, COUNT(*) FROM farms GROUP BY age"
OTHER = "SELECT area, age, COUNT(*) FROM farms GROUP BY area, age"


@pytest.fixture
def gateway(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy__exposures_max=3)
        gateway.agree()
        yield gateway


def ask(gateway: Gateway, sql: str, who: str = "ani") -> pa.Table:
    files = gateway.identity(f"analyst/{who}")
    with an_adbc_connection(gateway.address, gateway.idn.ca, files) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def test_every_number_of_a_new_table_counts_once_whoever_asks(gateway: Gateway):
    table = ask(gateway, TWO)
    assert gateway.spent(SCOPE) == 2
    assert json.loads(table.schema.metadata[b"bandung.cost"])["exposures"] == 2
    assert "exposures" not in json.loads(table.schema.metadata[b"bandung.left"]), "what all have left is for staff"
    ask(gateway, ONE, "budi")
    assert gateway.spent(SCOPE) == 3


def test_at_the_limit_every_new_table_is_refused_and_repeats_stay_free(gateway: Gateway):
    first = ask(gateway, TWO)
    ask(gateway, ONE)
    with pytest.raises(adbc_driver_manager.Error, match="B303") as caught:
        ask(gateway, OTHER, "budi")
    assert "exposures/farms:1976: 1 exposure to pay, of 3 in all" in str(caught.value)
    assert ask(gateway, TWO, "budi").equals(first)
    assert gateway.spent(SCOPE) == 3
    assert gateway.spent("tables/farms:1976") == 2


def test_a_table_that_would_overshoot_is_refused_whole(gateway: Gateway):
    ask(gateway, TWO)
    with pytest.raises(adbc_driver_manager.Error, match="B303"):
        ask(gateway, "SELECT age, COUNT(*), SUM(balance) FROM farms GROUP BY age")
    assert gateway.spent(SCOPE) == 2


def test_a_race_does_not_pass_the_limit(gateway: Gateway):
    tables = [f"SELECT COUNT(*) FROM farms WHERE area = '{code}'" for code in ("31", "32", "odd", "NONE", "_U")]
    outcomes: list[str] = []
    for name in ("ani", "budi"):
        gateway.identity(f"analyst/{name}")

    def race(sql: str, who: str) -> None:
        try:
            ask(gateway, sql, who)
            outcomes.append("answered")
        except adbc_driver_manager.Error as error:
            outcomes.append("B303" if "B303" in str(error) else str(error))

    threads = [
        threading.Thread(target=race, args=(sql, ("ani", "budi")[place % 2])) for place, sql in enumerate(tables)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["B303", "B303", "answered", "answered", "answered"]
    assert gateway.spent(SCOPE) == 3
