"""Budgets: have more answered than a dataset's caps allow, by racing, failing, starting afresh or changing the door.

A cap that is looked at before a charge is written can be passed by many questions at once (a time-of-check race); a
refund for a question that fails makes failing free; an epoch, a name or a policy that counts for itself is a budget of
its own (Haeberlen, Pierce, Narayan: Differential privacy under fire, USENIX Security 2011, on budget attacks).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as fl
import pytest

from bandung.gateway.client.values import TableRequest
from bandung.gateway.domain.plan import Statistic
from tests.support.attacking import (
    CONTROL_MIN,
    POLICIES,
    WEAKENED,
    Analysts,
    Ground,
    Heard,
    advantage,
    cannot_promise,
    dimension,
    reported,
)
from tests.support.clients import a_client, a_command, a_flight_client

VILLAGES = [f"v{number:02}" for number in range(40)]
COLUMNS = {"village": dimension(VILLAGES)}
CAPS = {
    "table-builder": {"tables_per_analyst": 12, "tables_per_dataset": 18},
    "differential-privacy": {"rho_per_table": 0.001, "rho_per_analyst": 0.012, "rho_per_dataset": 0.018},
}
PER_ANALYST, PER_DATASET = 12, 18
"""Tables that the caps allow."""


def rows() -> pa.Table:
    """Twenty-five people in each village."""
    return pa.table(
        {
            "person": [f"{village}-{i}" for village in VILLAGES for i in range(25)],
            "village": [village for village in VILLAGES for _ in range(25)],
        }
    )


def capped(policy: str) -> dict[str, Any]:
    return {**POLICIES[policy], **CAPS[policy]}


def count_in(table: str, village: str) -> str:
    return f"SELECT COUNT(*) AS n FROM {table} WHERE village = '{village}'"


def storm(ground: Ground, table: str, analysts: int) -> list[list[Heard]]:
    """Every analyst asks for every village, from four threads at once; no two ask in the same order."""
    names = [f"racer-{number}" for number in range(analysts)]
    asking = [[Analysts(ground.gateway, [name]) for _ in range(4)] for name in names]
    everybody = [(who, ask) for who, clients in enumerate(asking) for ask in clients]
    start = threading.Barrier(len(everybody))

    def run(at: int) -> tuple[int, list[Heard]]:
        who, client = everybody[at]
        villages = np.random.default_rng([who, at]).permutation(VILLAGES)
        start.wait(30)
        return who, [client.ask(count_in(table, village)) for village in villages[:: 1 + at % 2]]

    with ThreadPoolExecutor(len(everybody)) as pool:
        heard = list(pool.map(run, range(len(everybody))))
    for _, client in everybody:
        client.close()
    return [[answer for who, answers in heard if who == analyst for answer in answers] for analyst in range(analysts)]


def charged(ground: Ground, table: str) -> int:
    """Distinct tables of a dataset that were answered or begun, by the ledger."""
    return sum(
        entry.event.kind.value in {"query.answered", "query.failed"}
        and _epoch(entry.event.body).startswith(f"{table}@")
        for entry in ground.gateway.entries()
    )


def _epoch(body: Any) -> str:
    return str(body.get("epoch", ""))


@pytest.mark.parametrize(("analysts", "most"), [(1, PER_ANALYST), (2, PER_DATASET)])
def test_a_race_overspends_nothing(ground: Ground, policy: str, analysts: int, most: int) -> None:
    table = ground.publish(f"race {policy} {analysts}", rows, COLUMNS, capped(policy))
    heard = [answer for answers in storm(ground, table, analysts) for answer in answers]
    assert any(answer.code == "B303" for answer in heard)
    assert {answer.code for answer in heard} <= {"", "B303"}
    answered = charged(ground, table)
    assert reported(max(0, answered - most) / most) == 0
    assert answered == most


def test_control_without_a_cap_the_same_race_has_more_answered(ground: Ground, policy: str) -> None:
    table = ground.publish(f"race {policy} weakened", rows, COLUMNS, WEAKENED[policy])
    storm(ground, table, 2)
    assert charged(ground, table) == len(VILLAGES) > PER_DATASET


@contextmanager
def meanwhile(ground: Ground, act: Callable[[], object]) -> Iterator[None]:
    """Have something happen while the source works."""
    ground.gateway.between.meanwhile = act
    try:
        yield
    finally:
        ground.gateway.between.meanwhile = lambda: None


def give_up(ground: Ground, table: str, village: str) -> None:
    """Ask with a deadline that passes while the source works."""
    files = ground.gateway.identity("analyst/ani")
    client = a_flight_client(ground.gateway.address, ground.gateway.idn.ca, files)
    descriptor = fl.FlightDescriptor.for_command(a_command("CommandStatementQuery", query=count_in(table, village)))
    ticket = client.get_flight_info(descriptor).endpoints[0].ticket
    with pytest.raises((pa.ArrowException, fl.FlightError)):
        client.do_get(ticket, fl.FlightCallOptions(timeout=0.1)).read_all()
    client.close()


def settled(ground: Ground, table: str, wanted: int) -> int:
    """What was charged, once the gateway is done with calls whose clients have left."""
    until = time.monotonic() + 10
    while charged_scope(ground, table) < wanted and time.monotonic() < until:
        time.sleep(0.05)
    return charged_scope(ground, table)


def charged_scope(ground: Ground, table: str) -> int:
    """Tables that the dataset's own scope was charged with, whatever the policy counts in."""
    return ground.spent(f"tables/{table}:2026") + ground.spent(f"nano_rho/{table}") // 1_000_000


def test_giving_up_refunds_nothing(ground: Ground, policy: str) -> None:
    table = ground.publish(f"refund {policy}", rows, COLUMNS, capped(policy))
    attempts = 4
    with meanwhile(ground, lambda: time.sleep(0.3)):
        for village in VILLAGES[:attempts]:
            give_up(ground, table, village)
        kept = settled(ground, table, attempts)
    assert reported(1 - kept / attempts) == 0


def test_failing_refunds_nothing_and_tells_nothing(ground: Ground, policy: str) -> None:
    table = ground.publish(f"failing {policy}", rows, COLUMNS, capped(policy))
    snapshot = ground.gateway.directory / "snapshots" / table / "1.duckdb"
    snapshot.chmod(0o600)
    snapshot.write_bytes(b"not a database any more" * 1000)
    heard = [ground.analysts(1).ask(count_in(table, village)) for village in VILLAGES[:4]]
    assert {answer.code for answer in heard} == {"B401"}
    assert len({answer.refusal for answer in heard}) == 1
    assert reported(1 - charged_scope(ground, table) / 4) == 0


def test_control_what_was_never_begun_is_not_charged(ground: Ground, policy: str) -> None:
    """So a refund would be seen: the same look finds nothing charged where nothing was begun."""
    table = ground.publish(f"unbegun {policy}", rows, COLUMNS, capped(policy))
    assert ground.analysts(1).ask(count_in(table, "nowhere")).code == "B206"
    assert charged_scope(ground, table) == 0


def exhaust(analysts: Analysts, table: str) -> int:
    """Ask for village after village; return how many are answered."""
    return sum(not analysts.ask(count_in(table, village)).refusal for village in VILLAGES)


def answered_after(ground: Ground, analysts: Analysts, policy: str, name: str, period: str) -> float:
    """Spend what there is, publish the same records again, and return how much of it is to be had once more."""
    table = f"{name}_{policy}_{len(analysts.names)}".replace("-", "_")
    ground.publish_now(table, rows(), COLUMNS, capped(policy))
    assert exhaust(analysts, table) == (PER_ANALYST if len(analysts.names) == 1 else PER_DATASET)
    ground.publish_now(table, rows(), COLUMNS, capped(policy), period=period)
    return reported(exhaust(analysts, table) / PER_DATASET)


def test_a_new_epoch_of_the_same_records_gives_no_new_budget(ground: Ground, analysts: Analysts, policy: str) -> None:
    assert answered_after(ground, analysts, policy, "epochs", "2026") == 0


def test_another_period_for_the_same_records_gives_no_new_budget(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "periods")
    assert answered_after(ground, analysts, policy, "periods", "2026-revised") == 0


def test_a_new_epoch_of_the_same_records_draws_no_new_noise(ground: Ground) -> None:
    by_village = "SELECT village, COUNT(*) FROM redrawn GROUP BY village"
    table = ground.publish("redrawn", rows, COLUMNS, POLICIES["table-builder"])
    first = ground.analysts(1).numbers(by_village)
    ground.publish_now(table, rows(), COLUMNS, POLICIES["table-builder"])
    assert ground.analysts(1).numbers(by_village) == first
    assert len(first) == len(VILLAGES)


GUESTS = np.random.default_rng(14).permutation(np.arange(len(VILLAGES)) % 2 == 0)


def with_guests() -> pa.Table:
    """The same villages, of which half have a guest."""
    people = [*rows().to_pylist()]
    people += [{"person": f"{v}-guest", "village": v} for v, guest in zip(VILLAGES, GUESTS, strict=True) if guest]
    return pa.Table.from_pylist(people)


def guests(analysts: Analysts, tables: list[str]) -> np.ndarray:
    """There is a guest where the mean of all datasets' counts is nearer to one person more."""
    counts = [analysts.numbers(f"SELECT village, COUNT(*) FROM {table} GROUP BY village") for table in tables]
    return np.array([np.mean([count[village] for count in counts]) >= 25.5 for village in VILLAGES])


def test_another_name_for_the_same_records_draws_no_other_noise(
    ground: Ground, analysts: Analysts, policy: str, request: pytest.FixtureRequest
) -> None:
    cannot_promise(request, policy, "names")
    tables = [ground.publish(f"name {policy} {n}", with_guests, COLUMNS, POLICIES[policy]) for n in range(8)]
    assert advantage(guests(analysts, tables), GUESTS) <= ground.most(policy, tables, GUESTS)


def test_control_without_noise_one_name_is_enough(ground: Ground, policy: str) -> None:
    table = ground.publish(f"name {policy} weakened", with_guests, COLUMNS, WEAKENED[policy])
    assert advantage(guests(ground.analysts(1), [table]), GUESTS) >= CONTROL_MIN


def test_the_typed_door_is_the_same_budget_and_the_same_noise(ground: Ground, policy: str) -> None:
    table = ground.publish(f"doors {policy}", rows, COLUMNS, capped(policy))
    by_sql = ground.analysts(1).numbers(f"SELECT village, COUNT(*) FROM {table} GROUP BY village")
    request = TableRequest(table, ("village",), (Statistic("count"),))
    files = ground.gateway.identity("analyst/budi")
    with a_client(ground.gateway.address, ground.gateway.idn.ca, files) as budi:
        answer = budi.table(request).table
    assert dict(zip(answer["village"].to_pylist(), answer["count"].to_pylist(), strict=True)) == by_sql
    assert charged_scope(ground, table) == 1


def test_a_policy_that_was_replaced_answers_no_more(ground: Ground) -> None:
    """One policy for each epoch: what the weaker one would still tell cannot be asked for by its epoch's name."""
    table = ground.publish("mixed", with_guests, COLUMNS, WEAKENED["table-builder"])
    ani = ground.analysts(1)
    assert advantage(guests(ani, [table]), GUESTS) >= CONTROL_MIN
    ground.publish_now(table, with_guests(), COLUMNS, POLICIES["table-builder"])
    assert advantage(guests(ani, [table]), GUESTS) <= 0.45
    for name in ('"mixed@1"', "main.mixed@1", '"mixed@1".mixed', '"1".mixed'):
        heard = ani.ask(f"SELECT village, COUNT(*) FROM {name} GROUP BY village")
        assert heard.refusal or guests_of(heard) <= 0.45


def guests_of(heard: Heard) -> float:
    return advantage([float(list(row.values())[1] or 0) >= 25.5 for row in heard.rows], GUESTS)
