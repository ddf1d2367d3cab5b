"""A question over ADBC ÷ the same inside the gateway's process, and how many are answered in a second."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bandung.connectors.base import Stop
from benchmarks import demonstration, nodes, survey
from benchmarks.clients import Answered, Load, ask, ask_in_a_process, connect
from benchmarks.protection import Say
from benchmarks.report import Section, quantile

TARGET_MS = 12
_CLIENTS = (1, 8, nodes.CLIENTS_MAX)
_WARM = 30

Asker = Callable[[str], object]


def a_survey(directory: Path, name: str) -> nodes.Published:
    """Generate the survey and publish it at a gateway of its own."""
    place = directory / name
    place.mkdir()
    survey.write_survey(place / "survey.parquet")
    survey.write_declaration(place / "survey.toml", "survey.parquet")
    return nodes.publish(place / "node", "survey", place / "survey.toml")


def measure(directory: Path, questions: int, say: Say) -> list[Section]:
    """Measure latency with `questions` new tables each way of each dataset, and rates with as many of the survey."""
    say("publishing the demonstration at two gateways")
    remote, local = (demonstration.publish(directory / name) for name in ("demo-remote", "demo-local"))
    with nodes.running(remote):
        say(f"latency: {questions} new tables each way, each asked again")
        women = _latency(remote, local, demonstration.statements(), questions)
    say("publishing a survey at two gateways")
    remote, local = a_survey(directory, "remote"), a_survey(directory, "local")
    fresh = survey.statements()
    with nodes.running(remote):
        say(f"latency: {questions} new tables each way, each asked again")
        households = _latency(remote, local, fresh, questions)
        rates = [_rate(remote, fresh, clients, questions, say) for clients in _CLIENTS]
    return [_latencies({"demonstration": women, "survey": households}), _rates(rates)]


def _latency(
    remote: nodes.Published, local: nodes.Published, fresh: Iterator[str], questions: int
) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {}
    exchanges = itertools.count()
    with (
        nodes.open_desk(local) as desk,
        connect(remote.address, remote.node.authority[0], remote.identity.certificate, remote.identity.key) as link,
    ):
        ways: dict[str, Asker] = {
            "over ADBC": lambda sql: ask(link, sql),
            "in process": lambda sql: desk.queries.answer(nodes.ANALYST, sql, (), str(next(exchanges)), Stop()),
        }
        for sql in itertools.islice(fresh, _WARM):
            for way in ways.values():
                way(sql)
        for sql in itertools.islice(fresh, questions):
            for when in ("new", "repeated"):
                for name, way in ways.items():
                    seen.setdefault(f"{name}, {when}", []).append(_milliseconds(way, sql))
    return seen


def _milliseconds(way: Asker, sql: str) -> float:
    began = time.perf_counter()
    way(sql)
    return (time.perf_counter() - began) * 1000


def _latencies(of: dict[str, dict[str, list[float]]]) -> Section:
    rows: list[list[str]] = []
    for (data, seen), when in itertools.product(of.items(), ("new", "repeated")):
        remote, local = seen[f"over ADBC, {when}"], seen[f"in process, {when}"]
        cells = [f"{data}, {when} table"]
        for values, share in itertools.product((remote, local), (0.5, 0.95)):
            cells.append(f"{quantile(values, share):.1f}")
        middle = quantile([far / near for far, near in zip(remote, local, strict=True)], 0.5)
        rows.append([*cells, f"{middle:.2f}"])
    return Section(
        "(b) Latency, ms: mutual TLS on loopback, one client",
        ["question", "ADBC p50", "ADBC p95", "in process p50", "in process p95", "ADBC ÷ in process"],
        rows,
        [
            f"Target: p50 over ADBC at most {TARGET_MS} ms. Each is asked both ways in turn, at two gateways.",
            f"The survey has {survey.ROWS:,} rows; the demonstration's data are the 1,473 women of Indonesia.",
        ],
    )


def _rate(
    published: nodes.Published, fresh: Iterator[str], clients: int, questions: int, say: Say
) -> tuple[int, Answered, Answered]:
    each = max(2, questions * 2 // clients)
    lists = [list(itertools.islice(fresh, each + 1)) for _ in range(clients)]
    first, again = (_load(published, lists) for _ in range(2))
    say(f"{clients} clients: {first.per_second:.0f} new and {again.per_second:.0f} repeated tables per second")
    return clients, first, again


def _load(published: nodes.Published, lists: list[list[str]]) -> Answered:
    node, identity = published.node, published.identity
    load = Load(published.address, str(node.authority[0]), str(identity.certificate), str(identity.key), lists)
    return ask_in_a_process(load, node.root)


def _rates(rates: list[tuple[int, Answered, Answered]]) -> Section:
    rows = [
        [
            str(clients),
            *(f"{answered.per_second:.0f}" for answered in (first, again)),
            *(f"{quantile(answered.latencies_ms, 0.5):.0f}" for answered in (first, again)),
            *(f"{quantile(answered.latencies_ms, 0.95):.0f}" for answered in (first, again)),
        ]
        for clients, first, again in rates
    ]
    return Section(
        "Answers per second, clients in a process of their own",
        ["clients", "new /s", "repeated /s", "new p50, ms", "repeated p50, ms", "new p95, ms", "repeated p95, ms"],
        rows,
        ["Each client is an ADBC connection of its own that waits for one answer before it asks the next question."],
    )
