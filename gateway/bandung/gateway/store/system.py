"""The machine's clock and randomness. Everything else gets them by its constructor."""

from __future__ import annotations

import os
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> str:
        """Return the time as RFC 3339, UTC, milliseconds, `Z`."""
        now = datetime.now(UTC)  # noqa: TID251  (this class is the clock that others are given)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SystemRandomness:
    """The operating system's randomness."""

    def bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        return os.urandom(count)
