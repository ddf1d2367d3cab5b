"""Planned statements kept for clients that send the same text again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.plan import Statement


class StatementCache:
    """Statements by (principal, request); the oldest goes first. Safe for use by several threads at once."""

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._entries: dict[Hashable, tuple[Statement, Epoch]] = {}

    def get(
        self,
        key: Hashable,
        is_current: Callable[[Epoch], bool],
        plan: Callable[[], tuple[Statement, Epoch]],
    ) -> tuple[Statement, Epoch]:
        """Return the kept statement if its epoch is still current, else plan it and keep it."""
        found = self._entries.get(key)
        if found is not None and is_current(found[1]):
            return found
        planned = plan()
        with self._lock:
            self._entries.pop(key, None)
            if len(self._entries) >= self._entries_max:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = planned
        return planned
