"""Publish a dataset: check it, key its records, copy it or key it in place, and make the epoch on the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from bandung.connectors.base import KeyColumn, KeyTable, Profile, RowQuery, View
from bandung.gateway.disclosure.keys import record_keys
from bandung.gateway.domain.dataset import Dataset, Epoch, Facts, MeasureFacts, Mode
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind, Receipt
from bandung.gateway.domain.ons import OnsNoise
from bandung.gateway.domain.policy import Policy, PublishedTables, RegisteredTable, kind
from bandung.gateway.service.check_dataset import (
    LIVE_RULE,
    Violation,
    check_source,
    nesting_pairs,
    refusing,
    source_view,
    violations,
)

if TYPE_CHECKING:
    from bandung.connectors.base import Connector, Stop
    from bandung.gateway.service.ports import (
        CatalogueWriter,
        Clock,
        Connectors,
        Randomness,
        Secrets,
        SnapshotWriter,
        Suppressor,
    )
    from bandung.gateway.service.protect_tables import Protected

Progress = Callable[[int, int], None]
"""Told the rows done and the rows in all; then, under `published-tables`, the same of numbers to protect and audit."""


@dataclass(frozen=True, slots=True)
class PublishDataset:
    """Makes epochs. A dataset's key is the same for every epoch and mode, so equal cells get equal noise."""

    connectors: Connectors
    catalogue: CatalogueWriter
    snapshots: SnapshotWriter
    secrets: Secrets
    clock: Clock
    randomness: Randomness
    suppressor: Suppressor

    def __call__(self, dataset: Dataset, by: str, stop: Stop, progress: Progress) -> tuple[Epoch, Receipt]:
        """Publish a dataset and return its new epoch, which is current from then on.

        Args:
            by: URI of the custodian, or `local:<user>`.

        Raises:
            Refusal: DATA_VIOLATES_DECLARATION, NOT_LIVE, SOURCE_UNAVAILABLE, UNSAFE_TABLES, CANCELLED,
                POLICY_MIXED, or what the ledger refuses; BAD_DECLARATION if a view has the name.
        """
        self._refuse_mixed(dataset)
        formerly = self.formerly(dataset)
        epoch = self._epoch(dataset, stop, progress)
        if isinstance(dataset.policy, PublishedTables):
            epoch = self._protected(epoch, stop, progress).safe()
        event = Event(
            EventKind.DATASET_PUBLISHED, epoch.published_at, self.randomness.bytes(16).hex(), by, _body(epoch, formerly)
        )
        return epoch, self.catalogue.publish(epoch, Commit(event))

    def formerly(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the epochs in which the same rows were open under another kind of policy.

        What they answered stays known, and no promise of the dataset's own policy covers it.
        """
        others = (epoch for epoch in self.catalogue.all_ever() if kind(epoch.dataset.policy) != kind(dataset.policy))
        same = (epoch for epoch in others if epoch.dataset.source.same_rows(dataset.source))
        return tuple(f"{epoch.id} under {kind(epoch.dataset.policy)}" for epoch in same)

    def tables(self, dataset: Dataset, stop: Stop, progress: Progress) -> Protected:
        """Copy a dataset and protect its registered tables, without publishing anything.

        Raises:
            Refusal: as publishing, except that unsafe tables are told of in what is returned.
        """
        return self._protected(self._epoch(dataset, stop, progress), stop, progress)

    def _epoch(self, dataset: Dataset, stop: Stop, progress: Progress) -> Epoch:
        connector = self.connectors.open(dataset.source)
        try:
            number = self.catalogue.next_number(dataset.name)
            with refusing():
                view, profile = self._prepare(dataset, number, connector, stop, progress)
        finally:
            connector.close()
        name, now = f"{dataset.name}@{number}", self.clock.now()
        return Epoch(name, number, dataset, _facts(dataset, profile), view, now)

    def _protected(self, epoch: Epoch, stop: Stop, progress: Progress) -> Protected:
        # The solver is loaded by those alone who publish tables.
        from bandung.gateway.service.protect_tables import protect_tables

        with refusing(), closing(self.snapshots.open(epoch.dataset.name, epoch.number)) as copy:
            return protect_tables(epoch, copy, self.suppressor, stop, progress)

    def _refuse_mixed(self, dataset: Dataset) -> None:
        for other in (epoch.dataset for epoch in self.catalogue.all_current()):
            if other.name == dataset.name and other.base is not None:
                raise Refusal(ErrorKind.BAD_DECLARATION, f"dataset.name: {other.name} is a view.")
            other_kind = other.name != dataset.name and kind(other.policy) != kind(dataset.policy)
            if other_kind and other.source.same_rows(dataset.source):
                raise Refusal(ErrorKind.POLICY_MIXED, f"{other.name} is under {kind(other.policy)}.")

    def _prepare(
        self, dataset: Dataset, number: int, connector: Connector, stop: Stop, progress: Progress
    ) -> tuple[View, Profile]:
        """Return the epoch's view, its rows in place and keyed, and what was verified of them."""
        report = check_source(dataset, connector, stop)
        _refuse(report.violations)
        profile = report.profile
        if profile is None:
            raise Refusal(ErrorKind.DATA_VIOLATES_DECLARATION)
        total = profile.rows
        progress(0, total)
        if dataset.mode is Mode.LIVE:
            return self._key_in_place(dataset, connector, stop, lambda done: progress(done, total)), profile
        view = self._copy(dataset, number, connector, stop, lambda done: progress(done, total))
        # The facts are the copy's own: the source may have changed since it was checked.
        copied = self.snapshots.profile(dataset, number, nesting_pairs(dataset), stop)
        _refuse(violations(dataset, copied))
        return view, copied

    def _copy(
        self, dataset: Dataset, number: int, connector: Connector, stop: Stop, advance: Callable[[int], None]
    ) -> View:
        query = RowQuery(source_view(dataset), tuple(column.name for column in dataset.columns))
        reader = self._keyed(dataset, connector.rows(query, stop), advance)
        relation = self.snapshots.write(dataset, number, reader, reader.schema)
        return replace(dataset.snapshot_view(relation), key=KeyColumn("record_key"))

    def _key_in_place(self, dataset: Dataset, connector: Connector, stop: Stop, advance: Callable[[int], None]) -> View:
        view = source_view(dataset)
        if view.key is not None:
            return view
        table = f"bandung_keys_{dataset.name}"
        keys = self._keyed(dataset, connector.rows(RowQuery(view, ()), stop), advance)
        connector.write_keys(view, table, keys, stop)
        return replace(view, key=KeyTable(table))

    def _keyed(
        self, dataset: Dataset, rows: pa.RecordBatchReader, advance: Callable[[int], None]
    ) -> pa.RecordBatchReader:
        """Return the rows with their record keys, computed unless the source brought them."""
        if "record_key" in rows.schema.names:
            return pa.RecordBatchReader.from_batches(rows.schema, _counted(rows, advance))
        key = self.secrets.dataset_key(dataset.name)
        schema = rows.schema.insert(1, pa.field("record_key", pa.int64()))
        batches = (
            pa.RecordBatch.from_arrays(
                [batch.column(0), record_keys(key, batch.column(0)), *batch.columns[1:]], schema=schema
            )
            for batch in _counted(rows, advance)
        )
        return pa.RecordBatchReader.from_batches(schema, batches)


def _counted(rows: pa.RecordBatchReader, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in rows:
        if batch.column(0).null_count:
            raise Refusal(ErrorKind.DATA_VIOLATES_DECLARATION, private="a row without a unit came up while reading")
        yield batch
        done += batch.num_rows
        advance(done)


def _refuse(found: tuple[Violation, ...]) -> None:
    if any(violation.rule == LIVE_RULE for violation in found):
        raise Refusal(ErrorKind.NOT_LIVE)
    if found:
        private = "; ".join(f"{violation.column}: {violation.rule} ({violation.count})" for violation in found)
        raise Refusal(ErrorKind.DATA_VIOLATES_DECLARATION, private=private)


def _facts(dataset: Dataset, profile: Profile) -> Facts:
    measures = {measure.name: profile.columns[measure.name] for measure in dataset.measures}
    return Facts(
        rows=profile.rows,
        units=profile.units,
        rows_per_unit_max=profile.rows_per_unit_max,
        measures={
            name: MeasureFacts(found.minimum or 0, found.maximum or 0, found.unit_total_max or 0)
            for name, found in measures.items()
        },
        nesting={
            pair: {child: next(iter(found)) for child, found in parents.items()}
            for pair, parents in profile.nesting.items()
        },
    )


def _body(epoch: Epoch, formerly: tuple[str, ...]) -> dict[str, object]:
    dataset = epoch.dataset
    return {
        "epoch": epoch.id,
        "period": dataset.period,
        "declaration": dataset.digest,
        "mode": dataset.mode.value,
        "policy": {"kind": kind(dataset.policy), **_plain(dataset.policy)},
        "training": asdict(dataset.training),
        "rows_about": _rounded(epoch.facts.rows),
        "formerly": list(formerly),
    }


def _plain(policy: Policy) -> dict[str, object]:
    return {field.name: _recorded(getattr(policy, field.name)) for field in fields(policy)}


def _recorded(value: object) -> object:
    if isinstance(value, OnsNoise):
        return value.digest
    if isinstance(value, tuple):
        return [asdict(table) for table in cast("tuple[RegisteredTable, ...]", value)]
    return value.value if isinstance(value, Enum) else value


def _rounded(count: int) -> int:
    """Return the count to two significant digits, as far as the record needs it."""
    return round(count, 2 - len(str(count))) if count >= 100 else 100
