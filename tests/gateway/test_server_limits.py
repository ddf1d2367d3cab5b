"""Limits, deadlines, cancellation and shutdown; and requests that no honest client sends."""

import threading
import time
from contextlib import contextmanager

import grpc
import pyarrow.flight as fl
import pytest

from bandung.gateway.client import GatewayError
from bandung.gateway.server.alarms import Alarms
from bandung.gateway.server.door import Limits
from bandung.gateway.server.flight_pb import flight_pb2
from bandung.gateway.v1 import error_pb2, query_pb2
from tests.support.clients import a_channel, a_client, a_command, a_flight_client
from tests.support.http2 import connect, send_request, tls_context
from tests.support.server import SECRET, a_node


@pytest.fixture
def node(tmp_path):
    limits = Limits(deadline_max_s=1.5, calls_per_principal_max=2)
    with a_node(tmp_path, limits=limits, threads=6) as node:
        yield node


@pytest.fixture
def ani(node):
    return node.idn.issue("analyst/ani")


def query_on(channel, sql, **options):
    call = channel.unary_unary(
        "/bandung.gateway.v1.QueryService/Query",
        query_pb2.QueryRequest.SerializeToString,
        query_pb2.QueryResponse.FromString,
    )
    return call.future(query_pb2.QueryRequest(sql=sql), **options)


def error_of(call):
    trailer = dict(call.trailing_metadata() or ())
    return error_pb2.Error.FromString(trailer["bandung-error-bin"])


def test_a_call_without_a_deadline_gets_the_gateways_own(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        began = time.monotonic()
        call = query_on(channel, "slow")
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error_of(call).code == "B404"
        assert 1 < time.monotonic() - began < 5
        assert node.queries.stopped.acquire(timeout=5)


def test_a_longer_deadline_is_cut_to_the_gateways_own(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = query_on(channel, "slow", timeout=60)
        assert error_of(call).code == "B404"


def test_a_deadline_of_the_client_stops_the_query(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = query_on(channel, "slow", timeout=0.5)
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert node.queries.stopped.acquire(timeout=1)


def test_a_client_that_goes_away_stops_the_query(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = query_on(channel, "slow")
        assert node.queries.working.acquire(timeout=5)
        call.cancel()
        assert node.queries.stopped.acquire(timeout=1)


def test_one_principal_cannot_take_all_the_threads(node, ani):
    budi = node.idn.issue("analyst/budi")
    with a_channel(node.address, node.idn.ca, ani) as channel, a_channel(node.address, node.idn.ca, budi) as other:
        running = [query_on(channel, "slow") for _ in range(2)]
        for _ in running:
            assert node.queries.working.acquire(timeout=5)
        third = query_on(channel, "SELECT")
        assert third.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_of(third).code == "B105"
        assert query_on(other, "SELECT").code() is grpc.StatusCode.OK
        for call in running:
            call.cancel()
        for _ in running:
            assert node.queries.stopped.acquire(timeout=5)
    assert node.queries.recorded[-1][1] == "B105"


def test_a_stream_that_says_nothing_is_ended(node, ani):
    silence = threading.Event()

    def nothing():
        silence.wait(10)
        yield b""

    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = channel.stream_stream("/arrow.flight.protocol.FlightService/DoPut")(nothing())
        assert call.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
        silence.set()


def test_a_client_that_does_not_read_is_ended_and_its_threads_are_free_again(tmp_path):
    """The attack: ask for large answers, read none, until no thread is left for anybody."""
    # Long enough that both answers are under way at once on a busy machine, too.
    limits = Limits(deadline_max_s=6, calls_per_principal_max=2)
    with a_node(tmp_path, limits=limits, threads=6) as node:
        ani = node.idn.issue("analyst/ani")
        with (
            a_channel(node.address, node.idn.ca, ani) as channel,
            a_flight_client(node.address, node.idn.ca, ani) as client,
        ):
            command = a_command("CommandStatementQuery", query="SELECT huge")
            ticket = client.get_flight_info(fl.FlightDescriptor.for_command(command)).endpoints[0].ticket.ticket
            path = "/arrow.flight.protocol.FlightService/DoGet"
            do_get = channel.unary_stream(path, flight_pb2.Ticket.SerializeToString)
            unread = [do_get(flight_pb2.Ticket(ticket=ticket)) for _ in range(2)]
            assert comes_true(lambda: query_on(channel, "SELECT").code() is grpc.StatusCode.RESOURCE_EXHAUSTED)
            assert comes_true(lambda: query_on(channel, "SELECT").code() is grpc.StatusCode.OK)
            for call in unread:
                call.cancel()


def comes_true(condition, within_s=20):
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_an_oversized_message_is_refused_and_the_server_lives(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        assert query_on(channel, "x" * (2 << 20)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert query_on(channel, "SELECT").code() is grpc.StatusCode.OK


def test_a_path_that_is_not_utf_8_does_not_kill_the_server(node, ani):
    """In grpcio 1.84 and 1.85 this one request ends a `grpc.aio` server's process."""
    with connect(node.server.port, tls_context(node.idn.ca, ani)) as connection:
        send_request(connection, b"/\xff\xfe/x")
    with a_client(node.address, node.idn.ca, ani) as client:
        assert client.health() == "SERVING"


def test_bytes_that_are_no_message_are_refused(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = channel.unary_unary("/bandung.gateway.v1.QueryService/Query").future(b"\xff\xff\xff")
        assert error_of(call).code == "B211"


def test_an_exchange_id_that_is_none_is_refused(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = query_on(channel, "SELECT", metadata=(("bandung-exchange", "'; DROP"),))
        assert error_of(call).code == "B211"


def test_the_clients_exchange_id_is_the_one_on_the_record(node, ani):
    mine = "0123456789abcdef" * 2
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = query_on(channel, "SELECT", metadata=(("bandung-exchange", mine),))
        assert dict(call.trailing_metadata())["bandung-exchange"] == mine
        assert node.queries.asked[-1][3] == mine
        assert error_of(query_on(channel, "refused", metadata=(("bandung-exchange", mine),))).exchange == mine


def test_what_the_desk_records_is_not_recorded_twice(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        assert error_of(query_on(channel, "refused")).code == "B204"
    assert node.queries.recorded == []


def test_a_refusal_that_cannot_be_recorded_is_not_given(node, ani):
    node.queries.sealed = True
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = channel.unary_unary("/bandung.gateway.v1.TrainingService/Step").future(b"")
        assert call.code() is grpc.StatusCode.UNAVAILABLE
        assert error_of(call).code == "B405"


def test_nothing_of_an_exception_crosses_the_wire(node, ani):
    with a_channel(node.address, node.idn.ca, ani) as channel:
        call = query_on(channel, "broken")
        assert call.code() is grpc.StatusCode.INTERNAL
        told = f"{call.details()}{call.trailing_metadata()}{call.initial_metadata()}"
    assert SECRET not in told
    assert "RuntimeError" not in told
    assert "Exception" not in told


@contextmanager
def a_slow_call(directory, **options):
    """A node and a call that it is working on."""
    with a_node(directory, **options) as node:
        ani = node.idn.issue("analyst/ani")
        with a_channel(node.address, node.idn.ca, ani) as channel:
            call = query_on(channel, "slow")
            assert node.queries.working.acquire(timeout=5)
            yield node, channel, call


def test_draining_lets_a_call_finish_within_the_grace(tmp_path):
    with a_slow_call(tmp_path, limits=Limits(deadline_max_s=1.0)) as (node, channel, call):
        node.server.drain(5)
        # It ran into its own deadline, not into the shutdown.
        assert error_of(call).code == "B404"
        assert query_on(channel, "SELECT", timeout=2).code() is grpc.StatusCode.UNAVAILABLE


def test_draining_stops_what_is_still_running_after_the_grace(tmp_path):
    with a_slow_call(tmp_path) as (node, _, call):
        began = time.monotonic()
        node.server.drain(0.3)
        assert time.monotonic() - began < 4
        assert node.queries.stopped.acquire(timeout=1)
        assert error_of(call).code == "B406"


def test_a_sealed_desk_is_reported_as_unavailable(node, ani):
    node.queries.sealed = True
    with a_client(node.address, node.idn.ca, ani) as client, pytest.raises(GatewayError) as refused:
        client.set_agreement_state("test-1", next(iter(client.agreements())).state, "")
    assert refused.value.code == "B405"


def test_alarms_ring_in_order_and_only_for_what_is_still_running():
    alarms, rung, done = Alarms(), [], threading.Event()
    with alarms.after(0.2, done.set), alarms.after(0.05, lambda: rung.append("early")):
        with alarms.after(0.01, lambda: rung.append("never")):
            pass
        assert done.wait(5)
    alarms.close()
    assert rung == ["early"]
