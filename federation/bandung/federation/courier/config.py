"""What a courier must be told: whom it serves, where it takes work from and where it carries it to."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

CONFIG_ENV: Final = "BANDUNG_COURIER_CONFIG"
"""The environment variable by which a stock `flower-supernode` finds the courier's configuration file."""

DEFAULT_CARRIER: Final = "bandung.federation.courier.carrier:open_carrier"


class CourierConfigError(ValueError):
    """The courier's configuration file is incomplete or of the wrong type."""


@dataclass(frozen=True)
class Credentials:
    """One end of a mutually authenticated TLS connection: three PEM files."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class CourierConfig:
    """Configuration of one courier.

    Attributes:
        member: Member id of the country served, as in the membership document.
        superlink: `host:port` of the coordinator's public (Fleet) listener.
        superlink_ca: PEM bundle that the coordinator's server certificate must chain to.
        node_key: The courier's P-384 private key (OpenSSH format); its public half is registered
            at the coordinator. The number of the session is kept beside it, in a file ending in `.session`.
        gateway: `host:port` of the country's own gateway.
        gateway_credentials: The courier's mutual TLS identity towards its gateway.
        client_certificate: Certificate and key shown to the coordinator, where it demands one.
        carrier: `module:function` that makes a `Carrier` from this configuration.
        heartbeat_s: Seconds between two heartbeats asked of Flower (10 to 1800); a dead courier is noticed
            after twice that.
        idle_poll_s: Longest wait between two questions for work, in seconds.
        request_timeout_s: Longest wait for one answer of the coordinator, in seconds.
    """

    member: str
    superlink: str
    superlink_ca: Path
    node_key: Path
    gateway: str
    gateway_credentials: Credentials
    client_certificate: tuple[Path, Path] | None = None
    carrier: str = DEFAULT_CARRIER
    heartbeat_s: float = 10.0
    idle_poll_s: float = 1.5
    request_timeout_s: float = 60.0


def load_courier_config(path: Path) -> CourierConfig:
    """Read a courier's TOML file.

    Three tables: `[courier]` (`member`, `node_key`; optional `carrier`, `heartbeat_s`, `idle_poll_s`,
    `request_timeout_s`), `[superlink]` (`address`, `ca`; optional `certificate` and `key`) and `[gateway]`
    (`address`, `ca`, `certificate`, `key`). Relative paths are relative to the file.

    Raises:
        CourierConfigError: A setting is missing, unknown, or has the wrong type.
        OSError: The file cannot be read.
    """
    try:
        return _config(tomllib.loads(path.read_text("utf-8")), path.parent)
    except (KeyError, TypeError, ValueError) as error:
        raise CourierConfigError(f"{path}: {error!r}") from error


def _config(document: dict[str, Any], base: Path) -> CourierConfig:
    courier = dict(cast("dict[str, Any]", document["courier"]))
    superlink = cast("dict[str, str]", document["superlink"])
    gateway = cast("dict[str, str]", document["gateway"])
    shown = (base / superlink["certificate"], base / superlink["key"]) if "certificate" in superlink else None
    return CourierConfig(
        member=str(courier.pop("member")),
        superlink=superlink["address"],
        superlink_ca=base / superlink["ca"],
        node_key=base / str(courier.pop("node_key")),
        gateway=gateway["address"],
        gateway_credentials=Credentials(
            ca=base / gateway["ca"], certificate=base / gateway["certificate"], key=base / gateway["key"]
        ),
        client_certificate=shown,
        **courier,
    )
