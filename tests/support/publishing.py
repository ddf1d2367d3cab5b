"""Publishing for real: declarations, sources, a ledger and a catalogue in temporary directories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bandung.connectors.base import Stop
from bandung.gateway.disclosure.table_builder import protect, uncertified
from bandung.gateway.domain.dataset import Dataset, Epoch
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.ledger import Receipt
from bandung.gateway.domain.plan import Comparison, Operator, Statistic
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import check, source_query
from bandung.gateway.planning.request import plan_table
from bandung.gateway.service.publish_dataset import PublishDataset
from bandung.gateway.store.catalogue import SqlCatalogue
from bandung.gateway.store.epochs import OpenEpochs
from bandung.gateway.store.ledger import SqlLedger
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.snapshot import SnapshotFiles
from bandung.gateway.store.sources import Sources
from bandung.gateway.store.system import SystemClock, SystemRandomness
from bandung.gateway.store.tau_argus import TauArgus
from tests.support.ledgers import a_ledger

FARMS = 700


def farm_rows() -> pa.Table:
    """Harvests of farms, one to three per farm, with the awkward values that surveys have."""
    farms = [index for index in range(FARMS) for _ in range(1 + index % 3)]
    places = ["31", "32", "o'k; DROP TABLE x", "None"]
    return pa.table(
        {
            "farm": pa.array([f"F{farm:05d}" for farm in farms]),
            "place": pa.array([None if farm % 9 == 0 else places[farm % 4] for farm in farms]),
            "age": pa.array([18 + farm % 60 for farm in farms], pa.int64()),
            "urea": pa.array([(row * 37 % 1000) / 8 for row in range(len(farms))], pa.float64()),
            "phosphate": pa.array([None if row % 17 == 0 else row % 50 / 4 for row in range(len(farms))]),
            "balance": pa.array([(row * 7919 % 2001 - 1000) / 10 for row in range(len(farms))], pa.float64()),
        }
    )


def a_declaration(connector: str = "files", relation: str = "farms.csv", **changes: Any) -> dict[str, Any]:
    """The declaration of `farm_rows`; `columns__age__bands=[…]` sets a key, None removes it."""
    document: dict[str, Any] = {
        "dataset": {
            "name": "farms",
            "title": "Harvests",
            "description": "Harvests of farms.",
            "licence": "CC0-1.0",
            "country": "IDN",
            "period": "1976",
        },
        "source": {"connector": connector, "relation": relation},
        "unit": {"name": "farm", "column": "farm", "rows_max": 3},
        "columns": {
            "area": {
                "role": "dimension",
                "source": "place",
                "codes": [
                    {"code": "31"},
                    {"code": "32"},
                    {"code": "odd", "values": ["o'k; DROP TABLE x"]},
                    {"code": "NONE", "label": "None at all", "values": ["None"]},
                ],
                "missing": "_U",
            },
            "age": {"role": "dimension", "bands": [0, 30, 50, float("inf")]},
            "fertiliser": {
                "role": "measure",
                "source": ["urea", "phosphate"],
                "decimals": 2,
                "range": [0, 200],
                "missing": "allowed",
            },
            "balance": {"role": "measure", "decimals": 1, "range": [-200, 200]},
        },
        "policy": {"kind": "table-builder", "min_units": 5},
        "training": {"allowed": True},
    }
    for path, value in changes.items():
        *sections, key = path.split("__")
        target = document
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = value
        if value is None:
            del target[key]
    return document


@dataclass(frozen=True)
class Node:
    """A country's stores, open, and what publishes into them."""

    directory: Path
    ledger: SqlLedger
    catalogue: SqlCatalogue
    secrets: FileSecrets
    sources: Sources
    snapshots: SnapshotFiles
    epochs: OpenEpochs
    publish: PublishDataset

    def declare(self, document: Mapping[str, object]) -> Dataset:
        """Parse a declaration that stands in the node's directory."""
        return parse_declaration(document, str(self.directory))

    def publish_now(self, document: Mapping[str, object], stop: Stop | None = None) -> tuple[Epoch, Receipt]:
        """Publish a declaration as the local operator."""
        return self.publish(self.declare(document), "local:citra", stop or Stop(), lambda done, total: None)

    def release(self, epoch: Epoch, group_by: tuple[str, ...], *names: str, **where: str) -> Release:
        """Answer a table from an epoch, protected; statistics are `count`, `sum(x)` or `mean(x)`."""
        statistics = tuple(Statistic(*name.rstrip(")").split("(")) for name in names)
        filters = tuple(Comparison(name, Operator.EQUAL, (code,)) for name, code in where.items())
        statement, _ = plan_table(epoch.dataset.name, group_by, filters, statistics, lambda name: epoch)
        (plan,) = bind(statement, epoch, ())
        checked = check(plan, epoch)
        source = self.epochs.open(epoch)
        cells = source.cells(source_query(checked, epoch), Stop())
        key = self.secrets.dataset_key(epoch.dataset.rows_of)
        closer = uncertified(checked, epoch, cells, key)
        contributions = source.contributions(closer, Stop()) if closer else None
        return protect(checked, epoch, Raw(cells, contributions), key)


@contextmanager
def a_node(directory: Path, environment: Mapping[str, str] | None = None) -> Iterator[Node]:
    """Open a node in a directory."""
    with a_ledger(directory) as opened:
        sources = Sources(environment or {})
        snapshots = SnapshotFiles(directory / "snapshots", memory_mib_max=256, threads_max=2)
        catalogue = SqlCatalogue(opened.engine, opened.ledger)
        epochs = OpenEpochs(snapshots, sources)
        publish = PublishDataset(
            sources, catalogue, snapshots, opened.secrets, SystemClock(), SystemRandomness(), TauArgus(directory)
        )
        try:
            yield Node(directory, opened.ledger, catalogue, opened.secrets, sources, snapshots, epochs, publish)
        finally:
            epochs.close()
