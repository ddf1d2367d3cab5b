"""The SuperExec child process, which starts a ServerApp process for every run."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Final

from bandung.federation.superlink.config import CoordinatorConfig
from bandung.federation.training.flower_app import DIRECTORY_ENV

_RESTART_S: Final = 2.0
_logger = logging.getLogger(__name__)


class Superexec:
    """Keeps one `flower-superexec` alive, in a process group of its own.

    It and its ServerApps end when this process ends, however it ends.
    """

    def __init__(self, config: CoordinatorConfig) -> None:
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")

    def keep(self) -> None:
        """Start it, or start it again if it has died; not more often than every two seconds."""
        if self.alive() or monotonic() - self._started < _RESTART_S:
            return
        if self._process is not None:
            _logger.warning("flower-superexec ended with status %s; restarting", self._process.returncode)
        self._started = monotonic()
        self._process = subprocess.Popen(  # noqa: S603  (our own command line)
            _command(self._config), env=_environment(self._config), start_new_session=True
        )

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it and its ServerApps: politely, then by force after the drain time."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(self._config.drain_s)
        except subprocess.TimeoutExpired:
            _logger.warning("flower-superexec did not end in time")
        # A ServerApp may outlive its parent for a moment, and the group is ours alone.
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return


def fresh_home(config: CoordinatorConfig) -> None:
    """Empty Flower's home: it reuses apps that it finds installed there without verifying them."""
    shutil.rmtree(_home(config), ignore_errors=True)
    _home(config).mkdir(mode=0o700)


def _home(config: CoordinatorConfig) -> Path:
    return config.directory / "flower-home"


def _command(config: CoordinatorConfig) -> list[str]:
    return [
        str(Path(sys.executable).with_name("flower-superexec")),
        "--runtime-api-address",
        config.internal_address,
        "--root-certificates",
        str(config.ca),
        "--superexec-auth-secret-file",
        str(config.superexec_secret),
        "--parent-pid",
        str(os.getpid()),
    ]


def _environment(config: CoordinatorConfig) -> Mapping[str, str]:
    # It finds `flwr-serverapp` by PATH, which need not contain our environment's programs.
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "FLWR_HOME": str(_home(config)),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
        **config.serverapp_env,
        DIRECTORY_ENV: str(config.directory.resolve()),
    }
