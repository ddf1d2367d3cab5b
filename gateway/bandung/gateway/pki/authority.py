"""A country's own certificate authority: it can vouch for names of its own trust domain and for nothing else.

The authority's certificate is name-constrained (RFC 5280, section 4.2.1.10) to URIs of the trust domain, so that a TLS
stack itself rejects a certificate that another country's authority made for a name of ours.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS = 3650
# Clocks of two countries differ; a certificate made a moment ago must already be valid there.
_SKEW = dt.timedelta(minutes=5)
_COMMON_NAME_MAX = 64


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its private key, both in PEM; the key is PKCS #8, unencrypted."""

    certificate: bytes
    key: bytes


def create_authority(organisation: str, now: dt.datetime, trust_domain: str | None = None) -> Credential:
    """Make a certificate authority: ECDSA P-256, ten years, no intermediate authorities.

    Args:
        trust_domain: the only domain whose URIs it may vouch for; None for a coordinator's, which no gateway trusts.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(organisation, f"{organisation} authority")
    builder = _builder(subject, subject, key, (now, now + dt.timedelta(days=_AUTHORITY_DAYS)))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    if trust_domain is not None:
        permitted = [x509.UniformResourceIdentifier(trust_domain)]
        builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    return _credential(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: Credential, uri: str | None, now: dt.datetime, days: int, hosts: tuple[str, ...] = ()
) -> Credential:
    """Make a key (ECDSA P-256) and a certificate for it.

    Args:
        uri: `spiffe://<trust domain>/<role>[/<name>]`; None for a coordinator, which is known by its hosts.
        days: validity; never longer than the authority's own.
        hosts: DNS names and IP addresses that it serves under; none for a principal that only asks.
    """
    parent = x509.load_pem_x509_certificate(authority.certificate)
    parent_key = _load_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    organisation = str(parent.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
    label = uri.removeprefix("spiffe://").partition("/")[2] if uri else "coordinator"
    end = min(now + dt.timedelta(days=days), parent.not_valid_after_utc)
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH] if uri else []
    uses += [ExtendedKeyUsageOID.SERVER_AUTH] if hosts else []
    names = [x509.UniformResourceIdentifier(uri)] if uri else []
    certificate = (
        _builder(_name(organisation, label), parent.subject, key, (now, end))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, *map(_host, hosts)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(parent_key.public_key()),
            critical=False,
        )
        .sign(parent_key, hashes.SHA256())
    )
    return _credential(certificate, key)


def revoke(authority: Credential, certificate: bytes, known: bytes | None, now: dt.datetime) -> bytes:
    """Add a certificate (PEM) to the authority's list of revoked ones, and return the list (PEM).

    Args:
        known: the list so far (PEM), or None.

    Raises:
        ValueError: the certificate was not issued by this authority.
    """
    parent = x509.load_pem_x509_certificate(authority.certificate)
    leaf = x509.load_pem_x509_certificate(certificate)
    try:
        leaf.verify_directly_issued_by(parent)
    except (InvalidSignature, TypeError) as error:
        raise ValueError("the certificate was not issued by this authority") from error
    builder = x509.CertificateRevocationListBuilder().issuer_name(parent.subject).last_update(now)
    builder = builder.next_update(now + dt.timedelta(days=_AUTHORITY_DAYS))
    earlier = [] if known is None else list(x509.load_pem_x509_crl(known))
    for entry in earlier:
        builder = builder.add_revoked_certificate(entry)
    if all(entry.serial_number != leaf.serial_number for entry in earlier):
        entry = x509.RevokedCertificateBuilder().serial_number(leaf.serial_number).revocation_date(now).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(_load_key(authority.key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def permitted_domains(authority: bytes) -> tuple[str, ...]:
    """Return the trust domains that an authority (PEM) may vouch for; empty if it is not constrained.

    Of several certificates (an old and a new one) each must be constrained to the same domains, else to none.

    Raises:
        ValueError: one of them is not the certificate of an authority, or there is none.
    """
    found = {_permitted(certificate) for certificate in x509.load_pem_x509_certificates(authority)}
    return found.pop() if len(found) == 1 else ()


def _permitted(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError("the certificate is not that of an authority")
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    permitted = constraints.permitted_subtrees or []
    return tuple(str(name.value) for name in permitted if isinstance(name, x509.UniformResourceIdentifier))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, validity: tuple[dt.datetime, dt.datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0] - _SKEW)
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(organisation: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_MAX]),
        ]
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not on an elliptic curve")
    return key


def _credential(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credential(certificate.public_bytes(encoding), private)
