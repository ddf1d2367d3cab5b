"""From a protobuf service to handlers, for every service alike, generated or hand-framed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor

from bandung.gateway.server.call import Call
from bandung.gateway.server.methods import METHODS, NOBODY

Behaviour = Callable[[Any, Call], Any]


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method as the door serves it; requests are parsed only after the caller is known.

    Attributes:
        behaviour: takes the request (or an iterator of them) and the call; returns a response (or yields them).
    """

    behaviour: Behaviour
    parse: Callable[[bytes], Any]
    streams_requests: bool
    streams_responses: bool


def rpcs(service: ServiceDescriptor, implementation: object) -> Mapping[str, Rpc]:
    """Return the service's methods by path, each bound to the method of the same name.

    Methods that the table opens to nobody need no implementation.

    Raises:
        AttributeError: a method that somebody may call is not implemented.
    """
    paths = {f"/{service.full_name}/{method.name}": method for method in service.methods}
    return {
        path: Rpc(
            getattr(implementation, method.name),
            message_factory.GetMessageClass(method.input_type).FromString,
            method.client_streaming,
            method.server_streaming,
        )
        for path, method in paths.items()
        if METHODS.get(path, NOBODY) != NOBODY
    }


def serialize(response: Any) -> bytes:
    """Return the wire form of a response; hand-framed messages are bytes already."""
    return response if isinstance(response, bytes) else response.SerializeToString()
