"""The gateway's one listener: Flight SQL and the typed services over mutual TLS 1.3.

gRPC reads its cipher list once, when its first TLS credential is made. The only TLS 1.2 suite left in it needs an RSA
key; the server's key is ECDSA (`credentials.py` insists), so a TLS 1.2 handshake cannot succeed. TLS 1.3 suites are
not governed by this setting.
"""

import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"
