"""The door: every call passes it, in this order, before any service sees it.

Identity, exchange id, method table, concurrency limit, deadline; then the request is parsed and served. What comes
back out is a response or a refusal of the catalogue: no other exception, and no exception's text, crosses the wire.
Refusals of an authenticated principal are on the record before they are sent; whoever is refused all the time is not
listened to for a while, with one entry that says so. Failed identities go to the log only, at a bounded rate: strangers
must not be able to make the ledger grow.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError

from bandung.connectors.base import Stopped
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal
from bandung.gateway.server.alarms import Alarms
from bandung.gateway.server.binding import Rpc, serialize
from bandung.gateway.server.call import Call
from bandung.gateway.server.methods import check_access
from bandung.gateway.server.patience import Patience
from bandung.gateway.server.refusals import abort
from bandung.gateway.server.trust import TrustStore
from bandung.gateway.service.ports import Randomness

_LOG = logging.getLogger(__name__)
_EXCHANGE = re.compile(r"[0-9a-f]{32}")
_NANO_RHO = re.compile(r"[1-9][0-9]{0,14}")
_FORMS = {_EXCHANGE: "32 lower-case hexadecimal digits", _NANO_RHO: "a whole number from 1, of at most 15 digits"}
_STRANGER_LOG_EVERY_S = 1.0

Record = Callable[[str, Refusal, str, str], None]
"""Puts a refusal on the record: principal URI, refusal, exchange id, method."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold for every call.

    Attributes:
        deadline_max_s: longest that a call may take; a call without a deadline gets this one.
        calls_per_principal_max: most calls of one principal under way at once; fewer than there are threads, so that
            nobody can take them all.
        refusals_per_minute_max: most refusals of one principal within a minute that are served and recorded one by one.
    """

    deadline_max_s: float = 300.0
    calls_per_principal_max: int = 8
    refusals_per_minute_max: int = 300


class Door(grpc.GenericRpcHandler):
    """Serves the given methods. Safe for use by several threads at once."""

    def __init__(
        self,
        served: Mapping[str, Rpc],
        trust: TrustStore,
        trust_domain: str,
        limits: Limits,
        randomness: Randomness,
        record: Record,
    ) -> None:
        self._handlers = {method: self._handler(method, rpc) for method, rpc in served.items()}
        self._trust = trust
        self._trust_domain = trust_domain
        self._limits = limits
        self._randomness = randomness
        self._record = record
        self._alarms = Alarms()
        self._calls = _Calls(limits.calls_per_principal_max)
        self._patience = Patience(limits.refusals_per_minute_max)
        self._strangers = _Rate(_STRANGER_LOG_EVERY_S)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the guarded handler of a method; an unknown one is refused by its own."""
        method = handler_call_details.method
        return self._handlers.get(method) or self._unknown(method)

    def give_up_all(self, cause: ErrorKind) -> None:
        """Set the brake of every call under way."""
        for call in self._calls.under_way():
            call.give_up(cause)

    def close(self) -> None:
        """End the deadline thread, after the last call."""
        self._alarms.close()

    def _handler(self, method: str, rpc: Rpc) -> grpc.RpcMethodHandler[Any, Any]:
        def one(request: Any, context: grpc.ServicerContext) -> Any:
            with self._guarded(method, context) as call:
                return rpc.behaviour(_parsed(rpc, request, call), call)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._guarded(method, context) as call:
                for response in rpc.behaviour(_parsed(rpc, request, call), call):
                    # Sending may block: a client that does not read must not hold the thread beyond its time.
                    with call.stop.brake(call.hang_up):
                        yield response

        if rpc.streams_requests:
            if rpc.streams_responses:
                return grpc.stream_stream_rpc_method_handler(many, None, serialize)
            return grpc.stream_unary_rpc_method_handler(one, None, serialize)
        if rpc.streams_responses:
            return grpc.unary_stream_rpc_method_handler(many, None, serialize)
        return grpc.unary_unary_rpc_method_handler(one, None, serialize)

    def _unknown(self, method: str) -> grpc.RpcMethodHandler[Any, Any]:
        def refuse(_requests: Any, context: grpc.ServicerContext) -> bytes:
            with self._guarded(method, context):
                return b""

        return grpc.stream_unary_rpc_method_handler(refuse, None, serialize)

    @contextmanager
    def _guarded(self, method: str, context: grpc.ServicerContext) -> Generator[Call]:
        """Admit a call; turn whatever goes wrong in the block into a refusal, record it, and send it."""
        call: Call | None = None
        exchange = self._randomness.bytes(16).hex()
        try:
            principal = self._principal(context)
            call = Call(principal, _printable(method), exchange, context)
            exchange = call.exchange = _sent(context, "bandung-exchange", _EXCHANGE) or exchange
            nano_rho = _sent(context, "bandung-nano-rho", _NANO_RHO)
            call.nano_rho = int(nano_rho) if nano_rho else None
            self._patience.check(principal.uri)
            check_access(method, principal, self._trust_domain)
            context.set_trailing_metadata((("bandung-exchange", exchange),))
            with self._calls.entered(call), self._timed(call):
                yield call
        except Refusal as refusal:
            outcome = refusal
        except (Stopped, grpc.RpcError):
            outcome = Refusal(ErrorKind.CANCELLED)
        except DecodeError:
            outcome = Refusal(ErrorKind.BAD_REQUEST, "The message cannot be parsed.")
        except Exception:  # noqa: BLE001 (the last one before the wire; logged in full)
            _LOG.exception("exchange %s: %s failed", exchange, _printable(method))
            outcome = Refusal(ErrorKind.INTERNAL)
        else:
            return
        abort(context, self._settled(call, outcome, exchange), exchange)

    def _principal(self, context: grpc.ServicerContext) -> Principal:
        certificates = cast("Mapping[str, Sequence[bytes]]", context.auth_context()).get("x509_pem_cert", ())
        try:
            if len(certificates) != 1:
                raise Refusal(ErrorKind.NO_IDENTITY)
            return self._trust.identify(certificates[0])
        except Refusal as refusal:
            unseen = self._strangers.passed()
            if unseen is not None:
                _LOG.warning(
                    "identity refused from %s: %s %s (%d more before)",
                    context.peer(),
                    refusal.code,
                    refusal.private,
                    unseen,
                )
            raise

    @contextmanager
    def _timed(self, call: Call) -> Generator[None]:
        """Set the call's brake when the client goes away or its time is up."""
        if not call.transport.add_callback(lambda: call.give_up(ErrorKind.CANCELLED)):
            raise Stopped
        remaining_s = cast("float | None", call.transport.time_remaining())
        allowed_s = (
            self._limits.deadline_max_s if remaining_s is None else min(remaining_s, self._limits.deadline_max_s)
        )
        with self._alarms.after(allowed_s, lambda: call.give_up(ErrorKind.DEADLINE_EXCEEDED)):
            yield

    def _settled(self, call: Call | None, outcome: Refusal, exchange: str) -> Refusal:
        """Return what is sent: the true cause of a stop, and nothing that could not be recorded."""
        if outcome.private:
            # What a source or a gate says may hold data; who wants it in the log turns the level up.
            _LOG.info("exchange %s: %s (why: at level debug)", exchange, outcome.code)
            _LOG.debug("exchange %s: %s", exchange, outcome.private)
        if call is None:
            return outcome
        if outcome.kind is ErrorKind.CANCELLED and call.stop.stopped:
            outcome = Refusal(call.cause)
        goes_on_record = self._patience.note(call.principal.uri)
        if call.recorded or outcome.kind is ErrorKind.SEALED or not goes_on_record:
            return outcome
        try:
            self._record(call.principal.uri, outcome, exchange, call.method)
        except Refusal as sealed:
            return sealed
        except Exception:  # noqa: BLE001 (as above)
            _LOG.exception("exchange %s: a refusal could not be recorded", exchange)
            return Refusal(ErrorKind.INTERNAL)
        return outcome


class _Calls:
    """Calls under way, with a bound per principal."""

    def __init__(self, per_principal_max: int) -> None:
        self._per_principal_max = per_principal_max
        self._lock = threading.Lock()
        self._calls: set[Call] = set()
        self._counts: Counter[str] = Counter()

    @contextmanager
    def entered(self, call: Call) -> Generator[None]:
        uri = call.principal.uri
        with self._lock:
            if self._counts[uri] >= self._per_principal_max:
                raise Refusal(ErrorKind.TOO_MANY_CALLS, f"The limit is {self._per_principal_max}.")
            self._counts[uri] += 1
            self._calls.add(call)
        try:
            yield
        finally:
            with self._lock:
                self._calls.discard(call)
                self._counts[uri] -= 1
                if not self._counts[uri]:
                    del self._counts[uri]

    def under_way(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._calls)


class _Rate:
    """Lets one event pass per period and counts the others."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._next = 0.0
        self._held_back = 0

    def passed(self) -> int | None:
        """Return how many were held back before this one, or None if this one is held back too."""
        with self._lock:
            if time.monotonic() < self._next:
                self._held_back += 1
                return None
            self._next = time.monotonic() + self._every_s
            held_back, self._held_back = self._held_back, 0
            return held_back


def _parsed(rpc: Rpc, request: Any, call: Call) -> Any:
    return _stream(rpc, request, call) if rpc.streams_requests else rpc.parse(request)


def _stream(rpc: Rpc, requests: Iterator[bytes], call: Call) -> Iterator[Any]:
    """Parse one by one; a client that stops sending cannot hold the thread beyond its time."""
    with call.stop.brake(call.hang_up):
        for request in requests:
            yield rpc.parse(request)


def _sent(context: grpc.ServicerContext, name: str, form: re.Pattern[str]) -> str | None:
    """The value of a header of ours, if the client sent it."""
    sent = [value for key, value in context.invocation_metadata() if key == name]
    if not sent:
        return None
    if len(sent) > 1 or not isinstance(sent[0], str) or not form.fullmatch(sent[0]):
        raise Refusal(ErrorKind.BAD_REQUEST, f"{name} must be {_FORMS[form]}.")
    return sent[0]


def _printable(method: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in method[:200])
