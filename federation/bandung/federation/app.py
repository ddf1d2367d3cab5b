"""Builds coordinators and couriers from their directories: the only place in the federation that does."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bandung.federation.config import (
    COURIER_CONFIG,
    CoordinatorDirectory,
    CoordinatorDocument,
    CoordinatorSettings,
)
from bandung.federation.courier.keys import create_node_key
from bandung.gateway.config import (
    GatewayConfig,
    NodeDirectory,
    load_config,
    read_json,
    read_toml,
    render_toml,
    validated,
)
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.pki.authority import create_authority, issue
from bandung.gateway.pki.files import replace_public, write_public, write_secret
from bandung.gateway.pki.founding import found, host_of, vacant

if TYPE_CHECKING:
    from bandung.federation.superlink.client import CoordinatorClient
    from bandung.federation.superlink.config import CoordinatorConfig
    from bandung.gateway.pki.membership import Membership

_CERTIFICATE_DAYS = 397
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN_BYTES = 32


def found_coordinator(directory: Path, settings: CoordinatorSettings, now: dt.datetime) -> CoordinatorDocument:
    """Make a coordinator's directory: its own authority, certificate, token and settings, all or nothing.

    Raises:
        Refusal: BAD_CONFIGURATION if the directory is not empty.
    """
    vacant(directory)
    beside = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700, parents=True)
    document = _fill_coordinator(CoordinatorDirectory(beside), settings, now)
    if directory.exists():
        directory.rmdir()
    beside.rename(directory)
    return document


def coordinator_settings(listen: str, public_address: str, internal_listen: str) -> CoordinatorSettings:
    """Return settings with default limits.

    Raises:
        Refusal: BAD_CONFIGURATION for an address that is not `host:port`.
    """
    network = {"listen": listen, "public_address": public_address, "internal_listen": internal_listen}
    return validated({"network": network}, CoordinatorSettings, "command line")


def read_coordinator_settings(directory: Path) -> CoordinatorSettings:
    """Read a coordinator's settings.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    return read_toml(CoordinatorDirectory(directory).config, CoordinatorSettings)


def read_coordinator(path: Path) -> CoordinatorDocument:
    """Read a coordinator's document.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    return read_json(path, CoordinatorDocument)


def coordinator_client(directory: Path) -> CoordinatorClient:
    """Return a client of the coordinator whose directory (or copy of `coordinator.json`, `token`) this is.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    from bandung.federation.superlink.client import CoordinatorClient

    place = CoordinatorDirectory(directory)
    document = read_coordinator(place.document)
    try:
        token = place.token.read_text("ascii").strip()
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as ca:
            ca.write(document.ca)
            ca.flush()
            return CoordinatorClient(document.internal_address, Path(ca.name), token)
    except OSError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{error.filename}: {error.strerror}.") from error


def found_node(directory: Path, config: GatewayConfig, now: dt.datetime) -> Membership:
    """Make a country's directory: its gateway's and its courier's keys, settings, membership document.

    Raises:
        Refusal: BAD_CONFIGURATION if the directory is not empty.
    """
    return found(directory, config, lambda place: create_node_key(place).public.read_bytes(), now)


def _fill_coordinator(
    place: CoordinatorDirectory, settings: CoordinatorSettings, now: dt.datetime
) -> CoordinatorDocument:
    authority = create_authority("Bandung coordinator", now)
    hosts = dict.fromkeys((host_of(settings.network.public_address), *_LOOPBACK))
    listener = issue(authority, None, now, _CERTIFICATE_DAYS, tuple(hosts))
    for (certificate, key), credential in ((place.authority, authority), (place.tls, listener)):
        write_public(certificate, credential.certificate)
        write_secret(key, credential.key)
    write_secret(place.token, secrets.token_urlsafe(_TOKEN_BYTES).encode())
    write_public(place.config, render_toml(settings).encode())
    place.nodes.mkdir(mode=0o700, parents=True)
    document = CoordinatorDocument(
        public_address=settings.network.public_address,
        internal_address=settings.network.internal_listen,
        ca=authority.certificate.decode(),
    )
    write_public(place.document, document.model_dump_json(indent=2).encode())
    return document


def coordinator_config(directory: Path) -> CoordinatorConfig:
    """Read a coordinator's settings into what `run_coordinator` takes.

    Raises:
        Refusal: BAD_CONFIGURATION.
    """
    from bandung.federation.superlink.config import CoordinatorConfig

    place = CoordinatorDirectory(directory.resolve())
    settings = read_toml(place.config, CoordinatorSettings)
    limits = settings.limits
    public_host, public_port = _host_port(settings.network.listen)
    internal_host, internal_port = _host_port(settings.network.internal_listen)
    return CoordinatorConfig(
        directory=place.state,
        public_host=public_host,
        public_port=public_port,
        internal_host=internal_host,
        internal_port=internal_port,
        certificate=place.tls[0],
        key=place.tls[1],
        ca=place.authority[0],
        token_file=place.token,
        public_body_bytes_max=limits.public_body_bytes_max,
        internal_body_bytes_max=limits.internal_body_bytes_max,
        job_bytes_max=limits.job_bytes_max,
        body_read_s_max=limits.body_read_s_max,
        drain_s=limits.drain_s_max,
    )


def admit_courier(directory: Path, member: Membership) -> None:
    """Let a country's courier take work from this coordinator; a running one notices by itself."""
    replace_public(CoordinatorDirectory(directory).nodes / f"{member.member}.pub", member.node_key.encode())


def join(gateway: Path, coordinator: CoordinatorDocument) -> Path:
    """Write the settings of a country's courier for a coordinator, and return their file.

    Raises:
        Refusal: BAD_CONFIGURATION if the gateway's own settings cannot be used.
    """
    node = NodeDirectory(gateway)
    config = load_config(node.config)
    port = _host_port(config.network.listen)[1]
    replace_public(node.courier / "coordinator-ca.pem", coordinator.ca.encode())
    replace_public(
        node.courier / COURIER_CONFIG,
        _COURIER_TOML.format(
            member=config.member.id, coordinator=coordinator.public_address, gateway=f"127.0.0.1:{port}"
        ).encode(),
    )
    return node.courier / COURIER_CONFIG


_COURIER_TOML = """\
# The courier of a country: carries training steps between a coordinator and its own gateway. It sees no rows.
# Paths are relative to this file.
[courier]
# Member id of the country, as in its membership document.
member = "{member}"
# P-384 private key, PEM; the coordinator knows its public half.
node_key = "node.key"
# Seconds between two heartbeats (10 to 1800); a courier that died is noticed after twice that.
heartbeat_s = 10.0
# Longest wait between two questions for work, in seconds.
idle_poll_s = 1.5
# Longest wait for one answer of the coordinator, in seconds.
request_timeout_s = 60.0

# Where work comes from. The courier connects; nothing connects to it.
[superlink]
# Address and port of the coordinator's listener for couriers.
address = "{coordinator}"
# Authority that the coordinator's certificate must come from.
ca = "coordinator-ca.pem"

# Where work is carried to: the country's own gateway.
[gateway]
# Address and port of the gateway, as reached from here.
address = "{gateway}"
# Authority of the country, and the courier's own certificate and key.
ca = "ca.pem"
certificate = "courier.pem"
key = "courier.key"
"""


def _host_port(address: str) -> tuple[str, int]:
    return host_of(address), int(address.rpartition(":")[2])
