"""One mutual-TLS channel to a gateway: deadlines by default, retries where repeating is safe."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc

from bandung.gateway.client.errors import GatewayError, from_rpc

T = TypeVar("T")

# A sealed gateway says UNAVAILABLE too, but waiting does not help: its operator must act.
_SEALED = "B405"
_RETRIED = frozenset({"UNAVAILABLE", "CANCELLED"})
_FIRST_WAIT_S = 0.2
_WAIT_GROWTH = 3.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 30_000),
]


@dataclass(frozen=True, slots=True)
class Identity:
    """Files of a principal, PEM.

    Attributes:
        ca: authority of the *gateway's* country; its certificate must be valid under this one.
        server_name: name that the gateway's certificate must carry, if it is not the host of the address.
    """

    ca: Path
    certificate: Path
    key: Path
    server_name: str | None = None


class Connection:
    """A channel that several threads may use at once.

    Args:
        deadline_s: for each call, all retries together.
        attempts_max: most attempts of a call that is safe to repeat.

    Raises:
        OSError: the identity's files cannot be read.
    """

    def __init__(self, address: str, identity: Identity, deadline_s: float, attempts_max: int) -> None:
        credentials = grpc.ssl_channel_credentials(
            identity.ca.read_bytes(), identity.key.read_bytes(), identity.certificate.read_bytes()
        )
        override = [("grpc.ssl_target_name_override", identity.server_name)] if identity.server_name else []
        self.channel = grpc.secure_channel(address, credentials, [*_OPTIONS, *override])
        self._deadline_s = deadline_s
        self._attempts_max = attempts_max
        self._closed = threading.Event()

    def once(self, call: Callable[..., T], request: Any) -> T:
        """Call once, whatever happens.

        Raises:
            GatewayError: the gateway refused, or was not reached.
        """
        return self._try(call, request, exchange(), self._deadline_s)

    def repeatedly(self, call: Callable[..., T], request: Any, exchange_id: str | None = None) -> T:
        """Call again, under the same exchange id, while the gateway is not there; only for what is safe to repeat.

        Raises:
            GatewayError: the gateway refused, or was not reached by the last attempt.
        """
        exchange_id = exchange_id or exchange()
        end = time.monotonic() + self._deadline_s
        wait_s = _FIRST_WAIT_S
        for _ in range(self._attempts_max - 1):
            try:
                return self._try(call, request, exchange_id, end - time.monotonic())
            except GatewayError as error:
                hopeless = error.status not in _RETRIED or error.code == _SEALED
                if hopeless or time.monotonic() + wait_s >= end or self._closed.wait(wait_s):
                    raise
            wait_s *= _WAIT_GROWTH
        return self._try(call, request, exchange_id, end - time.monotonic())

    def streamed(self, call: Callable[..., Iterator[T]], request: Any) -> Iterator[T]:
        """Yield a stream's messages.

        Raises:
            GatewayError: the gateway refused, or was not reached.
        """
        try:
            yield from call(request, timeout=self._deadline_s, metadata=_metadata(exchange()))
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    def close(self) -> None:
        """End the channel; calls under way fail."""
        self._closed.set()
        self.channel.close()

    def _try(self, call: Callable[..., T], request: Any, exchange_id: str, timeout_s: float) -> T:
        try:
            return call(request, timeout=timeout_s, metadata=_metadata(exchange_id))
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        except ValueError as error:
            raise GatewayError("", "CANCELLED", "The connection is closed.") from error


def exchange() -> str:
    """Return a new exchange id: 16 random bytes, hexadecimal."""
    return secrets.token_hex(16)


def _metadata(exchange_id: str) -> tuple[tuple[str, str], ...]:
    return (("bandung-exchange", exchange_id),)
