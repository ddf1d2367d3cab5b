"""The listener's own certificate and its clients' roots, read again when the files change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.server.trust import TrustStore

_LOG = logging.getLogger(__name__)


class CredentialFiles:
    """Serves new handshakes with what the files hold now; open connections keep what they began with.

    A pair that does not fit together (one file written, the other not yet) leaves the former pair in service.
    """

    def __init__(self, certificate: Path, key: Path, trust: TrustStore) -> None:
        self._certificate = certificate
        self._key = key
        self._trust = trust
        self._served: tuple[bytes, bytes, bytes] | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask for these files at every handshake.

        Raises:
            Refusal: BAD_CONFIGURATION if the pair cannot be read, does not fit, or is not ECDSA.
        """
        try:
            initial = self._read()
        except (OSError, ValueError, TypeError) as error:
            raise Refusal(
                ErrorKind.BAD_CONFIGURATION, "The server's certificate and key cannot be used.", private=str(error)
            ) from error
        self._served = initial
        # The stubs do not know that None, for "nothing new", is an allowed answer.
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._newer)
        return grpc.dynamic_ssl_server_credentials(_configuration(*initial), fetch, require_client_authentication=True)

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            found = self._read()
        except (OSError, ValueError, TypeError) as error:
            _LOG.error("new server certificate not usable, the former stays in service: %s", error)
            return None
        if found == self._served:
            return None
        self._served = found
        _LOG.info("server certificate or trust roots rotated")
        return _configuration(*found)

    def _read(self) -> tuple[bytes, bytes, bytes]:
        chain, key = self._certificate.read_bytes(), self._key.read_bytes()
        if self._served is None or (chain, key) != self._served[:2]:
            _check_pair(chain, key)
        return chain, key, self._trust.roots()


def _check_pair(chain: bytes, key: bytes) -> None:
    """An RSA key would open the door to TLS 1.2; see `bandung/gateway/__init__.py`."""
    private = load_pem_private_key(key, None)
    leaf = x509.load_pem_x509_certificates(chain)[0]
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ValueError("the server's key is not ECDSA")
    shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*shape) != leaf.public_key().public_bytes(*shape):
        raise ValueError("certificate and key do not belong together")


def _configuration(chain: bytes, key: bytes, roots: bytes) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)
