"""The guards in front of Flower's one ASGI app: what may be asked at which listener, by whom, how large.

Default deny: a path that no rule names does not exist.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_logger = logging.getLogger(__name__)
_AUTHORISATION: Final = b"authorization"


@dataclass(frozen=True)
class Rule:
    """Paths beginning with `prefix` go to `app`; with `token`, only for bearers of it."""

    prefix: str
    app: AsgiApp
    token: bytes | None = None


@dataclass(frozen=True)
class BodyLimit:
    """How large a request's body may be, in bytes, and how long it may take to arrive, in seconds."""

    bytes_max: int
    read_s_max: float


@dataclass(frozen=True)
class Guard:
    """An ASGI app that admits what its rules name and refuses the rest.

    Attributes:
        rules: The first whose prefix fits decides.
        limit: Of every body, announced or chunked.
        lifespan: The app that is told of start and end, at one of the listeners.
    """

    rules: tuple[Rule, ...]
    limit: BodyLimit
    lifespan: AsgiApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan" and self.lifespan is not None:
            await self.lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = next((rule for rule in self.rules if scope["path"].startswith(rule.prefix)), None)
        if rule is None:
            await _refuse(scope, send, HTTPStatus.NOT_FOUND)
        elif rule.token is not None and not _bears(scope, rule.token):
            await _refuse(scope, send, HTTPStatus.UNAUTHORIZED)
        elif _announced(scope) > self.limit.bytes_max:
            await _refuse(scope, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            await self._admit(rule, scope, receive, send)

    async def _admit(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.limit.read_s_max):
                body = await _body(receive, self.limit.bytes_max)
        except TimeoutError:
            await _refuse(scope, send, HTTPStatus.REQUEST_TIMEOUT)
            return
        if body is None:
            await _refuse(scope, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        if rule.token is not None:
            _logger.log(_level(scope), "%s %s from %s", scope["method"], scope["path"], _peer(scope))
        await rule.app(scope, _replay(body, receive), send)


async def _body(receive: Receive, bytes_max: int) -> bytes | None:
    """Read the whole body; None as soon as it exceeds the limit, whatever its headers said."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


async def _refuse(scope: Scope, send: Send, status: HTTPStatus) -> None:
    _logger.warning("refused %s %s from %s: %d", scope["method"], scope["path"], _peer(scope), status)
    # Closing the connection spares us the rest of a body that nobody wants.
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": status.phrase.encode()})


def _level(scope: Scope) -> int:
    """Acts are recorded; looking is not."""
    looks = scope["method"] == "GET" or "/list-" in scope["path"]
    return logging.DEBUG if looks else logging.INFO


def _bears(scope: Scope, token: bytes) -> bool:
    given = [value for name, value in scope["headers"] if name == _AUTHORISATION]
    return len(given) == 1 and hmac.compare_digest(given[0], b"Bearer " + token)


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "?"
