"""Builds a gateway from its directory: the only place that knows which implementation stands behind a port."""

from __future__ import annotations

import datetime as dt
import getpass
import logging
import os
import signal
import threading
import tomllib
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bandung.connectors.base import Stop
from bandung.gateway.config import GatewayConfig, NodeDirectory, load_config
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind
from bandung.gateway.domain.policy import PublishedTables
from bandung.gateway.pki.membership import PinnedMaskKeys
from bandung.gateway.service.agreements import AgreementDesk
from bandung.gateway.service.withdraw_dataset import WithdrawDataset
from bandung.gateway.store.agreements import SqlAgreements
from bandung.gateway.store.catalogue import SqlCatalogue
from bandung.gateway.store.database import open_database
from bandung.gateway.store.jobs import SqlJobs
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.system import SystemClock, SystemRandomness
from bandung.gateway.version import __version__

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Dataset, Epoch
    from bandung.gateway.domain.ledger import Receipt
    from bandung.gateway.domain.view import GovernedView
    from bandung.gateway.server.listener import Desks, ServerConfig
    from bandung.gateway.service.check_dataset import CheckReport
    from bandung.gateway.service.protect_tables import Protected
    from bandung.gateway.service.publish_dataset import PublishDataset
    from bandung.gateway.store.epochs import OpenEpochs
    from bandung.gateway.store.snapshot import SnapshotFiles

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
def open_stores(directory: Path) -> Generator[Stores]:
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


def withdraw_dataset(stores: Stores) -> WithdrawDataset:
    """Return the act of withdrawing a dataset."""
    return WithdrawDataset(stores.catalogue, stores.clock)


def read_declaration(file: Path) -> Dataset:
    """Read a dataset's declaration.

    Raises:
        Refusal: BAD_DECLARATION naming every problem at once.
    """
    from bandung.gateway.domain.declaration import parse_declaration

    document = _document(file)
    with _named(file):
        return parse_declaration(document, str(file.resolve().parent))


def read_dataset_or_view(file: Path) -> Dataset | GovernedView:
    """Read the declaration of a dataset, or of a view, which has a section `[view]`.

    Raises:
        Refusal: BAD_DECLARATION naming every problem at once.
    """
    from bandung.gateway.domain.declaration_view import parse_view

    document = _document(file)
    if "view" not in document:
        return read_declaration(file)
    with _named(file):
        return parse_view(document)


@contextmanager
def _named(file: Path) -> Generator[None]:
    """Say which file is wrong: an act may read several."""
    try:
        yield
    except Refusal as refusal:
        raise Refusal(refusal.kind, f"{file}: {refusal.detail}") from refusal


def _document(file: Path) -> dict[str, object]:
    try:
        document = tomllib.loads(_read(file))
    except tomllib.TOMLDecodeError as error:
        remedy = "Correct the file there; texts stand in quotes."
        raise Refusal(ErrorKind.BAD_DECLARATION, f"{file}: not TOML: {error}.", remedy=remedy) from error
    policy = document.get("policy")
    if isinstance(policy, dict) and isinstance(ptable := policy.get("ptable"), str):
        policy["ptable"] = _read(file.parent / ptable)
    return document


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        remedy = "Name a file that can be read."
        raise Refusal(ErrorKind.BAD_DECLARATION, f"{file}: {error.strerror}.", remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise Refusal(ErrorKind.BAD_DECLARATION, f"{file}: not UTF-8.", remedy="Save the file in UTF-8.") from error


def check_dataset(dataset: Dataset) -> CheckReport:
    """Hold a declaration against its data, where they are; no gateway is needed.

    Raises:
        Refusal: SOURCE_UNAVAILABLE or BAD_DECLARATION.
    """
    from bandung.gateway.service.check_dataset import check_dataset as check
    from bandung.gateway.store.sources import Sources

    return check(dataset, Sources(os.environ), Stop())


def publish_dataset(
    stores: Stores, dataset: Dataset, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> tuple[Epoch, Receipt]:
    """Publish a dataset: its new epoch is current from then on, also for a gateway that runs.

    Args:
        progress: told rows done and rows in all.

    Raises:
        Refusal: DATA_VIOLATES_DECLARATION, NOT_LIVE, SOURCE_UNAVAILABLE, UNSAFE_TABLES.
    """
    return _publisher(stores, stores.node.snapshots)(dataset, stores.operator, Stop(), progress)


def formerly_open(stores: Stores, dataset: Dataset) -> tuple[str, ...]:
    """Return the epochs in which a dataset's rows were open under another kind of policy, as the record has them."""
    return _publisher(stores, stores.node.snapshots).formerly(dataset)


def audit_tables(
    stores: Stores, dataset: Dataset, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Protected:
    """Protect a dataset's registered tables as publishing would, over a copy that is gone afterwards.

    Args:
        progress: told rows done and rows in all, then numbers.

    Raises:
        Refusal: DATA_VIOLATES_DECLARATION, SOURCE_UNAVAILABLE; NOT_UNDER_POLICY if it registers none.
    """
    if not isinstance(dataset.policy, PublishedTables):
        raise Refusal(ErrorKind.NOT_UNDER_POLICY, f"{dataset.name} registers no tables.")
    with TemporaryDirectory(prefix=".tables-", dir=stores.node.root) as scratch:
        return _publisher(stores, Path(scratch)).tables(dataset, Stop(), progress)


def _publisher(stores: Stores, snapshots: Path) -> PublishDataset:
    from bandung.gateway.service.publish_dataset import PublishDataset
    from bandung.gateway.store.sources import Sources
    from bandung.gateway.store.tau_argus import TauArgus

    return PublishDataset(
        connectors=Sources(os.environ),
        catalogue=stores.catalogue,
        snapshots=_snapshots(stores, snapshots),
        secrets=stores.secrets,
        clock=stores.clock,
        randomness=stores.randomness,
        suppressor=TauArgus(stores.node.root),
    )


def publish_view(stores: Stores, view: GovernedView) -> tuple[Epoch, Receipt]:
    """Publish a governed view; it shows its base's current epoch from then on, also for a gateway that runs.

    Raises:
        Refusal: UNKNOWN_DATASET, BAD_DECLARATION.
    """
    from bandung.gateway.service.publish_view import PublishView

    return PublishView(stores.catalogue, stores.clock, stores.randomness)(view, stores.operator)


def run_gateway(directory: Path) -> int:
    """Serve until SIGTERM or SIGINT, then drain; call it from the main thread. Returns the exit code.

    Raises:
        Refusal: BAD_CONFIGURATION, or SEALED if the ledger cannot be written: then nothing is served.
    """
    from bandung.gateway.server.listener import serve
    from bandung.gateway.store.epochs import OpenEpochs
    from bandung.gateway.store.sources import Sources

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        open_stores(directory) as stores,
        closing(OpenEpochs(_snapshots(stores, stores.node.snapshots), Sources(os.environ))) as epochs,
    ):
        stores.ledger.commit(Commit(_started(stores)))
        server = serve(_server_config(stores), _desks(stores, epochs), stores.clock, stores.randomness)
        _log.info("%s serves on %s", stores.config.member.id, stores.config.network.listen)
        _keep_current(stores, epochs, stop)
        _log.info("draining for at most %d s", stores.config.limits.drain_s_max)
        server.drain(stores.config.limits.drain_s_max)
    return 0


def _started(stores: Stores) -> Event:
    body = {"version": __version__, "member": stores.config.member.id}
    return Event(EventKind.GATEWAY_STARTED, stores.clock.now(), stores.exchange(), stores.operator, body)


def _keep_current(stores: Stores, epochs: OpenEpochs, stop: threading.Event) -> None:
    """Wait until `stop`; meanwhile close epochs that were superseded so long ago that no call can still use them."""
    previous: frozenset[str] = frozenset()
    while not stop.wait(stores.config.limits.deadline_s_max):
        current = frozenset(epoch.rows_of for epoch in stores.catalogue.all_current())
        epochs.retain(current | previous)
        previous = current


def _desks(stores: Stores, epochs: OpenEpochs) -> Desks:
    from bandung.gateway.server.listener import Desks
    from bandung.gateway.server.trust import TrustStore
    from bandung.gateway.service.budget import BudgetDesk
    from bandung.gateway.service.catalogue import CatalogueDesk
    from bandung.gateway.service.query import QueryDesk
    from bandung.gateway.service.training import TrainingDesk
    from bandung.gateway.training.masks import MaskKeys

    member = stores.config.member
    catalogue = CatalogueDesk(member.trust_domain, stores.catalogue, stores.agreements)
    mask_key = stores.secrets.mask_key().private_bytes_raw()
    return Desks(
        queries=QueryDesk(
            member=member.id,
            finder=catalogue,
            agreements=stores.agreements,
            epochs=epochs,
            ledger=stores.ledger,
            secrets=stores.secrets,
            clock=stores.clock,
        ),
        budgets=BudgetDesk(member.trust_domain, catalogue, stores.agreements, stores.ledger),
        catalogue=catalogue,
        agreements=agreement_desk(stores),
        training=TrainingDesk(
            catalogue=stores.catalogue,
            agreements=stores.agreements,
            jobs=stores.jobs,
            ledger=stores.ledger,
            epochs=epochs,
            secrets=stores.secrets,
            clock=stores.clock,
            authors=TrustStore(stores.node.trust, stores.clock),
            keys=MaskKeys(member.id, mask_key, PinnedMaskKeys(stores.node.members)),
        ),
        ledger=stores.ledger,
    )


def _server_config(stores: Stores) -> ServerConfig:
    from bandung.gateway.server.door import Limits
    from bandung.gateway.server.listener import ServerConfig

    config, node = stores.config, stores.node
    limits, links = config.limits, config.links
    return ServerConfig(
        listen=config.network.listen,
        member=config.member.id,
        trust_domain=config.member.trust_domain,
        certificate=node.tls[0],
        key=node.tls[1],
        trust=node.trust,
        ticket_key=stores.secrets.ticket_key(),
        limits=Limits(limits.deadline_s_max, limits.calls_per_principal_max),
        threads=limits.threads_max,
        message_bytes_max=limits.request_bytes_max,
        answer_bytes_max=limits.answer_bytes_max,
        connection_age_max_s=links.connection_age_s_max,
        handshake_max_s=links.handshake_s_max,
        keepalive_s=links.keepalive_s,
        keepalive_timeout_s=links.keepalive_timeout_s,
    )


def _snapshots(stores: Stores, directory: Path) -> SnapshotFiles:
    from bandung.gateway.store.snapshot import SnapshotFiles

    engine = stores.config.engine
    return SnapshotFiles(directory, engine.memory_mib_max, engine.threads_max)


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
    from bandung.gateway.client import GatewayClient, GatewayError, Identity

    node, config = load(directory)
    host, port = config.network.listen.rpartition(":")[::2]
    address = f"127.0.0.1:{port}" if host in {"0.0.0.0", "[::]"} else config.network.listen  # noqa: S104
    identity = Identity(node.authority[0], *node.tls)
    try:
        with GatewayClient(address, identity, deadline_s=timeout_s) as client:
            status = client.health()
    except GatewayError as error:
        status = "NOT_SERVING" if error.refused else "UNREACHABLE"
    return Health(config.member.id, address, status)
