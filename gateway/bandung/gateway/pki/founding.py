"""Founding a node: every key, certificate and document of a country's gateway, made in one go or not at all."""

from __future__ import annotations

import base64
import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bandung.gateway.config import GatewayConfig, NodeDirectory, render_toml
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.pki.authority import Credential, create_authority, issue, revoke
from bandung.gateway.pki.files import replace_public, write_public, write_secret
from bandung.gateway.pki.membership import Membership, pin
from bandung.gateway.store.secrets import FileSecrets
from bandung.gateway.store.system import SystemRandomness

_NODE_CERTIFICATE_DAYS = 397
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Identity:
    """The three PEM files by which a principal calls a gateway."""

    uri: str
    certificate: Path
    key: Path
    ca: Path


def found(
    directory: Path, config: GatewayConfig, make_node_key: Callable[[Path], bytes], now: dt.datetime
) -> Membership:
    """Make a gateway's directory.

    Args:
        make_node_key: makes the courier's key in the directory that it is given, and returns its public half (PEM).

    Raises:
        Refusal: BAD_CONFIGURATION if anything is there already: keys are never overwritten.
    """
    vacant(directory)
    beside = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    member = _fill(NodeDirectory(beside), config, make_node_key, now)
    if directory.exists():
        directory.rmdir()
    beside.rename(directory)
    return member


def vacant(directory: Path) -> None:
    """Make sure that a directory may be filled.

    Raises:
        Refusal: BAD_CONFIGURATION if there is something in it.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refusal(
            ErrorKind.BAD_CONFIGURATION,
            f"{directory} is not empty.",
            remedy="Name a new directory; keys are never overwritten.",
        )


def issue_identity(node: NodeDirectory, principal: Principal, days: int, out: Path, now: dt.datetime) -> Identity:
    """Make a key and a certificate for a principal of this country.

    Args:
        days: validity in days.
        out: directory that gets `<role>[-<name>].pem`, `.key` (the role once, if the name begins with it) and `ca.pem`.

    Raises:
        Refusal: BAD_CONFIGURATION if the authority's key is not here, or the files exist.
    """
    authority = _authority(node)
    role, name = principal.role.value, principal.name
    stem = name if name.startswith(role) else f"{role}-{name}".rstrip("-")
    files = Identity(principal.uri, out / f"{stem}.pem", out / f"{stem}.key", out / "ca.pem")
    credential = issue(authority, principal.uri, now, days)
    try:
        write_secret(files.key, credential.key)
        write_public(files.certificate, credential.certificate)
    except FileExistsError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{error.filename} exists; a key is never overwritten.") from error
    if not files.ca.exists():
        write_public(files.ca, authority.certificate)
    return files


def renew_listener(node: NodeDirectory, config: GatewayConfig, now: dt.datetime) -> None:
    """Replace the listener's key and certificate; the running gateway takes them up by itself.

    Raises:
        Refusal: BAD_CONFIGURATION if the authority's key is not here.
    """
    credential = _listener_credential(_authority(node), config, now)
    for path, content, write in zip(
        node.tls, (credential.certificate, credential.key), (write_public, write_secret), strict=True
    ):
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        write(beside, content)
    for path in node.tls:
        path.with_name(f".{path.name}.new").replace(path)


def _fill(
    node: NodeDirectory, config: GatewayConfig, make_node_key: Callable[[Path], bytes], now: dt.datetime
) -> Membership:
    authority = create_authority(config.member.id, now, config.member.trust_domain)
    listener = _listener_credential(authority, config, now)
    mask = FileSecrets(node.root, SystemRandomness()).mask_key().public_key().public_bytes_raw()
    write_public(node.config, render_toml(config).encode())
    for (certificate, key), credential in ((node.authority, authority), (node.tls, listener)):
        write_public(certificate, credential.certificate)
        write_secret(key, credential.key)
    node.state.mkdir(mode=0o700)
    node.courier.mkdir(mode=0o700)
    member = Membership(
        member=config.member.id,
        country=config.member.country,
        trust_domain=config.member.trust_domain,
        gateway=config.network.public_address,
        ca=authority.certificate.decode(),
        mask_key=base64.b64encode(mask).decode(),
        node_key=make_node_key(node.courier).decode(),
        created=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    write_public(node.membership, member.model_dump_json(indent=2).encode())
    pin(member, node.members, node.trust)
    courier = Principal(config.member.trust_domain, Role.COURIER)
    issue_identity(node, courier, _NODE_CERTIFICATE_DAYS, node.courier, now)
    return member


def _listener_credential(authority: Credential, config: GatewayConfig, now: dt.datetime) -> Credential:
    hosts = dict.fromkeys((host_of(config.network.public_address), *_LOOPBACK))
    uri = Principal(config.member.trust_domain, Role.GATEWAY).uri
    return issue(authority, uri, now, _NODE_CERTIFICATE_DAYS, tuple(hosts))


def host_of(address: str) -> str:
    """Return the host of `host:port`, without the brackets of an IPv6 address."""
    return address.rpartition(":")[0].strip("[]")


def _authority(node: NodeDirectory) -> Credential:
    certificate, key = node.authority
    try:
        return Credential(certificate.read_bytes(), key.read_bytes())
    except OSError as error:
        raise Refusal(
            ErrorKind.BAD_CONFIGURATION,
            f"{error.filename}: {error.strerror}.",
            remedy="Bring the authority's key back to this machine for as long as you issue certificates.",
        ) from error


def revoke_identity(node: NodeDirectory, config: GatewayConfig, certificate: Path, now: dt.datetime) -> Path:
    """Put a certificate on the country's list of revoked ones, and return the list's file.

    Raises:
        Refusal: BAD_CONFIGURATION if it is not a certificate of this country, or the authority's key is not here.
    """
    path = node.trust / f"{config.member.trust_domain}.crl"
    try:
        known = path.read_bytes() if path.exists() else None
        revoked = revoke(_authority(node), certificate.read_bytes(), known, now)
    except OSError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{error.filename}: {error.strerror}.") from error
    except ValueError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{certificate}: {error}.") from error
    replace_public(path, revoked)
    return path
