"""What a gateway, or the way to it, answers instead of a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import grpc
from google.protobuf.message import DecodeError

from bandung.gateway.v1 import error_pb2


class GatewayError(Exception):
    """A refusal of the gateway, or a failure to reach it.

    Attributes:
        code: of the error catalogue, for instance `B209`; empty if no gateway said it (network, TLS, deadline).
        status: name of the gRPC status.
        message: the whole public text.
        detail, remedy: its parts.
        position: 1-based (line, column) in the statement, if the error has a place there.
        exchange: id under which the gateway recorded the refusal; empty if no gateway said it.
    """

    def __init__(
        self,
        code: str,
        status: str,
        message: str,
        *,
        detail: str = "",
        remedy: str = "",
        position: tuple[int, int] | None = None,
        exchange: str = "",
    ) -> None:
        self.code = code
        self.status = status
        self.message = message
        self.detail = detail
        self.remedy = remedy
        self.position = position
        self.exchange = exchange
        super().__init__(message)

    @property
    def refused(self) -> bool:
        """Whether a gateway said this; else it was not reached, or did not answer in time."""
        return bool(self.code)


def from_rpc(error: grpc.RpcError) -> GatewayError:
    """Return the error that a failed call stands for."""
    call = error if isinstance(error, grpc.Call) else None
    status = call.code().name if call else "UNKNOWN"
    text = (call.details() if call else "") or status
    trailer = cast("Iterable[tuple[str, str | bytes]] | None", call.trailing_metadata() if call else None)
    content = dict(trailer or ()).get("bandung-error-bin")
    parsed = _parsed(content)
    if parsed is None:
        return GatewayError("", status, f"The gateway could not be reached or did not answer: {text}")
    position = (parsed.line, parsed.column) if parsed.line else None
    return GatewayError(
        parsed.code,
        status,
        text,
        detail=parsed.detail,
        remedy=parsed.remedy,
        position=position,
        exchange=parsed.exchange,
    )


def _parsed(content: str | bytes | None) -> error_pb2.Error | None:
    if not isinstance(content, bytes):
        return None
    try:
        return error_pb2.Error.FromString(content)
    except DecodeError:
        return None
