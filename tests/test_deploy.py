"""Deployment files that cannot be run here: everything about them that can be checked is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
import yaml

from bandung.federation.app import coordinator_settings
from bandung.federation.cli import composed
from bandung.federation.config import CoordinatorSettings
from bandung.federation.domain.member import members_of
from bandung.gateway.cli.agreement_file import read_agreement
from bandung.gateway.config import GatewayConfig, load_config, read_toml, render_toml, validated

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = sorted(DEPLOY.glob("*.compose.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def command_exists(words: list[str]) -> bool:
    """Whether the words begin with a command of the program; what follows are its arguments."""
    command: click.Command = typer.main.get_command(composed())
    for word in words:
        if not isinstance(command, click.Group):
            return True
        found = command.commands.get(word)
        if found is None:
            return False
        command = found
    return not isinstance(command, click.Group)


def services() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (file.name, name, service)
        for file in COMPOSE
        for name, service in yaml.safe_load(file.read_text())["services"].items()
    ]


def test_there_is_a_compose_file_for_a_node_and_one_for_a_coordinator():
    assert [name for _, name, _ in services()] == ["coordinator", "gateway", "courier"]


@pytest.mark.parametrize(("file", "name", "service"), services())
def test_a_service_runs_a_command_that_exists_and_checks_its_health_by_one(file, name, service):
    assert command_exists(service["command"])
    if "healthcheck" in service:
        program, *command = service["healthcheck"]["test"][1:]
        assert program == "bandung"
        assert command_exists(command)
    else:
        assert name == "courier"


@pytest.mark.parametrize(("file", "name", "service"), services())
def test_a_service_has_no_more_rights_than_it_needs(file, name, service):
    assert service["user"] == "10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_the_courier_of_the_compose_file_sees_its_own_directory_only():
    (courier,) = [service for _, name, service in services() if name == "courier"]
    assert courier["volumes"] == ["./node/courier:/var/lib/bandung/courier:ro"]
    assert courier["network_mode"] == "service:gateway"


def test_a_container_is_given_longer_to_stop_than_the_gateway_takes_to_drain():
    (gateway,) = [service for _, name, service in services() if name == "gateway"]
    drain_s = GatewayConfig.model_fields["limits"].default.drain_s_max
    assert int(gateway["stop_grace_period"].removesuffix("s")) > drain_s + 5
    unit = (DEPLOY / "systemd" / "bandung-gateway@.service").read_text()
    assert int(re.findall(r"TimeoutStopSec=(\d+)s", unit)[0]) > drain_s + 5


def test_the_container_file_copies_what_exists_and_runs_as_nobody_special():
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    assert copied
    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []
    assert "--require-hashes" in "\n".join(lines)
    assert "USER 10001" in lines
    assert 'ENTRYPOINT ["bandung"]' in lines


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_that_exists_without_any_privilege(unit):
    text = unit.read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    program, *command = shlex.split(start)
    assert program == "/opt/bandung/bin/bandung"
    assert command_exists(command)
    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "User=bandung"):
        assert setting in text.splitlines()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit, tmp_path):
    copy = tmp_path / unit.name.replace("@", "@idn")
    copy.write_text(unit.read_text().replace("/opt/bandung/bin/bandung", "/bin/true"))
    for other in UNITS:
        if other != unit:
            (tmp_path / other.name).write_text(other.read_text().replace("/opt/bandung/bin/bandung", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    about_us = [line for line in done.stderr.splitlines() if copy.name in line or "bandung" in line]
    assert about_us == []


def test_the_examples_are_what_the_init_commands_write():
    settings = validated(
        {
            "member": {"id": "IDN", "country": "IDN", "trust_domain": "idn.example"},
            "network": {"listen": "0.0.0.0:8815", "public_address": "gateway.idn.example:8815"},
        },
        GatewayConfig,
        "test",
    )
    assert load_config(DEPLOY / "example" / "gateway.toml") == settings
    assert (DEPLOY / "example" / "gateway.toml").read_text() == render_toml(settings)
    coordinator = coordinator_settings("0.0.0.0:9092", "coordinator.example:9092", "127.0.0.1:9093")
    assert read_toml(DEPLOY / "example" / "coordinator.toml", CoordinatorSettings) == coordinator
    assert (DEPLOY / "example" / "coordinator.toml").read_text() == render_toml(coordinator)


def test_the_other_examples_can_be_read():
    assert read_agreement(DEPLOY / "example" / "agreement.toml").id == "health-study-2026"
    document = tomllib.loads((DEPLOY / "example" / "members.toml").read_text())
    members = members_of(document, "IDN/ani", DEPLOY / "example")
    assert [member.id for member in members] == ["IDN", "PHL"]
    assert {member.key.name for member in members} == {"analyst-ani.key"}


def documented_commands() -> list[str]:
    text = (ROOT / "docs" / "operate.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("bandung ")]


@pytest.mark.parametrize("line", documented_commands())
def test_every_command_of_the_manual_exists(line):
    assert command_exists(shlex.split(line)[1:])


def test_every_option_in_the_manual_is_one_of_its_command():
    for line in documented_commands():
        words = shlex.split(line)[1:]
        command: click.Command = typer.main.get_command(composed())
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
