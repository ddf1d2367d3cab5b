"""Who a client certificate stands for, decided again at every call.

The TLS handshake accepts a certificate under *any* country's authority, because all of them are roots of one listener.
Here the leaf is verified against the bundle of the trust domain that it names, and of no other: an authority of
country B that mints a name of country A is refused. Revocation and expiry bite on connections that are already open.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal
from bandung.gateway.service.ports import Clock

_LOG = logging.getLogger(__name__)
_KNOWN_MAX = 4096
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class _Domain:
    """One trust domain: its issuing authorities, and what they revoked (issuer and serial number)."""

    authorities: tuple[x509.Certificate, ...]
    revoked: frozenset[tuple[x509.Name, int]]


@dataclass(frozen=True, slots=True)
class _Known:
    """A verified leaf, and the time span in which leaf and authority are both valid."""

    principal: Principal
    not_before: dt.datetime
    not_after: dt.datetime


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the directory held; `known` caches verifications made under exactly this content."""

    stamp: tuple[tuple[str, int, int], ...]
    domains: Mapping[str, _Domain]
    roots: bytes
    known: dict[bytes, _Known] = field(default_factory=dict[bytes, _Known])


class TrustStore:
    """A directory of `<trust domain>.pem` bundles (issuing authorities) and optional `<trust domain>.crl` lists.

    Files are read again when they change; content that cannot be read leaves the last good content in force and is
    logged. Safe for use by several threads at once.

    Args:
        fresh_s: seconds after which the directory is looked at again.

    Raises:
        Refusal: BAD_CONFIGURATION if the directory holds no readable bundle at the start.
    """

    def __init__(self, directory: Path, clock: Clock, fresh_s: float = 1.0) -> None:
        self._directory = directory
        self._clock = clock
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        try:
            self._snapshot = _read(directory, _stamp(directory))
        except (OSError, ValueError) as error:
            raise Refusal(ErrorKind.BAD_CONFIGURATION, "The trust directory cannot be read.") from error
        if not self._snapshot.domains:
            raise Refusal(ErrorKind.BAD_CONFIGURATION, "The trust directory holds no <trust domain>.pem.")
        self._looked = time.monotonic()

    def roots(self) -> bytes:
        """Return every bundle as one PEM: the roots of the TLS handshake."""
        return self._current().roots

    def identify(self, leaf_pem: bytes) -> Principal:
        """Return the principal that a client certificate stands for, now.

        Raises:
            Refusal: NO_IDENTITY if it names no single well-formed principal; UNTRUSTED_IDENTITY if it is not valid
                under its own trust domain at this moment.
        """
        snapshot = self._current()
        fingerprint = hashlib.sha256(leaf_pem).digest()
        known = snapshot.known.get(fingerprint)
        if known is None:
            known = _verify(leaf_pem, snapshot.domains)
            if len(snapshot.known) >= _KNOWN_MAX:
                snapshot.known.clear()
            snapshot.known[fingerprint] = known
        if not known.not_before <= dt.datetime.fromisoformat(self._clock.now()) <= known.not_after:
            raise _untrusted("outside its validity")
        return known.principal

    def verify(self, certificate: bytes, signature: bytes, payload: bytes, author_uri: str) -> None:
        """Check that the author's own certificate, valid now, made an ECDSA signature (SHA-256, DER) over the payload.

        Args:
            certificate: PEM chain, the author's own first.

        Raises:
            Refusal: NO_IDENTITY or UNTRUSTED_IDENTITY for the certificate; JOB_INVALID if it is somebody else's or
                did not make the signature.
        """
        if self.identify(certificate).uri != author_uri:
            raise Refusal(ErrorKind.JOB_INVALID, "The certificate is not the author's.")
        key = x509.load_pem_x509_certificate(certificate).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Refusal(ErrorKind.JOB_INVALID, "The author's key is not ECDSA.")
        try:
            key.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise Refusal(ErrorKind.JOB_INVALID, "The signature does not hold.") from error

    def _current(self) -> _Snapshot:
        with self._lock:
            if time.monotonic() - self._looked >= self._fresh_s:
                self._looked = time.monotonic()
                self._refresh()
            return self._snapshot

    def _refresh(self) -> None:
        try:
            stamp = _stamp(self._directory)
            if stamp != self._snapshot.stamp:
                self._snapshot = _read(self._directory, stamp)
                _LOG.info("trust directory read again: %d trust domains", len(self._snapshot.domains))
        except (OSError, ValueError) as error:
            _LOG.error("trust directory not readable, the last good content stays in force: %s", error)


def _stamp(directory: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted([*directory.glob("*.pem"), *directory.glob("*.crl")])
    return tuple((path.name, (stat := path.stat()).st_mtime_ns, stat.st_size) for path in files)


def _read(directory: Path, stamp: tuple[tuple[str, int, int], ...]) -> _Snapshot:
    bundles = {path.stem: path.read_bytes() for path in sorted(directory.glob("*.pem"))}
    domains = {name: _domain(pem, directory / f"{name}.crl") for name, pem in bundles.items()}
    return _Snapshot(stamp, domains, b"\n".join(bundles.values()))


def _domain(pem: bytes, revocations: Path) -> _Domain:
    authorities = tuple(x509.load_pem_x509_certificates(pem))
    for authority in authorities:
        _check_authority(authority)
    revoked = (
        _revoked(revocations.read_bytes(), authorities) if revocations.exists() else frozenset[tuple[x509.Name, int]]()
    )
    return _Domain(authorities, revoked)


def _check_authority(authority: x509.Certificate) -> None:
    extensions = authority.extensions
    try:
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        may_sign = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as error:
        raise ValueError("a bundle holds a certificate without basic constraints or key usage") from error
    if not (is_authority and may_sign):
        raise ValueError("a bundle holds a certificate that is no authority")


def _revoked(pem: bytes, authorities: tuple[x509.Certificate, ...]) -> frozenset[tuple[x509.Name, int]]:
    """Serial numbers of a signed list. A stale list still counts: what was revoked stays revoked."""
    revocations = x509.load_pem_x509_crl(pem)
    signers = [a for a in authorities if a.subject == revocations.issuer]
    if not any(revocations.is_signature_valid(a.public_key()) for a in signers):  # pyright: ignore[reportArgumentType]
        raise ValueError("a revocation list is not signed by an authority of its trust domain")
    return frozenset((revocations.issuer, entry.serial_number) for entry in revocations)


def _verify(leaf_pem: bytes, domains: Mapping[str, _Domain]) -> _Known:
    try:
        leaf = x509.load_pem_x509_certificate(leaf_pem)
        extensions = leaf.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.DuplicateExtension, x509.ExtensionNotFound) as error:
        raise Refusal(ErrorKind.NO_IDENTITY) from error
    if len(uris) != 1:
        raise Refusal(ErrorKind.NO_IDENTITY)
    principal = Principal.from_uri(uris[0])
    _check_leaf(extensions)
    domain = domains.get(principal.trust_domain)
    if domain is None:
        raise _untrusted("its trust domain is not known here")
    authority = _issuer(leaf, domain)
    not_before = max(leaf.not_valid_before_utc, authority.not_valid_before_utc)
    not_after = min(leaf.not_valid_after_utc, authority.not_valid_after_utc)
    return _Known(principal, not_before, not_after)


def _check_leaf(extensions: x509.Extensions) -> None:
    """Key usage, extended key usage and critical extensions (RFC 5280, section 4.2)."""
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        uses = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound as error:
        raise _untrusted("basic constraints, key usage or extended key usage are missing") from error
    if is_authority or not signs or ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise _untrusted("not a client certificate")
    if any(e.critical and isinstance(e.value, x509.UnrecognizedExtension) for e in extensions):
        raise _untrusted("an unknown critical extension")


def _issuer(leaf: x509.Certificate, domain: _Domain) -> x509.Certificate:
    for authority in domain.authorities:
        if authority.subject == leaf.issuer and _signed(leaf, authority):
            if (leaf.issuer, leaf.serial_number) in domain.revoked:
                raise _untrusted("revoked")
            return authority
    raise _untrusted("not issued by its own trust domain")


def _signed(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    algorithm = leaf.signature_hash_algorithm
    if algorithm is not None and not isinstance(algorithm, _HASHES):
        return False
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _untrusted(private: str) -> Refusal:
    return Refusal(ErrorKind.UNTRUSTED_IDENTITY, private=private)
