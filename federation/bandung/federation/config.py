"""The configuration of a coordinator and of a courier: closed TOML files, directories of fixed layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bandung.gateway.config import HostPort, LogSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CoordinatorNetwork(_Section):
    """Two listeners, TLS 1.3: one for couriers, one for the operator and for authors of jobs."""

    listen: Annotated[HostPort, Field(description="Address and port for couriers: they can take work, nothing else.")]
    public_address: Annotated[HostPort, Field(description="Address and port that couriers reach it under.")]
    internal_listen: Annotated[
        HostPort, Field(description="Address and port for jobs and administration; the token is demanded there.")
    ]


class CoordinatorLimits(_Section):
    """What a request may take."""

    public_body_bytes_max: Annotated[int, Field(ge=65536, description="Largest request of a courier, in bytes.")] = (
        16 * 1024 * 1024
    )
    internal_body_bytes_max: Annotated[
        int, Field(ge=65536, description="Largest request on the internal listener, in bytes.")
    ] = 64 * 1024 * 1024
    job_bytes_max: Annotated[int, Field(ge=4096, description="Largest job document, in bytes.")] = 1024 * 1024
    body_read_s_max: Annotated[
        float, Field(gt=0, description="How long a request's body may take to arrive, in seconds.")
    ] = 120.0
    drain_s_max: Annotated[
        float, Field(gt=0, description="How long requests and child processes may go on after SIGTERM, in seconds.")
    ] = 5.0


class CoordinatorSettings(_Section):
    """All settings of a coordinator."""

    network: CoordinatorNetwork
    limits: CoordinatorLimits = CoordinatorLimits()
    log: LogSettings = LogSettings()


class CoordinatorDocument(_Section):
    """What couriers and authors of jobs must know of a coordinator.

    Attributes:
        version: of this document's form; always 1.
        public_address: `host:port` for couriers.
        internal_address: `host:port` for jobs.
        ca: certificate of its authority, PEM.
    """

    version: int = 1
    public_address: str
    internal_address: str
    ca: str


@dataclass(frozen=True, slots=True)
class CoordinatorDirectory:
    """The layout of a coordinator's directory."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.root / "coordinator.toml"

    @property
    def document(self) -> Path:
        """What is given to couriers and to authors of jobs."""
        return self.root / "coordinator.json"

    @property
    def authority(self) -> tuple[Path, Path]:
        """Certificate and key of its authority."""
        return self.root / "ca" / "ca.pem", self.root / "ca" / "ca.key"

    @property
    def tls(self) -> tuple[Path, Path]:
        """Certificate and key of both listeners."""
        return self.root / "tls" / "coordinator.pem", self.root / "tls" / "coordinator.key"

    @property
    def token(self) -> Path:
        """The bearer token of the internal listener."""
        return self.root / "token"

    @property
    def state(self) -> Path:
        """Flower's database, jobs, and the keys of admitted couriers."""
        return self.root / "state"

    @property
    def nodes(self) -> Path:
        """Public keys of admitted couriers, `<member>.pub`."""
        return self.state / "nodes"


COURIER_CONFIG = "courier.toml"
"""Name of a courier's settings in its directory; `bandung courier join` writes it."""
