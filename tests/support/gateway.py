"""A whole gateway of IDN on loopback: real desks, ledger, snapshot and certificates; nothing is a stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine

from bandung.connectors.base import Stop
from bandung.gateway.cli.agreement_file import everything
from bandung.gateway.domain.agreement import Agreement, AgreementState
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.job import Family, Job, Term
from bandung.gateway.domain.job_document import signing_payload, write_envelope
from bandung.gateway.domain.ledger import LedgerEntry
from bandung.gateway.server.door import Limits
from bandung.gateway.server.listener import Desks, Server, ServerConfig, serve
from bandung.gateway.server.trust import TrustStore
from bandung.gateway.service.agreements import AgreementDesk
from bandung.gateway.service.budget import BudgetDesk
from bandung.gateway.service.catalogue import CatalogueDesk
from bandung.gateway.service.ports import Cells
from bandung.gateway.service.publish_dataset import PublishDataset
from bandung.gateway.service.query import QueryDesk
from bandung.gateway.service.training import TrainingDesk
from bandung.gateway.service.withdraw_dataset import WithdrawDataset
from bandung.gateway.store.agreements import SqlAgreements
from bandung.gateway.store.catalogue import SqlCatalogue
from bandung.gateway.store.epochs import OpenEpochs
from bandung.gateway.store.jobs import SqlJobs
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.snapshot import SnapshotFiles
from bandung.gateway.store.sources import Sources
from bandung.gateway.store.system import SystemClock, SystemRandomness
from bandung.gateway.store.tau_argus import TauArgus
from bandung.gateway.training.masks import MaskKeys
from tests.support.ledgers import a_ledger, an_engine
from tests.support.pki import LOOPBACK, Country, Files, real_now
from tests.support.publishing import a_declaration, farm_rows
from tests.support.sources import write_file

OPERATOR = "local:citra"
AGREEMENT = "farms-1"


@dataclass
class Between:
    """Opens epochs; `meanwhile` happens while the source works."""

    epochs: OpenEpochs
    meanwhile: Callable[[], object] = lambda: None

    def open(self, epoch: Epoch) -> Cells:
        self.meanwhile()
        return self.epochs.open(epoch)


@dataclass
class Gateway:
    """A running gateway with everything behind it in reach."""

    directory: Path
    server: Server
    idn: Country
    bgd: Country
    engine: Engine
    ledger: SqlLedger
    catalogue: SqlCatalogue
    desk: AgreementDesk
    training: TrainingDesk
    publisher: PublishDataset
    epochs: OpenEpochs
    between: Between
    issued: dict[str, Files] = field(default_factory=dict[str, Files])

    @property
    def address(self) -> str:
        return f"localhost:{self.server.port}"

    def identity(self, path: str, country: Country | None = None) -> Files:
        """Certificate and key, for instance of `analyst/ani`."""
        country = country or self.idn
        uri = country.uri(path)
        if uri not in self.issued:
            self.issued[uri] = country.issue(path)
        return self.issued[uri]

    def publish(self, **changes: Any) -> Epoch:
        """Publish the farms; see `a_declaration`."""
        document = a_declaration(**changes)
        document["training"].setdefault("cohort_min", 2)
        return self.publish_document(document)

    def publish_document(self, document: Mapping[str, object]) -> Epoch:
        from bandung.gateway.domain.declaration import parse_declaration

        dataset = parse_declaration(document, str(self.directory))
        return self.publisher(dataset, OPERATOR, Stop(), lambda done, total: None)[0]

    def agree(self, **changes: Any) -> Agreement:
        """Put a version of an agreement on every use of every dataset into force."""
        datasets = [epoch.dataset for epoch in self.catalogue.all_current()]
        after = real_now().replace(year=real_now().year + 1, month=1, day=1)
        default = everything(AGREEMENT, "yield research", (self.idn.uri("analyst/*"),), datasets, after)
        agreement = replace(default, **changes)
        self.desk.put(OPERATOR, agreement, "tests", "ab" * 16)
        return agreement

    def set_state(self, state: AgreementState, agreement: str = AGREEMENT) -> None:
        self.desk.set_state(OPERATOR, agreement, state, "tests", "cd" * 16)

    def withdraw(self) -> None:
        WithdrawDataset(self.catalogue, SystemClock())("farms", OPERATOR, "tests", "ef" * 16)

    def entries(self) -> tuple[LedgerEntry, ...]:
        return self.ledger.entries(0, 10_000)

    def last(self) -> tuple[str, Any]:
        """Kind and code of the newest entry."""
        event = self.entries()[-1].event
        return event.kind.value, event.body.get("code")

    def spent(self, scope: str) -> int:
        return 10**12 - self.ledger.remaining(scope, 10**12)

    def job(self, **changes: Any) -> Job:
        """A linear model of the farms' balance over IDN and BGD, by Ani."""
        default = Job(
            name="balance",
            purpose="what makes a balance",
            family=Family.GAUSSIAN,
            members=("BGD", "IDN"),
            datasets=(("BGD", "farms"), ("IDN", "farms")),
            target=Term("balance", "identity"),
            features=(Term("fertiliser", "identity"), Term("area", "code", "31")),
            rounds_max=5,
            tolerance=1e-9,
            cohort_min=2,
            country_intercepts=False,
            holdout=0.0,
            train_units=(),
            on_loss="pause",
            author=self.idn.uri("analyst/ani"),
            created="2026-01-01T00:00:00Z",
        )
        return replace(default, **changes)

    def signed(self, job: Job, author: str = "analyst/ani") -> bytes:
        """The job's envelope, signed with the author's own key."""
        files = self.identity(author)
        key = load_pem_private_key(files.key.read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        signature = key.sign(signing_payload(job), ECDSA(SHA256()))
        return write_envelope(job, files.certificate.read_bytes(), signature)


@contextmanager
def a_gateway(
    directory: Path,
    rows: pa.Table | None = None,
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    **changes: Any,
) -> Iterator[Gateway]:
    """Run a gateway; `farms.csv` stands in its directory, nothing is published and nothing agreed.

    Args:
        changes: of `ServerConfig`.
    """
    write_file(farm_rows() if rows is None else rows, directory / "farms.csv")
    idn, bgd = Country(directory / "idn", "IDN"), Country(directory / "bgd", "BGD")
    trust = directory / "trust"
    trust.mkdir()
    for country in (idn, bgd):
        (trust / f"{country.trust_domain}.pem").write_bytes(country.ca.read_bytes())
    clock, randomness = SystemClock(), SystemRandomness()
    with an_engine(directory) as engine, a_ledger(directory, engine) as opened:
        sources = Sources(environment or {})
        snapshots = SnapshotFiles(directory / "snapshots", memory_mib_max=256, threads_max=2)
        catalogue, agreements = SqlCatalogue(engine, opened.ledger), SqlAgreements(engine, opened.ledger)
        epochs = OpenEpochs(snapshots, sources)
        between = Between(epochs)
        shown = CatalogueDesk(idn.trust_domain, catalogue, agreements)
        desk = AgreementDesk(idn.trust_domain, agreements, catalogue, clock)
        peer = X25519PrivateKey.generate().public_key().public_bytes_raw()
        mask = opened.secrets.mask_key()
        training = TrainingDesk(
            catalogue=catalogue,
            agreements=agreements,
            jobs=SqlJobs(engine, opened.ledger),
            ledger=opened.ledger,
            epochs=between,
            secrets=opened.secrets,
            clock=clock,
            authors=TrustStore(trust, clock),
            keys=MaskKeys("IDN", mask.private_bytes_raw(), {"IDN": mask.public_key().public_bytes_raw(), "BGD": peer}),
        )
        queries = QueryDesk(
            member="IDN",
            finder=shown,
            agreements=agreements,
            epochs=between,
            ledger=opened.ledger,
            secrets=opened.secrets,
            clock=clock,
        )
        budgets = BudgetDesk(idn.trust_domain, shown, agreements, opened.ledger)
        listener = idn.issue("gateway", hosts=LOOPBACK)
        config = ServerConfig(
            listen="localhost:0",
            member="IDN",
            trust_domain=idn.trust_domain,
            certificate=listener.certificate,
            key=listener.key,
            trust=trust,
            ticket_key=opened.secrets.ticket_key(),
            limits=limits or Limits(deadline_max_s=30),
            **changes,
        )
        server = serve(config, Desks(queries, budgets, shown, desk, training, opened.ledger), clock, randomness)
        publisher = PublishDataset(
            sources, catalogue, snapshots, opened.secrets, clock, randomness, TauArgus(directory)
        )
        try:
            yield Gateway(
                directory,
                server,
                idn,
                bgd,
                engine,
                opened.ledger,
                catalogue,
                desk,
                training,
                publisher,
                epochs,
                between,
                {idn.uri("gateway"): listener},
            )
        finally:
            server.drain(0)
            epochs.close()
