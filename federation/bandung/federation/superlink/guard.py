"""The guards in front of Flower's one ASGI app: what may be asked at which listener, by whom, how large.

Default deny: a path that no rule names does not exist.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
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
    """How large a request's body may be, and how long it may take to arrive.

    Attributes:
        bytes_max: Of one body, in bytes.
        read_s_max: In seconds.
        held_bytes_max: Of all bodies that a listener holds at once, in bytes: they are read before Flower can tell
            who sends them, so strangers could otherwise fill the memory.
    """

    bytes_max: int
    read_s_max: float
    held_bytes_max: int = 256 * 1024 * 1024


@dataclass
class _Held:
    """Bytes that a listener holds. For one event loop."""

    bytes: int = 0


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
    _held: _Held = field(default_factory=_Held, init=False, repr=False)

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
        body = bytearray()
        try:
            refused = await self._read(body, receive)
            if refused is not None:
                await _refuse(scope, send, refused)
                return
            if rule.token is not None:
                _logger.log(_level(scope), "%s %a from %s", scope["method"], scope["path"], _peer(scope))
            await rule.app(scope, _replay(bytes(body), receive), send)
        finally:
            self._held.bytes -= len(body)

    async def _read(self, body: bytearray, receive: Receive) -> HTTPStatus | None:
        """Read the whole body; return why not as soon as it exceeds a limit, whatever its headers said."""
        try:
            async with asyncio.timeout(self.limit.read_s_max):
                while True:
                    message = await receive()
                    part = message.get("body", b"")
                    body += part
                    self._held.bytes += len(part)
                    if len(body) > self.limit.bytes_max:
                        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                    if self._held.bytes > self.limit.held_bytes_max:
                        return HTTPStatus.SERVICE_UNAVAILABLE
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return None
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


async def _refuse(scope: Scope, send: Send, status: HTTPStatus) -> None:
    _logger.warning("refused %s %a from %s: %d", scope["method"], scope["path"], _peer(scope), status)
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
