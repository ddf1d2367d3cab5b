"""The ServerApp of Bandung: drives one job.

The FAB that a run ships names this object and the courier's ClientApp, and holds nothing else: on both sides the
code that runs is the installed one. A run is given the digest of its job and no parameter besides, because run
parameters are not signed.
"""

import hashlib
import importlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Final, cast

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from bandung.federation.training.exchange import Exchange, JobState, Journal
from bandung.federation.training.flower_exchange import FlowerExchange
from bandung.federation.training.journal import DirectoryJournal, JournalError, job_directory

DIRECTORY_ENV: Final = "BANDUNG_COORDINATOR_DIR"
"""The environment variable that names the coordinator's directory to the ServerApp."""

DRIVER_ENV: Final = "BANDUNG_JOB_DRIVER"
"""The environment variable that names the driver as `module:function`; set by the coordinator's operator."""

DEFAULT_DRIVER: Final = "bandung.federation.training.driver:drive"

_PARENT_POLL_S: Final = 1.0

Driver = Callable[[bytes, Exchange, Journal], None]

server_app = ServerApp()


@server_app.main()
def serve(grid: Grid, context: Context) -> None:
    """Drive the job that the run names, in its directory at the coordinator.

    Raises:
        JournalError: There is no such job, or its document is not the one that was submitted.
        JobHeldError: Another run drives it.
    """
    _end_with_parent()
    directory = job_directory(Path(os.environ[DIRECTORY_ENV]), str(context.run_config["job"]))
    journal = DirectoryJournal(directory, _utc_now)
    with journal.hold():
        journal.announce(JobState.RUNNING, run=str(context.run_id))
        try:
            _driver()(_job(directory), FlowerExchange(grid), journal)
        except Exception as error:
            journal.interrupted(f"{type(error).__name__}: {error}")
            raise


def _end_with_parent() -> None:
    """End this process once the SuperExec that started it is gone: Flower's own retries could keep it for long."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            sleep(_PARENT_POLL_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _job(directory: Path) -> bytes:
    document = (directory / "job.json").read_bytes()
    if hashlib.sha256(document).hexdigest() != directory.name:
        raise JournalError("the job document is not the one that was submitted")
    return document


def _driver() -> Driver:
    module, _, attribute = os.environ.get(DRIVER_ENV, DEFAULT_DRIVER).partition(":")
    return cast("Driver", getattr(importlib.import_module(module), attribute))


def _utc_now() -> str:
    # The ServerApp's process is composed here: Flower calls `serve` and takes no clock.
    return datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251
