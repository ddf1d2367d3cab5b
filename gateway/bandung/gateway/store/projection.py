"""The newest state of things that are kept in versions, read without asking twice for what is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Table, func, select

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _State(Generic[T]):
    newest: int = -1
    values: Mapping[str, T] = field(default_factory=dict[str, T])


class Projection(Generic[T]):
    """The newest value of each key in an append-only table whose rows belong to ledger entries.

    Looking costs one small query for the newest row; only rows that are new, whichever process wrote them, are read
    and decoded. Unchanged values stay the same objects. Safe for use by several threads.

    Args:
        read: key and value of a row; the value None takes the key away.
    """

    def __init__(self, engine: Engine, table: Table, read: Callable[[Any], tuple[str, T | None]]) -> None:
        self._engine = engine
        self._read = read
        self._newest = select(func.coalesce(func.max(table.c.entry), -1))
        self._table = table
        self._lock = threading.Lock()
        self._state: _State[T] = _State()

    def now(self) -> Mapping[str, T]:
        """Return the values by key, in the order in which the keys first appeared."""
        with self._engine.connect() as connection:
            newest = connection.execute(self._newest).scalar_one()
            if newest == self._state.newest:
                return self._state.values
            with self._lock:
                known = self._state
                entry = self._table.c.entry
                rows = connection.execute(select(self._table).where(entry > known.newest).order_by(entry)).all()
                if rows:
                    self._state = _State(rows[-1].entry, MappingProxyType(self._with(known.values, rows)))
                return self._state.values

    def _with(self, values: Mapping[str, T], rows: Any) -> dict[str, T]:
        changed = dict(values)
        for key, value in map(self._read, rows):
            if value is None:
                changed.pop(key, None)
            else:
                changed[key] = value
        return changed
