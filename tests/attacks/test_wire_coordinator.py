"""Strangers at the coordinator's public listener, which must be open to every courier's address.

How the attack works: who sent a request is known only after its body was read, because Flower's signature stands beside
the message. So a stranger needs no key to send bodies just below the size limit on many connections and never end them:
the coordinator keeps them all until its memory is gone. A path with a line break in it writes lines of the stranger's
own into the operator's log.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from bandung.federation.superlink.guard import BodyLimit, Guard, Rule


async def _accept(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def scope(path: str = "/v1/fleet/pull-messages") -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "headers": [], "client": ("stranger", 1)}


async def send_body(guard: Guard, body: bytes, end: asyncio.Event | None = None) -> int:
    """Send a body, its last part after `end`, and return the status."""
    parts, sent = [body[: len(body) // 2], body[len(body) // 2 :]], list[int]()

    async def receive() -> dict[str, Any]:
        if len(parts) == 1 and end is not None:
            await end.wait()
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.extend([message["status"]] if "status" in message else [])

    await guard(scope(), receive, send)
    return sent[0]


def test_bodies_that_never_end_take_no_more_memory_than_is_set_aside():
    guard = Guard((Rule("/v1/fleet/", _accept),), BodyLimit(1000, 5.0, held_bytes_max=2000))

    async def attack() -> tuple[int, list[int], int]:
        end = asyncio.Event()
        held = [asyncio.create_task(send_body(guard, bytes(1000), end)) for _ in range(6)]
        await asyncio.sleep(0.05)
        during = await send_body(guard, bytes(10))
        end.set()
        return during, list(await asyncio.gather(*held)), await send_body(guard, bytes(1000))

    during, finished, after = asyncio.run(attack())
    assert during == 503
    assert finished.count(503) >= 2
    assert after == 200


def test_what_is_refused_or_too_slow_gives_its_memory_back():
    guard = Guard((Rule("/v1/fleet/", _accept),), BodyLimit(1000, 0.05, held_bytes_max=1500))

    async def attack() -> list[int]:
        slow = [await send_body(guard, bytes(1000), asyncio.Event()) for _ in range(4)]
        large = [await send_body(guard, bytes(1400)) for _ in range(4)]
        return [*slow, *large, await send_body(guard, bytes(1000))]

    assert asyncio.run(attack()) == [408] * 4 + [413] * 4 + [200]


def test_a_path_cannot_write_lines_into_the_log(caplog: pytest.LogCaptureFixture):
    guard = Guard((Rule("/v1/fleet/", _accept),), BodyLimit(1000, 1.0))

    async def ignore(_message: Any) -> None:
        return

    with caplog.at_level(logging.WARNING):
        asyncio.run(guard(scope("/x\n2026-01-01 INFO everything is well"), ignore, ignore))
    assert "everything is well" in caplog.text
    assert "\n2026" not in caplog.text
