"""An insider with the database file: what is changed offline is found, at the start or by `verify`.

The attacker drops the triggers and edits rows as they like, but has not the key that signs checkpoints.
"""

import shutil
import sqlite3

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bandung.gateway.domain.budget import Charge
from bandung.gateway.domain.checkpoint import Checkpoint, LogSigner
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import EventKind
from bandung.gateway.store.agreements import SqlAgreements
from bandung.gateway.store.catalogue import SqlCatalogue
from tests.support.builders import an_agreement, an_epoch
from tests.support.ledgers import ORIGIN, a_commit, a_ledger, an_answer

SIZE = 303


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("node")
    with a_ledger(directory) as opened:
        for number in range(SIZE - 3):
            opened.ledger.commit(a_commit(Charge("tables", 1, 1000), number=number))
        opened.ledger.commit(a_commit(answer=an_answer()))
        SqlCatalogue(opened.engine, opened.ledger).publish(an_epoch(), a_commit(kind=EventKind.DATASET_PUBLISHED))
        SqlAgreements(opened.engine, opened.ledger).put(an_agreement(), a_commit(kind=EventKind.AGREEMENT_CHANGED))
        assert opened.ledger.verify() == ()
    return directory


@pytest.fixture
def database(written, tmp_path):
    return shutil.copytree(written, tmp_path / "node") / "gateway.db"


def edit(path, *statements):
    connection = sqlite3.connect(path)
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            changed = connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)
            assert changed.rowcount > 0
    connection.close()


def is_sealed(opened):
    try:
        opened.ledger.head()
    except Refusal as refusal:
        return refusal.kind is ErrorKind.SEALED
    return False


FORGED = LogSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"x" * 32)).sign(Checkpoint(SIZE, b"r" * 32))
OTHERS = LogSigner("bgd.bandung.example/ledger", Ed25519PrivateKey.from_private_bytes(b"x" * 32))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_tile SET hashes = substr(hashes, 1, 32) WHERE level = 0 AND position = 1",
        "UPDATE ledger_tile SET hashes = zeroblob(32) WHERE level = 1",
        "UPDATE ledger_tile SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND position = 1",
        "DELETE FROM ledger_tile WHERE level = 1",
        f"DELETE FROM ledger_checkpoint WHERE size = {SIZE}",
        "DELETE FROM ledger_checkpoint",
        f"DELETE FROM ledger_entry WHERE position = {SIZE - 1}",
        ("UPDATE ledger_checkpoint SET note = ? WHERE size = ?", (FORGED, SIZE)),
        ("UPDATE ledger_checkpoint SET note = ? WHERE size = ?", (OTHERS.sign(Checkpoint(SIZE, b"r" * 32)), SIZE)),
        ("INSERT INTO ledger_checkpoint VALUES (?, ?)", (SIZE + 1, FORGED)),
        ("INSERT INTO ledger_entry VALUES (?, ?, ?)", (SIZE, b"salt", b"{}")),
    ],
)
def test_a_changed_tree_or_checkpoint_seals_the_ledger_at_its_start(database, statement):
    edit(database, statement)
    with a_ledger(database.parent) as opened:
        assert is_sealed(opened)
        with pytest.raises(Refusal):
            opened.ledger.commit(a_commit())
        assert opened.ledger.verify() != ()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (
            "UPDATE ledger_entry SET document = CAST(replace(document, 'ani', 'ida') AS BLOB) WHERE position = 7",
            "tile 0/0",
        ),
        ("UPDATE ledger_entry SET salt = zeroblob(16) WHERE position = 301", "tile 0/1"),
        ("UPDATE ledger_tile SET hashes = zeroblob(8192) WHERE level = 0 AND position = 0", "tile 0/0"),
        ("INSERT INTO ledger_tile VALUES (2, 0, zeroblob(32))", "exactly the 304 hashes"),
        ("DELETE FROM ledger_entry WHERE position = 7", "entry 7 is missing"),
        ("UPDATE charged_scope SET spent = 1", "scope tables has 1 charged, its entries say 300"),
        ("DELETE FROM charged_scope", "scope tables has 0 charged"),
        ("INSERT INTO charged_scope VALUES ('other', 1)", "scope other has 1 charged"),
        ("UPDATE released_answer SET content = x'00'", "the answer of entry 300"),
        ("DELETE FROM released_answer", "the answer of entry 300"),
        ("INSERT INTO released_answer VALUES (5, 'plan/2', 'd1', x'00')", "answers that no entry released"),
        ("UPDATE epoch SET document = replace(document, '10', '1')", "of entry 301"),
        ("UPDATE epoch SET document = NULL", "of entry 301"),
        ("UPDATE agreement SET document = replace(document, 'AGG', 'GROUP')", "of entry 302"),
        ("DELETE FROM agreement", "of entry 302"),
        ("INSERT INTO agreement VALUES (5, 'x', 1, 'x')", "no entry recorded"),
        (("UPDATE ledger_checkpoint SET note = ? WHERE size = 9", (FORGED,)), "the checkpoint of size 9"),
    ],
)
def test_a_change_of_anything_that_an_entry_vouches_for_is_found_by_verifying(database, statement, finding):
    edit(database, statement)
    with a_ledger(database.parent) as opened:
        findings = opened.ledger.verify()
    assert findings
    assert any(finding in found for found in findings), findings


def test_findings_hold_no_contents(database):
    edit(database, "UPDATE ledger_entry SET document = CAST(replace(document, 'ani', 'ida') AS BLOB)")
    with a_ledger(database.parent) as opened:
        assert not any("ida" in finding or "analyst" in finding for finding in opened.ledger.verify())


def test_a_ledger_without_its_key_is_sealed(database):
    (database.parent / "secrets" / "ledger.key").unlink()
    with a_ledger(database.parent) as opened:
        assert is_sealed(opened)


def test_a_rewrite_under_a_running_gateway_seals_at_the_next_commit(database):
    """The attacker holds the key as well, and replaces the tail while the gateway runs."""
    with a_ledger(database.parent) as opened:
        opened.ledger.commit(a_commit())
        signer = LogSigner(ORIGIN, opened.secrets.ledger_key())
        tail = "WHERE level = 0 AND position = 1"
        edit(
            database,
            f"UPDATE ledger_tile SET hashes = substr(hashes, 1, length(hashes) - 32) {tail}",
            f"DELETE FROM ledger_entry WHERE position = {SIZE}",
            f"DELETE FROM ledger_checkpoint WHERE size > {SIZE}",
        )
        with a_ledger(database.parent) as rewriter:
            assert signer.verifier.verify(rewriter.ledger.checkpoint()).size == SIZE
            for _ in range(3):
                rewriter.ledger.commit(a_commit())
            assert rewriter.ledger.verify() == ()
        with pytest.raises(Refusal) as refused:
            opened.ledger.commit(a_commit())
        assert refused.value.kind is ErrorKind.SEALED
        assert "does not extend" in refused.value.private
        assert is_sealed(opened)


def test_a_rollback_under_a_running_gateway_seals_at_the_next_commit(database):
    with a_ledger(database.parent) as opened:
        opened.ledger.commit(a_commit())
        edit(
            database,
            "UPDATE ledger_tile SET hashes = substr(hashes, 1, length(hashes) - 32) WHERE level = 0 AND position = 1",
            f"DELETE FROM ledger_entry WHERE position = {SIZE}",
            f"DELETE FROM ledger_checkpoint WHERE size > {SIZE}",
        )
        with pytest.raises(Refusal) as refused:
            opened.ledger.commit(a_commit())
        assert refused.value.kind is ErrorKind.SEALED
