"""Before any test imports gRPC: the gateway narrows its ciphers, which must come first."""

import bandung.gateway  # noqa: F401
