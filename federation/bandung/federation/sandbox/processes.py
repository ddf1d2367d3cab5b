"""The processes of a sandbox: each in a session of its own, known by pid and birth, stopped for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

_POLL_S = 0.05
_LOG_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was started.

    Attributes:
        name: for people, for instance `IDN gateway`.
        born: when the kernel started it, in its own ticks: tells a process from a later one with the same pid.
        arguments: of the command `bandung`.
        log: file with its standard output and error.
    """

    name: str
    pid: int
    born: str
    arguments: tuple[str, ...]
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return bool(self.born) and _born(self.pid) == self.born

    def tail(self) -> str:
        """Return the end of its log."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_LOG_TAIL_LINES:])


def start(name: str, arguments: Sequence[str], log: Path) -> Process:
    """Start `bandung <arguments>` with its output in a log file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603  (our own program)
            [sys.executable, "-m", "bandung.federation", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    process = Process(name, popen.pid, _born(popen.pid), tuple(arguments), log)
    # `Popen` would warn at its end of life about a child that outlives it; outliving is the point.
    popen.returncode = 0
    return process


def stop(processes: Iterable[Process], grace_s: float) -> None:
    """Stop processes: all politely at once, then by force whoever is left after `grace_s` seconds."""
    left = [process for process in processes if process.alive]
    for process in left:
        _signal(process, signal.SIGTERM)
    left = _wait_gone(left, grace_s)
    for process in left:
        _signal(process, signal.SIGKILL)
    _wait_gone(left, grace_s)


def _wait_gone(processes: list[Process], seconds: float) -> list[Process]:
    deadline = monotonic() + seconds
    while (processes := [process for process in processes if process.alive]) and monotonic() < deadline:
        sleep(_POLL_S)
    return processes


def _signal(process: Process, number: signal.Signals) -> None:
    # Its session is its own, so the group holds it and its children only.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _born(pid: int) -> str:
    """Return the start time of a living process in clock ticks since boot, or nothing if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _born_elsewhere(pid)
    state, born = fields[0], fields[19]
    return "" if state in {"Z", "X"} else born


def _born_elsewhere(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        return ""
    ps = subprocess.run(  # noqa: S603  (a fixed command)
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, born = ps.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else born.strip()
