"""The HTTP endpoints for jobs, beside Flower's own APIs on the internal listener."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bandung.federation.superlink.control import ControlError
from bandung.federation.superlink.jobs import BadJobError, JobBusyError, Jobs, UnknownJobError
from bandung.federation.training.exchange import Json
from bandung.federation.training.journal import DirectoryJournal

_FOLLOW_S: Final = 0.2
_KEEP_ALIVE_S: Final = 10.0
AGAIN: Final = b'{"type":"again"}\n'
"""The last line of a stream that ends although its job does not rest: ask again, later."""

_STATUS: Final[Mapping[type[Exception], tuple[HTTPStatus, str]]] = {
    UnknownJobError: (HTTPStatus.NOT_FOUND, "there is no such job"),
    BadJobError: (HTTPStatus.BAD_REQUEST, "the job document is not a JSON object"),
    JobBusyError: (HTTPStatus.CONFLICT, "the job is running or complete"),
    ControlError: (HTTPStatus.BAD_GATEWAY, "the SuperLink did not start the run"),
}


@dataclass(frozen=True)
class JobEndpoints:
    """The endpoints under `/bandung/`.

    Attributes:
        jobs: The jobs they speak of.
        health: Gives the coordinator's health.
        before_start: Called before a run starts, to admit new nodes.
        job_bytes_max: Largest job document, in bytes.
        closing: Set when the listeners are about to close; streams then end with the line `AGAIN`.
    """

    jobs: Jobs
    health: Callable[[], Json]
    before_start: Callable[[], None]
    job_bytes_max: int
    closing: threading.Event

    def app(self) -> Starlette:
        """Return them as an ASGI app."""
        job = "/bandung/jobs/{digest}"
        return Starlette(
            routes=[
                Route("/bandung/health", self._health, methods=["GET"]),
                Route("/bandung/jobs", self._list, methods=["GET"]),
                Route("/bandung/jobs", self._submit, methods=["POST"]),
                Route(f"{job}/events", self._events, methods=["GET"]),
                Route(f"{job}/card", self._card, methods=["GET"]),
                Route(f"{job}/resume", self._resume, methods=["POST"]),
            ],
            exception_handlers=dict.fromkeys(_STATUS, _explain),
        )

    async def _health(self, request: Request) -> Response:
        del request
        return JSONResponse(await run_in_threadpool(self.health))

    async def _list(self, request: Request) -> Response:
        del request
        return JSONResponse({"jobs": await run_in_threadpool(self.jobs.listing)})

    async def _submit(self, request: Request) -> Response:
        document = await request.body()
        if len(document) > self.job_bytes_max:
            return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the job document is too large")
        await run_in_threadpool(self.before_start)
        submission = await run_in_threadpool(self.jobs.submit, document)
        status = HTTPStatus.CREATED if submission.created else HTTPStatus.OK
        return JSONResponse({"job": submission.job}, status)

    async def _resume(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        await run_in_threadpool(self.before_start)
        await run_in_threadpool(self.jobs.resume, digest)
        return JSONResponse({"job": digest}, HTTPStatus.ACCEPTED)

    async def _card(self, request: Request) -> Response:
        journal = self.jobs.journal(request.path_params["digest"])
        card = await run_in_threadpool(journal.load_card)
        return JSONResponse(card) if card is not None else _problem(HTTPStatus.NOT_FOUND, "no model card yet")

    async def _events(self, request: Request) -> Response:
        start = request.query_params.get("from", "0")
        if not start.isdecimal():
            return _problem(HTTPStatus.BAD_REQUEST, "`from` is not a number")
        journal = self.jobs.journal(request.path_params["digest"])
        return StreamingResponse(self._follow(journal, int(start)), media_type="application/x-ndjson")

    async def _follow(self, journal: DirectoryJournal, start: int) -> AsyncIterator[bytes]:
        """Yield events until the job rests. An empty line now and then shows that the stream lives."""
        spoke = monotonic()
        while True:
            resting = await run_in_threadpool(journal.resting)
            for event in await run_in_threadpool(journal.events, start):
                start = event["n"] + 1
                spoke = monotonic()
                yield json.dumps(event).encode() + b"\n"
            if resting:
                return
            if self.closing.is_set():
                yield AGAIN
                return
            if monotonic() - spoke > _KEEP_ALIVE_S:
                spoke = monotonic()
                yield b"\n"
            await asyncio.sleep(_FOLLOW_S)


async def _explain(request: Request, error: Exception) -> Response:
    del request
    return _problem(*_STATUS[type(error)])


def _problem(status: HTTPStatus, reason: str) -> Response:
    return JSONResponse({"error": reason}, status)
