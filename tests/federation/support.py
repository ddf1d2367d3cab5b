"""A coordinator and couriers as real processes, with TLS made here."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bandung.federation.courier.keys import create_node_key
from bandung.federation.superlink.client import CoordinatorClient, CoordinatorError

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests"
SUPPORT = "tests.federation.echo"
_SHOWN = 'certificate = "../server.pem"\nkey = "../server.key"\n'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_tls(directory: Path) -> None:
    """Write `ca.pem`, `server.pem`, `server.key` for 127.0.0.1."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coordinator")])
    leaf = _certificate(
        name, ca_name, key, ca_key, x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    )
    (directory / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (directory / "server.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (directory / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _certificate(subject, issuer, key, signer, extension):
    now = datetime.now(UTC)  # noqa: TID251
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())


@dataclass
class Process:
    """A child in a process group of its own, with its output in a file."""

    arguments: Sequence[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "FLWR_TELEMETRY_ENABLED": "0", **self.env}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(self.arguments, stdout=output, stderr=output, env=env, start_new_session=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the process and wait for it; what is left of its group is killed."""
        if self.popen is None:
            return 0
        self.popen.send_signal(number)
        try:
            return self.popen.wait(20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
            self.popen = None


@dataclass
class Federation:
    """A coordinator in `directory/coordinator` and couriers in `directory/<member>`."""

    directory: Path
    public_port: int = field(default_factory=free_port)
    internal_port: int = field(default_factory=free_port)
    mutual: bool = False
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def coordinator(self) -> Path:
        return self.directory / "coordinator"

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def client(self) -> CoordinatorClient:
        return CoordinatorClient(f"127.0.0.1:{self.internal_port}", self.ca, TOKEN)

    def start_coordinator(self) -> None:
        process = Process(
            [
                sys.executable,
                "-m",
                "tests.federation.coordinator_process",
                str(self.directory),
                str(self.public_port),
                str(self.internal_port),
                *(["mutual"] if self.mutual else []),
            ],
            self.directory / "coordinator.log",
        )
        self.processes["coordinator"] = process
        process.start()
        self.wait_until(lambda health: health["status"] == "SERVING")

    def admit(self, member: str) -> Path:
        """Make a member's node key, admit it, and write its configuration; return the latter."""
        home = self.directory / member
        home.mkdir()
        pair = create_node_key(home)
        (home / "courier.toml").write_text(
            f'[courier]\nmember = "{member}"\nnode_key = "node.key"\ncarrier = "{SUPPORT}:open_carrier"\n'
            f'[superlink]\naddress = "127.0.0.1:{self.public_port}"\nca = "../ca.pem"\n'
            f"{_SHOWN if self.mutual else ''}"
            '[gateway]\naddress = "unused"\nca = "unused"\ncertificate = "unused"\nkey = "unused"\n'
        )
        nodes = self.coordinator / "nodes"
        nodes.mkdir(parents=True, exist_ok=True)
        (nodes / f"{member}.pub").write_bytes(pair.public.read_bytes())
        return home / "courier.toml"

    def start_courier(self, member: str) -> Process:
        config = self.directory / member / "courier.toml"
        process = Process(
            [sys.executable, "-m", "tests.federation.courier_process", str(config)],
            self.directory / f"{member}.log",
        )
        self.processes[member] = process
        process.start()
        return process

    def start_supernode(self, member: str) -> Process:
        """Start a stock `flower-supernode` in the courier's place."""
        home = self.directory / member
        process = Process(
            [
                str(Path(sys.executable).with_name("flower-supernode")),
                "--superlink",
                f"127.0.0.1:{self.public_port}",
                "--root-certificates",
                str(self.ca),
                "--auth-supernode-private-key",
                str(home / "node.key"),
                "--host",
                "127.0.0.1",
                "--port",
                str(free_port()),
                "--ssl-certfile",
                str(self.directory / "server.pem"),
                "--ssl-keyfile",
                str(self.directory / "server.key"),
                "--ssl-ca-certfile",
                str(self.ca),
            ],
            self.directory / f"{member}.log",
            {"BANDUNG_COURIER_CONFIG": str(home / "courier.toml"), "FLWR_HOME": str(home / "flower")},
        )
        self.processes[member] = process
        process.start()
        return process

    def wait_online(self, *members: str, timeout_s: float = 60.0) -> None:
        self.wait_until(lambda health: all(health["members"].get(m) for m in members), timeout_s)

    def wait_until(self, condition, timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        health = None
        with self.client() as client:
            while time.monotonic() < end:
                try:
                    health = client.health()
                    if condition(health):
                        return
                except CoordinatorError as error:
                    health = error
                time.sleep(0.1)
        raise AssertionError(f"not healthy in time: {health}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in self.directory.glob("*.log"))

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.stop()


@contextmanager
def a_federation(directory: Path, *members: str, mutual: bool = False) -> Iterator[Federation]:
    """A coordinator and one connected courier per member."""
    make_tls(directory)
    (directory / "token").write_text(TOKEN)
    federation = Federation(directory, mutual=mutual)
    try:
        for member in members:
            federation.admit(member)
        federation.start_coordinator()
        for member in members:
            federation.start_courier(member)
        federation.wait_online(*members)
        yield federation
    finally:
        federation.stop()


def an_echo_job(members: Sequence[str], **settings) -> bytes:
    return json.dumps({"kind": "echo", "members": list(members), **settings}).encode()
