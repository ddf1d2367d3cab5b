"""The command line: what it prints, how it ends, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
import typer.main

from bandung.federation.cli import composed, main
from bandung.gateway.cli import console
from bandung.gateway.cli.console import ExitCode
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.version import __version__

CSV = "id,Region,age,income\n" + "".join(
    f"{n},{'north' if n % 3 else 'south'},{18 + n % 60},{n % 97 + 0.5}\n" for n in range(1, 601)
)
DECLARATION = """
[dataset]
name = "people"
title = "People"
description = "For a test."
licence = "CC0-1.0"
country = "IDN"
period = "2026"
[source]
connector = "files"
relation = "people.csv"
[unit]
name = "person"
column = "id"
[columns.region]
role = "dimension"
source = "Region"
codes = [{ code = "north" }, { code = "south" }]
[columns.income]
role = "measure"
range = [0, 100]
decimals = 1
[policy]
kind = "table-builder"
"""


@pytest.fixture
def node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    directory = tmp_path / "node"
    assert main(["gateway", "init", str(directory), "--member", "IDN", "--trust-domain", "idn.example"]) == 0
    (tmp_path / "people.csv").write_text(CSV)
    (tmp_path / "people.toml").write_text(DECLARATION)
    capsys.readouterr()
    return directory


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_version_is_told(capsys):
    assert run(capsys, "--version") == (0, f"bandung {__version__}\n", "")


def test_without_a_command_the_commands_are_listed(capsys):
    code, out, err = run(capsys)
    assert code == ExitCode.USAGE
    assert "A country's gateway" in out + err


@pytest.mark.parametrize("words", [["nonsense"], ["gateway", "init"], ["gateway", "run"], ["ledger", "show"]])
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "Traceback" not in err
    assert err


def test_a_refusal_is_a_sentence_on_standard_error(capsys, node):
    code, out, err = run(capsys, "gateway", "init", node, "--member", "IDN", "--trust-domain", "idn.example")
    assert (code, out) == (ExitCode.REFUSED, "")
    assert "B504" in err
    assert "not empty" in err
    assert "never overwritten" in err


def test_every_wrong_setting_on_the_command_line_is_named(capsys, tmp_path):
    code, _, err = run(capsys, "gateway", "init", tmp_path / "x", "--member", "indo", "--trust-domain", "Not A Domain")
    assert code == ExitCode.REFUSED
    assert "member.id" in err
    assert "member.trust_domain" in err
    assert not (tmp_path / "x").exists()


def test_a_defect_is_no_traceback_unless_one_is_asked_for(capsys, monkeypatch):
    broken = typer.Typer()

    @broken.command()
    def fail() -> None:
        raise RuntimeError("the detail")

    assert console.run(broken, []) == ExitCode.DEFECT
    err = capsys.readouterr().err
    assert "RuntimeError: the detail" in err
    assert "Traceback" not in err
    monkeypatch.setenv("BANDUNG_TRACEBACK", "1")
    console.run(broken, [])
    assert "Traceback" in capsys.readouterr().err


def test_a_sealed_ledger_ends_with_the_code_that_says_try_later(capsys):
    sealed = typer.Typer()

    @sealed.command()
    def fail() -> None:
        raise Refusal(ErrorKind.SEALED, private="disk 7 is full")

    assert console.run(sealed, []) == ExitCode.UNAVAILABLE
    assert "disk 7 is full" in capsys.readouterr().err


def test_a_dataset_goes_from_file_to_agreement_and_stands_in_the_ledger(capsys, node, tmp_path):
    assert run(capsys, "dataset", "check", tmp_path / "people.toml")[0] == 0
    code, out, _ = run(capsys, "dataset", "publish", tmp_path / "people.toml", "--gateway", node, "--json")
    assert (code, json.loads(out)["epoch"]) == (0, "people@1")
    principal = "spiffe://idn.example/analyst/*"
    code, out, _ = run(capsys, "agreement", "draft", "people", "--gateway", node, "--principal", principal)
    assert code == 0
    (tmp_path / "agreement.toml").write_text(out)
    code, _, err = run(capsys, "agreement", "put", tmp_path / "agreement.toml", "--gateway", node, "--reason", "signed")
    assert (code, err) == (0, "")
    for act, state in (("suspend", "SUSPENDED"), ("resume", "ACTIVE"), ("end", "ENDED")):
        code, out, _ = run(capsys, "agreement", act, "agreement-1", "--gateway", node, "--reason", "because", "--json")
        assert (code, json.loads(out)["state"]) == (0, state)
    assert run(capsys, "dataset", "withdraw", "people", "--gateway", node, "--reason", "wrong file")[0] == 0
    entries = json.loads(run(capsys, "ledger", "show", "--gateway", node, "--json")[1])["entries"]
    kinds = [entry["kind"] for entry in entries]
    assert kinds == ["dataset.published", *["agreement.changed"] * 4, "dataset.withdrawn"]
    assert {entry["principal"].split(":")[0] for entry in entries} == {"local"}
    assert entries[-1]["body"]["reason"] == "wrong file"
    assert run(capsys, "ledger", "verify", "--gateway", node)[0] == 0


def test_what_has_ended_stays_ended(capsys, node, tmp_path):
    code, _, err = run(capsys, "agreement", "resume", "nothing", "--gateway", node, "--reason", "why not")
    assert code == ExitCode.REFUSED
    assert "B211" in err


def test_data_that_break_the_declaration_are_counted_and_never_shown(capsys, tmp_path):
    (tmp_path / "people.csv").write_text(CSV.replace("south", "s3cr3t"))
    (tmp_path / "people.toml").write_text(DECLARATION)
    code, out, err = run(capsys, "dataset", "check", tmp_path / "people.toml", "--json")
    assert code == ExitCode.NOT_WELL
    (violation,) = json.loads(out)["violations"]
    assert (violation["column"], violation["count"]) == ("region", 200)
    assert "s3cr3t" not in out + err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "people.toml: No such file or directory. Name a file that can be read."),
        (b"a = b", "Correct the file there; texts stand in quotes."),
        (b'a = "\xff"', "people.toml: not UTF-8. Save the file in UTF-8."),
    ],
)
def test_a_declaration_that_cannot_be_read_says_what_to_do_about_the_file(capsys, tmp_path, content, words):
    if content is not None:
        (tmp_path / "people.toml").write_bytes(content)
    code, _, err = run(capsys, "dataset", "check", tmp_path / "people.toml")
    assert (code, err[:5]) == (ExitCode.REFUSED, "B501:")
    assert err.endswith(f"{words}\n")


def published(tmp_path: Path, complete: bool) -> Path:
    """People by region and whether they earn much, of whom the last region has four."""
    people = "".join(
        f"{n},{'east' if n > 596 else 'north' if n % 3 else 'south'},{n % 97 + 0.5}\n" for n in range(1, 601)
    )
    (tmp_path / "people.csv").write_text(f"id,Region,income\n{people}")
    declaration = DECLARATION.replace('{ code = "south" }', '{ code = "south" }, { code = "east" }')
    tables = (
        'kind = "published-tables"\ntables = [{ group_by = ["region"], statistics = ["count"], complete = COMPLETE }]'
    )
    tables = tables.replace("COMPLETE", str(complete).lower())
    file = tmp_path / "tables.toml"
    file.write_text(declaration.replace('kind = "table-builder"', tables))
    return file


def test_registered_tables_are_audited_at_home_and_nothing_is_published(capsys, node, tmp_path):
    file = published(tmp_path, complete=False)
    code, out, _ = run(capsys, "dataset", "tables", file, "--gateway", node)
    assert code == ExitCode.DONE
    assert "count by region: 3 cells, 1 sensitive, 1 withheld for their sake" in out
    assert "count of region=east (primary): " in out
    assert out.endswith("The tables of people can be published.\n")
    code, out, _ = run(capsys, "dataset", "tables", file, "--gateway", node, "--json")
    assert {number["kind"] for number in json.loads(out)["withheld"]} == {"primary", "secondary"}
    assert not list(node.glob(".tables-*"))
    assert run(capsys, "dataset", "withdraw", "people", "--gateway", node, "--reason", "x")[0] == ExitCode.REFUSED


def test_tables_that_give_way_are_named_and_refused(capsys, node, tmp_path):
    file = published(tmp_path, complete=True)
    code, out, _ = run(capsys, "dataset", "tables", file, "--gateway", node, "--json")
    assert code == ExitCode.NOT_WELL
    assert json.loads(out)["giving_way"] == [{"group_by": ["region"], "statistic": "count", "cell": ["east"]}]
    code, _, err = run(capsys, "dataset", "publish", file, "--gateway", node)
    assert code == ExitCode.REFUSED
    assert "B506" in err
    assert "count of region=east" in err


def test_an_admission_with_another_fingerprint_changes_nothing(capsys, node, tmp_path):
    other = tmp_path / "phl"
    assert run(capsys, "gateway", "init", other, "--member", "PHL", "--trust-domain", "phl.example")[0] == 0
    words = ["gateway", "admit", node, other / "member.json"]
    assert run(capsys, *words, "--fingerprint", "00" * 32)[0] == ExitCode.REFUSED
    assert [path.name for path in (node / "members").iterdir()] == ["IDN.json"]
    code, out, _ = run(capsys, *words, "--json")
    assert (code, json.loads(out)["member"]) == (0, "PHL")
    assert (node / "trust" / "phl.example.pem").exists()


def test_status_of_a_gateway_that_does_not_run_is_not_well(capsys, node):
    (node / "gateway.toml").write_text((node / "gateway.toml").read_text().replace("0.0.0.0:8815", "127.0.0.1:1"))
    code, out, _ = run(capsys, "gateway", "status", node, "--json")
    assert (code, json.loads(out)["status"]) == (ExitCode.NOT_WELL, "UNREACHABLE")


def test_a_coordinator_is_founded_and_couriers_join_it(capsys, node, tmp_path):
    place = tmp_path / "coordinator"
    assert run(capsys, "coordinator", "init", place, "--public-address", "localhost:9092")[0] == 0
    assert run(capsys, "coordinator", "admit", place, node / "member.json")[0] == 0
    assert (place / "state" / "nodes" / "IDN.pub").read_bytes() == (node / "courier" / "node.pub").read_bytes()
    assert run(capsys, "courier", "join", node, place / "coordinator.json")[0] == 0
    from bandung.federation.courier.config import load_courier_config

    config = load_courier_config(node / "courier" / "courier.toml")
    assert (config.member, config.superlink, config.gateway) == ("IDN", "localhost:9092", "127.0.0.1:8815")
    assert config.node_key.is_file()
    assert config.gateway_credentials.certificate.is_file()
    assert oct((place / "token").stat().st_mode & 0o777) == "0o600"


def test_a_coordinator_that_is_away_ends_with_the_code_that_says_try_later(capsys, tmp_path):
    place = tmp_path / "coordinator"
    words = ["--public-address", "localhost:9092", "--internal-listen", "127.0.0.1:1"]
    assert run(capsys, "coordinator", "init", place, *words)[0] == 0
    code, _, err = run(capsys, "job", "status", "--coordinator", place)
    assert code == ExitCode.UNAVAILABLE
    assert "cannot be reached" in err


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_and_every_option_is_explained():
    group = typer.main.get_command(composed())
    assert isinstance(group, click.Group)
    for path, command in commands(group):
        assert command.help, path
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (path, parameter.name)


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    [
        "from bandung.federation.cli import main; main(['--version'])",
        "from bandung.federation.cli import composed; composed(); import bandung.gateway.app as a;"
        " import bandung.gateway.server.listener, bandung.gateway.service.query, bandung.gateway.service.training,"
        " bandung.gateway.store.epochs",
    ],
    ids=["version", "gateway"],
)
def test_a_gateway_pays_for_neither_flower_nor_plots(statement):
    assert loaded_after(statement) & {"flwr", "matplotlib", "pandas", "polars"} == set()


def test_the_version_needs_no_engine():
    loaded = loaded_after("from bandung.federation.cli import main; main(['--version'])")
    assert loaded & {"duckdb", "pyarrow", "sqlalchemy", "grpc", "sqlglot", "numpy"} == set()
