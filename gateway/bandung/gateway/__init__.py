"""The gateway: the one process that sees a country's rows, and lets out only releases."""

import os
import sys

from bandung.gateway.version import __version__

__all__ = ["__version__"]

# gRPC reads its cipher list when it is first imported, so this stands before any module that does. The only TLS 1.2
# suite left needs an RSA key; the gateway's key is ECDSA, so that no TLS 1.2 handshake can succeed. TLS 1.3 suites
# are not governed by this setting. `server.listener.serve` refuses to start if gRPC came first.
_SUITES = "ECDHE-RSA-AES256-GCM-SHA384"
TLS_1_3_ONLY = "grpc" not in sys.modules or os.environ.get("GRPC_SSL_CIPHER_SUITES") == _SUITES
os.environ["GRPC_SSL_CIPHER_SUITES"] = _SUITES
