"""`sandbox.json`: where everything of a sandbox is. Written last, so whoever finds it finds a running sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from bandung.federation.sandbox.processes import Process
from bandung.federation.training.durable import write_atomically
from bandung.gateway.domain.errors import ErrorKind, Refusal

SANDBOX_FILE = "sandbox.json"
_PROCESSES_FILE = "processes.json"
_PUBLIC_MODE = 0o644


@dataclass(frozen=True, slots=True)
class SandboxPrincipal:
    """An identity of a sandbox: its URI and the PEM files of its certificate and key."""

    uri: str
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class SandboxNode:
    """A country of a sandbox.

    Attributes:
        flight_uri: for Flight SQL clients.
        address: `host:port` of the same listener, for gRPC.
        ca: PEM file of the country's authority.
        directory: of its gateway.
        principals: `analyst-1`, `analyst-2`, `custodian`, `auditor`, `courier`.
        pids: of `gateway` and `courier`.
    """

    flight_uri: str
    address: str
    ca: str
    trust_domain: str
    directory: str
    principals: Mapping[str, SandboxPrincipal]
    pids: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class SandboxCoordinator:
    """The coordinator of a sandbox.

    Attributes:
        address: `host:port` for jobs; the token is demanded there.
        public_address: `host:port` for couriers.
        ca: PEM file of its authority.
        token_file: the bearer token.
        directory: what `--coordinator` of the job commands takes.
    """

    address: str
    public_address: str
    ca: str
    token_file: str
    directory: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A whole federation on loopback."""

    directory: Path
    members: Mapping[str, SandboxNode]
    coordinator: SandboxCoordinator

    def write(self) -> None:
        """Write `sandbox.json`, whole or not at all."""
        members = {name: asdict(node) for name, node in self.members.items()}
        document = {"members": members, "coordinator": asdict(self.coordinator)}
        content = json.dumps(document, indent=2, ensure_ascii=False).encode()
        write_atomically(self.directory / SANDBOX_FILE, content, mode=_PUBLIC_MODE)


def read_sandbox(directory: Path) -> Sandbox:
    """Read a sandbox's document.

    Raises:
        Refusal: BAD_CONFIGURATION if there is no sandbox.
    """
    try:
        document: dict[str, Any] = json.loads((directory / SANDBOX_FILE).read_bytes())
    except OSError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{directory} holds no running sandbox.") from error
    return _SANDBOX.validate_python({**document, "directory": directory})


_SANDBOX = TypeAdapter(Sandbox)


def write_processes(directory: Path, processes: Mapping[str, Process]) -> None:
    """Note what was started, so that it can be stopped whatever happens to who started it."""
    content = [{**asdict(process), "log": str(process.log)} for process in processes.values()]
    write_atomically(directory / _PROCESSES_FILE, json.dumps(content, indent=2).encode())


def read_processes(directory: Path) -> dict[str, Process]:
    """Return what was started, by name; empty if nothing was."""
    try:
        content: list[dict[str, Any]] = json.loads((directory / _PROCESSES_FILE).read_bytes())
    except FileNotFoundError:
        return {}
    return {fields["name"]: _process(fields) for fields in content}


def _process(fields: dict[str, Any]) -> Process:
    return Process(fields["name"], fields["pid"], fields["born"], tuple(fields["arguments"]), Path(fields["log"]))
