"""One call under way: who asks, under which exchange id, and the brake that ends it early."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from bandung.connectors.base import Stop
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal


@dataclass(slots=True, eq=False)
class Call:
    """What a service implementation gets beside the request.

    Attributes:
        exchange: id that both sides record (16 bytes, hexadecimal).
        nano_rho: what the caller lets a table spend of a privacy budget; None for what the policy says.
        stop: set by cancellation, deadline or shutdown, whichever comes first.
        cause: why `stop` was set.
        recorded: a desk has already put this call's refusal on the record.
    """

    principal: Principal
    method: str
    exchange: str
    transport: grpc.ServicerContext
    stop: Stop = field(default_factory=Stop)
    cause: ErrorKind = ErrorKind.CANCELLED
    recorded: bool = False
    nano_rho: int | None = None

    def give_up(self, cause: ErrorKind) -> None:
        """End the call early for this reason; the first reason counts."""
        if not self.stop.stopped:
            self.cause = cause
            self.stop.set()

    def hang_up(self) -> None:
        """End the transport's side of the call, whatever it is waiting for."""
        self.transport.cancel()

    @contextmanager
    def desk_records(self) -> Generator[None]:
        """Around a desk that puts its own refusals on the record, so that the door does not do it twice."""
        try:
            yield
        except Refusal:
            self.recorded = True
            raise
