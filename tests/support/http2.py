"""Just enough HTTP/2 (RFC 9113) by hand to send what no gRPC client would."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from tests.support.pki import Files

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _HEADERS = 4, 1
_END_STREAM_AND_HEADERS = 0x5


def tls_context(ca: Path, files: Files | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A client context that speaks exactly this version."""
    context = ssl.create_default_context(cafile=str(ca))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    if files:
        context.load_cert_chain(files.certificate, files.key)
    return context


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Shake hands with a server on loopback."""
    return context.wrap_socket(socket.create_connection(("localhost", port), timeout=10), server_hostname="localhost")


def send_request(connection: ssl.SSLSocket, path: bytes) -> bytes:
    """Send one request with any bytes as `:path` and return what comes back first."""
    headers = {
        b":method": b"POST",
        b":scheme": b"https",
        b":path": path,
        b":authority": b"localhost",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    block = b"".join(_literal(name, value) for name, value in headers.items())
    connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_HEADERS, _END_STREAM_AND_HEADERS, 1, block))
    return connection.recv(4096)


def _literal(name: bytes, value: bytes) -> bytes:
    """A header without indexing and without Huffman coding (RFC 7541, section 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
