"""Gateways to measure: founded, filled and run by the same acts as a country's own."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

from bandung.federation.app import found_node
from bandung.federation.sandbox.processes import Process, start, stop
from bandung.gateway.app import agreement_desk, clock, open_stores, probe
from bandung.gateway.cli.agreement_file import everything
from bandung.gateway.config import GatewayConfig, NodeDirectory, validated
from bandung.gateway.domain.ledger import Commit, Receipt, StoredAnswer
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.pki.founding import Identity, issue_identity
from bandung.gateway.service.catalogue import CatalogueDesk
from bandung.gateway.service.ports import Ledger
from bandung.gateway.service.query import QueryDesk
from bandung.gateway.store.epochs import OpenEpochs
from bandung.gateway.store.snapshot import SnapshotFiles
from bandung.gateway.store.sources import Sources

CLIENTS_MAX = 64
ENGINE_MEMORY_MIB_MAX, ENGINE_THREADS_MAX = 1024, 2
ENGINE: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": f"{ENGINE_MEMORY_MIB_MAX}MiB",
    "threads": ENGINE_THREADS_MAX,
}
"""What DuckDB may take in a comparison, the same as inside the gateway."""
_TRUST_DOMAIN = "bench.example"
_DAYS = 2
_HEALTHY_S = 60.0
_GRACE_S = 20.0

ANALYST = Principal(_TRUST_DOMAIN, Role.ANALYST, "measurer")


@dataclass(frozen=True, slots=True)
class Published:
    """A gateway's directory with one dataset in it.

    Attributes:
        seconds: that `bandung dataset publish` took, start of the process included.
        peak_mib: most memory that it had resident.
    """

    node: NodeDirectory
    dataset: str
    identity: Identity
    address: str
    seconds: float
    peak_mib: float

    @property
    def snapshot(self) -> Path:
        """The file of the dataset's first epoch."""
        return self.node.snapshots / self.dataset / "1.duckdb"


def publish(directory: Path, dataset: str, declaration: Path) -> Published:
    """Found a gateway that lets `CLIENTS_MAX` callers in at once, publish, and let `ANALYST` ask everything."""
    now = clock()
    address = f"127.0.0.1:{_free_port()}"
    found_node(directory, _config(address), now)
    node = NodeDirectory(directory)
    identity = issue_identity(node, ANALYST, _DAYS, directory / "keys", now)
    seconds, peak_mib = _run_to_end("dataset", "publish", str(declaration), "--gateway", str(directory))
    with open_stores(directory) as stores:
        datasets = [epoch.dataset for epoch in stores.catalogue.all_current()]
        agreement = everything("bench", "measurement", (ANALYST.uri,), datasets, now + dt.timedelta(days=_DAYS))
        agreement_desk(stores).put(stores.operator, agreement, "measurement", stores.exchange())
    return Published(node, dataset, identity, address, seconds, peak_mib)


class Forgetful:
    """A real ledger that writes everything durably, but never finds an answer again: every query is a new one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.entries, self.head, self.remaining = ledger.entries, ledger.head, ledger.remaining

    def answer(self, key: str) -> StoredAnswer | None:
        """Find nothing."""
        del key

    def commit(self, commit: Commit) -> Receipt:
        """Write the event, its charges and nothing to be found under the answer's key."""
        answer = commit.answer
        if answer is not None:
            answer = replace(answer, key=f"{answer.key}/{time.monotonic_ns()}")
        return self._ledger.commit(replace(commit, answer=answer))


@dataclass(frozen=True, slots=True)
class Desk:
    """A gateway's inside without its listener."""

    queries: QueryDesk
    catalogue: CatalogueDesk
    epochs: OpenEpochs
    dataset_key: bytes


@contextmanager
def open_desk(published: Published, *, forgetful: bool = False) -> Generator[Desk]:
    """Open the gateway's query desk in this process, composed as `bandung gateway run` does."""
    with open_stores(published.node.root) as stores:
        snapshots = SnapshotFiles(published.node.snapshots, ENGINE_MEMORY_MIB_MAX, ENGINE_THREADS_MAX)
        catalogue = CatalogueDesk(_TRUST_DOMAIN, stores.catalogue, stores.agreements)
        with closing(OpenEpochs(snapshots, Sources(os.environ))) as epochs:
            queries = QueryDesk(
                member=stores.config.member.id,
                finder=catalogue,
                agreements=stores.agreements,
                epochs=epochs,
                ledger=Forgetful(stores.ledger) if forgetful else stores.ledger,
                secrets=stores.secrets,
                clock=stores.clock,
            )
            yield Desk(queries, catalogue, epochs, stores.secrets.dataset_key(published.dataset))


@contextmanager
def running(published: Published) -> Generator[Process]:
    """Run the gateway as a process of its own until it is no longer needed."""
    root = published.node.root
    process = start("gateway", ("gateway", "run", str(root)), root / "log" / "gateway.log")
    try:
        _await_health(published, process)
        yield process
    finally:
        stop([process], _GRACE_S)


def _config(address: str) -> GatewayConfig:
    document = {
        "member": {"id": "XAN", "country": "XAN", "trust_domain": _TRUST_DOMAIN},
        "network": {"listen": address, "public_address": address},
        "limits": {"calls_per_principal_max": 2 * CLIENTS_MAX, "threads_max": CLIENTS_MAX},
        "engine": {"memory_mib_max": ENGINE_MEMORY_MIB_MAX, "threads_max": ENGINE_THREADS_MAX},
    }
    return validated(document, GatewayConfig, "benchmark")


def _run_to_end(*arguments: str) -> tuple[float, float]:
    """Run `bandung <arguments>` and return its seconds and its peak of resident memory in MiB."""
    began = time.perf_counter()
    with TemporaryFile() as said:
        command = [sys.executable, "-m", "bandung.federation", *arguments]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"bandung {' '.join(arguments)}: {said.read().decode(errors='replace')[-2000:]}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def _await_health(published: Published, process: Process) -> None:
    deadline = time.monotonic() + _HEALTHY_S
    while probe(published.node.root).status != "SERVING":
        if not process.alive or time.monotonic() > deadline:
            raise RuntimeError(f"the gateway did not become healthy:\n{process.tail()}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])
