"""A client of the coordinator's job endpoints."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any, Final, cast

import httpx

from bandung.federation.training.exchange import Json

_RECONNECT_S: Final = 0.5
_RECONNECTS_MAX: Final = 60


class CoordinatorError(Exception):
    """The coordinator refused a request.

    Args:
        status: The HTTP status; 0 if the coordinator could not be reached.
        reason: Its words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class CoordinatorClient:
    """Submits jobs to a coordinator and follows them.

    Args:
        address: `host:port` of the coordinator's internal listener.
        ca: PEM bundle that its certificate chains to.
        token: Its bearer token.
    """

    def __init__(self, address: str, ca: Path, token: str) -> None:
        self._http = httpx.Client(
            base_url=f"https://{address}/bandung/",
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=str(ca)),
            timeout=30.0,
        )

    def __enter__(self) -> "CoordinatorClient":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> Json:
        """Return `{"status": "SERVING" | "NOT_SERVING", "members": {<member>: <connected>}}`.

        Raises:
            CoordinatorError: It could not be had.
        """
        return self._json("GET", "health")

    def submit(self, document: bytes) -> str:
        """Submit a job document and return its digest: the SHA-256 of exactly these bytes, in hexadecimal.

        A document that was submitted before is not started again.

        Raises:
            CoordinatorError: It was not accepted.
        """
        return str(self._json("POST", "jobs", document)["job"])

    def jobs(self) -> list[Json]:
        """Return all jobs as `{"job": <digest>, "state": <JobState>}`.

        Raises:
            CoordinatorError: They could not be had.
        """
        return cast("list[Json]", self._json("GET", "jobs")["jobs"])

    def events(self, job: str, start: int = 0) -> Iterator[Json]:
        """Follow a job's events from number `start` on, until the job rests.

        Connections that break are taken up again, for half a minute.

        Raises:
            CoordinatorError: The job is unknown, or the coordinator stays away.
        """
        failures = 0
        while True:
            try:
                for event in self._stream(f"jobs/{job}/events", start):
                    if event["type"] == "again":
                        break
                    start, failures = event["n"] + 1, 0
                    yield event
                else:
                    return
            except httpx.TransportError as error:
                if failures >= _RECONNECTS_MAX:
                    raise CoordinatorError(0, "the coordinator cannot be reached") from error
            failures += 1
            sleep(_RECONNECT_S)

    def card(self, job: str) -> Json:
        """Return the model card of a job.

        Raises:
            CoordinatorError: There is none (yet).
        """
        return self._json("GET", f"jobs/{job}/card")

    def resume(self, job: str) -> None:
        """Start a paused or failed job again, from its checkpoint.

        Raises:
            CoordinatorError: It is running, complete or unknown.
        """
        self._json("POST", f"jobs/{job}/resume")

    def _json(self, method: str, path: str, content: bytes | None = None) -> Json:
        try:
            response = self._http.request(method, path, content=content)
        except httpx.TransportError as error:
            raise CoordinatorError(0, "the coordinator cannot be reached") from error
        _check(response)
        return cast("Json", response.json())

    def _stream(self, path: str, start: int) -> Iterator[Json]:
        with self._http.stream("GET", path, params={"from": start}) as response:
            if response.is_error:
                response.read()
            _check(response)
            for line in response.iter_lines():
                if line:
                    yield cast("Json", json.loads(line))


def _check(response: httpx.Response) -> None:
    if response.is_error:
        raise CoordinatorError(response.status_code, _reason(response))


def _reason(response: httpx.Response) -> str:
    try:
        return str(cast("dict[str, Any]", response.json())["error"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
