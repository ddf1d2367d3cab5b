"""The jobs of a coordinator: accepted, started as runs of Flower, watched, resumed."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bandung.federation.superlink.control import Control, ControlError
from bandung.federation.training.durable import sync_directory, write_atomically
from bandung.federation.training.exchange import JobState, Json
from bandung.federation.training.journal import DirectoryJournal, JobHeldError, JournalError, job_directory

_logger = logging.getLogger(__name__)


class UnknownJobError(Exception):
    """There is no job with this digest."""


class BadJobError(Exception):
    """The job document is not a JSON object."""


class JobBusyError(Exception):
    """The job is being worked on, or it is complete: there is nothing to resume."""


@dataclass(frozen=True)
class Submission:
    """A job that was accepted; `created` is False if it was known already."""

    job: str
    created: bool


class Jobs:
    """All jobs under one coordinator's directory. Thread-safe.

    Args:
        directory: The coordinator's directory.
        control: Starts and stops their runs.
        clock: Gives the time of events, as ISO 8601 text.
    """

    def __init__(self, directory: Path, control: Control, clock: Callable[[], str]) -> None:
        self._directory = directory
        self._control = control
        self._clock = clock
        self._lock = threading.Lock()
        self._active = {digest for digest in self._digests() if not self.journal(digest).resting()}

    def submit(self, document: bytes) -> Submission:
        """Accept a job document and start its run. The same document again is the same job: nothing happens.

        Raises:
            BadJobError: The document is not a JSON object.
            ControlError: The SuperLink started no run; the job is kept as failed.
        """
        _check(document)
        digest = hashlib.sha256(document).hexdigest()
        directory = job_directory(self._directory, digest)
        with self._lock:
            if (directory / "job.json").exists():
                return Submission(digest, created=False)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_directory(directory.parent)
            write_atomically(directory / "job.json", document)
            self._start(digest)
        return Submission(digest, created=True)

    def resume(self, digest: str) -> None:
        """Start another run of a job that paused or failed; its driver goes on from its checkpoint.

        Raises:
            UnknownJobError: There is no such job.
            JobBusyError: It runs, or it is complete.
            ControlError: The SuperLink started no run.
        """
        journal = self.journal(digest)
        with self._lock:
            if journal.state() not in {JobState.PAUSED, JobState.FAILED}:
                raise JobBusyError(digest)
            try:
                with journal.hold():
                    pass
            except JobHeldError as error:
                raise JobBusyError(digest) from error
            self._start(digest)

    def journal(self, digest: str) -> DirectoryJournal:
        """Return a job's journal.

        Raises:
            UnknownJobError: There is no such job.
        """
        try:
            directory = job_directory(self._directory, digest)
        except JournalError as error:
            raise UnknownJobError(digest) from error
        if not (directory / "job.json").exists():
            raise UnknownJobError(digest)
        return DirectoryJournal(directory, self._clock)

    def listing(self) -> list[Json]:
        """Return every job with its state."""
        return [{"job": digest, "state": self.journal(digest).state()} for digest in self._digests()]

    def watch(self) -> None:
        """Look once after the jobs that are worked on, and announce those whose run has died.

        Raises:
            ControlError: The SuperLink did not answer.
        """
        with self._lock:
            for digest in sorted(self._active):
                journal = self.journal(digest)
                if not journal.resting():
                    self._look(journal)
                if journal.resting():
                    self._active.discard(digest)

    def _digests(self) -> list[str]:
        return sorted(path.parent.name for path in (self._directory / "jobs").glob("*/job.json"))

    def _start(self, digest: str) -> None:
        journal = self.journal(digest)
        _run_file(journal).unlink(missing_ok=True)
        journal.announce(JobState.SUBMITTED)
        try:
            run_id = self._control.start_run(digest)
        except ControlError as error:
            journal.interrupted(str(error))
            raise
        write_atomically(_run_file(journal), json.dumps({"run": run_id}).encode())
        self._active.add(digest)

    def _look(self, journal: DirectoryJournal) -> None:
        run_id = _run_id(journal)
        if run_id is None:
            journal.interrupted("the coordinator stopped before the run was started")
        elif journal.state() == JobState.SUBMITTED:
            if ended := self._control.run_outcome(run_id):
                journal.interrupted(f"the run {ended.status} before it began: {ended.details}")
        else:
            self._look_after_driver(journal, run_id)

    def _look_after_driver(self, journal: DirectoryJournal, run_id: int) -> None:
        """Announce the end of a driver that has let go of its job without a word."""
        try:
            with journal.hold():
                if not journal.resting():
                    journal.interrupted(self._last_words(run_id))
        except JobHeldError:
            return

    def _last_words(self, run_id: int) -> str:
        if ended := self._control.run_outcome(run_id):
            return f"the run {ended.status}: {ended.details}".rstrip(": ")
        try:
            # Flower would take a minute to notice; meanwhile the run must not be delivered to anybody.
            self._control.stop_run(run_id)
        except ControlError as error:
            _logger.warning("run %d was not stopped: %s", run_id, error)
        return "the ServerApp's process died"


def _check(document: bytes) -> None:
    try:
        parsed: object = json.loads(document)
    except ValueError as error:
        raise BadJobError("the job document is not JSON") from error
    if not isinstance(parsed, dict):
        raise BadJobError("the job document is not a JSON object")


def _run_file(journal: DirectoryJournal) -> Path:
    return journal.directory / "run.json"


def _run_id(journal: DirectoryJournal) -> int | None:
    try:
        return int(json.loads(_run_file(journal).read_bytes())["run"])
    except FileNotFoundError:
        return None
