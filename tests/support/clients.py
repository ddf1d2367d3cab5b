"""Independent clients of a gateway: ADBC's Flight SQL driver, pyarrow.flight, plain gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import grpc
import pyarrow.flight as fl
from google.protobuf import any_pb2

from bandung.gateway.client import GatewayClient, Identity
from bandung.gateway.server.flight_pb import flight_sql_pb2
from tests.support.pki import Files

_OPTION = "adbc.flight.sql.client_option."


def an_adbc_connection(address: str, ca: Path, files: Files) -> adbc.Connection:
    """ADBC's DBAPI, as any analyst would use it."""
    options = {
        _OPTION + "mtls_cert_chain": files.certificate.read_text(),
        _OPTION + "mtls_private_key": files.key.read_text(),
        _OPTION + "tls_root_certs": ca.read_text(),
    }
    return adbc.connect(f"grpc+tls://{address}", db_kwargs=options, autocommit=True)


def a_flight_client(address: str, ca: Path, files: Files) -> fl.FlightClient:
    """pyarrow's own client."""
    return fl.FlightClient(
        f"grpc+tls://{address}",
        tls_root_certs=ca.read_text(),
        cert_chain=files.certificate.read_text(),
        private_key=files.key.read_text(),
    )


def a_client(address: str, ca: Path, files: Files, **options: Any) -> GatewayClient:
    """The product's client."""
    return GatewayClient(address, Identity(ca, files.certificate, files.key), **options)


def a_channel(address: str, ca: Path, files: Files | None) -> grpc.Channel:
    """Plain gRPC."""
    key, chain = (files.key.read_bytes(), files.certificate.read_bytes()) if files else (None, None)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes(), key, chain))


def a_command(name: str, **fields: Any) -> bytes:
    """A packed Flight SQL command."""
    value = getattr(flight_sql_pb2, name)(**fields).SerializeToString()
    packed = any_pb2.Any(type_url=f"type.googleapis.com/arrow.flight.protocol.sql.{name}", value=value)
    return packed.SerializeToString()
