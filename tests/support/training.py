"""Countries in memory: gateways whose ports are fakes, and the ways a coordinator reaches them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from bandung.connectors.base import CellQuery, ContributionQuery, RowQuery, Stop
from bandung.gateway.domain.agreement import Agreement, AgreementState, Grant, Use
from bandung.gateway.domain.dataset import Dataset, Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Family, Job, JobRecord, Term
from bandung.gateway.domain.job_document import signing_payload, write_envelope
from bandung.gateway.domain.ledger import Commit, EventKind, LedgerEntry, Receipt, StoredAnswer
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.domain.policy import TrainingRules
from bandung.gateway.service.training import TrainingDesk
from bandung.gateway.training.masks import MaskKeys
from tests.support.builders import ANI, NOW, a_dataset, a_dimension, a_measure, an_epoch

AUTHOR_KEY = generate_private_key(SECP256R1())
STRANGER_KEY = generate_private_key(SECP256R1())


class MemoryLedger:
    """A ledger that forgets at the end of the test."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.spent: dict[str, int] = {}
        self.answers: dict[str, StoredAnswer] = {}
        self.sealed = False

    def commit(self, commit: Commit) -> Receipt:
        if self.sealed:
            raise Refusal(ErrorKind.SEALED)
        if any(self.remaining(c.scope, c.cap) < c.amount for c in commit.charges):
            raise Refusal(ErrorKind.QUOTA_EXHAUSTED)
        for charge in commit.charges:
            self.spent[charge.scope] = self.spent.get(charge.scope, 0) + charge.amount
        leaf = hashlib.sha256(repr(commit.event).encode()).hexdigest()
        receipt = Receipt(len(self.commits), leaf, len(self.commits) + 1, leaf)
        self.commits.append(commit)
        if commit.answer:
            assert commit.answer.key not in self.answers, "an answer was overwritten"
            self.answers[commit.answer.key] = replace(commit.answer, receipt=receipt)
        return receipt

    def answer(self, key: str) -> StoredAnswer | None:
        return self.answers.get(key)

    def remaining(self, scope: str, cap: int) -> int:
        return cap - self.spent.get(scope, 0)

    def entries(self, start: int, count: int) -> tuple[LedgerEntry, ...]:
        return tuple(LedgerEntry(i, c.event, "") for i, c in enumerate(self.commits))[start : start + count]

    def head(self) -> tuple[int, str]:
        return len(self.commits), ""

    @property
    def kinds(self) -> list[EventKind]:
        return [commit.event.kind for commit in self.commits]


class MemoryJobs:
    def __init__(self, ledger: MemoryLedger) -> None:
        self.records: dict[str, JobRecord] = {}
        self._ledger = ledger

    def get(self, digest: str) -> JobRecord | None:
        return self.records.get(digest)

    def all(self) -> tuple[JobRecord, ...]:
        return tuple(reversed(self.records.values()))

    def put(self, record: JobRecord, commit: Commit) -> Receipt:
        receipt = self._ledger.commit(commit)
        self.records[record.signed.digest] = record
        return receipt


@dataclass
class TableCells:
    """An epoch's rows from a table that holds `unit` and every declared column as `RowQuery` says."""

    table: pa.Table
    reads: int = 0
    fault: Exception | None = None

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        raise NotImplementedError

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        raise NotImplementedError

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        self.reads += 1
        if self.fault:
            raise self.fault
        chosen = self.table.select(["unit", *query.columns])
        return pa.RecordBatchReader.from_batches(chosen.schema, chosen.to_batches(max_chunksize=97))


@dataclass
class Authors:
    """Knows Ani's key."""

    keys: dict[str, Any] = field(default_factory=lambda: {ANI.uri: AUTHOR_KEY.public_key()})

    def verify(self, certificate: bytes, signature: bytes, payload: bytes, author_uri: str) -> None:
        from cryptography.exceptions import InvalidSignature

        try:
            self.keys[author_uri].verify(signature, payload, ECDSA(SHA256()))
        except (InvalidSignature, KeyError) as error:
            raise Refusal(ErrorKind.JOB_INVALID, "The signature is not the author's.") from error


@dataclass
class FixedClock:
    time: str = NOW

    def now(self) -> str:
        return self.time


class DatasetKeys:
    def dataset_key(self, dataset: str) -> bytes:
        return hashlib.sha256(dataset.encode()).digest()


@dataclass
class Shelf:
    """A catalogue of one epoch, and the opener of it."""

    epoch: Epoch
    source: TableCells

    def current(self, dataset: str) -> Epoch | None:
        return self.epoch if dataset == self.epoch.dataset.name else None

    def all_current(self) -> tuple[Epoch, ...]:
        return (self.epoch,)

    def open(self, epoch: Epoch) -> TableCells:
        return self.source


@dataclass
class Agreed:
    agreements: list[Agreement]

    def all(self) -> tuple[Agreement, ...]:
        return tuple(self.agreements)


@dataclass
class Country:
    """A country's training desk with everything behind it in reach."""

    member: str
    desk: TrainingDesk
    ledger: MemoryLedger
    jobs: MemoryJobs
    source: TableCells
    agreed: Agreed
    shelf: Shelf
    custodian: Principal
    courier: Principal
    down: bool = False


def a_farm_dataset(rules: TrainingRules | None = None) -> Dataset:
    """Farms with area, price, income, irrigation and adoption."""
    columns = (
        a_measure("area", 0, 1000, 2),
        a_measure("price", 0, 100_000, 0, optional=True),
        a_measure("harvest", -1e6, 1e6, 3),
        a_dimension("irrigated", ("yes", "no", "unknown"), missing="unknown"),
        a_dimension("adopts", ("yes", "no")),
    )
    return a_dataset(name="farms", columns=columns, training=rules or TrainingRules(allowed=True, cohort_min=2))


def farms(seed: int, units: int = 200, seasons: int = 2, shift: float = 0.0, missing: int = 0) -> pa.Table:
    """Synthetic farms, several records each, columns as `RowQuery` gives them (fixed point)."""
    rng = np.random.default_rng(seed)
    count = units * seasons
    area = np.exp(rng.normal(1.0, 0.7, count))
    price = rng.integers(500, 90_000, count)
    irrigated = rng.choice(["yes", "no"], count)
    harvest = 3 + shift + 0.8 * np.log(area) + 1e-4 * price + 0.5 * (irrigated == "yes") + rng.normal(0, 0.4, count)
    linear = -0.5 + shift + 0.3 * np.log(area) + 1.5e-5 * price - 0.7 * (irrigated == "yes")
    adopts = np.where(rng.random(count) < 1 / (1 + np.exp(-linear)), "yes", "no")
    prices: list[int | None] = [int(p) for p in price]
    prices[:missing] = [None] * missing
    return pa.table(
        {
            "unit": pa.array(np.repeat(np.arange(units), seasons) + seed * 100_000),
            "area": pa.array(np.round(area * 100).astype(np.int64) + 1),
            "price": pa.array(prices, pa.int64()),
            "harvest": pa.array(np.round(harvest * 1000).astype(np.int64)),
            "irrigated": pa.array(irrigated.tolist()),
            "adopts": pa.array(adopts.tolist()),
        }
    )


def an_open_agreement(dataset: Dataset, **changes: Any) -> Agreement:
    """Training on every column for Indonesia's analysts, by a standing rule."""
    uses = {column.name: frozenset({Use.TRAIN}) for column in dataset.columns}
    default = Agreement(
        id="farms-1",
        version=1,
        purpose="yield research",
        principals=("spiffe://idn.bandung.example/analyst/*",),
        grants=(Grant(dataset.name, uses),),
        not_after="2030-01-01T00:00:00.000Z",
        state=AgreementState.ACTIVE,
        training_consent=True,
    )
    return replace(default, **changes)


def countries(
    tables: Mapping[str, pa.Table], rules: TrainingRules | None = None, **agreement: Any
) -> dict[str, Country]:
    """Countries whose mask keys are pinned at each other."""
    private = {m: X25519PrivateKey.from_private_bytes(hashlib.sha256(m.encode()).digest()) for m in tables}
    public = {m: key.public_key().public_bytes_raw() for m, key in private.items()}
    return {
        m: _country(m, MaskKeys(m, private[m].private_bytes_raw(), public), table, a_farm_dataset(rules), agreement)
        for m, table in tables.items()
    }


def _country(member: str, keys: MaskKeys, table: pa.Table, dataset: Dataset, agreement: dict[str, Any]) -> Country:
    ledger = MemoryLedger()
    jobs, source = MemoryJobs(ledger), TableCells(table)
    agreed = Agreed([an_open_agreement(dataset, **agreement)])
    shelf = Shelf(an_epoch(dataset, rows=table.num_rows, rows_per_unit_max=2), source)
    desk = TrainingDesk(
        catalogue=shelf,
        agreements=agreed,
        jobs=jobs,
        ledger=ledger,
        epochs=shelf,
        secrets=DatasetKeys(),
        clock=FixedClock(),
        authors=Authors(),
        keys=keys,
    )
    domain = f"{member.lower()}.bandung.example"
    custodian, courier = Principal(domain, Role.CUSTODIAN, "citra"), Principal(domain, Role.COURIER)
    return Country(member, desk, ledger, jobs, source, agreed, shelf, custodian, courier)


def a_job(members: Iterable[str] = ("BGD", "IDN", "PHL"), **changes: Any) -> Job:
    """A linear model of the harvest."""
    names = tuple(sorted(members))
    default = Job(
        name="harvest",
        purpose="what makes a good harvest",
        family=Family.GAUSSIAN,
        members=names,
        datasets=tuple((m, "farms") for m in names),
        target=Term("harvest", "identity"),
        features=(Term("area", "log"), Term("price", "identity"), Term("irrigated", "code", "yes")),
        rounds_max=25,
        tolerance=1e-9,
        cohort_min=2,
        country_intercepts=False,
        holdout=0.0,
        train_units=(),
        on_loss="pause",
        author=ANI.uri,
        created="2026-01-01T00:00:00Z",
    )
    return replace(default, **changes)


def an_adoption_job(**changes: Any) -> Job:
    """A logistic model of adoption."""
    return a_job(name="adoption", family=Family.BINOMIAL, target=Term("adopts", "code", "yes"), **changes)


def signed(job: Job, key: Any = AUTHOR_KEY) -> bytes:
    """The envelope of a job; the certificate is a stand-in, `Authors` knows the key."""
    return write_envelope(job, b"certificate", key.sign(signing_payload(job), ECDSA(SHA256())))


def pooled(job: Job, tables: Mapping[str, pa.Table]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Own fit of all records in one place: coefficients, standard errors, X, y. By QR, not by normal equations."""
    blocks = [_matrix(job, m, tables[m]) for m in job.members]
    x, y = np.vstack([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])
    if job.family is Family.GAUSSIAN:
        q, r = np.linalg.qr(x)
        beta = np.linalg.solve(r, q.T @ y)
        sigma2 = np.sum((y - x @ beta) ** 2) / (len(y) - x.shape[1])
        return beta, np.sqrt(sigma2 * np.sum(np.linalg.inv(r) ** 2, axis=1)), x, y
    beta = np.zeros(x.shape[1])
    for _ in range(60):
        mu = 1 / (1 + np.exp(-x @ beta))
        w = mu * (1 - mu)
        q, r = np.linalg.qr(x * np.sqrt(w)[:, None])
        beta = beta + np.linalg.solve(r, q.T @ ((y - mu) / np.sqrt(w)))
    return beta, np.sqrt(np.sum(np.linalg.inv(r) ** 2, axis=1)), x, y


def _matrix(job: Job, member: str, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    frame = table.to_pandas()
    values = {
        "log(area)": np.log(frame["area"] / 100),
        "price": frame["price"].astype(float),
        "square(price)": frame["price"].astype(float) ** 2,
        "irrigated=yes": (frame["irrigated"] == "yes").astype(float),
        "harvest": frame["harvest"] / 1000,
        "adopts=yes": (frame["adopts"] == "yes").astype(float),
    }
    count = len(frame)
    own = [np.full(count, float(m == member)) for m in job.members] if job.country_intercepts else [np.ones(count)]
    x = np.column_stack([*own, *(values[t.name] for t in job.features)])
    y = np.asarray(values[job.target.name])
    keep = np.isfinite(x).all(axis=1)
    return x[keep], y[keep]
