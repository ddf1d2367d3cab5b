"""The Flight service: the transport around `flight_sql`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Protocol

import pyarrow as pa

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal
from bandung.gateway.server.call import Call
from bandung.gateway.server.flight_pb import flight_pb2 as flight
from bandung.gateway.server.flight_sql import FlightSql, Ready
from bandung.gateway.server.frames import frames, schema_message
from bandung.gateway.server.sql_metadata import table_schema

_UNKNOWN = -1


class _Catalogue(Protocol):
    def open_to(self, principal: Principal) -> tuple[Epoch, ...]: ...

    def dataset(self, principal: Principal, name: str) -> Epoch: ...


class FlightService:
    """Arrow Flight as far as SQL clients need it. Methods are named as in the protocol."""

    def __init__(self, member: str, commands: FlightSql, catalogue: _Catalogue) -> None:
        self._member = member
        self._commands = commands
        self._catalogue = catalogue
        self._reads = _Reads()
        self._actions: dict[str, tuple[str, Callable[[bytes, Call], Iterator[bytes]]]] = {
            "CreatePreparedStatement": ("Plans a statement for repeated use.", self._create_prepared),
            "ClosePreparedStatement": ("Harmless: handles hold no state.", _nothing),
            "CancelFlightInfo": ("Cancels the caller's running DoGet of these tickets.", self._cancel),
            "SetSessionOptions": ("There are no session options; every name is refused.", _set_options),
            "GetSessionOptions": ("There are no session options.", _get_options),
            "CloseSession": ("Harmless: there are no sessions.", _close_session),
        }

    def Handshake(  # noqa: N802
        self, requests: Iterator[flight.HandshakeRequest], call: Call
    ) -> Iterator[flight.HandshakeResponse]:
        """Answer once; the certificate is the identity, so nothing is read and nothing handed out."""
        del requests, call
        yield flight.HandshakeResponse()

    def ListFlights(self, _criteria: flight.Criteria, call: Call) -> Iterator[flight.FlightInfo]:  # noqa: N802
        """List datasets that are open to the caller; they are asked about in SQL, so they have no endpoints."""
        for epoch in self._catalogue.open_to(call.principal):
            path = flight.FlightDescriptor(type=flight.FlightDescriptor.PATH, path=[epoch.dataset.name])
            schema = schema_message(table_schema(epoch.dataset, self._member))
            yield flight.FlightInfo(schema=schema, flight_descriptor=path, total_records=_UNKNOWN, total_bytes=_UNKNOWN)

    def GetFlightInfo(self, descriptor: flight.FlightDescriptor, call: Call) -> flight.FlightInfo:  # noqa: N802
        """Plan a command: schema, ticket and price."""
        if descriptor.type != flight.FlightDescriptor.CMD:
            raise Refusal(ErrorKind.NOT_OFFERED, "A dataset is not read whole; send a Flight SQL statement.")
        return _info(descriptor, self._commands.plan(descriptor.cmd, call))

    def PollFlightInfo(self, descriptor: flight.FlightDescriptor, call: Call) -> flight.PollInfo:  # noqa: N802
        """Plan a command; planning never waits, so it is complete at once."""
        return flight.PollInfo(info=self.GetFlightInfo(descriptor, call), progress=1.0)

    def GetSchema(self, descriptor: flight.FlightDescriptor, call: Call) -> flight.SchemaResult:  # noqa: N802
        """Return a command's result schema, or a dataset's declared columns for its path."""
        return flight.SchemaResult(schema=schema_message(self._schema(descriptor, call)))

    def DoGet(self, ticket: flight.Ticket, call: Call) -> Iterator[bytes]:  # noqa: N802
        """Stream the answer to a ticket."""
        with self._reads.entered(ticket.ticket, call):
            table = self._commands.read(ticket.ticket, call)
        yield from frames(table)

    def DoPut(self, uploaded: Iterator[flight.FlightData], call: Call) -> Iterator[flight.PutResult]:  # noqa: N802
        """Bind parameters; nothing else is taken in."""
        first = next(uploaded, None)
        if first is None or first.flight_descriptor.type != flight.FlightDescriptor.CMD:
            raise Refusal(ErrorKind.NOT_OFFERED)
        handle = self._commands.bind(first.flight_descriptor.cmd, chain((first,), uploaded), call)
        yield flight.PutResult(app_metadata=handle)

    def DoAction(self, action: flight.Action, call: Call) -> Iterator[flight.Result]:  # noqa: N802
        """Run one of the listed actions."""
        if action.type not in self._actions:
            raise Refusal(ErrorKind.NOT_OFFERED, f"Asked for: {action.type[:80]!a}.")
        _, run = self._actions[action.type]
        for body in run(action.body, call):
            yield flight.Result(body=body)

    def ListActions(self, _empty: flight.Empty, _call: Call) -> Iterator[flight.ActionType]:  # noqa: N802
        """List the actions."""
        for name, (description, _) in self._actions.items():
            yield flight.ActionType(type=name, description=description)

    def _schema(self, descriptor: flight.FlightDescriptor, call: Call) -> pa.Schema:
        if descriptor.type == flight.FlightDescriptor.PATH and len(descriptor.path) == 1:
            return table_schema(self._catalogue.dataset(call.principal, descriptor.path[0]).dataset, self._member)
        return self._commands.schema(descriptor.cmd, call)

    def _create_prepared(self, body: bytes, call: Call) -> Iterator[bytes]:
        yield self._commands.prepare(body, call)

    def _cancel(self, body: bytes, call: Call) -> Iterator[bytes]:
        info = flight.CancelFlightInfoRequest.FromString(body).info
        tickets = [endpoint.ticket.ticket for endpoint in info.endpoint]
        cancelled = [self._reads.cancel(ticket, call.principal) for ticket in tickets]
        status = flight.CANCEL_STATUS_CANCELLED if any(cancelled) else flight.CANCEL_STATUS_NOT_CANCELLABLE
        yield flight.CancelFlightInfoResult(status=status).SerializeToString()


class _Reads:
    """Reads that are executing here, by principal and ticket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, bytes], set[Call]] = {}

    @contextmanager
    def entered(self, ticket: bytes, call: Call) -> Generator[None]:
        key = _key(ticket, call.principal)
        with self._lock:
            self._calls.setdefault(key, set()).add(call)
        try:
            yield
        finally:
            with self._lock:
                self._calls[key].discard(call)
                if not self._calls[key]:
                    del self._calls[key]

    def cancel(self, ticket: bytes, principal: Principal) -> bool:
        with self._lock:
            calls = tuple(self._calls.get(_key(ticket, principal), ()))
        for call in calls:
            call.give_up(ErrorKind.CANCELLED)
        return bool(calls)


def _key(ticket: bytes, principal: Principal) -> tuple[str, bytes]:
    return principal.uri, hashlib.sha256(ticket).digest()


def _info(descriptor: flight.FlightDescriptor, ready: Ready) -> flight.FlightInfo:
    return flight.FlightInfo(
        schema=b"" if ready.schema is None else schema_message(ready.schema),
        flight_descriptor=descriptor,
        endpoint=[flight.FlightEndpoint(ticket=flight.Ticket(ticket=ready.ticket))],
        total_records=_UNKNOWN,
        total_bytes=_UNKNOWN,
        ordered=True,
        app_metadata=ready.price,
    )


def _nothing(_body: bytes, _call: Call) -> Iterator[bytes]:
    yield from ()


def _set_options(body: bytes, _call: Call) -> Iterator[bytes]:
    names = flight.SetSessionOptionsRequest.FromString(body).session_options
    refused = flight.SetSessionOptionsResult.Error(value=flight.SetSessionOptionsResult.INVALID_NAME)
    yield flight.SetSessionOptionsResult(errors=dict.fromkeys(names, refused)).SerializeToString()


def _get_options(_body: bytes, _call: Call) -> Iterator[bytes]:
    yield flight.GetSessionOptionsResult().SerializeToString()


def _close_session(_body: bytes, _call: Call) -> Iterator[bytes]:
    yield flight.CloseSessionResult(status=flight.CloseSessionResult.CLOSED).SerializeToString()
