"""A whole federation on loopback, started and stopped for real."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandung.federation.cli import main
from bandung.federation.domain.member import members_of
from bandung.federation.sandbox import lifecycle
from bandung.federation.sandbox.document import read_processes
from bandung.gateway.cli.console import Failure
from bandung.gateway.client import GatewayClient, GatewayError, Identity

SQL = "SELECT region, count(*) AS n FROM households GROUP BY region"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("sandbox") / "box"
    lifecycle.up(directory)
    try:
        yield directory
    finally:
        lifecycle.down(directory)


def document(box: Path) -> dict:
    return json.loads((box / "sandbox.json").read_bytes())


def a_client(box: Path, member: str, principal: str) -> GatewayClient:
    members = {m.id: m for m in members_of(document(box), principal, box)}
    chosen = members[member]
    return GatewayClient(chosen.address, Identity(chosen.ca, chosen.certificate, chosen.key), deadline_s=30)


def test_everything_is_healthy_and_every_file_named_exists(box):
    assert {part.status for part in lifecycle.status(box)} == {"SERVING"}
    found = document(box)
    assert sorted(found["members"]) == ["XAN", "XBO"]
    for member in found["members"].values():
        assert set(member["principals"]) == {"analyst-1", "analyst-2", "custodian", "auditor", "courier"}
        files = [member["ca"], *(p[k] for p in member["principals"].values() for k in ("certificate", "key"))]
        assert all(Path(file).is_file() for file in files)
        assert member["flight_uri"] == f"grpc+tls://{member['address']}"
    assert Path(found["coordinator"]["token_file"]).is_file()


def test_analysts_of_each_country_can_ask_every_country_and_the_courier_cannot(box):
    for principal in ("analyst-2", "XAN/analyst-1", "XBO/analyst-1"):
        with a_client(box, "XBO", principal) as client:
            assert client.query(SQL).table.num_rows == 4
    with a_client(box, "XAN", "courier") as client, pytest.raises(GatewayError) as refused:
        client.query(SQL)
    assert refused.value.code == "B103"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_dry_run_says_decision_cost_and_error_for_each_country_and_spends_nothing(box, capsys):
    members = ("--members", str(box / "sandbox.json"), "--as", "analyst-2")
    question = "SELECT place, COUNT(*) AS n, AVG(income) AS income FROM households GROUP BY place"
    before = told(capsys, "budget", "show", *members, "--json")
    said = told(capsys, "query", question, *members, "--dry-run")
    for member in ("XAN", "XBO"):
        assert f"{member}  allowed by agreement" in said
        assert f"{member}  costs 2 exposures, 1 table" in said
        assert f"{member}  count: 95 % of values within" in said
        assert f"{member}  mean(income): 95 % of values within" in said
    assert told(capsys, "query", f"explain {question}", *members) == said
    plans = json.loads(told(capsys, "query", question, *members, "--dry-run", "--json"))
    assert all(plan["cost"] == {"tables": 1, "exposures": 2} and plan["cells"] == 2 for plan in plans.values())
    assert told(capsys, "budget", "show", *members, "--json") == before


def test_a_budget_is_shown_to_people_to_machines_and_as_a_picture(box, capsys, tmp_path):
    members = ("--members", str(box / "sandbox.json"))
    own = told(capsys, "budget", "show", *members, "--only", "XAN", "--plot", str(tmp_path / "budget.png"))
    assert "analyst/analyst-1" in own
    assert "everybody" not in own
    assert (tmp_path / "budget.png").read_bytes().startswith(b"\x89PNG")
    everything = json.loads(
        told(capsys, "budget", "show", *members, "--as", "XAN/custodian", "--only", "XAN", "--json")
    )
    assert any(account["scope"] == "tables/households:2026" for account in everything["XAN"][0]["accounts"])


VIEW = """
[dataset]
name = "NAME"
title = "Households anywhere"
description = "Town and country together."
[view]
of = "households"
[columns.anywhere]
role = "dimension"
source = "place"
codes = [{ code = "anywhere", values = ["rural", "urban"] }]
"""


def test_accounts_that_a_view_shares_with_its_base_are_listed_once_under_the_base(box, capsys, tmp_path):
    gateway = document(box)["members"]["XAN"]["directory"]
    for name in ("all_households", "households_anywhere"):
        (tmp_path / "view.toml").write_text(VIEW.replace("NAME", name))
        assert main(["dataset", "publish", str(tmp_path / "view.toml"), "--gateway", gateway]) == 0
    told(capsys, "query", SQL, "--members", str(box / "sandbox.json"), "--as", "XBO/analyst-1")
    asked = ("--members", str(box / "sandbox.json"), "--as", "XAN/custodian", "--only", "XAN")
    said = told(capsys, "budget", "show", *asked)
    _, before, base, after = re.split(r"^XAN  \S+@1 under table-builder\n", said, flags=re.MULTILINE)
    assert before.strip() == after.strip() == "the accounts of households"
    accounts = base.splitlines()
    assert {"everybody", "spiffe://xbo.sandbox.example/analyst/analyst-1"} <= {line.split()[0] for line in accounts}
    assert len({len(line) - len(line.split(maxsplit=1)[1]) for line in accounts}) == 1, "amounts are in one column"


def test_the_python_of_the_documentation_runs(box):
    text = (Path(__file__).parent.parent / "docs" / "statistics.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=box.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    *totals, _, _ = done.stdout.splitlines()
    assert len(totals) == 8
    assert re.fullmatch(r"18-29 urban [\d.]+ [\d.]+ ", totals[0])
    assert re.search(r"^XBO Rate\(value=0\.\d+.* Rate\(value=0\.\d+", done.stdout, re.MULTILINE)


def test_a_gateway_that_was_killed_is_seen_and_comes_back_with_its_ledger(box):
    with a_client(box, "XAN", "auditor") as client:
        before = client.head()
    os.kill(document(box)["members"]["XAN"]["pids"]["gateway"], signal.SIGKILL)
    while {part.name: part.status for part in lifecycle.status(box)}["XAN gateway"] != "STOPPED":
        time.sleep(0.05)
    assert main(["sandbox", "status", str(box)]) == 1
    lifecycle.restart(box, "XAN gateway")
    with a_client(box, "XAN", "auditor") as client:
        entries = list(client.ledger())
    assert len(entries) > before.size
    assert entries[-1].kind == "gateway.started"
    assert document(box)["members"]["XAN"]["pids"]["gateway"] == read_processes(box)["XAN gateway"].pid
    assert main(["sandbox", "status", str(box)]) == 0


def test_what_is_published_at_the_console_is_seen_by_the_running_gateway(box, capsys):
    declaration = box / "example" / "households_xbo.toml"
    other = declaration.with_name("more.toml")
    other.write_text(declaration.read_text().replace('name = "households"', 'name = "more"'))
    assert main(["dataset", "publish", str(other), "--gateway", str(box / "XBO")]) == 0
    with a_client(box, "XBO", "custodian") as client:
        assert [dataset.name for dataset in client.datasets()] == ["households", "more"]
    with a_client(box, "XBO", "analyst-1") as client:
        assert [dataset.name for dataset in client.datasets()] == ["households"]


def test_an_unknown_process_is_named_with_those_there_are(box):
    with pytest.raises(Failure, match="XBO courier"):
        lifecycle.restart(box, "XAN database")


def test_a_second_sandbox_lives_beside_the_first_and_going_down_leaves_nothing_running(box, tmp_path):
    other = tmp_path / "other"
    assert main(["sandbox", "up", str(other)]) == 0
    started = read_processes(other)
    assert all(process.alive for process in started.values())
    assert len(_processes_that_name(other)) >= len(started)
    assert main(["sandbox", "down", str(other)]) == 0
    assert main(["sandbox", "down", str(other)]) == 0
    assert not any(process.alive for process in started.values())
    assert not (other / "sandbox.json").exists()
    assert _processes_that_name(other) == []
    assert {part.status for part in lifecycle.status(box)} == {"SERVING"}


def test_a_part_that_cannot_start_ends_up_with_its_log_and_leaves_nothing_running(tmp_path, monkeypatch):
    begin = lifecycle.start

    def sabotaged(name, arguments, log):
        return begin(name, (*arguments, "--nonsense") if name == "XBO gateway" else arguments, log)

    monkeypatch.setattr(lifecycle, "start", sabotaged)
    with pytest.raises(Failure, match="XBO gateway ended") as failure:
        lifecycle.up(tmp_path / "box")
    assert "No such option" in str(failure.value)
    assert _processes_that_name(tmp_path / "box") == []
    assert not (tmp_path / "box").exists()


def test_an_interrupted_start_leaves_nothing_running(tmp_path):
    command = [sys.executable, "-m", "bandung.federation", "sandbox", "up", str(tmp_path / "box")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(_processes_that_name(tmp_path / "box")) < 3 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert _processes_that_name(tmp_path / "box") == []


def _processes_that_name(directory: Path) -> list[str]:
    """Every process of this machine whose command line names the directory."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "stat=", "-o", "args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if str(directory) in line and not line.startswith("Z")]
