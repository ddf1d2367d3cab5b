"""The ledger keeps what it acknowledged, charges exactly, and answers a repeat with the first answer."""

import hashlib
import threading
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from sqlalchemy import event

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.checkpoint import Checkpoint, LogVerifier
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import AlreadyAnswered, EventKind, StoredAnswer
from bandung.gateway.domain.merkle import EMPTY_ROOT, leaf_hash
from bandung.gateway.store.record import canonical
from tests.support.ledgers import ORIGIN, a_commit, a_ledger, an_answer, an_engine


@pytest.fixture
def opened(tmp_path):
    with a_ledger(tmp_path) as opened:
        yield opened


@pytest.fixture
def ledger(opened):
    return opened.ledger


def refusal_of(action, *arguments):
    with pytest.raises(Refusal) as refused:
        action(*arguments)
    return refused.value.kind


def in_threads(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Gate:
    """Holds the first COMMIT back until opened, so that everything submitted meanwhile falls into one group."""

    def __init__(self, engine):
        self.commits = 0
        self.reached = threading.Event()
        self._opened = threading.Event()
        event.listen(engine, "before_cursor_execute", self._before)

    def open(self):
        self._opened.set()

    def _before(self, _connection, _cursor, statement, *_):
        if statement == "COMMIT":
            self.commits += 1
            self.reached.set()
            assert self._opened.wait(60)


def grouped(engine, ledger, commits):
    """Submit all the commits into one group and return what each came to, in their order."""
    gate = Gate(engine)
    outcomes = {}

    def submit(name, commit):
        try:
            outcomes[name] = ledger.commit(commit)
        except (Refusal, AlreadyAnswered) as refused:
            outcomes[name] = refused

    threads = [threading.Thread(target=submit, args=("first", a_commit()))]
    threads[0].start()
    assert gate.reached.wait(60)
    queue = ledger._sequencer._queue
    for number, commit in enumerate(commits):
        threads.append(threading.Thread(target=submit, args=(number, commit)))
        threads[-1].start()
        while queue.qsize() <= number:
            threading.Event().wait(0.001)
    gate.open()
    for thread in threads:
        thread.join()
    return gate.commits, [outcomes[number] for number in range(len(commits))]


def test_an_empty_ledger_has_an_empty_tree_and_signs_it(opened):
    assert opened.ledger.head() == (0, EMPTY_ROOT.hex())
    verifier = LogVerifier(ORIGIN, opened.secrets.ledger_key().public_key())
    assert verifier.verify(opened.ledger.checkpoint()) == Checkpoint(0, EMPTY_ROOT)


def test_a_receipt_says_where_the_entry_stands(ledger):
    commits = [a_commit(number=number) for number in range(3)]
    receipts = [ledger.commit(commit) for commit in commits]
    entries = ledger.entries(0, 10)
    assert [entry.event for entry in entries] == [commit.event for commit in commits]
    assert [(entry.index, entry.leaf) for entry in entries] == [(r.index, r.leaf) for r in receipts]
    assert [receipt.size for receipt in receipts] == [1, 2, 3]
    assert ledger.head() == (3, receipts[-1].root)


def test_entries_come_by_index(ledger):
    for number in range(5):
        ledger.commit(a_commit(number=number))
    assert [entry.event.body["number"] for entry in ledger.entries(1, 3)] == [1, 2, 3]
    assert [entry.index for entry in ledger.entries(4, 3)] == [4]
    assert ledger.entries(5, 3) == ()


def test_the_tree_over_many_entries_is_that_of_an_independent_implementation(opened):
    ledger = opened.ledger
    in_threads(8, lambda number: [ledger.commit(a_commit(number=number)) for _ in range(75)])
    with opened.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT salt, document FROM ledger_entry ORDER BY position").all()
    theirs = InmemoryTree(algorithm="sha256")
    for salt, document in rows:
        theirs.append_entry(hashlib.sha256(salt + document).digest())
    assert ledger.head() == (600, theirs.get_root().hex())
    assert LogVerifier(ORIGIN, opened.secrets.ledger_key().public_key()).verify(ledger.checkpoint()) == Checkpoint(
        600, theirs.get_root()
    )
    assert ledger.verify() == ()


def test_a_leaf_says_nothing_to_who_knows_the_event_but_not_the_salt(ledger):
    commit = a_commit()
    leaves = {ledger.commit(commit).leaf for _ in range(3)}
    assert len(leaves) == 3
    document = rfc8785.dumps(
        {
            "at": commit.event.at,
            "body": {},
            "exchange": commit.event.exchange,
            "kind": commit.event.kind.value,
            "principal": commit.event.principal,
        }
    )
    assert leaf_hash(hashlib.sha256(document).digest()).hex() not in leaves


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.floats(-1e20, 1e20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_entries_are_in_canonical_json_whatever_their_body(value):
    try:
        expected = rfc8785.dumps(value)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            canonical(value)
    else:
        assert canonical(value) == expected


@pytest.mark.parametrize("value", [object(), b"bytes", float("nan"), 2**53, {1: "x"}, "\ud800"])
def test_a_body_that_is_not_json_is_refused_before_it_reaches_the_writer(ledger, value):
    with pytest.raises(ValueError):  # noqa: PT011
        ledger.commit(a_commit(value=value))
    assert ledger.head()[0] == 0
    assert ledger.commit(a_commit()).index == 0


def test_a_charge_below_zero_is_refused(ledger):
    ledger.commit(a_commit(Charge("tables", 2, 10)))
    with pytest.raises(ValueError, match="below zero"):
        ledger.commit(a_commit(Charge("tables", -1, 10)))
    assert ledger.remaining("tables", 10) == 8


def test_a_charge_is_taken_up_to_its_cap_and_not_beyond(ledger):
    assert ledger.remaining("tables", 5) == 5
    ledger.commit(a_commit(Charge("tables", 3, 5)))
    assert ledger.remaining("tables", 5) == 2
    assert refusal_of(ledger.commit, a_commit(Charge("tables", 3, 5))) is ErrorKind.QUOTA_EXHAUSTED
    ledger.commit(a_commit(Charge("tables", 2, 5)))
    assert ledger.remaining("tables", 5) == 0


def test_a_first_charge_above_the_cap_is_refused(ledger):
    assert refusal_of(ledger.commit, a_commit(Charge("tables", 6, 5))) is ErrorKind.QUOTA_EXHAUSTED
    assert ledger.remaining("tables", 5) == 5


def test_a_lowered_cap_leaves_nothing_rather_than_less_than_nothing(ledger):
    ledger.commit(a_commit(Charge("tables", 5, 5)))
    assert ledger.remaining("tables", 3) == 0


def test_a_refused_charge_writes_nothing_at_all(ledger):
    commit = a_commit(Charge("mine", 1, 5), Charge("all", 9, 5), answer=an_answer())
    assert refusal_of(ledger.commit, commit) is ErrorKind.QUOTA_EXHAUSTED
    assert ledger.remaining("mine", 5) == 5
    assert ledger.answer("plan/1") is None
    assert ledger.head()[0] == 0
    assert ledger.commit(a_commit(kind=EventKind.QUERY_REFUSED)).index == 0
    assert ledger.verify() == ()


def test_a_stored_answer_comes_back_with_the_receipt_of_its_release(ledger):
    ledger.commit(a_commit())
    receipt = ledger.commit(a_commit(answer=an_answer()))
    ledger.commit(a_commit())
    assert ledger.answer("plan/1") == StoredAnswer("plan/1", "d1", b"content", receipt)
    assert ledger.answer("plan/2") is None


def test_a_second_answer_to_the_same_request_is_dropped_and_the_first_one_handed_over(ledger):
    receipt = ledger.commit(a_commit(Charge("tables", 1, 5), answer=an_answer(content=b"first")))
    with pytest.raises(AlreadyAnswered) as answered:
        ledger.commit(a_commit(Charge("tables", 1, 5), answer=an_answer(content=b"second")))
    assert answered.value.stored == replace(an_answer(content=b"first"), receipt=receipt)
    assert ledger.remaining("tables", 5) == 4
    assert ledger.head()[0] == 1


def test_a_used_key_never_answers_another_request(ledger):
    ledger.commit(a_commit(answer=an_answer(request_digest="d1")))
    second = a_commit(Charge("tables", 1, 5), answer=an_answer(request_digest="d2"))
    assert refusal_of(ledger.commit, second) is ErrorKind.STEP_OUT_OF_ORDER
    assert ledger.remaining("tables", 5) == 5
    assert ledger.head()[0] == 1


def test_a_quota_is_never_overspent_by_64_threads(opened):
    ledger = opened.ledger
    granted, refused = [], []

    def ask(number):
        for _ in range(3):
            try:
                granted.append(ledger.commit(a_commit(Charge("mine", 1, 10**6), Charge("all", 2, 101))))
            except Refusal as refusal:
                refused.append(refusal.kind)

    in_threads(64, ask)
    assert len(granted) == 50
    assert refused == [ErrorKind.QUOTA_EXHAUSTED] * (64 * 3 - 50)
    assert ledger.remaining("all", 101) == 1
    assert 10**6 - ledger.remaining("mine", 10**6) == 50
    assert sorted(receipt.index for receipt in granted) == list(range(50))
    assert ledger.verify() == ()


def test_all_who_wait_while_a_group_is_written_share_the_next_one(opened):
    commits, outcomes = grouped(opened.engine, opened.ledger, [a_commit(number=number) for number in range(20)])
    assert commits == 2
    assert [receipt.index for receipt in outcomes] == list(range(1, 21))
    assert {(receipt.size, receipt.root) for receipt in outcomes} == {opened.ledger.head()}


def test_one_refusal_in_a_group_hurts_nobody_else(opened):
    commits, outcomes = grouped(
        opened.engine,
        opened.ledger,
        [
            a_commit(Charge("all", 4, 5), answer=an_answer(content=b"first")),
            a_commit(Charge("mine", 1, 5), Charge("all", 2, 5)),
            a_commit(answer=an_answer(content=b"second")),
            a_commit(answer=an_answer(request_digest="d2")),
            a_commit(Charge("all", 1, 5)),
        ],
    )
    assert commits == 2
    kinds = [getattr(outcome, "kind", type(outcome).__name__) for outcome in outcomes]
    assert kinds == ["Receipt", ErrorKind.QUOTA_EXHAUSTED, "AlreadyAnswered", ErrorKind.STEP_OUT_OF_ORDER, "Receipt"]
    assert outcomes[2].stored.content == b"first"
    assert outcomes[2].stored.receipt == outcomes[0]
    assert opened.ledger.remaining("mine", 5) == 5
    assert opened.ledger.remaining("all", 5) == 0
    assert opened.ledger.head()[0] == 3
    assert opened.ledger.verify() == ()


def test_nobody_hears_of_a_commit_before_it_is_on_disk(opened):
    gate = Gate(opened.engine)
    heard = threading.Event()
    thread = threading.Thread(target=lambda: (opened.ledger.commit(a_commit()), heard.set()))
    thread.start()
    assert gate.reached.wait(60)
    assert not heard.wait(0.05)
    gate.open()
    thread.join()
    assert heard.is_set()


def test_closing_writes_what_was_submitted_and_accepts_nothing_more(tmp_path):
    with an_engine(tmp_path) as engine, a_ledger(tmp_path, engine) as opened:
        gate = Gate(engine)
        receipts = []
        threads = [threading.Thread(target=lambda: receipts.append(opened.ledger.commit(a_commit()))) for _ in range(5)]
        threads[0].start()
        assert gate.reached.wait(60)
        for thread in threads[1:]:
            thread.start()
        while opened.ledger._sequencer._queue.qsize() < 4:
            threading.Event().wait(0.001)
        closing = threading.Thread(target=opened.ledger.close)
        closing.start()
        gate.open()
        closing.join()
        for thread in threads:
            thread.join()
        assert sorted(receipt.index for receipt in receipts) == list(range(5))
        assert refusal_of(opened.ledger.commit, a_commit()) is ErrorKind.DRAINING
        assert refusal_of(opened.ledger.head) is ErrorKind.DRAINING
    with a_ledger(tmp_path) as again:
        assert again.ledger.head()[0] == 5


def test_a_reopened_ledger_goes_on_where_it_stopped(tmp_path):
    roots = []
    for _ in range(3):
        with a_ledger(tmp_path) as opened:
            for _ in range(130):
                opened.ledger.commit(a_commit())
            roots.append(opened.ledger.head())
            assert opened.ledger.verify() == ()
    assert [size for size, _ in roots] == [130, 260, 390]
    with a_ledger(tmp_path) as opened:
        assert opened.ledger.head() == roots[-1]
        assert opened.ledger.commit(a_commit()).index == 390
