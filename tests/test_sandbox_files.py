"""What a sandbox is told, what it notes, and how it deals with processes: without starting a federation."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bandung.federation.sandbox import example, processes
from bandung.federation.sandbox.document import read_processes, read_sandbox, write_processes
from bandung.federation.sandbox.lifecycle import down, status, up
from bandung.federation.sandbox.members import read_members_file
from bandung.federation.sandbox.processes import Process, stop
from bandung.gateway.app import check_dataset, read_declaration
from bandung.gateway.domain.errors import ErrorKind, Refusal

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def a_process(code: str, log: Path) -> Process:
    with log.open("wb") as output:
        popen = subprocess.Popen([sys.executable, "-c", code], stdout=output, start_new_session=True)
    process = Process("test", popen.pid, processes._born(popen.pid), (), log)
    popen.returncode = 0
    return process


def test_the_example_is_the_same_every_time_and_holds_what_it_declares(tmp_path):
    members = read_members_file(example.write(tmp_path / "one"))
    example.write(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    assert len(members) == 2
    for member in members.values():
        for file in member.datasets:
            assert "synthetic" in read_declaration(file).title
            assert check_dataset(read_declaration(file)).violations == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "members"),
        ("[members.IDN]\ndatasets = []", "datasets"),
        ("[members.idn]\ndatasets = ['a.toml']", "idn"),
        ("[members.IDN]\ndatasets = ['a.toml']\nsurprise = 1", "surprise"),
        ("[members.IDN]\ndatasets = ['missing.toml']", "missing.toml"),
        ("[members]\nIDN = 3", "IDN"),
        ("[members.IDN]\naddress = 'a:1'\nca = 'ca.pem'", r"names the `datasets` \(docs/configuration.md\)"),
    ],
)
def test_a_members_file_that_cannot_be_used_is_refused_by_name(tmp_path, text, named):
    (tmp_path / "members.toml").write_text(text)
    with pytest.raises(Refusal, match=named) as refused:
        read_members_file(tmp_path / "members.toml")
    assert refused.value.kind is ErrorKind.BAD_CONFIGURATION


def test_paths_of_a_members_file_are_relative_to_it(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.toml").touch()
    (tmp_path / "data" / "members.toml").write_text("[members.IDN]\ndatasets = ['a.toml']")
    monkeypatch.chdir(tmp_path)
    members = read_members_file(Path("data/members.toml"))
    assert members["IDN"].datasets == (tmp_path / "data" / "a.toml",)


def test_a_process_that_does_not_want_to_stop_is_stopped(tmp_path):
    process = a_process(STUBBORN, tmp_path / "log")
    while b"up" not in process.log.read_bytes():
        time.sleep(0.02)
    assert process.alive
    stop([process], grace_s=0.3)
    assert not process.alive
    stop([process], grace_s=0.3)


def test_another_process_with_the_same_pid_is_left_alone(tmp_path):
    process = a_process("import time; time.sleep(60)", tmp_path / "log")
    impostor = replace(process, born="1")
    assert not impostor.alive
    stop([impostor], grace_s=0.1)
    assert process.alive
    stop([process], grace_s=5)


def test_what_was_started_is_noted_and_read_back(tmp_path):
    process = a_process("", tmp_path / "log")
    stop([process], grace_s=5)
    write_processes(tmp_path, {"test": process})
    assert read_processes(tmp_path) == {"test": process}


def test_where_nothing_was_started_nothing_is_stopped(tmp_path):
    down(tmp_path)
    assert status(tmp_path) == []
    with pytest.raises(Refusal, match="no running sandbox"):
        read_sandbox(tmp_path)


def test_a_sandbox_is_never_started_over_something_else(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Refusal):
        up(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_data_that_cannot_be_published_leave_nothing_behind(tmp_path):
    members = example.write(tmp_path / "data")
    data = tmp_path / "data" / "households_xan.csv"
    data.write_text(data.read_text().replace("north", "atlantis"))
    with pytest.raises(Refusal) as refused:
        up(tmp_path / "box", members)
    assert refused.value.kind is ErrorKind.DATA_VIOLATES_DECLARATION
    assert not (tmp_path / "box").exists()


def test_sigterm_reaches_children_of_a_process_too(tmp_path):
    parent = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    process = a_process(f"{parent} print(p.pid, flush=True); p.wait()", tmp_path / "log")
    while not process.log.read_bytes().endswith(b"\n"):
        time.sleep(0.02)
    child = int(process.log.read_text())
    stop([process], grace_s=5)
    deadline = time.monotonic() + 5
    while processes._born(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not processes._born(child)
