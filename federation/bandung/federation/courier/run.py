"""The courier's loop: take a message, carry it to the own gateway, bring the answer back."""

import logging
import signal
import threading
from time import monotonic
from typing import Final

from bandung.federation.courier.carriage import Carrier, carry_message, open_carrier
from bandung.federation.courier.config import CourierConfig
from bandung.federation.courier.flower import Delivery, FleetLink, FleetRefusedError, FleetStopped
from bandung.federation.training.polling import poll_interval_s

_UNKNOWN_NODE: Final = 401
_logger = logging.getLogger(__name__)


class Courier:
    """A node that answers messages until it is told to stop.

    Args:
        config: Its configuration.
        carrier: Where messages are carried to.
        stop: Set from outside to end `serve`.
    """

    def __init__(self, config: CourierConfig, carrier: Carrier, stop: threading.Event) -> None:
        self._config = config
        self._carrier = carrier
        self._stop = stop
        self._link = FleetLink(config, stop)

    def serve(self) -> None:
        """Work until `stop` is set. Outlives restarts of the coordinator, of the gateway and of jobs."""
        try:
            self._link.activate()
            while not self._stop.is_set():
                self._work()
        except FleetStopped:
            _logger.info("stopped")
        finally:
            self._link.close()

    def _work(self) -> None:
        last = monotonic()
        while not self._stop.wait(poll_interval_s(monotonic() - last, self._config.idle_poll_s)):
            try:
                if delivery := self._link.receive():
                    self._deliver(delivery)
                    last = monotonic()
            except FleetRefusedError as error:
                _logger.info("%s", error)
                if error.status == _UNKNOWN_NODE:
                    self._link.activate()

    def _deliver(self, delivery: Delivery) -> None:
        self._link.reply(delivery, carry_message(delivery.content, self._carrier))


def run_courier(config: CourierConfig, carrier: Carrier | None = None) -> int:
    """Run a courier in the foreground until SIGTERM or SIGINT. Call it from the main thread.

    Args:
        config: Its configuration.
        carrier: Where messages are carried to; by default what `config.carrier` names.

    Returns:
        The exit status: 0.

    Raises:
        NodeKeyError: The node key cannot be used.
        OSError: A key or certificate cannot be read.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    chosen = carrier if carrier is not None else open_carrier(config)
    try:
        Courier(config, chosen, stop).serve()
    finally:
        chosen.close()
    return 0
