"""The parts of the exchange, one by one, without Flower's processes."""

import asyncio
import threading
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, RecordDict

from bandung.federation.courier.carriage import carry_message
from bandung.federation.courier.config import (
    DEFAULT_CARRIER,
    CourierConfigError,
    load_courier_config,
)
from bandung.federation.courier.keys import NodeKeyError, create_node_key, load_node_key
from bandung.federation.superlink.config import CoordinatorConfig
from bandung.federation.superlink.control import RunOutcome
from bandung.federation.superlink.fab import bundle
from bandung.federation.superlink.guard import BodyLimit, Guard, Rule
from bandung.federation.superlink.jobs import JobBusyError, Jobs
from bandung.federation.superlink.turnstile import Turnstile
from bandung.federation.training.envelope import Answered, Declined, Undelivered, outcome_of, request_record
from bandung.federation.training.exchange import JobState
from bandung.federation.training.journal import DirectoryJournal, JobHeldError, JournalError, job_directory
from bandung.federation.training.polling import poll_interval_s
from tests.federation.echo import EchoCarrier

NOON = "2026-01-01T12:00:00.000+00:00"


def a_journal(directory: Path) -> DirectoryJournal:
    return DirectoryJournal(directory, lambda: NOON)


def test_an_event_has_a_number_and_a_time(tmp_path: Path):
    journal = a_journal(tmp_path)
    journal.event({"type": "round", "round": 1})
    journal.announce(JobState.COMPLETED)

    assert journal.events() == [
        {"n": 0, "at": NOON, "type": "round", "round": 1},
        {"n": 1, "at": NOON, "type": "state", "state": "COMPLETED"},
    ]
    assert journal.events(1) == journal.events()[1:]
    assert journal.resting()


def test_a_line_torn_by_a_crash_is_dropped_and_its_number_used_again(tmp_path: Path):
    journal = a_journal(tmp_path)
    journal.event({"type": "one"})
    with (tmp_path / "events.ndjson").open("ab") as file:
        file.write(b'{"type":"to')

    assert [event["type"] for event in journal.events()] == ["one"]
    journal.event({"type": "two"})
    assert [(event["n"], event["type"]) for event in journal.events()] == [(0, "one"), (1, "two")]


def test_events_of_many_writers_are_all_there(tmp_path: Path):
    journal = a_journal(tmp_path)
    writers = [threading.Thread(target=lambda: [journal.event({"type": "x"}) for _ in range(10)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [event["n"] for event in journal.events()] == list(range(40))


def test_a_checkpoint_is_replaced_whole(tmp_path: Path):
    journal = a_journal(tmp_path)
    assert journal.load_checkpoint() is None
    journal.checkpoint({"round": 1})
    journal.checkpoint({"round": 2})

    assert journal.load_checkpoint() == {"round": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


def test_work_that_broke_off_is_paused_only_if_it_can_be_resumed_from_somewhere(tmp_path: Path):
    journal = a_journal(tmp_path)
    journal.interrupted("why")
    assert journal.state() == JobState.FAILED
    journal.checkpoint({"round": 1})
    journal.interrupted("why")
    assert journal.state() == JobState.PAUSED


def test_a_job_is_held_by_one(tmp_path: Path):
    with a_journal(tmp_path).hold(), pytest.raises(JobHeldError), a_journal(tmp_path).hold():
        pass
    with a_journal(tmp_path).hold():
        pass


@pytest.mark.parametrize("digest", ["", "..", "0" * 63, "0" * 65, "../" + "0" * 61, "G" * 64, "0" * 64 + "\n"])
def test_a_job_is_named_by_its_digest_only(tmp_path: Path, digest: str):
    with pytest.raises(JournalError):
        job_directory(tmp_path, digest)


class FakeControl:
    """Runs that never begin, until they are said to have ended."""

    def __init__(self) -> None:
        self.runs = 0
        self.ended: RunOutcome | None = None

    def start_run(self, job: str) -> int:
        del job
        self.runs += 1
        return self.runs

    def run_outcome(self, run_id: int) -> RunOutcome | None:
        del run_id
        return self.ended

    def stop_run(self, run_id: int) -> None:
        del run_id


def test_a_run_that_dies_before_it_began_is_reported(tmp_path: Path):
    control = FakeControl()
    jobs = Jobs(tmp_path, control, lambda: NOON)  # type: ignore[arg-type]
    job = jobs.submit(b"{}").job
    jobs.watch()
    assert jobs.journal(job).state() == JobState.SUBMITTED
    with pytest.raises(JobBusyError):
        jobs.resume(job)

    control.ended = RunOutcome("failed", "no such module")
    jobs.watch()
    assert jobs.journal(job).events()[-1]["reason"] == "the run failed before it began: no such module"
    control.ended = None
    jobs.resume(job)
    assert (control.runs, jobs.journal(job).state()) == (2, JobState.SUBMITTED)


def test_a_job_whose_run_was_never_started_is_reported_after_the_restart(tmp_path: Path):
    jobs = Jobs(tmp_path, FakeControl(), lambda: NOON)  # type: ignore[arg-type]
    job = jobs.submit(b"{}").job
    (jobs.journal(job).directory / "run.json").unlink()

    again = Jobs(tmp_path, FakeControl(), lambda: NOON)  # type: ignore[arg-type]
    again.watch()
    assert again.listing() == [{"job": job, "state": "FAILED"}]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"hello", Answered(b"IDN:HELLO")),
        (b"refuse", Declined("BG-0001", "IDN does not want to")),
        (b"unavailable", Undelivered("the gateway is not there")),
        (b"defect", Undelivered("the node's carrier failed")),
    ],
)
def test_what_a_carrier_does_becomes_an_envelope(payload: bytes, expected):
    assert outcome_of(carry_message(request_record(payload), EchoCarrier("IDN"))) == expected


def test_a_message_that_is_no_step_is_refused():
    assert isinstance(outcome_of(carry_message(RecordDict(), EchoCarrier("IDN"))), Declined)


@pytest.mark.parametrize("record", [{}, {"kind": "answer"}, {"kind": "answer", "payload": "text"}, {"kind": 1}])
def test_a_malformed_envelope_is_lost(record: dict):
    reply = RecordDict({"bandung": ConfigRecord(record)})
    assert outcome_of(reply) == Undelivered("the node's reply was malformed")


def test_a_node_key_can_be_read_again_and_nothing_else_is_one(tmp_path: Path):
    pair = create_node_key(tmp_path)
    assert load_node_key(pair.private).curve.name == "secp384r1"
    assert pair.private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(NodeKeyError):
        load_node_key(pair.public)
    with pytest.raises(FileExistsError):
        create_node_key(tmp_path)


COURIER = """
[courier]
member = "IDN"
node_key = "node.key"
idle_poll_s = 3.0
[superlink]
address = "coordinator:9092"
ca = "ca.pem"
[gateway]
address = "127.0.0.1:8815"
ca = "/etc/ca.pem"
certificate = "courier.pem"
key = "courier.key"
"""


def test_a_couriers_paths_are_relative_to_its_file(tmp_path: Path):
    file = tmp_path / "courier.toml"
    file.write_text(COURIER)
    config = load_courier_config(file)

    assert config.node_key == tmp_path / "node.key"
    assert config.gateway_credentials.ca == Path("/etc/ca.pem")
    assert (config.carrier, config.idle_poll_s, config.client_certificate) == (DEFAULT_CARRIER, 3.0, None)


@pytest.mark.parametrize(
    ("change", "to"), [("member =", "# "), ("idle_poll_s", "unknown"), ("[gateway]", "[other]"), ("[courier]", "x")]
)
def test_a_couriers_file_with_a_fault_is_refused(tmp_path: Path, change: str, to: str):
    file = tmp_path / "courier.toml"
    file.write_text(COURIER.replace(change, to))
    with pytest.raises(CourierConfigError):
        load_courier_config(file)


def test_the_wait_grows_with_the_waiting_up_to_its_cap():
    waits = [poll_interval_s(waited, 1.5) for waited in (0.0, 1.0, 5.0, 100.0)]
    assert waits == [0.05, 0.15, 0.75, 1.5]


def test_the_fab_names_installed_code_and_holds_none():
    assert bundle().content == bundle().content
    assert bundle.__wrapped__() == bundle()
    assert len(bundle().content) < 2000


def test_a_short_token_is_refused(tmp_path: Path):
    config = CoordinatorConfig(
        tmp_path, "h", 1, "h", 2, tmp_path / "c", tmp_path / "k", tmp_path / "ca", tmp_path / "token"
    )
    (tmp_path / "token").write_text("short")
    with pytest.raises(ValueError, match="16 characters"):
        config.token()


def _ask(guard: Guard, path: str, *chunks: bytes, headers=()) -> tuple[int, bytes]:
    sent: list = []
    queue = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    queue.append({"type": "http.request", "body": b"", "more_body": False})
    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers), "client": ("c", 1)}

    async def receive():
        if not queue:
            await asyncio.sleep(60)
        return queue.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


async def _echo(scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


GUARD = Guard((Rule("/open/", _echo), Rule("/closed/", _echo, b"secret")), BodyLimit(10, 0.2))


def test_the_guard_hands_on_the_whole_body_of_what_is_allowed():
    assert _ask(GUARD, "/open/x", b"12345", b"67890") == (200, b"1234567890")


@pytest.mark.parametrize("path", ["/", "/open", "/other", "", "/closed"])
def test_the_guard_knows_only_what_it_was_told(path: str):
    assert _ask(GUARD, path)[0] == 404


def test_the_guard_counts_what_comes_whatever_was_announced():
    assert _ask(GUARD, "/open/x", b"123456", b"78901", headers=[(b"content-length", b"3")])[0] == 413
    assert _ask(GUARD, "/open/x", headers=[(b"content-length", b"11")])[0] == 413


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"secret")],
        [(b"authorization", b"Bearer secret"), (b"authorization", b"Bearer secret")],
    ],
)
def test_the_guard_wants_the_token_once_and_exactly(headers):
    assert _ask(GUARD, "/closed/x", headers=headers)[0] == 401
    assert _ask(GUARD, "/closed/x", headers=[(b"authorization", b"Bearer secret")])[0] == 200


def test_the_guard_does_not_wait_for_ever_for_a_body():
    guard = Guard((Rule("/open/", _echo),), BodyLimit(10, 0.05))

    async def never():
        await asyncio.sleep(60)

    sent: list = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/open/x", "headers": [], "client": None}
    asyncio.run(guard(scope, never, send))
    assert sent[0]["status"] == 408


def test_the_guard_lets_no_websocket_in():
    sent: list = []

    async def send(message):
        sent.append(message)

    asyncio.run(GUARD({"type": "websocket", "path": "/open/x", "headers": []}, None, send))
    assert sent == []


def test_the_turnstile_lets_one_in_at_a_time_and_no_slow_reader_blocks_it():
    inside, most, answered = 0, 0, []

    async def app(scope, receive, send):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": scope["name"]})
        inside -= 1

    async def ask(turnstile: Turnstile, name: str) -> None:
        async def send(message):
            if name == "slow":
                await asyncio.sleep(0.3)
            answered.append(message["body"])

        await turnstile({"name": name}, None, send)

    async def crowd():
        turnstile = Turnstile(app)
        async with asyncio.TaskGroup() as group:
            for name in ("slow", "a", "b"):
                group.create_task(ask(turnstile, name))

    asyncio.run(crowd())
    assert most == 1
    assert answered == ["a", "b", "slow"]
