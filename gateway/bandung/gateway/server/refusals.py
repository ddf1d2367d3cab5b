"""How a refusal travels: status, text, and the typed error in the trailer `bandung-error-bin`."""

from __future__ import annotations

from typing import NoReturn

import grpc

from bandung.gateway.domain.errors import Refusal
from bandung.gateway.v1 import error_pb2

# A peer's header limit is 8 KiB by default, and text travels percent-encoded.
_DETAIL_MAX_CHARACTERS = 600


def abort(context: grpc.ServicerContext, refusal: Refusal, exchange: str) -> NoReturn:
    """End the call with the refusal's public words and nothing else."""
    line, column = refusal.position or (0, 0)
    error = error_pb2.Error(
        code=refusal.code,
        meaning=refusal.kind.spec.meaning,
        detail=refusal.detail[:_DETAIL_MAX_CHARACTERS],
        remedy=refusal.remedy[:_DETAIL_MAX_CHARACTERS],
        line=line,
        column=column,
        exchange=exchange,
    )
    trailer = (("bandung-error-bin", error.SerializeToString()), ("bandung-exchange", exchange))
    context.set_trailing_metadata(trailer)
    status = grpc.StatusCode[refusal.kind.spec.status.value]
    context.abort(status, refusal.message[: 2 * _DETAIL_MAX_CHARACTERS])
