"""Brings a sandbox up, tells how it is, and takes it down without a trace of processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from bandung.federation.app import coordinator_client
from bandung.federation.sandbox import example
from bandung.federation.sandbox.compose import compose
from bandung.federation.sandbox.document import (
    SANDBOX_FILE,
    Sandbox,
    read_processes,
    read_sandbox,
    write_processes,
)
from bandung.federation.sandbox.members import read_members_file
from bandung.federation.sandbox.processes import Process, start, stop
from bandung.federation.superlink.client import CoordinatorError
from bandung.gateway.app import clock, probe
from bandung.gateway.cli.console import ExitCode, Failure
from bandung.gateway.config import NodeDirectory
from bandung.gateway.pki.founding import vacant

_LOOK_S = 0.2
_GRACE_S = 10.0
_COORDINATOR = "coordinator"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A process of a sandbox, and how it is: `SERVING`, `NOT_SERVING`, or `STOPPED`."""

    name: str
    pid: int
    status: str


def up(
    directory: Path,
    members_file: Path | None = None,
    wait_s: float = 120.0,
    progress: Progress = lambda _: None,
    given_up: Callable[[], bool] = lambda: False,
) -> Sandbox:
    """Start a whole federation on loopback; returns when all of it is healthy.

    Args:
        members_file: whose data; without it, two small synthetic countries.
        wait_s: how long the processes may take to become healthy, in seconds.
        progress: told in a few words what is being done.
        given_up: asked again and again whether to stop. An exception from a signal handler would do, if it could not
            get lost in a callback of native code.

    Raises:
        KeyboardInterrupt: given up; nothing is left behind.
        Refusal: BAD_CONFIGURATION or what a declaration does not hold; nothing is left behind.
        Failure: a process ended or did not become healthy in time, with the end of its log; nothing is left behind.
    """
    directory = directory.resolve()
    vacant(directory)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        members = read_members_file(members_file or example.write(directory / "example"))
        progress(f"founding {', '.join(members)}")
        sandbox = compose(directory, members, clock())
        progress("starting gateways, couriers and the coordinator")
        return _launch(sandbox, monotonic() + wait_s, given_up)
    except BaseException:
        stop(read_processes(directory).values(), _GRACE_S)
        shutil.rmtree(directory, ignore_errors=True)
        raise


def down(directory: Path) -> None:
    """Stop every process of a sandbox. Doing it again changes nothing; what was recorded stays."""
    (directory / SANDBOX_FILE).unlink(missing_ok=True)
    stop(read_processes(directory).values(), _GRACE_S)


def status(directory: Path) -> list[Part]:
    """Tell how each process of a sandbox is; empty if none was ever started here."""
    return [Part(name, process.pid, _status(directory, process)) for name, process in read_processes(directory).items()]


def restart(directory: Path, name: str, wait_s: float = 60.0) -> Sandbox:
    """Start a process of a running sandbox again, whether it still runs or not.

    Args:
        name: `coordinator`, `<member> gateway` or `<member> courier`.

    Raises:
        Failure: there is no such process, or it did not become healthy.
        Refusal: BAD_CONFIGURATION if no sandbox runs here.
    """
    directory = directory.resolve()
    sandbox, processes = read_sandbox(directory), read_processes(directory)
    if name not in processes:
        raise Failure(f"There is no {name!r}; there are: {', '.join(processes)}.")
    stop([processes[name]], _GRACE_S)
    processes[name] = start(name, processes[name].arguments, processes[name].log)
    write_processes(directory, processes)
    _await(directory, {name: processes[name]}, monotonic() + wait_s)
    return _noted(sandbox, processes)


def _launch(sandbox: Sandbox, deadline: float, given_up: Callable[[], bool]) -> Sandbox:
    processes: dict[str, Process] = {}
    commands = {_COORDINATOR: ("coordinator", "run", sandbox.coordinator.directory)}
    commands |= {f"{name} gateway": ("gateway", "run", node.directory) for name, node in sandbox.members.items()}
    couriers = {
        f"{name} courier": ("courier", "run", str(NodeDirectory(Path(node.directory)).courier))
        for name, node in sandbox.members.items()
    }
    for name, arguments in {**commands, **couriers}.items():
        log = sandbox.directory / name.split()[0] / "log" / f"{name.split()[-1]}.log"
        processes[name] = start(name, arguments, log)
        write_processes(sandbox.directory, processes)
    _await(sandbox.directory, processes, deadline, given_up)
    return _noted(sandbox, processes)


def _noted(sandbox: Sandbox, processes: Mapping[str, Process]) -> Sandbox:
    members = {
        name: replace(node, pids={kind: processes[f"{name} {kind}"].pid for kind in ("gateway", "courier")})
        for name, node in sandbox.members.items()
    }
    running = replace(
        sandbox, members=members, coordinator=replace(sandbox.coordinator, pid=processes[_COORDINATOR].pid)
    )
    running.write()
    return running


def _await(
    directory: Path,
    processes: Mapping[str, Process],
    deadline: float,
    given_up: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until all are healthy.

    Raises:
        KeyboardInterrupt: given up.
        Failure: one ended, or the time is over.
    """
    waiting = dict(processes)
    while waiting:
        for process in list(waiting.values()):
            if given_up():
                raise KeyboardInterrupt
            if not process.alive:
                raise _failure(process, "ended")
            if _status(directory, process) == "SERVING":
                del waiting[process.name]
        if waiting and monotonic() > deadline:
            raise _failure(next(iter(waiting.values())), "did not become healthy in time")
        sleep(_LOOK_S if waiting else 0)


def _failure(process: Process, what: str) -> Failure:
    return Failure(f"{process.name} {what}. The end of its log:\n{process.tail()}", ExitCode.UNAVAILABLE)


def _status(directory: Path, process: Process) -> str:
    if not process.alive:
        return "STOPPED"
    member, _, kind = process.name.partition(" ")
    if kind == "gateway":
        return probe(directory / member).status
    health = _coordinator_health(directory / _COORDINATOR)
    if kind == "courier":
        return "SERVING" if health.get(member) else "NOT_SERVING"
    return "SERVING" if health.get("") else "NOT_SERVING"


def _coordinator_health(directory: Path) -> dict[str, bool]:
    """Return which couriers are connected, and under the empty name whether the coordinator itself serves."""
    try:
        with coordinator_client(directory) as client:
            health = client.health()
    except CoordinatorError:
        return {}
    return {**health["members"], "": health["status"] == "SERVING"}
