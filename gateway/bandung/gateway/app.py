"""Builds a gateway from its directory: the only place that knows which implementation stands behind a port."""

from __future__ import annotations

import datetime as dt
import getpass
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bandung.gateway.config import GatewayConfig, NodeDirectory, load_config
from bandung.gateway.service.agreements import AgreementDesk
from bandung.gateway.store.agreements import SqlAgreements
from bandung.gateway.store.catalogue import SqlCatalogue
from bandung.gateway.store.database import open_database
from bandung.gateway.store.jobs import SqlJobs
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.system import SystemClock, SystemRandomness

if TYPE_CHECKING:
    pass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """What a gateway keeps, open. Several processes may have the same directory open at once."""

    node: NodeDirectory
    config: GatewayConfig
    ledger: SqlLedger
    catalogue: SqlCatalogue
    agreements: SqlAgreements
    jobs: SqlJobs
    secrets: FileSecrets
    clock: SystemClock
    randomness: SystemRandomness

    @property
    def operator(self) -> str:
        """Who acts at this machine's own console: `local:<user>`."""
        return f"local:{getpass.getuser()}"

    def exchange(self) -> str:
        """Return a new exchange id."""
        return self.randomness.bytes(16).hex()


def load(directory: Path) -> tuple[NodeDirectory, GatewayConfig]:
    """Return a gateway's layout and settings.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    node = NodeDirectory(directory.resolve())
    return node, load_config(node.config)


def clock() -> dt.datetime:
    """Return the time now, UTC."""
    return dt.datetime.now(dt.UTC)  # noqa: TID251  (composition: others get the time from here)


@contextmanager
def open_stores(directory: Path) -> Iterator[Stores]:
    """Open what a gateway keeps, and close it at the end.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    node, config = load(directory)
    randomness = SystemRandomness()
    secrets = FileSecrets(node.root, randomness)
    with ExitStack() as cleanup:
        engine = open_database(node.database)
        cleanup.callback(engine.dispose)
        ledger = SqlLedger(engine, config.member.trust_domain, secrets.ledger_key(), randomness)
        cleanup.callback(ledger.close)
        yield Stores(
            node=node,
            config=config,
            ledger=ledger,
            catalogue=SqlCatalogue(engine, ledger),
            agreements=SqlAgreements(engine, ledger),
            jobs=SqlJobs(engine, ledger),
            secrets=secrets,
            clock=SystemClock(),
            randomness=randomness,
        )


def agreement_desk(stores: Stores) -> AgreementDesk:
    """Return the desk that changes agreements."""
    return AgreementDesk(stores.config.member.trust_domain, stores.agreements, stores.catalogue, stores.clock)


@dataclass(frozen=True, slots=True)
class Health:
    """What a gateway said of itself: `SERVING`, `NOT_SERVING`, or `UNREACHABLE`."""

    member: str
    address: str
    status: str


def probe(directory: Path, timeout_s: float = 5.0) -> Health:
    """Ask the gateway of a directory for its health, over its own listener, with its own certificate.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    node, config = load(directory)
    host, port = config.network.listen.rpartition(":")[::2]
    address = f"127.0.0.1:{port}" if host in {"0.0.0.0", "[::]"} else config.network.listen  # noqa: S104
    ca, certificate, key = (path.read_bytes() for path in (node.authority[0], *node.tls))
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    try:
        with grpc.secure_channel(address, credentials) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    except grpc.RpcError:
        status = "UNREACHABLE"
    return Health(config.member.id, address, status)
