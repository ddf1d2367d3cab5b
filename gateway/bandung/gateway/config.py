"""The configuration of a gateway: one closed TOML file and a directory whose layout is fixed."""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bandung.gateway.domain.errors import ErrorKind, Refusal

MEMBER_ID = r"[A-Z][A-Z0-9-]{1,15}"
TRUST_DOMAIN = r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?"
_COMMENT_WIDTH = 110

Model = TypeVar("Model", bound=BaseModel)

HostPort = Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MemberSettings(_Section):
    """Which country this gateway speaks for."""

    id: Annotated[str, Field(pattern=f"^{MEMBER_ID}$", description="Member id, as in the membership document.")]
    country: Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 3166-1 alpha-3 code of the country.")]
    trust_domain: Annotated[
        str, Field(pattern=f"^{TRUST_DOMAIN}$", description="Domain of every identity that this country vouches for.")
    ]


class NetworkSettings(_Section):
    """Where the gateway listens. TLS 1.3 with client certificates, always."""

    listen: Annotated[HostPort, Field(description="Address and port of the one listener; 0.0.0.0 for all interfaces.")]
    public_address: Annotated[HostPort, Field(description="Address and port that other countries reach it under.")]


class LimitSettings(_Section):
    """What callers may take."""

    request_bytes_max: Annotated[int, Field(ge=4096, description="Largest message taken in, in bytes.")] = 1 << 20
    answer_bytes_max: Annotated[int, Field(ge=65536, description="Largest message sent, in bytes.")] = 64 << 20
    deadline_s_max: Annotated[int, Field(ge=1, le=3600, description="Longest that a call may take, in seconds.")] = 300
    calls_per_principal_max: Annotated[
        int,
        Field(
            ge=1,
            description="Calls that one principal may have under way; below `threads_max`, or one can take all.",
        ),
    ] = 8
    threads_max: Annotated[
        int, Field(ge=2, le=256, description="Calls that are worked on at once; as many again may wait.")
    ] = 16
    drain_s_max: Annotated[
        int, Field(ge=0, le=600, description="How long calls under way may go on after SIGTERM, in seconds.")
    ] = 20


class LinkSettings(_Section):
    """Connections. The defaults suit links of 32 kbit/s that lose every fifth packet."""

    handshake_s_max: Annotated[int, Field(ge=1, le=600, description="Longest TLS handshake, in seconds.")] = 60
    keepalive_s: Annotated[int, Field(ge=10, description="Silence after which a peer is pinged, in seconds.")] = 60
    keepalive_timeout_s: Annotated[
        int, Field(ge=1, description="How long a ping may stay unanswered before the connection ends, in seconds.")
    ] = 30
    connection_age_s_max: Annotated[
        int, Field(ge=60, description="Age at which a connection is renewed and new certificates bite, in seconds.")
    ] = 900


class EngineSettings(_Section):
    """The embedded engine that aggregates snapshots and files."""

    memory_mib_max: Annotated[int, Field(ge=64, description="Most memory it may take, in MiB.")] = 1024
    threads_max: Annotated[int, Field(ge=1, le=256, description="Threads of one query.")] = 2


class LogSettings(_Section):
    """The operator's log, on standard error. It may hold details that no client is told."""

    format: Annotated[
        Literal["text", "json"], Field(description="`text` for people, `json` for collectors: one object per line.")
    ] = "text"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severity that is written.")
    ] = "info"


class GatewayConfig(_Section):
    """All settings of a gateway."""

    member: MemberSettings
    network: NetworkSettings
    limits: LimitSettings = LimitSettings()
    links: LinkSettings = LinkSettings()
    engine: EngineSettings = EngineSettings()
    log: LogSettings = LogSettings()


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """The layout of a gateway's directory; nothing in it is anywhere else."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.root / "gateway.toml"

    @property
    def membership(self) -> Path:
        """This country's membership document, to be given to the others."""
        return self.root / "member.json"

    @property
    def authority(self) -> tuple[Path, Path]:
        """Certificate and key of the country's authority. The key is needed to issue only: keep it elsewhere."""
        return self.root / "ca" / "ca.pem", self.root / "ca" / "ca.key"

    @property
    def tls(self) -> tuple[Path, Path]:
        """Certificate and key of the listener."""
        return self.root / "tls" / "gateway.pem", self.root / "tls" / "gateway.key"

    @property
    def trust(self) -> Path:
        """Authorities of the admitted countries, `<trust domain>.pem`."""
        return self.root / "trust"

    @property
    def members(self) -> Path:
        """Membership documents of the admitted countries, `<member>.json`."""
        return self.root / "members"

    @property
    def state(self) -> Path:
        """Ledger, catalogue, agreements, jobs and snapshots."""
        return self.root / "state"

    @property
    def database(self) -> Path:
        """Ledger, catalogue, agreements and jobs."""
        return self.state / "gateway.db"

    @property
    def snapshots(self) -> Path:
        """The gateway's own columnar copies of datasets."""
        return self.state / "snapshots"

    @property
    def courier(self) -> Path:
        """What the courier needs, and nothing that the gateway keeps to itself."""
        return self.root / "courier"


def load_config(path: Path) -> GatewayConfig:
    """Read a gateway's settings.

    Raises:
        Refusal: BAD_CONFIGURATION naming every setting that is unknown, missing or out of range.
    """
    return read_toml(path, GatewayConfig)


def read_toml(path: Path, model: type[Model]) -> Model:
    """Read a TOML file into a closed model.

    Raises:
        Refusal: BAD_CONFIGURATION naming every problem at once.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{path}: not TOML: {error}.") from error
    return validated(document, model, str(path))


def read_json(path: Path, model: type[Model]) -> Model:
    """Read a JSON file into a closed model; raises as `read_toml` does."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{path}: {error.strerror}.") from error
    except ValueError as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{path}: not JSON: {error}.") from error
    return validated(document, model, str(path))


def validated(document: Mapping[str, Any], model: type[Model], origin: str) -> Model:
    """Make a closed model of a document.

    Args:
        origin: where the document came from, for the refusal.

    Raises:
        Refusal: BAD_CONFIGURATION naming every problem at once.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{origin}: {problems}.") from error


def render_toml(settings: BaseModel) -> str:
    """Write settings as TOML, each under its own explanation."""
    parts: list[str] = []
    for name, value in settings:
        if isinstance(value, BaseModel):
            parts += [_comment(type(value).__doc__ or ""), f"[{name}]", _render_section(value), ""]
    return "\n".join(parts)


def _render_section(section: BaseModel) -> str:
    fields = type(section).model_fields
    return "\n".join(
        f"{_comment(fields[name].description or '')}\n{name} = {_toml(value)}"
        for name, value in section
        if value is not None
    )


def _comment(text: str) -> str:
    return textwrap.fill(text.strip(), _COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    # JSON's strings, integers, decimals, booleans and arrays of them are TOML as well.
    return json.dumps(value, ensure_ascii=False)
