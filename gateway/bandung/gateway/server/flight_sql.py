"""Flight SQL commands over the query desk: bytes in, Arrow out, nothing remembered between calls."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from google.protobuf import any_pb2

from bandung.connectors.base import Stop
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal
from bandung.gateway.server.call import Call
from bandung.gateway.server.flight_pb import flight_sql_pb2 as sql
from bandung.gateway.server.flight_pb.flight_pb2 import FlightData
from bandung.gateway.server.frames import parameters, schema_message
from bandung.gateway.server.handles import Handle, Purpose, Sealer
from bandung.gateway.server.sql_metadata import COMMANDS
from bandung.gateway.service.dry_run import Described, Planned
from bandung.gateway.service.query import Answer, Request

_PACKAGE = "arrow.flight.protocol.sql."
_TYPE_URL = f"type.googleapis.com/{_PACKAGE}"


class _Queries(Protocol):
    def describe(
        self,
        principal: Principal,
        request: Request,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Described: ...

    def plan(
        self,
        principal: Principal,
        request: Request,
        exchange: str,
        parameters: tuple[str, ...] = (),
        nano_rho: int | None = None,
    ) -> Planned: ...

    def answer(
        self,
        principal: Principal,
        request: Request,
        parameters: tuple[str, ...],
        exchange: str,
        stop: Stop,
        nano_rho: int | None = None,
    ) -> Answer: ...


class _Catalogue(Protocol):
    def open_to(self, principal: Principal) -> tuple[Epoch, ...]: ...


@dataclass(frozen=True, slots=True)
class Ready:
    """A planned command.

    Attributes:
        ticket: what DoGet takes.
        schema: fields exactly as DoGet will send them. None for a prepared statement: its client knows the fields from
            the preparation, and ADBC would take the announced schema for the sent one, whose metadata (noise, cost,
            receipt) are known only when the answer is.
        price: JSON for `FlightInfo.app_metadata`: cost and what is left, by unit, epoch, agreement; empty for prepared
            statements and metadata commands.
    """

    ticket: bytes
    schema: pa.Schema | None = None
    price: bytes = b""


class FlightSql:
    """Plans, reads, prepares and binds. Safe for use by several threads at once."""

    def __init__(self, member: str, queries: _Queries, catalogue: _Catalogue, sealer: Sealer) -> None:
        self._member = member
        self._queries = queries
        self._catalogue = catalogue
        self._sealer = sealer

    def plan(self, command: bytes, call: Call) -> Ready:
        """Plan a command of GetFlightInfo; nothing is executed.

        A prepared statement was planned when it was prepared, and `read` plans, authorises and prices it as of then:
        here only its handle is opened.

        Raises:
            Refusal: as the query desk; BAD_REQUEST, BAD_HANDLE, BAD_PARAMETER or NOT_OFFERED for the command itself.
        """
        name, value = _unpacked(command)
        if name == "CommandStatementQuery":
            return self._plan_statement(_statement(sql.CommandStatementQuery.FromString(value)), call)
        if name == "CommandPreparedStatementQuery":
            self._prepared(value, call)
            return Ready(command)
        return Ready(command, _metadata_schema(name, value))

    def schema(self, command: bytes, call: Call) -> pa.Schema:
        """Return the fields that a command's answer will have.

        Raises:
            Refusal: as `plan`.
        """
        name, value = _unpacked(command)
        if name == "CommandStatementQuery":
            return self._describe(Handle(_statement(sql.CommandStatementQuery.FromString(value))), call).schema
        if name == "CommandPreparedStatementQuery":
            return self._describe(self._prepared(value, call), call).schema
        return _metadata_schema(name, value)

    def read(self, ticket: bytes, call: Call) -> pa.Table:
        """Answer a ticket.

        Raises:
            Refusal: as the query desk; BAD_HANDLE, NOT_OFFERED.
        """
        name, value = _unpacked(ticket)
        if name == "TicketStatementQuery":
            sealed = sql.TicketStatementQuery.FromString(value).statement_handle
            return self._answer(self._sealer.open(Purpose.TICKET, call.principal, sealed), call)
        if name == "CommandPreparedStatementQuery":
            return self._answer(self._prepared(value, call), call)
        metadata = COMMANDS.get(name)
        if metadata is None:
            raise _not_offered(name)
        open_here = self._catalogue.open_to(call.principal)
        return metadata.rows(metadata.message.FromString(value), self._member, open_here)

    def prepare(self, body: bytes, call: Call) -> bytes:
        """Plan a statement and return an `ActionCreatePreparedStatementResult` with its sealed handle."""
        _, value = _unpacked(body)
        statement = _statement(sql.ActionCreatePreparedStatementRequest.FromString(value))
        handle = Handle(statement)
        described = self._describe(handle, call)
        slots = pa.schema([pa.field(name, pa.string(), nullable=False) for name in described.parameters])
        result = sql.ActionCreatePreparedStatementResult(
            prepared_statement_handle=self._sealer.seal(Purpose.PREPARED, call.principal, handle),
            dataset_schema=schema_message(described.schema),
            parameter_schema=schema_message(slots),
            is_update=False,
        )
        return _packed("ActionCreatePreparedStatementResult", result)

    def bind(self, command: bytes, uploaded: Iterable[FlightData], call: Call) -> bytes:
        """Bind an upload to a prepared statement and return the handle that holds both.

        Raises:
            Refusal: NOT_OFFERED for any other upload; BAD_HANDLE, BAD_PARAMETER, TOO_LARGE.
        """
        name, value = _unpacked(command)
        if name != "CommandPreparedStatementQuery":
            raise _not_offered(name)
        bound = Handle(self._prepared(value, call).sql, parameters(uploaded))
        handle = self._sealer.seal(Purpose.PREPARED, call.principal, bound)
        return sql.DoPutPreparedStatementResult(prepared_statement_handle=handle).SerializeToString()

    def _plan_statement(self, statement: str, call: Call) -> Ready:
        with call.desk_records():
            planned = self._queries.plan(call.principal, statement, call.exchange, (), call.nano_rho)
        if planned.parameters:
            raise Refusal(ErrorKind.BAD_PARAMETER, "Placeholders need a prepared statement.")
        sealed = self._sealer.seal(Purpose.TICKET, call.principal, Handle(statement))
        ticket = _packed("TicketStatementQuery", sql.TicketStatementQuery(statement_handle=sealed))
        return Ready(ticket, planned.schema, _price(planned))

    def _describe(self, handle: Handle, call: Call) -> Described:
        bound = handle.parameters or ()
        with call.desk_records():
            return self._queries.describe(call.principal, handle.sql, call.exchange, bound, call.nano_rho)

    def _answer(self, handle: Handle, call: Call) -> pa.Table:
        bound = handle.parameters or ()
        with call.desk_records():
            return self._queries.answer(
                call.principal, handle.sql, bound, call.exchange, call.stop, call.nano_rho
            ).table

    def _prepared(self, value: bytes, call: Call) -> Handle:
        sealed = sql.CommandPreparedStatementQuery.FromString(value).prepared_statement_handle
        return self._sealer.open(Purpose.PREPARED, call.principal, sealed)


def _statement(message: Any) -> str:
    if message.transaction_id:
        raise Refusal(ErrorKind.NOT_OFFERED, "There are no transactions.")
    return message.query


def _metadata_schema(name: str, value: bytes) -> pa.Schema:
    metadata = COMMANDS.get(name)
    if metadata is None:
        raise _not_offered(name)
    return metadata.schema(metadata.message.FromString(value))


def _price(planned: Planned) -> bytes:
    price = {
        "cost": dict(planned.cost),
        "left": dict(planned.left),
        "epoch": planned.epoch,
        "agreement": planned.agreement,
    }
    return json.dumps(price).encode()


def _unpacked(content: bytes) -> tuple[str, bytes]:
    """Return the name, without its package, and the value of a packed Flight SQL message."""
    message = any_pb2.Any.FromString(content)
    name = message.type_url.rpartition("/")[2]
    if not name.startswith(_PACKAGE):
        raise Refusal(ErrorKind.BAD_REQUEST, "This is not a Flight SQL command.")
    return name.removeprefix(_PACKAGE), message.value


def _packed(name: str, message: Any) -> bytes:
    return any_pb2.Any(type_url=_TYPE_URL + name, value=message.SerializeToString()).SerializeToString()


def _not_offered(name: str) -> Refusal:
    return Refusal(ErrorKind.NOT_OFFERED, f"Asked for: {name[:80]!a}.")
