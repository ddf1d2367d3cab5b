"""Stopping an engine that may not hear the first call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from bandung.connectors.base import Stop

_REPEAT_S = 0.1


@contextmanager
def braked(stop: Stop, interrupt: Callable[[], None]) -> Generator[None]:
    """Interrupt what runs inside the block if the request is given up, again and again until it ends.

    Engines forget an interruption that comes between two phases of a statement, so one call is not enough. The
    calls are made by a thread of their own: giving a request up never waits for a network.

    Args:
        interrupt: harmless when called too late.

    Raises:
        Stopped: the request had been given up before.
    """
    over = threading.Event()

    def insist() -> None:
        while not over.is_set():
            interrupt()
            over.wait(_REPEAT_S)

    with stop.brake(threading.Thread(target=insist, name="brake", daemon=True).start):
        try:
            yield
        finally:
            over.set()
