"""A real SuperLink, real SuperExec, real couriers: what is asked comes back, and what is not admitted does not."""

import json
import ssl
from pathlib import Path

import httpx
import pytest

from bandung.federation.courier.keys import create_node_key
from bandung.federation.superlink.client import CoordinatorClient, CoordinatorError
from tests.federation.support import TOKEN, Federation, a_federation, an_echo_job


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    with a_federation(tmp_path_factory.mktemp("federation"), "IDN", "PHL") as federation:
        yield federation


@pytest.fixture
def client(federation: Federation):
    with federation.client() as client:
        yield client


def _run(client: CoordinatorClient, job: bytes) -> list[dict]:
    return list(client.events(client.submit(job)))


def _replies(events: list[dict]) -> dict[str, list[str]]:
    return next(event for event in events if event["type"] == "round")["replies"]


def test_what_is_asked_through_couriers_is_answered_by_each(client):
    job = client.submit(an_echo_job(["IDN", "PHL"], rounds=2))
    events = list(client.events(job))

    assert [e["state"] for e in events if e["type"] == "state"] == ["SUBMITTED", "RUNNING", "COMPLETED"]
    assert _replies(events) == {"IDN": ["answer", "IDN:HELLO 0"], "PHL": ["answer", "PHL:HELLO 0"]}
    assert client.card(job) == {"rounds": 2, "resumed_at": 0}


def test_the_same_document_is_the_same_job_and_runs_once(client):
    job = an_echo_job(["IDN"], note="once")
    events = _run(client, job)

    assert client.submit(job) == client.submit(job)
    assert list(client.events(client.submit(job))) == events


def test_events_can_be_taken_up_in_the_middle(client):
    job = client.submit(an_echo_job(["IDN"], note="middle"))
    events = list(client.events(job))

    assert list(client.events(job, start=2)) == events[2:]


def test_a_refused_carry_arrives_typed_and_at_once(client):
    round_ = _run(client, an_echo_job(["IDN", "PHL"], text="refuse"))[2]

    assert round_["replies"]["IDN"] == ["refused", "BG-0001", "IDN does not want to"]
    assert round_["seconds"] < 10


def test_a_gateway_that_is_away_is_lost_at_once(client):
    round_ = _run(client, an_echo_job(["IDN"], text="unavailable"))[2]

    assert round_["replies"]["IDN"] == ["lost", "the gateway is not there"]
    assert round_["seconds"] < 10


def test_the_words_of_a_defect_stay_in_the_country(client):
    events = _run(client, an_echo_job(["IDN"], text="defect"))

    assert _replies(events)["IDN"] == ["lost", "the node's carrier failed"]
    assert "secret" not in json.dumps(events)


def test_no_answer_in_time_is_lost(client):
    round_ = _run(client, an_echo_job(["IDN"], text="slow 4", timeout_s=1.5))[2]

    assert round_["replies"]["IDN"] == ["lost", "no answer within 1.5 s"]


def test_a_driver_that_fails_tells_why(client):
    events = _run(client, an_echo_job(["IDN"], text="unavailable", strict=True))

    assert events[-1]["state"] == "FAILED"
    assert events[-1]["reason"] == "RuntimeError: a member was lost"


def test_a_node_that_is_not_registered_is_refused_until_it_is(federation: Federation):
    federation.admit("STR")
    admitted = federation.coordinator / "nodes" / "STR.pub"
    key = admitted.read_bytes()
    admitted.unlink()
    courier = federation.start_courier("STR")
    federation.wait_until(lambda _: "not registered" in courier.log.read_text())
    with federation.client() as client:
        assert "STR" not in client.health()["members"]

    admitted.write_bytes(key)
    federation.wait_online("STR")
    admitted.unlink()
    federation.wait_until(lambda health: "STR" not in health["members"])


def test_a_key_is_never_replaced(tmp_path: Path):
    create_node_key(tmp_path)
    with pytest.raises(FileExistsError):
        create_node_key(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/control/list-runs",
        "/v1/runtime/acquire-task",
        "/bandung/jobs",
        "/health",
        "/docs",
        "/openapi.json",
        "/v1/fleet",
        "/v1/fleet/../control/list-runs",
        "//v1/control/list-runs",
    ],
)
def test_the_public_listener_knows_the_fleet_api_only(federation: Federation, path: str):
    with _http(federation, federation.public_port) as http:
        response = http.post(path, headers={"Authorization": f"Bearer {TOKEN}"}, content=b"{}")

    assert response.status_code == 404


def test_the_public_listener_refuses_large_bodies_by_announcement(federation: Federation):
    with _http(federation, federation.public_port) as http:
        response = http.post("/v1/fleet/activate-node", content=b"x" * 1_000_001)

    assert response.status_code == 413


def test_the_public_listener_refuses_large_bodies_that_come_in_chunks(federation: Federation):
    with _http(federation, federation.public_port) as http:
        response = http.post("/v1/fleet/activate-node", content=(b"x" * 100_000 for _ in range(11)))

    assert response.status_code == 413


def test_the_internal_listener_wants_the_token(federation: Federation):
    address = f"127.0.0.1:{federation.internal_port}"
    with (
        CoordinatorClient(address, federation.ca, "another-token-entirely") as client,
        pytest.raises(CoordinatorError) as refusal,
    ):
        client.submit(an_echo_job(["IDN"]))
    assert refusal.value.status == 401
    with _http(federation, federation.internal_port) as http:
        assert http.post("/v1/control/list-runs", content=b"").status_code == 401
        assert http.get("/docs").status_code == 404


def test_a_document_that_is_not_an_object_is_no_job(client):
    for document in (b"[]", b"{", b""):
        with pytest.raises(CoordinatorError) as refusal:
            client.submit(document)
        assert refusal.value.status == 400


@pytest.mark.parametrize("digest", ["0" * 64, "..", "%2e%2e%2f%2e%2e", "A" * 64])
def test_an_unknown_job_is_not_found(client, digest: str):
    with pytest.raises(CoordinatorError) as refusal:
        client.card(digest)
    assert refusal.value.status == 404


def test_a_complete_job_cannot_be_resumed(client):
    job = client.submit(an_echo_job(["IDN"], note="complete"))
    list(client.events(job))
    with pytest.raises(CoordinatorError) as refusal:
        client.resume(job)
    assert refusal.value.status == 409


def test_tls_below_1_3_is_refused(federation: Federation):
    context = ssl.create_default_context(cafile=str(federation.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with httpx.Client(verify=context) as http, pytest.raises(httpx.ConnectError):
        http.get(f"https://127.0.0.1:{federation.public_port}/v1/fleet/")


def test_a_courier_shows_a_certificate_where_the_coordinator_demands_one(tmp_path: Path):
    with a_federation(tmp_path, "IDN", mutual=True) as federation:
        with _http(federation, federation.public_port) as http, pytest.raises(httpx.TransportError):
            http.post("/v1/fleet/activate-node", content=b"")
        with federation.client() as client:
            assert client.health()["members"] == {"IDN": True}


def _http(federation: Federation, port: int) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(federation.ca))
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context, timeout=10)
