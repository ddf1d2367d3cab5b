"""Lets requests into Flower's app one at a time."""

import asyncio
from dataclasses import dataclass, field

from bandung.federation.superlink.guard import AsgiApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Turnstile:
    """An ASGI app for short calls: the next enters when the last one's answer is complete.

    Nearly every call of Flower writes to its SQLite database. Calls side by side meet at the write lock, where
    SQLite sleeps up to a tenth of a second between tries; one after the other they take milliseconds. The
    answer is kept until the next has entered, so that a slow reader holds up nobody but itself.
    """

    app: AsgiApp
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, whose body must have arrived."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        async with self.lock:
            await self.app(scope, receive, keep)
        for message in answer:
            await send(message)
