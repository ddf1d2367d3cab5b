"""The product's own client against a real server."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from bandung.gateway.client import Filter, GatewayClient, GatewayError, Identity, Statistic, TableRequest
from bandung.gateway.client.connection import Connection
from bandung.gateway.domain.agreement import AgreementState
from bandung.gateway.domain.job import Decision, StepKind
from bandung.gateway.domain.plan import Comparison, Operator
from bandung.gateway.server import convert as server_convert
from bandung.gateway.v1 import error_pb2, query_pb2
from tests.support.builders import an_agreement
from tests.support.clients import a_client
from tests.support.server import RECEIPT, SCHEMA, a_node


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with a_node(tmp_path_factory.mktemp("client")) as node:
        yield node


@pytest.fixture
def ani(node):
    with a_client(node.address, node.idn.ca, node.idn.issue("analyst/ani")) as client:
        yield client


@pytest.fixture
def citra(node):
    with a_client(node.address, node.idn.ca, node.idn.issue("custodian/citra")) as client:
        yield client


@pytest.fixture
def courier(node):
    with a_client(node.address, node.idn.ca, node.idn.issue("courier")) as client:
        yield client


def test_a_query_gives_table_metadata_and_receipt(node, ani):
    result = ani.query("SELECT ?", ["N"])
    assert result.table.schema.equals(SCHEMA)
    assert (result.member, result.epoch, result.policy) == ("IDN", "persons@1", "table-builder")
    assert result.noise == {"count": {"variance": 3.0}}
    assert (result.cost, result.left) == ({"tables": 1}, {"tables": 499})
    assert result.receipt == RECEIPT.id
    assert result.bytes_received > 100
    assert node.queries.asked[-1][2:] == (("N",), result.exchange)


def test_a_typed_request_arrives_as_it_was_built(node, ani):
    ani.table(
        TableRequest(
            "persons", ("region",), (Statistic("mean", "income"), Statistic("count")), (Filter("sex", ("F",)),)
        )
    )
    request = node.queries.asked[-1][1]
    assert (request.dataset, request.group_by) == ("persons", ("region",))
    assert request.filters == (Comparison("sex", Operator.EQUAL, ("F",)),)
    assert [s.name for s in request.statistics] == ["mean(income)", "count"]


def test_a_plan_tells_the_price(ani):
    plan = ani.plan("SELECT")
    assert plan.schema.equals(SCHEMA)
    assert (plan.purpose, plan.policy, plan.cells, plan.noise) == (
        "tests",
        "table-builder",
        2,
        {"count": {"variance": 3.0}},
    )
    assert (plan.cost, plan.left, plan.epoch, plan.agreement) == ({"tables": 1}, {"tables": 499}, "persons@1", "test-1")


def test_datasets_come_with_columns_and_policy(ani):
    (dataset,) = ani.datasets()
    assert (dataset.name, dataset.epoch, dataset.country) == ("persons", "persons@1", "IDN")
    region, _, _, income = dataset.columns
    assert (region.role, region.codes) == ("dimension", (("N", "N"), ("S", "S")))
    assert (income.role, income.maximum, income.unit_of_measurement) == ("measure", 1000.0, "units")
    policy = dataset.policy
    assert (policy.min_units, policy.threshold_spread, policy.noise, policy.noise_js) == (10, 4, "maximum-entropy", 2)
    assert not policy.tables
    assert not region.open


def test_agreements_travel_unchanged(node, citra):
    agreement = an_agreement(id="new-1", training_consent=True)
    assert citra.put_agreement(agreement, "asked for") == RECEIPT.id
    assert node.agreements.held["new-1"] == agreement
    assert agreement in citra.agreements()
    assert citra.set_agreement_state("new-1", AgreementState.SUSPENDED, "stop") == RECEIPT.id
    assert node.agreements.held["new-1"].state is AgreementState.SUSPENDED


def test_jobs_are_proposed_seen_and_decided(ani, citra):
    assert ani.propose(b'{"job":1}').decision is Decision.PENDING
    (job,) = citra.jobs()
    assert citra.decide(job.digest, Decision.CONSENTED, "fine") == RECEIPT.id
    (job,) = citra.jobs()
    assert (job.decision, job.reason) == (Decision.CONSENTED, "fine")
    assert job.decided_by == "spiffe://idn.bandung.example/custodian/citra"


def test_a_step_brings_masked_words_or_metrics(node, courier):
    newton = courier.step("12" * 32, StepKind.NEWTON, 1, ["BGD", "IDN"], [0.1, -2.5])
    first, second = (int.from_bytes(newton.masked[i : i + 16], "little") for i in (0, 16))
    assert (first, second) == (1, (2**64 - 1) + (7 << 64))
    assert newton.schema == ("score[intercept]", "units")
    assert min(newton.bytes_sent, newton.bytes_received) > 32
    assert node.training.steps[-1].coefficients == (0.1, -2.5)
    assert courier.step("12" * 32, StepKind.EVALUATE, 2, ["BGD", "IDN"], []).metrics == {"rmse": 0.5}


def test_the_ledger_streams_page_by_page(node):
    with a_client(node.address, node.idn.ca, node.idn.issue("auditor/eka")) as eka:
        entries = list(eka.ledger())
        assert [entry.index for entry in entries] == list(range(600))
        assert entries[0].body == '{"a":"x","b":1}'
        assert [entry.index for entry in eka.ledger(start=598, count=5)] == [598, 599]
        assert (eka.head().size, eka.head().root) == (600, "cd" * 32)
        assert eka.head().checkpoint.startswith("idn.bandung.example")


def test_a_refusal_keeps_code_place_remedy_and_exchange(ani):
    with pytest.raises(GatewayError) as refused:
        ani.query("refused")
    error = refused.value
    assert (error.code, error.position, error.detail, error.status) == (
        "B204",
        (1, 8),
        "Asked for: nope.",
        "INVALID_ARGUMENT",
    )
    assert error.remedy.startswith("The message lists")
    assert len(error.exchange) == 32
    assert error.refused


def test_nobody_at_the_address_is_told_apart_from_a_refusal(node):
    files = node.idn.issue("analyst/ani")
    with (
        a_client("localhost:1", node.idn.ca, files, deadline_s=3, attempts_max=2) as client,
        pytest.raises(GatewayError) as away,
    ):
        client.health()
    assert not away.value.refused
    assert away.value.status == "UNAVAILABLE"


def test_a_server_of_another_country_is_not_taken_for_this_one(node):
    """The attack: the right address, answered under somebody else's authority."""
    files = node.idn.issue("analyst/ani")
    with (
        a_client(node.address, node.bgd.ca, files, deadline_s=3, attempts_max=1) as client,
        pytest.raises(GatewayError) as away,
    ):
        client.query("SELECT")
    assert not away.value.refused


def test_a_server_under_another_name_is_not_taken_for_this_one(node):
    files = node.idn.issue("analyst/ani")
    identity = Identity(node.idn.ca, files.certificate, files.key, server_name="gateway.phl.example")
    with (
        GatewayClient(node.address, identity, deadline_s=3, attempts_max=1) as client,
        pytest.raises(GatewayError) as away,
    ):
        client.health()
    assert not away.value.refused


def test_several_threads_share_a_client(ani):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ani.query("SELECT").table.num_rows, range(12)))
    assert results == [2] * 12


class Unsteady(grpc.RpcError, grpc.Call):
    """A failure as gRPC raises it, before any gateway said something."""

    def __init__(self, status, trailer=()):
        self._status, self._trailer = status, trailer

    def code(self):
        return self._status

    def details(self):
        return "gone"

    def trailing_metadata(self):
        return self._trailer

    def initial_metadata(self):
        return ()

    def add_callback(self, callback):
        return False

    def cancel(self):
        return False

    def is_active(self):
        return False

    def time_remaining(self):
        return None


@pytest.fixture
def connection(node):
    files = node.idn.issue("analyst/ani")
    connection = Connection(node.address, Identity(node.idn.ca, files.certificate, files.key), 10.0, 4)
    yield connection
    connection.close()


def failing(times, status, trailer=()):
    seen = []

    def call(request, timeout, metadata):
        seen.append(dict(metadata)["bandung-exchange"])
        if len(seen) <= times:
            raise Unsteady(status, trailer)
        return "answer"

    return call, seen


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_safe_call_is_repeated_under_one_exchange_id(connection, status):
    call, seen = failing(2, status)
    assert connection.repeatedly(call, None) == "answer"
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_an_unsafe_call_is_never_repeated(connection):
    call, seen = failing(1, grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(GatewayError):
        connection.once(call, None)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_what_waiting_cannot_mend_is_not_repeated(connection, status):
    call, seen = failing(1, status)
    with pytest.raises(GatewayError):
        connection.repeatedly(call, None)
    assert len(seen) == 1


def test_a_sealed_gateway_is_not_asked_again(connection):
    trailer = (("bandung-error-bin", error_pb2.Error(code="B405").SerializeToString()),)
    call, seen = failing(1, grpc.StatusCode.UNAVAILABLE, trailer)
    with pytest.raises(GatewayError):
        connection.repeatedly(call, None)
    assert len(seen) == 1


def test_closing_ends_the_wait_for_a_gateway_that_is_away(connection):
    call, _ = failing(9, grpc.StatusCode.UNAVAILABLE)
    threading.Timer(0.1, connection.close).start()
    with pytest.raises(GatewayError):
        connection.repeatedly(call, None)
    with pytest.raises(GatewayError):
        connection.once(connection.channel.unary_unary("/x/y"), b"")


def test_an_answer_that_is_no_table_is_an_error_of_the_gateway(node, ani, monkeypatch):
    """The attack: a gateway that sends rubbish. Nothing but `GatewayError` may come of it."""
    monkeypatch.setattr(server_convert, "query_response", lambda _: query_pb2.QueryResponse(table=b"rubbish"))
    with pytest.raises(GatewayError, match="cannot be read"):
        ani.query("SELECT")


def test_words_outside_ascii_arrive_whole(ani):
    with pytest.raises(GatewayError) as refused:
        ani.query("garbled")
    assert "[WHERE …]" in refused.value.message
    assert "[WHERE …]" in refused.value.remedy
