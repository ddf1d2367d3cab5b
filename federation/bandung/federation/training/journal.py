"""The journal of a job as a directory: `job.json`, `events.ndjson`, `checkpoint.json`, `card.json`, `lock`."""

import fcntl
import json
import os
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from bandung.federation.training.durable import write_atomically
from bandung.federation.training.exchange import RESTING_STATES, JobState, Json

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class JournalError(Exception):
    """The directory of a job is missing or not as the journal left it."""


class JobHeldError(Exception):
    """Another process is driving this job."""


@dataclass(frozen=True)
class DirectoryJournal:
    """The journal of one job in a directory of its own.

    Several processes may read and append at the same time; only the one that holds `hold()` drives the job.

    Attributes:
        directory: The job's directory; it must exist.
        clock: Gives the time of events, as ISO 8601 text.
    """

    directory: Path
    clock: Callable[[], str]

    def event(self, event: Mapping[str, Any]) -> None:
        """Append `event`, durably.

        Raises:
            OSError: It could not be written.
        """
        line = json.dumps({"at": self.clock(), **event}, separators=(",", ":"), ensure_ascii=False)
        with self._events_path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _drop_torn_line(file)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def announce(self, state: JobState, reason: str = "", **more: Any) -> None:
        """Append an event that changes the job's state."""
        self.event({"type": "state", "state": state, **({"reason": reason} if reason else {}), **more})

    def interrupted(self, reason: str) -> None:
        """Announce that the work broke off: paused if a checkpoint can be resumed from, else failed."""
        self.announce(JobState.PAUSED if self.load_checkpoint() else JobState.FAILED, reason)

    def events(self, start: int = 0) -> list[Json]:
        """Return the events from number `start` on; each carries its number as `n`."""
        lines = self._lines()
        return [{"n": start + i, **_json_object(line)} for i, line in enumerate(lines[start:])]

    def state(self) -> JobState | None:
        """Return the state last announced, or None before the first."""
        for line in reversed(self._lines()):
            # Most events are progress: do not parse what cannot be a state.
            if b'"type":"state"' in line and (event := _json_object(line))["type"] == "state":
                return JobState(event["state"])
        return None

    def resting(self) -> bool:
        """Tell whether nobody works on the job."""
        return self.state() in RESTING_STATES

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint, durably."""
        self._write("checkpoint.json", state)

    def load_checkpoint(self) -> Json | None:
        """Return the last checkpoint, if there is one."""
        return self._read("checkpoint.json")

    def card(self, card: Mapping[str, Any]) -> None:
        """Write the model card, durably."""
        self._write("card.json", card)

    def load_card(self) -> Json | None:
        """Return the model card, if there is one."""
        return self._read("card.json")

    @contextmanager
    def hold(self) -> Generator[None]:
        """Be the one that drives the job. The kernel lets go when the process ends, however it ends.

        Raises:
            JobHeldError: Another process drives it.
        """
        with (self.directory / "lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise JobHeldError(self.directory.name) from error
            yield

    @property
    def _events_path(self) -> Path:
        return self.directory / "events.ndjson"

    def _lines(self) -> list[bytes]:
        try:
            return self._events_path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        write_atomically(self.directory / name, json.dumps(content, ensure_ascii=False).encode())

    def _read(self, name: str) -> Json | None:
        try:
            return _json_object((self.directory / name).read_bytes())
        except FileNotFoundError:
            return None


def job_directory(coordinator: Path, digest: str) -> Path:
    """Return the directory of a job.

    Raises:
        JournalError: `digest` is not 64 hexadecimal digits.
    """
    if not _DIGEST.fullmatch(digest):
        raise JournalError("a job is named by 64 hexadecimal digits")
    return coordinator / "jobs" / digest


def _drop_torn_line(file: IO[bytes]) -> None:
    """Cut what a crash left of an unfinished line."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    if whole != end:
        file.truncate(whole)
    file.seek(0, os.SEEK_END)


def _json_object(content: bytes) -> Json:
    try:
        value: object = json.loads(content)
    except ValueError as error:
        raise JournalError("a journal file is not JSON") from error
    if not isinstance(value, dict):
        raise JournalError("a journal file does not hold a JSON object")
    return cast("Json", value)
