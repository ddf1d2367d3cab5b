"""Things die in the middle of a job: it ends in a clear state, and goes on after the restart."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.federation.support import Federation, a_federation, an_echo_job


@pytest.fixture
def federation(tmp_path: Path):
    with a_federation(tmp_path, "IDN", "PHL") as federation:
        yield federation


def _wait_for_round(client, job: str, number: int) -> None:
    for event in client.events(job):
        if event["type"] == "round" and event["round"] == number:
            return
    raise AssertionError("the job rested before that round")


def _kill_serverapp(federation: Federation) -> None:
    coordinator = psutil.Process(federation.processes["coordinator"].popen.pid)
    killed = [p for p in coordinator.children(recursive=True) if "flwr-serverapp" in " ".join(p.cmdline())]
    assert killed
    for process in killed:
        process.kill()


def test_a_courier_that_is_killed_is_lost_and_answers_again_after_its_restart(federation: Federation):
    with federation.client() as client:
        job = client.submit(an_echo_job(["IDN", "PHL"], text="slow 5", rounds=2))
        for event in client.events(job):
            if event["type"] == "state" and event["state"] == "RUNNING":
                federation.wait_until(lambda _: "carrying" in federation.processes["PHL"].log.read_text())
                federation.processes["PHL"].stop(signal.SIGKILL)
                federation.start_courier("PHL")
        first, second = (e["replies"] for e in client.events(job) if e["type"] == "round")

    assert first["IDN"] == ["answer", "IDN:SLOW 5"]
    assert first["PHL"][0] == "lost"
    assert second == {"IDN": ["answer", "IDN:SLOW 5"], "PHL": ["answer", "PHL:SLOW 5"]}


def test_a_courier_that_is_told_to_stop_finishes_the_step_at_hand(federation: Federation):
    with federation.client() as client:
        job = client.submit(an_echo_job(["IDN", "PHL"], text="slow 3", timeout_s=60))
        for event in client.events(job):
            if event["type"] == "state" and event["state"] == "RUNNING":
                federation.wait_until(lambda _: "carrying" in federation.processes["PHL"].log.read_text())
                assert federation.processes["PHL"].stop() == 0
        round_ = next(e for e in client.events(job) if e["type"] == "round")

    assert round_["replies"]["PHL"] == ["answer", "PHL:SLOW 3"]


def test_a_serverapp_that_is_killed_is_reported_and_the_job_resumes(federation: Federation):
    with federation.client() as client:
        job = client.submit(an_echo_job(["IDN", "PHL"], rounds=10))
        _wait_for_round(client, job, 1)
        _kill_serverapp(federation)
        events = list(client.events(job))
        assert events[-1]["state"] == "PAUSED"
        assert events[-1]["reason"] == "the ServerApp's process died"
        last = max(event["round"] for event in events if event["type"] == "round")

        client.resume(job)
        _wait_for_round(client, job, last + 1)
        rounds = [event["round"] for event in client.events(job) if event["type"] == "round"]
        assert rounds == sorted(rounds)
        assert client.card(job)["resumed_at"] >= last


def test_a_coordinator_that_is_killed_pauses_its_jobs_and_couriers_come_back(federation: Federation):
    with federation.client() as client:
        job = client.submit(an_echo_job(["IDN", "PHL"], rounds=6))
        _wait_for_round(client, job, 1)
    process = federation.processes["coordinator"].popen
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    psutil.wait_procs(children, timeout=40)
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]

    federation.start_coordinator()
    federation.wait_online("IDN", "PHL")
    with federation.client() as client:
        assert list(client.events(job))[-1]["state"] == "PAUSED"
        client.resume(job)
        assert list(client.events(job))[-1]["state"] == "COMPLETED"


def test_a_coordinator_that_is_told_to_stop_pauses_its_jobs_and_leaves_nothing_behind(federation: Federation):
    with federation.client() as client:
        job = client.submit(an_echo_job(["IDN", "PHL"], rounds=10))
        _wait_for_round(client, job, 1)
    process = federation.processes["coordinator"]
    children = psutil.Process(process.popen.pid).children(recursive=True)
    began = time.monotonic()
    process.popen.terminate()
    assert process.popen.wait(20) == 0
    assert time.monotonic() - began < 20
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]

    federation.start_coordinator()
    with federation.client() as client:
        assert list(client.events(job))[-1]["state"] == "PAUSED"


def test_a_stock_supernode_gives_the_same_answer_as_the_courier(federation: Federation):
    job = {"rounds": 2, "timeout_s": 60}
    with federation.client() as client:
        by_courier = [e for e in client.events(client.submit(an_echo_job(["IDN"], **job))) if e["type"] == "round"]
        federation.processes.pop("IDN").stop()
        federation.start_supernode("IDN")
        federation.wait_online("IDN")
        again = client.submit(an_echo_job(["IDN"], **job, note="stock"))
        by_supernode = [e for e in client.events(again) if e["type"] == "round"]

    assert [e["replies"] for e in by_supernode] == [e["replies"] for e in by_courier]
    assert max(e["seconds"] for e in by_courier) < min(e["seconds"] for e in by_supernode)
