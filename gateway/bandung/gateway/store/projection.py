"""The newest state of things that are kept in versions, read without asking twice for what is known."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Table, func, select

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _State(Generic[T]):
    commits: int = -1
    newest: int = -1
    values: Mapping[str, T] = field(default_factory=dict[str, T])


class Projection(Generic[T]):
    """The newest value of each key in an append-only table whose rows belong to ledger entries.

    SQLite tells a connection for next to nothing whether any other one has committed since it last asked, in whichever
    process; only then is the newest row looked at, and only rows that are new are read and decoded. Unchanged values
    stay the same objects. Safe for use by several threads.

    Args:
        read: key and value of a row; the value None takes the key away.
    """

    def __init__(self, engine: Engine, table: Table, read: Callable[[Any], tuple[str, T | None]]) -> None:
        self._engine = engine
        self._read = read
        self._newest = select(func.coalesce(func.max(table.c.entry), -1))
        self._table = table
        self._lock = threading.Lock()
        self._watch_lock = threading.Lock()
        self._watch = _own_connection(engine)
        weakref.finalize(self, self._watch.close)
        self._state: _State[T] = _State()

    def now(self) -> Mapping[str, T]:
        """Return the values by key, in the order in which the keys first appeared."""
        commits = self._commits()
        if commits == self._state.commits:
            return self._state.values
        with self._lock, self._engine.connect() as connection:
            known = self._state
            newest = connection.execute(self._newest).scalar_one()
            if newest == known.newest:
                self._state = replace(known, commits=commits)
            else:
                entry = self._table.c.entry
                rows = connection.execute(select(self._table).where(entry > known.newest).order_by(entry)).all()
                self._state = _State(commits, rows[-1].entry, MappingProxyType(self._with(known.values, rows)))
            return self._state.values

    def _commits(self) -> int:
        """A number that changes with every commit of another connection (SQLite, PRAGMA data_version)."""
        with self._watch_lock:
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def _with(self, values: Mapping[str, T], rows: Any) -> dict[str, T]:
        changed = dict(values)
        for key, value in map(self._read, rows):
            if value is None:
                changed.pop(key, None)
            else:
                changed[key] = value
        return changed


def _own_connection(engine: Engine) -> Any:
    """Take a connection out of the pool for good: what it saw last must not depend on who else used it."""
    pooled = engine.raw_connection()
    connection = pooled.driver_connection
    pooled.detach()
    return connection
