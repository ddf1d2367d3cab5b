"""What executes an epoch's queries: its snapshot, or the live source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from bandung.connectors.base import (
    CellQuery,
    Connector,
    ContributionQuery,
    HistogramQuery,
    Measure,
    RowQuery,
    SourceError,
    Stop,
)
from bandung.connectors.embedded import Embedded
from bandung.connectors.schemas import cell_schema
from bandung.gateway.domain.dataset import Epoch, Mode
from bandung.gateway.service.ports import Cells, Connectors
from bandung.gateway.store.snapshot import SnapshotFiles


class OpenEpochs:
    """Opens epochs once and keeps them open. Fills `ports.Epochs`; safe for several threads at once."""

    def __init__(self, snapshots: SnapshotFiles, connectors: Connectors) -> None:
        self._snapshots = snapshots
        self._connectors = connectors
        self._lock = threading.Lock()
        self._open: dict[str, Embedded | LiveCells] = {}

    def open(self, epoch: Epoch) -> Cells:
        """Return the epoch's executor.

        Raises:
            SourceError: the snapshot cannot be opened.
            Refusal: SOURCE_UNAVAILABLE if the live source cannot.
        """
        with self._lock:
            if epoch.rows_of not in self._open:
                self._open[epoch.rows_of] = self._opened(epoch)
            return self._open[epoch.rows_of]

    def retain(self, epochs: frozenset[str]) -> None:
        """Close every epoch whose id is not among these: superseded or withdrawn ones."""
        with self._lock:
            for id_ in self._open.keys() - epochs:
                self._open.pop(id_).close()

    def close(self) -> None:
        """Close every epoch."""
        self.retain(frozenset())

    def _opened(self, epoch: Epoch) -> Embedded | LiveCells:
        if epoch.dataset.mode is Mode.SNAPSHOT:
            return self._snapshots.open(epoch.dataset.rows_of, epoch.number)
        return LiveCells(epoch, self._connectors.open(epoch.dataset.source))


class LiveCells:
    """A live source that must still be what was published.

    An epoch is one version of the data: noise that sticks to a cell, and bounds that publication verified, hold
    for nothing else. So a source that is seen to have changed is not answered from; publish a new epoch then.
    """

    def __init__(self, epoch: Epoch, connector: Connector) -> None:
        self._facts = epoch.facts
        self._never_missing = {measure.name for measure in epoch.dataset.measures if not measure.optional}
        self._connector = connector

    def cells(self, query: CellQuery, stop: Stop) -> pa.Table:
        """See `CellQuery`.

        Raises:
            SourceError: the source failed, or holds other rows than were published.
        """
        # Whether values came to be missing or below zero shows only beside what the query itself would ask.
        telling = tuple(replace(measure, signed=True, optional=True) for measure in query.measures)
        cells = self._connector.cells(replace(query, measures=telling), stop)
        self._check(query, cells)
        return cells.select(cell_schema(query).names)

    def contributions(self, query: ContributionQuery, stop: Stop) -> pa.Table:
        """See `ContributionQuery`."""
        return self._connector.contributions(query, stop)

    def histogram(self, query: HistogramQuery, stop: Stop) -> pa.Table:
        """See `HistogramQuery`."""
        return self._connector.histogram(query, stop)

    def rows(self, query: RowQuery, stop: Stop) -> pa.RecordBatchReader:
        """See `RowQuery`.

        Raises:
            SourceError: the source failed, or (at the end) held other rows than were published.
        """
        reader = self._connector.rows(query, stop)
        return pa.RecordBatchReader.from_batches(reader.schema, self._counted(reader))

    def close(self) -> None:
        """Close the source."""
        self._connector.close()

    def _counted(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        rows = 0
        with reader:
            for batch in reader:
                rows += batch.num_rows
                if any(batch.column(name).null_count for name in self._never_missing.intersection(batch.schema.names)):
                    raise SourceError("the live source has rows without a value that none was published without")
                yield batch
        if rows != self._facts.rows:
            raise SourceError("the live source has other rows than were published")

    def _check(self, query: CellQuery, cells: pa.Table) -> None:
        rows = sum(cells["rows"].to_pylist())
        if rows > self._facts.rows or (not query.where and rows != self._facts.rows):
            raise SourceError("the live source has other rows than were published")
        for measure in query.measures:
            if measure.name in self._never_missing and cells[f"{measure.name}.rows"] != cells["rows"]:
                raise SourceError(f"the live source has rows without {measure.name}, unlike what was published")
            if measure.bounds is None:
                self._check_values(measure, cells)

    def _check_values(self, measure: Measure, cells: pa.Table) -> None:
        facts = self._facts.measures[measure.name]
        largest = max((value or 0 for value in cells[f"{measure.name}.max"].to_pylist()), default=0)
        if largest > max(abs(facts.minimum), abs(facts.maximum)):
            raise SourceError(f"the live source has larger values of {measure.name} than were published")
        if not measure.signed and cells[f"{measure.name}.abs"] != cells[f"{measure.name}.sum"]:
            raise SourceError(f"the live source has values of {measure.name} below zero, unlike what was published")
