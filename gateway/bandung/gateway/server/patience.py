"""How often a principal may be refused before it is not listened to for a while.

Every refusal is on the record, so whoever may be refused without end can make the ledger grow until the disk is full,
and then the gateway seals itself.
"""

from __future__ import annotations

import threading
import time

from bandung.gateway.domain.errors import ErrorKind, Refusal

_WINDOW_S = 60.0
_WINDOWS_MAX = 4096


class Patience:
    """Counts refusals by principal and minute. Safe for use by several threads at once.

    Args:
        refusals_per_minute_max: after so many a principal's calls are refused unseen, until its minute is over.
    """

    def __init__(self, refusals_per_minute_max: int) -> None:
        self._most = refusals_per_minute_max
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def check(self, uri: str) -> None:
        """Let a principal's call pass.

        Raises:
            Refusal: TOO_MANY_CALLS.
        """
        with self._lock:
            _, count = self._window(uri)
        if count >= self._most:
            detail = f"You were refused {self._most} times within a minute"
            raise Refusal(ErrorKind.TOO_MANY_CALLS, detail, remedy="Wait a minute; then correct what was refused.")

    def note(self, uri: str) -> bool:
        """Count a refusal; return whether it goes on the record: of those of `check` only a minute's first does."""
        with self._lock:
            began, count = self._window(uri)
            if len(self._windows) >= _WINDOWS_MAX:
                self._forget()
            self._windows[uri] = began, count + 1
        return count <= self._most

    def _window(self, uri: str) -> tuple[float, int]:
        now = time.monotonic()
        began, count = self._windows.get(uri, (now, 0))
        return (began, count) if now < began + _WINDOW_S else (now, 0)

    def _forget(self) -> None:
        """Drop the minutes that are over; the oldest half, if none is."""
        since = time.monotonic() - _WINDOW_S
        current = {uri: window for uri, window in self._windows.items() if window[0] > since}
        oldest_first = sorted(current.items(), key=lambda item: item[1][0])
        self._windows = dict(oldest_first[-_WINDOWS_MAX // 2 :])
