"""A logistic model trained across three countries for real: gateways, couriers, SuperLink, consent, faults."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bandung.federation.domain.job_file import read_job, sign
from bandung.federation.domain.member import members_of
from bandung.federation.sandbox import lifecycle
from bandung.federation.superlink.client import CoordinatorClient
from bandung.gateway.client import GatewayClient, GatewayError, Identity
from bandung.gateway.client.jobs import read_envelope
from bandung.gateway.domain.job import Decision
from tests.federation.support import free_port

MEMBERS = ("XAN", "XBO", "XCO")
DECLARATION = """
[dataset]
name = "visits"
title = "Visits"
description = "Synthetic; describes nobody."
licence = "CC0-1.0"
country = "{member}"
period = "2026"

[source]
connector = "files"
relation = "{member}.csv"

[unit]
name = "person"
column = "person"

[columns.visited]
role = "dimension"
label = "Visited a clinic"
codes = [{{ code = "Y" }}, {{ code = "N" }}]

[columns.place]
role = "dimension"
label = "Place"
codes = [{{ code = "urban" }}, {{ code = "rural" }}]

[columns.age]
role = "measure"
label = "Age"
range = [15, 60]
unit = "years"

[policy]
kind = "table-builder"

[training]
allowed = true
cohort_min = 2
"""
JOB = """
name = "{name}"
purpose = "an end-to-end test"
family = "binomial"
target = "visited=Y"
features = ["age", "place=rural"]
cohort_min = 2
rounds_max = {rounds_max}
tolerance = {tolerance}
on_loss = "{on_loss}"

[datasets]
XAN = "visits"
XBO = "visits"
XCO = "visits"
"""


def records(member: str) -> list[tuple[str, str, str, int]]:
    """About 300 persons of a country, deterministic."""
    draw = np.random.default_rng(sum(map(ord, member)))
    ages, rural = draw.integers(15, 61, 300), draw.random(300) < 0.5
    odds = np.exp(-2 + 0.05 * ages - 0.6 * rural)
    visited = draw.random(300) < odds / (1 + odds)
    return [
        (f"{member}{i}", "Y" if visited[i] else "N", "rural" if rural[i] else "urban", int(ages[i])) for i in range(300)
    ]


def pooled_fit() -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors of all records in one place, by Newton's method."""
    rows = [row for member in MEMBERS for row in records(member)]
    design = np.array([[1.0, age, place == "rural"] for _, _, place, age in rows], dtype=float)
    target = np.array([visited == "Y" for _, visited, _, _ in rows], dtype=float)
    coefficients = np.zeros(3)
    for _ in range(30):
        mean = 1 / (1 + np.exp(-design @ coefficients))
        information = (design * (mean * (1 - mean))[:, None]).T @ design
        coefficients = coefficients + np.linalg.solve(information, design.T @ (target - mean))
    return coefficients, np.sqrt(np.diag(np.linalg.inv(information)))


@dataclass(frozen=True)
class Box:
    directory: Path

    @property
    def document(self) -> dict[str, Any]:
        return json.loads((self.directory / "sandbox.json").read_text())

    def client(self, member: str, principal: str) -> GatewayClient:
        entry = next(m for m in members_of(self.document, principal, self.directory) if m.id == member)
        return GatewayClient(entry.address, Identity(entry.ca, entry.certificate, entry.key), deadline_s=30)

    def coordinator(self) -> CoordinatorClient:
        place = self.document["coordinator"]
        return CoordinatorClient(place["address"], Path(place["ca"]), Path(place["token_file"]).read_text().strip())

    def signed(self, name: str, *, tolerance: float = 1e-9, rounds_max: int = 25, on_loss: str = "pause") -> bytes:
        author = self.document["members"]["XAN"]["principals"]["analyst-1"]
        text = JOB.format(name=name, tolerance=tolerance, rounds_max=rounds_max, on_loss=on_loss)
        job = read_job(text, author["uri"], "2026-01-01T00:00:00.000Z")
        return sign(job, Path(author["certificate"]).read_bytes(), Path(author["key"]).read_bytes())

    def consent(self, document: bytes, *members: str, decision: Decision = Decision.CONSENTED) -> None:
        digest = read_envelope(document).digest
        for member in members:
            with self.client(member, f"{member}/custodian") as custodian:
                deadline = time.monotonic() + 60
                while True:
                    try:
                        custodian.decide(digest, decision, "a test")
                        break
                    except GatewayError:
                        assert time.monotonic() < deadline
                        time.sleep(0.2)

    def kill(self, name: str) -> None:
        member, part = name.split()
        os.kill(self.document["members"][member]["pids"][part], signal.SIGKILL)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    home = tmp_path_factory.mktemp("federation")
    for member in MEMBERS:
        (home / f"{member}.toml").write_text(DECLARATION.format(member=member))
        with (home / f"{member}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("person", "visited", "place", "age"), *records(member)])
    text = "".join(f'[members.{member}]\ndatasets = ["{member}.toml"]\n' for member in MEMBERS)
    (home / "members.toml").write_text(text)
    assert set(tomllib.loads(text)["members"]) == set(MEMBERS)
    lifecycle.up(home / "box", home / "members.toml")
    try:
        yield Box(home / "box")
    finally:
        lifecycle.down(home / "box")


def assert_pooled(card: dict[str, Any]) -> None:
    coefficients, errors = pooled_fit()
    found = card["coefficients"]
    assert [c["estimate"] for c in found] == pytest.approx(coefficients, abs=1e-6)
    assert [c["standard_error"] for c in found] == pytest.approx(errors, abs=1e-6)


def test_three_countries_get_the_pooled_fit_and_each_answer_is_in_a_ledger(box: Box) -> None:
    document = box.signed("pooled")
    with box.coordinator() as coordinator:
        job = coordinator.submit(document)
        box.consent(document, *MEMBERS)
        assert list(coordinator.events(job))[-1]["state"] == "COMPLETED"
        card = coordinator.card(job)
    assert_pooled(card)
    with box.client("XBO", "XBO/auditor") as auditor:
        kinds = [entry.kind for entry in auditor.ledger()]
    assert kinds.count("job.decided") == 1
    assert kinds.count("step.answered") == len([r for r in card["receipts"] if r["member"] == "XBO"])


def test_no_step_is_taken_before_a_country_has_consented_and_a_refusal_ends_it(box: Box) -> None:
    document = box.signed("refused")
    with box.coordinator() as coordinator:
        job = coordinator.submit(document)
        box.consent(document, "XAN", "XBO")
        for event in coordinator.events(job):
            if event.get("phase", "").startswith("WAITING") and "XCO" in event.get("reason", ""):
                break
        box.consent(document, "XCO", decision=Decision.REFUSED)
        events = list(coordinator.events(job))
    assert any(event["type"] == "member" and event["member"] == "XCO" for event in events)
    answered = {e["member"] for e in events if e["type"] == "round" and e["outcome"] == "answer"}
    assert "XCO" not in answered


def test_a_gateway_killed_mid_job_pauses_it_and_it_finishes_after_the_restart(box: Box) -> None:
    document = box.signed("interrupted", tolerance=1e-15, rounds_max=12)
    with box.coordinator() as coordinator:
        job = coordinator.submit(document)
        box.consent(document, *MEMBERS)
        seen = []
        for event in coordinator.events(job):
            seen.append(event)
            if event["type"] == "step" and event["step"] == 1:
                box.kill("XCO gateway")
            if event["type"] == "phase" and event["phase"] == "PAUSED":
                lifecycle.restart(box.directory, "XCO gateway")
        card = coordinator.card(job)
    assert any("XCO" in event.get("reason", "") for event in seen if event.get("phase") == "PAUSED")
    assert seen[-1]["state"] == "COMPLETED"
    assert_pooled(card)


def test_a_job_may_go_on_without_a_country_whose_courier_was_killed(box: Box) -> None:
    document = box.signed("without", tolerance=1e-15, rounds_max=12, on_loss="continue")
    with box.coordinator() as coordinator:
        job = coordinator.submit(document)
        box.consent(document, *MEMBERS)
        events = []
        for event in coordinator.events(job):
            events.append(event)
            if event["type"] == "step" and event["step"] == 1:
                box.kill("XCO courier")
    lifecycle.restart(box.directory, "XCO courier")
    assert events[-1]["state"] == "COMPLETED"
    assert any(event["type"] == "member" and event["member"] == "XCO" for event in events)


def test_a_stock_supernode_with_our_client_app_gives_the_same_model(box: Box, tmp_path: Path) -> None:
    place, courier = box.document["coordinator"], box.directory / "XBO" / "courier"
    tls = box.directory / "coordinator" / "tls"  # for the SuperNode's own loopback interface
    leaving = psutil.Process(box.document["members"]["XBO"]["pids"]["courier"])
    leaving.terminate()
    leaving.wait(30)  # a node's key has one session at a time
    command = [
        str(Path(sys.executable).with_name("flower-supernode")),
        *("--superlink", place["public_address"], "--root-certificates", place["ca"]),
        *("--auth-supernode-private-key", str(courier / "node.key")),
        *("--host", "127.0.0.1", "--port", str(free_port())),
        *("--ssl-certfile", str(tls / "coordinator.pem"), "--ssl-keyfile", str(tls / "coordinator.key")),
        *("--ssl-ca-certfile", place["ca"]),
    ]
    environment = {
        **os.environ,
        "BANDUNG_COURIER_CONFIG": str(courier / "courier.toml"),
        "FLWR_HOME": str(tmp_path / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (tmp_path / "log").open("wb") as log:
        supernode = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        document = box.signed("stock")
        with box.coordinator() as coordinator:
            job = coordinator.submit(document)
            box.consent(document, *MEMBERS)
            assert list(coordinator.events(job))[-1]["state"] == "COMPLETED", (tmp_path / "log").read_text()
            assert_pooled(coordinator.card(job))
    finally:
        os.killpg(supernode.pid, signal.SIGKILL)
        supernode.wait()
        lifecycle.restart(box.directory, "XBO courier")
