"""Talks to a gateway: typed values in and out, retries that are safe, refusals as `GatewayError`.

`GatewayClient`, `Identity`, `TableRequest`, `Filter`, `Statistic` and `GatewayError` are the whole public entrance; the
values that come back are described in `values`.
"""

from bandung.gateway.client.connection import Identity
from bandung.gateway.client.errors import GatewayError
from bandung.gateway.client.gateway import GatewayClient
from bandung.gateway.client.values import Filter, TableRequest
from bandung.gateway.domain.plan import Statistic

__all__ = ["Filter", "GatewayClient", "GatewayError", "Identity", "Statistic", "TableRequest"]
