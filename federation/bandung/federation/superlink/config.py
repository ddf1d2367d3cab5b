"""What a coordinator must be told, and where it keeps things."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class CoordinatorConfig:
    """Configuration of one coordinator.

    Attributes:
        directory: Its state: `superlink.db`, `jobs/`, `nodes/<member>.pub` (keys of admitted couriers), secrets.
        public_host: Address of the listener for couriers: Fleet API only.
        public_port: Its port.
        internal_host: Address of the listener for the operator and the ServerApps: all APIs, token required.
        internal_port: Its port.
        certificate: Server certificate chain (PEM) of both listeners; must name both hosts.
        key: Its private key.
        ca: PEM bundle that `certificate` chains to.
        token_file: Holds the bearer token of the internal listener; white space around it is ignored.
        serverapp_env: Environment variables for the ServerApp processes, beside what they inherit.
        require_client_certificate: Whether couriers must show a TLS client certificate. A stock SuperNode
            cannot; without it a courier is known by its registered node key alone.
        client_ca: PEM bundle for those client certificates; `ca` if not given.
        public_body_bytes_max: Largest request on the public listener, in bytes.
        internal_body_bytes_max: Largest request on the internal listener, in bytes.
        job_bytes_max: Largest job document, in bytes.
        body_read_s_max: Longest time a request's body may take to arrive, in seconds.
        connections_max: Largest number of connections at one listener; more are answered 503.
        watch_s: Seconds between two looks at runs, node keys and child processes.
        drain_s: Seconds that the child processes get to finish at the end.
    """

    directory: Path
    public_host: str
    public_port: int
    internal_host: str
    internal_port: int
    certificate: Path
    key: Path
    ca: Path
    token_file: Path
    serverapp_env: Mapping[str, str] = field(default_factory=dict[str, str])
    require_client_certificate: bool = False
    client_ca: Path | None = None
    public_body_bytes_max: int = 16 * 1024 * 1024
    internal_body_bytes_max: int = 64 * 1024 * 1024
    job_bytes_max: int = 1024 * 1024
    body_read_s_max: float = 120.0
    connections_max: int = 512
    watch_s: float = 0.5
    drain_s: float = 5.0

    @property
    def internal_address(self) -> str:
        """`host:port` of the internal listener."""
        return f"{self.internal_host}:{self.internal_port}"

    @property
    def nodes(self) -> Path:
        """Directory of the admitted couriers' public keys."""
        return self.directory / "nodes"

    @property
    def jobs(self) -> Path:
        """Directory of the jobs."""
        return self.directory / "jobs"

    @property
    def superexec_secret(self) -> Path:
        """File with the secret between the SuperLink and its SuperExec."""
        return self.directory / "superexec.secret"

    def token(self) -> str:
        """Read the bearer token.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is too short to be a secret.
        """
        token = self.token_file.read_text("ascii").strip()
        if len(token) < 16:
            raise ValueError(f"{self.token_file}: the token must have at least 16 characters")
        return token
