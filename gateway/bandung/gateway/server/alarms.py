"""Deadlines of running calls, watched by one thread."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

_LOG = logging.getLogger(__name__)


class Alarms:
    """Runs actions when their time has come. One thread for all calls; actions must be short."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int]] = []
        self._actions: dict[int, Callable[[], None]] = {}
        self._ids = itertools.count()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
        self._thread.start()

    @contextmanager
    def after(self, seconds: float, action: Callable[[], None]) -> Generator[None]:
        """Run `action` once if the block is not left within `seconds`."""
        with self._changed:
            number = next(self._ids)
            self._actions[number] = action
            heapq.heappush(self._heap, (time.monotonic() + seconds, number))
            if self._heap[0][1] == number:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._actions.pop(number, None)

    def close(self) -> None:
        """End the thread; alarms that are set stay silent."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                due = self._due()
                if not self._open:
                    return
            for action in due:
                try:
                    action()
                except Exception:  # noqa: BLE001 (a brake that fails must not take every other deadline with it)
                    _LOG.exception("a brake failed")

    def _due(self) -> list[Callable[[], None]]:
        """Wait until something is due, or a change; the lock is held. Alarms of finished calls are dropped."""
        while self._heap and self._heap[0][1] not in self._actions:
            heapq.heappop(self._heap)
        wait_s = self._heap[0][0] - time.monotonic() if self._heap else None
        if wait_s is None or wait_s > 0:
            if self._open:
                self._changed.wait(wait_s)
            return []
        action = self._actions.pop(heapq.heappop(self._heap)[1], None)
        return [action] if action else []
