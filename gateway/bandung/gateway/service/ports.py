"""What the services need from outside, as the smallest interfaces; `store` and `connectors` fill them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from bandung.connectors.base import (
        CellQuery,
        Connector,
        ContributionQuery,
        HistogramQuery,
        Profile,
        RowQuery,
        Stop,
    )
    from bandung.gateway.disclosure.published.links import Links
    from bandung.gateway.disclosure.published.suppress import Needs
    from bandung.gateway.domain.agreement import Agreement
    from bandung.gateway.domain.dataset import Dataset, Epoch, Source
    from bandung.gateway.domain.job import JobRecord
    from bandung.gateway.domain.ledger import Commit, LedgerEntry, Receipt, StoredAnswer
    from bandung.gateway.domain.policy import RegisteredTable
    from bandung.gateway.domain.view import ViewEpoch


class Clock(Protocol):
    """The time, as RFC 3339 UTC text with milliseconds and a `Z`."""

    def now(self) -> str:
        """Return the time now."""
        ...


class Catalogue(Protocol):
    """Published epochs; the newest one of each dataset is current."""

    def current(self, dataset: str) -> Epoch | None:
        """Return the dataset's current epoch, or None if it is not published or was withdrawn."""
        ...

    def all_current(self) -> tuple[Epoch, ...]:
        """Return every dataset's current epoch, by name."""
        ...


class CatalogueWriter(Catalogue, Protocol):
    """A catalogue that can also change; both changes take effect with the ledger entry, or not at all."""

    def publish(self, epoch: Epoch | ViewEpoch, commit: Commit) -> Receipt:
        """Make the epoch current and record it in one transaction."""
        ...

    def withdraw(self, dataset: str, commit: Commit) -> Receipt:
        """Stop the dataset from being queried and record it in one transaction."""
        ...

    def next_number(self, dataset: str) -> int:
        """Return the number that the dataset's next epoch takes."""
        ...

    def all_ever(self) -> tuple[Epoch, ...]:
        """Return every epoch that was ever published, the oldest first; no views."""
        ...


class Agreements(Protocol):
    """Agreements at this gateway."""

    def all(self) -> tuple[Agreement, ...]:
        """Return every agreement at its newest version."""
        ...


class AgreementsWriter(Agreements, Protocol):
    """Agreements that can also change."""

    def put(self, agreement: Agreement, commit: Commit) -> Receipt:
        """Store a new version and record it in one transaction."""
        ...


class Ledger(Protocol):
    """The only way to make something durable, hence the only way to answer."""

    def commit(self, commit: Commit) -> Receipt:
        """Write event, charges and answer in one durable transaction; return once it is on disk.

        Raises:
            Refusal: QUOTA_EXHAUSTED if a charge is over its cap (then a refusal must be committed instead);
                STEP_OUT_OF_ORDER if the answer's key holds the answer to another request;
                SEALED if the ledger cannot be written: from then on nothing is answered.
            AlreadyAnswered: the answer's key holds an answer to the same request: nothing was written, and that
                answer is the one to serve, recorded as a repeat.
        """
        ...

    def answer(self, key: str) -> StoredAnswer | None:
        """Return the stored answer with its receipt, or None."""
        ...

    def remaining(self, scope: str, cap: int) -> int:
        """Return what may still be charged to the scope under this cap."""
        ...

    def spent_under(self, scope: str) -> Mapping[str, int]:
        """Return what was charged to the scope and to each one below it (`<scope>/…`), in the scopes' order."""
        ...

    def entries(self, start: int, count: int) -> tuple[LedgerEntry, ...]:
        """Return entries by index, ascending."""
        ...

    def head(self) -> tuple[int, str]:
        """Return size and root hash (hexadecimal) of the Merkle tree."""
        ...


class Jobs(Protocol):
    """Training jobs proposed to this country and its decisions; changes are one transaction with the entry."""

    def get(self, digest: str) -> JobRecord | None:
        """Return the job as this country knows it."""
        ...

    def all(self) -> tuple[JobRecord, ...]:
        """Return every job, newest first."""
        ...

    def put(self, record: JobRecord, commit: Commit) -> Receipt:
        """Store the job's new state and record it in one transaction."""
        ...


class Cells(Protocol):
    """An epoch's rows, aggregated or (for training) read inside the gateway."""

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        """See `bandung.connectors.base.CellQuery`."""
        ...

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        """See `bandung.connectors.base.ContributionQuery`."""
        ...

    def histogram(self, query: HistogramQuery, stop: Stop) -> pa.Table:
        """See `bandung.connectors.base.HistogramQuery`."""
        ...

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        """See `bandung.connectors.base.RowQuery`."""
        ...


class Epochs(Protocol):
    """Opens what executes an epoch's queries: its snapshot, or the live source."""

    def open(self, epoch: Epoch) -> Cells:
        """Return the executor, shared and safe for several threads."""
        ...


class Connectors(Protocol):
    """Opens a declared source through the registered connector."""

    def open(self, source: Source) -> Connector:
        """Return an open connector.

        Raises:
            Refusal: SOURCE_UNAVAILABLE, or BAD_DECLARATION for an unknown connector or option.
        """
        ...


class Copy(Cells, Protocol):
    """A snapshot that was opened for oneself."""

    def close(self) -> None:
        """Let go of it."""
        ...


class Suppressor(Protocol):
    """Another program's word on what registered tables withhold."""

    def propose(self, links: Links, needs: Needs, tables: tuple[RegisteredTable, ...]) -> NDArray[np.bool_]:
        """Return the numbers that it would withhold, sensitive ones included; it may know of too few.

        Raises:
            Refusal: BAD_CONFIGURATION if it cannot work.
        """
        ...


class SnapshotWriter(Protocol):
    """Writes the gateway's own columnar copy of a dataset."""

    def write(self, dataset: Dataset, number: int, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> str:
        """Write rows (`RowQuery` schema, every declared column and the record key) and return the relation."""
        ...

    def profile(self, dataset: Dataset, number: int, nesting: Sequence[tuple[str, str]], stop: Stop) -> Profile:
        """Return the verified facts of the copy that was written."""
        ...

    def open(self, dataset: str, number: int) -> Copy:
        """Open the copy that was written."""
        ...


class Secrets(Protocol):
    """The node's own secrets; none of them ever leaves."""

    def dataset_key(self, dataset: str) -> bytes:
        """Return the dataset's 32-byte key, made at its first use and fixed from then on."""
        ...


class Randomness(Protocol):
    """Unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """Return `count` random bytes."""
        ...


class AuthorVerifier(Protocol):
    """Says whether a signed document is its author's own; the trust store does."""

    def verify(self, certificate: bytes, signature: bytes, payload: bytes, author_uri: str) -> None:
        """Check that `author_uri`'s own certificate made the signature.

        Args:
            certificate: PEM chain, the author's own first; checked against the bundle of the author's trust domain.
            signature: ECDSA with SHA-256 over `payload`, in DER.

        Raises:
            Refusal: JOB_INVALID or UNTRUSTED_IDENTITY.
        """
        ...


Members = Mapping[str, bytes]
"""Mask public keys (X25519, 32 bytes) by member id, from the pinned membership documents."""
