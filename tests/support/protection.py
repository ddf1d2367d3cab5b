"""A table protected in memory: rows by brute force, then the product's own plan, safety and protection."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from bandung.connectors import reckoning
from bandung.gateway.disclosure.keys import record_keys
from bandung.gateway.disclosure.table_builder import protect, uncertified
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import CheckedPlan, check, source_query
from bandung.gateway.planning.sql import plan_sql

KEY = b"k" * 32


def rows_of(records: list[dict[str, Any]]) -> pa.Table:
    """Snapshot rows: the declared columns already computed, `unit`, and each unit's record key."""
    keys = record_keys(KEY, [str(record["unit"]) for record in records])
    return pa.Table.from_pylist(records).append_column("record_key", keys)


def checked(sql: str, epoch: Epoch) -> CheckedPlan:
    """The checked plan of a statement."""
    statement, _ = plan_sql(sql, lambda name: epoch if name == epoch.dataset.name else None)
    (plan,) = bind(statement, epoch, ())
    return check(plan, epoch)


def raw_of(plan: CheckedPlan, epoch: Epoch, rows: pa.Table, key: bytes = KEY) -> Raw:
    """What the source says, with the closer look if one is needed."""
    cells = reckoning.cells(source_query(plan, epoch), rows)
    look = uncertified(plan, epoch, cells, key)
    return Raw(cells, reckoning.contributions(look, rows) if look else None)


def release_of(sql: str, epoch: Epoch, rows: pa.Table, key: bytes = KEY) -> Release:
    """The release that a statement gets."""
    plan = checked(sql, epoch)
    return protect(plan, epoch, raw_of(plan, epoch, rows, key), key)
