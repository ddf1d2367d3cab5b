"""The coordinator as a process: guarded SuperLink, SuperExec, jobs."""

import asyncio
import logging
import os
import secrets
import signal
import threading
from datetime import UTC, datetime

from bandung.federation.superlink.config import CoordinatorConfig
from bandung.federation.superlink.control import Control, ControlError
from bandung.federation.superlink.endpoints import JobEndpoints
from bandung.federation.superlink.jobs import Jobs
from bandung.federation.superlink.listeners import Listener, flower_app, internal_listener, public_listener
from bandung.federation.superlink.superexec import Superexec, fresh_home
from bandung.federation.superlink.turnstile import Turnstile
from bandung.federation.training.durable import write_atomically
from bandung.federation.training.exchange import Json
from bandung.federation.training.journal import JournalError

_logger = logging.getLogger(__name__)


def run_coordinator(config: CoordinatorConfig) -> int:
    """Run a coordinator in the foreground until SIGTERM or SIGINT. Call it from the main thread.

    At the end running jobs are left paused, ServerApps get `drain_s` to finish, and no child process remains.

    Returns:
        The exit status: 0.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The token is too short.
        SystemExit: A listener could not be opened.
    """
    _prepare(config)
    asyncio.run(_Coordinator(config).serve())
    return 0


class _Coordinator:
    def __init__(self, config: CoordinatorConfig) -> None:
        self._config = config
        self._draining = threading.Event()
        self._closing = threading.Event()
        self._control = Control(config)
        self._superexec = Superexec(config)
        self._jobs = Jobs(config.directory, self._control, _utc_now)
        self._admission = _Admission(config, self._control)

    async def serve(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        listeners = self._listeners()
        steward = threading.Thread(target=self._steward, name="coordinator-steward", daemon=True)
        async with asyncio.TaskGroup() as tasks:
            for listener in listeners:
                tasks.create_task(listener.serve())
            await _started(listeners)
            steward.start()
            await stop.wait()
            self._draining.set()
            await asyncio.to_thread(steward.join)
            self._closing.set()
            self._control.close()
            for listener in listeners:
                listener.should_exit = True

    def _listeners(self) -> list[Listener]:
        flower = flower_app(self._config)
        calls = Turnstile(flower)
        endpoints = JobEndpoints(
            jobs=self._jobs,
            health=self._health,
            before_start=self._admission.refresh,
            job_bytes_max=self._config.job_bytes_max,
            closing=self._closing,
        )
        return [
            internal_listener(self._config, flower, calls, endpoints.app()),
            public_listener(self._config, calls),
        ]

    def _steward(self) -> None:
        """Look after nodes, children and jobs until the end, then see them off."""
        while not self._draining.is_set():
            self._superexec.keep()
            self._round()
            self._draining.wait(self._config.watch_s)
        self._superexec.stop()
        self._round()

    def _round(self) -> None:
        for duty in (self._admission.refresh, self._jobs.watch):
            try:
                duty()
            except (ControlError, JournalError, OSError) as error:
                _logger.warning("%s", error)

    def _health(self) -> Json:
        nodes = {node.member: node.online for node in self._control.nodes()}
        serving = self._superexec.alive() and self._admission.done and not self._draining.is_set()
        return {"status": "SERVING" if serving else "NOT_SERVING", "members": nodes}


class _Admission:
    """Registers the keys in `nodes/*.pub`, and those only, whenever they change."""

    def __init__(self, config: CoordinatorConfig, control: Control) -> None:
        self._directory = config.nodes
        self._control = control
        self._lock = threading.Lock()
        self._admitted: dict[str, bytes] | None = None

    @property
    def done(self) -> bool:
        return self._admitted is not None

    def refresh(self) -> None:
        keys = {path.stem: path.read_bytes() for path in sorted(self._directory.glob("*.pub"))}
        with self._lock:
            if keys != self._admitted:
                refused = self._control.admit(keys)
                self._admitted = keys
                _logger.info("admitted nodes: %s", ", ".join(keys.keys() - refused) or "none")


async def _started(listeners: list[Listener]) -> None:
    while not all(listener.started for listener in listeners):
        await asyncio.sleep(0.02)


def _prepare(config: CoordinatorConfig) -> None:
    for directory in (config.directory, config.jobs, config.nodes):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(config.superexec_secret, secrets.token_bytes(32))
    fresh_home(config)
    # Read by flwr when it is imported or started: no calls home, and none of its plaintext gRPC listeners.
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
    for name in ("FLWR_INTERNAL_GRPC_CONTROL_API", "FLWR_INTERNAL_GRPC_FLEET_API"):
        os.environ.pop(name, None)


def _utc_now() -> str:
    # The coordinator is composed here.
    return datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251
