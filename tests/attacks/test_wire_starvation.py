"""One analyst who takes every thread of a gateway.

How the attack works: a gateway works on a fixed number of calls at once. An upload that is opened and never continued,
or a query that takes long, holds its thread until the deadline. Who may have as many calls under way as there are
threads, at the price of a few idle streams shuts everybody else out, a health check included.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bandung.gateway.config import LimitSettings
from bandung.gateway.server.door import Limits
from tests.support.clients import a_channel, a_client
from tests.support.gateway import a_gateway


def test_with_the_default_limits_idle_uploads_of_one_analyst_shut_nobody_out(tmp_path: Path):
    defaults, over = LimitSettings(), threading.Event()
    limits = Limits(deadline_max_s=30, calls_per_principal_max=defaults.calls_per_principal_max)

    def silence() -> Iterator[bytes]:
        over.wait(30)
        yield from ()

    with a_gateway(tmp_path, limits=limits, threads=defaults.threads_max) as gateway:
        gateway.publish()
        gateway.agree()
        greedy, other = gateway.identity("analyst/greedy"), gateway.identity("analyst/ani")
        with a_channel(gateway.address, gateway.idn.ca, greedy) as channel:
            upload = channel.stream_stream("/arrow.flight.protocol.FlightService/DoPut")
            held = [upload(silence()) for _ in range(2 * defaults.threads_max - 4)]
            time.sleep(0.5)
            with a_client(gateway.address, gateway.idn.ca, other, deadline_s=5.0) as client:
                assert client.query("SELECT COUNT(*) FROM farms").table.num_rows == 1
            over.set()
            for call in held:
                call.cancel()
