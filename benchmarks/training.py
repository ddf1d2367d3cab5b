"""A training round carried by the courier ÷ carried by a stock `flower-supernode` that runs our ClientApp.

The same federation, gateways, job and coordinator; only what carries messages at the countries is exchanged.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bandung.federation.app import coordinator_client
from bandung.federation.domain.job_file import certificate_uri, read_job, sign
from bandung.federation.sandbox.document import Sandbox, SandboxNode, read_processes
from bandung.federation.sandbox.lifecycle import down, up
from bandung.federation.sandbox.processes import stop
from bandung.gateway.app import clock
from bandung.gateway.client import GatewayClient, Identity
from bandung.gateway.client.jobs import Decision, read_envelope
from bandung.gateway.config import NodeDirectory
from benchmarks.protection import Say
from benchmarks.report import Section

TARGET = 0.25
_WAIT_S = 120.0
_JOB = """
name = "{name}"
purpose = "How long a round takes."
family = "binomial"
target = "place=urban"
features = ["log(income)", "persons"]
country_intercepts = true
cohort_min = 2
rounds_max = 15
tolerance = 1e-9

[datasets]
"""


def measure(directory: Path, say: Say) -> list[Section]:
    """Fit the same model by couriers and by stock SuperNodes."""
    place = directory / "federation"
    say("starting a coordinator and two countries of 6,000 synthetic households each")
    sandbox = up(place, progress=lambda _: None)
    try:
        seconds = {"courier": _fit(sandbox, "by couriers", say)}
        processes = read_processes(place)
        stop([process for name, process in processes.items() if name.endswith("courier")], 10.0)
        with _supernodes(sandbox):
            seconds["stock SuperNode"] = _fit(sandbox, "by SuperNodes", say)
    finally:
        down(place)
    return [_table(seconds)]


def _fit(sandbox: Sandbox, name: str, say: Say) -> list[float]:
    """Run a job and return the seconds of each of its rounds."""
    coordinator = Path(sandbox.coordinator.directory)
    _await_online(coordinator, sandbox)
    author = next(iter(sandbox.members.values())).principals["analyst-1"]
    certificate, key = Path(author.certificate).read_bytes(), Path(author.key).read_bytes()
    text = _JOB.format(name=name.replace(" ", "-")) + "".join(
        f'{member} = "households"\n' for member in sandbox.members
    )
    created = clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = sign(read_job(text, certificate_uri(certificate), created), certificate, key)
    with coordinator_client(coordinator) as client:
        job = client.submit(document)
        for node in sandbox.members.values():
            _consent(node, read_envelope(document).digest)
        events = list(client.events(job))
    if events[-1].get("state") != "COMPLETED":
        raise RuntimeError(f"the job {name} did not complete: {events[-1]}")
    seconds = _rounds(events)
    say(f"{name}: {len(seconds)} rounds, median {statistics.median(seconds):.2f} s")
    return seconds


def _rounds(events: list[dict[str, Any]]) -> list[float]:
    """Return the seconds between one step of the model and the next: a round of all countries."""
    at = [datetime.fromisoformat(event["at"].replace("Z", "+00:00")) for event in events if event["type"] == "step"]
    return [(after - before).total_seconds() for before, after in itertools.pairwise(at)]


def _consent(node: SandboxNode, job: str) -> None:
    custodian = node.principals["custodian"]
    deadline = time.monotonic() + _WAIT_S
    identity = Identity(Path(node.ca), Path(custodian.certificate), Path(custodian.key))
    with GatewayClient(node.address, identity) as client:
        while all(known.digest != job for known in client.jobs()):
            if time.monotonic() > deadline:
                raise RuntimeError("a country was never asked for its consent")
            time.sleep(0.1)
        client.decide(job, Decision.CONSENTED, "measurement")


@contextmanager
def _supernodes(sandbox: Sandbox) -> Generator[None]:
    with ExitStack() as running:
        for name, node in sandbox.members.items():
            running.callback(_end, _supernode(sandbox, name, node))
        yield


def _supernode(sandbox: Sandbox, name: str, node: SandboxNode) -> subprocess.Popen[bytes]:
    courier, gateway = NodeDirectory(Path(node.directory)).courier, NodeDirectory(Path(node.directory))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = str(holder.getsockname()[1])
    options: Mapping[str, object] = {
        "--superlink": sandbox.coordinator.public_address,
        "--root-certificates": sandbox.coordinator.ca,
        "--auth-supernode-private-key": courier / "node.key",
        "--host": "127.0.0.1",
        "--port": port,
        "--ssl-certfile": gateway.tls[0],
        "--ssl-keyfile": gateway.tls[1],
        "--ssl-ca-certfile": gateway.authority[0],
    }
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_HOME": str(sandbox.directory / f"flower-{name}"),
        "BANDUNG_COURIER_CONFIG": str(courier / "courier.toml"),
    }
    command = [str(programs / "flower-supernode"), *(str(part) for option in options.items() for part in option)]
    with (sandbox.directory / f"supernode-{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_online(coordinator: Path, sandbox: Sandbox) -> None:
    deadline = time.monotonic() + _WAIT_S
    with coordinator_client(coordinator) as client:
        while not all(client.health()["members"].get(name) for name in sandbox.members):
            if time.monotonic() > deadline:
                raise RuntimeError("the countries' nodes did not come online")
            time.sleep(0.2)


def _table(seconds: Mapping[str, list[float]]) -> Section:
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    rows = [[name, str(len(found)), f"{medians[name]:.2f}", f"{max(found):.2f}"] for name, found in seconds.items()]
    share = medians["courier"] / medians["stock SuperNode"]
    rows.append(["courier ÷ SuperNode", "", f"{share:.3f}", ""])
    return Section(
        "(c) Seconds per round of training: a logistic model, two countries",
        ["carried by", "rounds", "median", "slowest"],
        rows,
        [f"Target: at most {TARGET}. A round is from one step of the model to the next, masks and record included."],
    )
