"""The two TLS listeners, in one event loop around one Flower app."""

import contextlib
import logging
import ssl
from collections.abc import Callable, Generator
from typing import cast

import uvicorn
from flwr.common.constant import ISOLATION_MODE_PROCESS, TRANSPORT_TYPE_GRPC_RERE
from flwr.superlink.auth_plugin import NoOpControlAuthnPlugin
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig
from flwr.superlink.main import create_app

from bandung.federation.superlink.config import CoordinatorConfig
from bandung.federation.superlink.guard import AsgiApp, BodyLimit, Guard, Rule


class Listener(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone: the coordinator handles them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Do nothing."""
        yield


def flower_app(config: CoordinatorConfig) -> AsgiApp:
    """Make Flower's SuperLink app: SQLite state, node authentication, ServerApps in processes of SuperExec."""
    lifespan = SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host=config.internal_host,
        port=config.internal_port,
        insecure=False,
        certificates=None,
        superexec_auth_secret=config.superexec_secret.read_bytes(),
        authn_plugin=NoOpControlAuthnPlugin(),
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type=TRANSPORT_TYPE_GRPC_RERE,
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=str(config.ca),
        ssl_certfile=str(config.certificate),
        ssl_keyfile=str(config.key),
        database=str(config.directory / "superlink.db"),
        isolation=ISOLATION_MODE_PROCESS,
        runtime_dependency_install=False,
    )
    # At its own level flwr formats every request into a debug message, at some cost, and its migrations
    # of a new database fill a screen.
    for name in ("flwr", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return cast("AsgiApp", create_app(lifespan, SuperLinkLifespan))


def public_listener(config: CoordinatorConfig, fleet: AsgiApp) -> Listener:
    """Make the couriers' listener: the Fleet API and nothing else."""
    guard = Guard(
        rules=(Rule("/v1/fleet/", fleet),),
        limit=BodyLimit(config.public_body_bytes_max, config.body_read_s_max),
    )
    context = _tls(config)
    if config.require_client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(config.client_ca or config.ca))
    return _listener(config, guard, config.public_host, config.public_port, context)


def internal_listener(config: CoordinatorConfig, flower: AsgiApp, calls: AsgiApp, jobs: AsgiApp) -> Listener:
    """Make the operator's listener. The Runtime and Fleet APIs have Flower's own credentials.

    Args:
        config: The coordinator's configuration.
        flower: Flower's app, for calls that may stream.
        calls: The same for short calls.
        jobs: Our own endpoints.
    """
    token = config.token().encode()
    guard = Guard(
        rules=(
            Rule("/bandung/", jobs, token),
            Rule("/v1/control/", flower, token),
            Rule("/v1/runtime/", calls),
            Rule("/v1/fleet/", calls),
        ),
        limit=BodyLimit(config.internal_body_bytes_max, config.body_read_s_max),
        lifespan=flower,
    )
    return _listener(config, guard, config.internal_host, config.internal_port, _tls(config))


def _listener(config: CoordinatorConfig, guard: Guard, host: str, port: int, context: ssl.SSLContext) -> Listener:
    settings = uvicorn.Config(
        cast("Callable[..., object]", guard),
        host=host,
        port=port,
        lifespan="on" if guard.lifespan else "off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=60,
        limit_concurrency=config.connections_max,
        # Requests take milliseconds and streams have ended by then; idle TLS peers are not waited for.
        timeout_graceful_shutdown=1,
        ssl_context_factory=lambda _config, _default: context,
    )
    return Listener(settings)


def _tls(config: CoordinatorConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(config.certificate, config.key)
    return context
