"""Puts the services behind one door on one port, and takes them away again gracefully."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from bandung.gateway import TLS_1_3_ONLY
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.server import flight_sql, typed
from bandung.gateway.server.binding import Rpc, rpcs
from bandung.gateway.server.call import Call
from bandung.gateway.server.credentials import CredentialFiles
from bandung.gateway.server.door import Door, Limits
from bandung.gateway.server.flight import FlightService
from bandung.gateway.server.flight_pb import flight_pb2
from bandung.gateway.server.handles import Sealer
from bandung.gateway.server.trust import TrustStore
from bandung.gateway.v1 import agreement_pb2, catalogue_pb2, ledger_pb2, query_pb2, training_pb2

if TYPE_CHECKING:
    from bandung.gateway.service.agreements import AgreementDesk
    from bandung.gateway.service.budget import BudgetDesk
    from bandung.gateway.service.catalogue import CatalogueDesk
    from bandung.gateway.service.ports import Clock, Randomness
    from bandung.gateway.service.query import QueryDesk
    from bandung.gateway.service.training import TrainingDesk

# After the grace, stopped calls get this long to write their record and say so.
_SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How this node listens.

    Attributes:
        listen: host and port; port 0 takes a free one.
        member: id of the country, for instance IDN; the catalogue name that SQL clients see.
        trust_domain: this country's own.
        certificate, key: PEM files of the server (ECDSA); read again when they change.
        trust: directory of `<trust domain>.pem` and `.crl`, one bundle for every country that may call.
        ticket_key: 32 secret bytes that seal tickets, the same on every replica.
        threads: calls that are worked on at once; as many again may wait.
        message_bytes_max, answer_bytes_max: largest message taken in, and sent.
        connection_age_max_s: after this a connection is renewed, so that rotated certificates take hold.
        handshake_max_s, keepalive_s, keepalive_timeout_s: for weak links; at 32 kbit/s with 20 % loss a handshake
            takes 42 s.
        trust_fresh_s: seconds after which changed trust files are noticed.
    """

    listen: str
    member: str
    trust_domain: str
    certificate: Path
    key: Path
    trust: Path
    ticket_key: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    threads: int = 16
    message_bytes_max: int = 1 << 20
    answer_bytes_max: int = 64 << 20
    connection_age_max_s: float = 900.0
    handshake_max_s: float = 60.0
    keepalive_s: float = 60.0
    keepalive_timeout_s: float = 30.0
    trust_fresh_s: float = 1.0

    def options(self) -> list[tuple[str, int]]:
        """Return gRPC's server options."""
        return [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", self.message_bytes_max),
            ("grpc.max_send_message_length", self.answer_bytes_max),
            ("grpc.max_concurrent_streams", 100),
            ("grpc.max_connection_age_ms", _ms(self.connection_age_max_s)),
            ("grpc.max_connection_age_grace_ms", _ms(self.limits.deadline_max_s)),
            ("grpc.server_handshake_timeout_ms", _ms(self.handshake_max_s)),
            ("grpc.keepalive_time_ms", _ms(self.keepalive_s)),
            ("grpc.keepalive_timeout_ms", _ms(self.keepalive_timeout_s)),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ]


@dataclass(frozen=True, slots=True)
class Desks:
    """The services behind the door."""

    queries: QueryDesk
    budgets: BudgetDesk
    catalogue: CatalogueDesk
    agreements: AgreementDesk
    training: TrainingDesk
    ledger: typed.LedgerReader


class Server:
    """A listening gateway; `serve` makes it."""

    def __init__(
        self, server: grpc.Server, door: Door, pool: ThreadPoolExecutor, status: _Health, host: str, port: int
    ) -> None:
        self._server = server
        self._door = door
        self._pool = pool
        self._status = status
        self._host = host
        self.port = port

    @property
    def address(self) -> str:
        """`host:port` as clients of this machine reach it."""
        return f"{self._host}:{self.port}"

    def drain(self, grace_s: float) -> None:
        """Stop taking calls, let those under way finish within the grace, then stop them; returns when all is quiet.

        Calls that are stopped still write their outcome to the ledger. To be called once.
        """
        self._status.leave()
        stopped = self._server.stop(grace_s + _SETTLE_S)
        if not stopped.wait(grace_s):
            self._door.give_up_all(ErrorKind.DRAINING)
            stopped.wait()
        self._pool.shutdown()
        self._door.close()


def serve(config: ServerConfig, desks: Desks, clock: Clock, randomness: Randomness) -> Server:
    """Listen and return at once.

    Raises:
        Refusal: BAD_CONFIGURATION if certificates, trust or address cannot be used.
    """
    if not TLS_1_3_ONLY:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, "gRPC was imported before bandung.gateway: TLS 1.2 would be open.")
    trust = TrustStore(config.trust, clock, config.trust_fresh_s)
    credentials = CredentialFiles(config.certificate, config.key, trust).credentials()
    status = _Health(desks.ledger)
    served = _served(config, desks, Sealer(config.ticket_key, clock, randomness), status)
    door = Door(served, trust, config.trust_domain, config.limits, randomness, desks.queries.record_refusal)
    pool = ThreadPoolExecutor(config.threads, thread_name_prefix="call")
    server = grpc.server(pool, handlers=[door], options=config.options(), maximum_concurrent_rpcs=2 * config.threads)
    try:
        port = server.add_secure_port(config.listen, credentials)
    except RuntimeError as error:
        door.close()
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"Cannot listen on {config.listen}.") from error
    server.start()
    return Server(server, door, pool, status, config.listen.rpartition(":")[0], port)


def _served(config: ServerConfig, desks: Desks, sealer: Sealer, status: _Health) -> Mapping[str, Rpc]:
    commands = flight_sql.FlightSql(config.member, desks.queries, desks.catalogue, sealer)
    services: list[tuple[Any, object]] = [
        (SERVICES["flight"], FlightService(config.member, commands, desks.catalogue)),
        (SERVICES["catalogue"], typed.CatalogueService(config.member, desks.catalogue)),
        (SERVICES["query"], typed.QueryService(desks.queries, desks.budgets)),
        (SERVICES["agreement"], typed.AgreementService(desks.agreements)),
        (SERVICES["training"], typed.TrainingService(desks.training)),
        (SERVICES["ledger"], typed.LedgerService(desks.ledger)),
        (SERVICES["health"], status),
        (SERVICES["reflection"], _Reflection()),
    ]
    return {
        path: rpc for descriptor, implementation in services for path, rpc in rpcs(descriptor, implementation).items()
    }


SERVICES: Mapping[str, Any] = {
    "flight": flight_pb2.DESCRIPTOR.services_by_name["FlightService"],
    "catalogue": catalogue_pb2.DESCRIPTOR.services_by_name["CatalogueService"],
    "query": query_pb2.DESCRIPTOR.services_by_name["QueryService"],
    "agreement": agreement_pb2.DESCRIPTOR.services_by_name["AgreementService"],
    "training": training_pb2.DESCRIPTOR.services_by_name["TrainingService"],
    "ledger": ledger_pb2.DESCRIPTOR.services_by_name["LedgerService"],
    "health": health_pb2.DESCRIPTOR.services_by_name["Health"],
    "reflection": reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
}
"""Every service of the listener. Reflection describes all but Flight, whose descriptors are in a pool of their own."""

_DESCRIBED = tuple(service.full_name for name, service in SERVICES.items() if name != "flight")


class _Health:
    """gRPC health: the whole server under the empty name, and each service under its own. Who is sealed serves not."""

    def __init__(self, ledger: typed.LedgerReader) -> None:
        self._ledger = ledger
        self._servicer = health.HealthServicer()
        for name in ("", *(service.full_name for service in SERVICES.values())):
            self._servicer.set(name, health_pb2.HealthCheckResponse.SERVING)

    def Check(self, request: Any, call: Call) -> Any:  # noqa: N802
        """Say SERVING only while answers can be recorded."""
        try:
            self._ledger.head()
        except Refusal:
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)
        return self._servicer.Check(request, call.transport)

    def leave(self) -> None:
        """Say NOT_SERVING from now on."""
        self._servicer.enter_graceful_shutdown()


class _Reflection:
    def __init__(self) -> None:
        self.ServerReflectionInfo = _with_transport(reflection.ReflectionServicer(_DESCRIBED).ServerReflectionInfo)


def _with_transport(behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Call], Any]:
    """Give gRPC's own servicers the context that they know."""
    return lambda request, call: behaviour(request, call.transport)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
