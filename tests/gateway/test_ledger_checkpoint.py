"""Checkpoints are signed notes that only the log's own key can make."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bandung.gateway.domain.checkpoint import BadCheckpoint, Checkpoint, LogSigner, LogVerifier

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
ORIGIN = "idn.bandung.example/ledger"
HEAD = Checkpoint(7, b"r" * 32)


def a_note():
    return LogSigner(ORIGIN, KEY).sign(HEAD)


def verify(note, origin=ORIGIN, key=KEY):
    return LogVerifier(origin, key.public_key()).verify(note)


def test_a_checkpoint_reads_as_it_was_signed():
    assert verify(a_note()) == HEAD


def test_the_text_is_the_public_format():
    origin, size, root, empty, signature = a_note().splitlines()
    assert (origin, size, root, empty) == (ORIGIN, "7", base64.b64encode(b"r" * 32).decode(), "")
    dash, name, blob = signature.split(" ")
    assert (dash, name, len(base64.b64decode(blob))) == ("\u2014", ORIGIN, 4 + 64)


def test_a_signature_of_somebody_else_beside_the_logs_own_is_passed_over():
    assert verify(a_note() + "\u2014 witness.example AAAA\n") == HEAD
    assert verify(a_note().replace("\n\n", "\n\n\u2014 witness.example !\n")) == HEAD


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n7\n", "\n8\n"),
        lambda note: note.replace("\n7\n", "\n07\n"),
        lambda note: note.replace("\n7\n", "\n-7\n"),
        lambda note: note.replace(ORIGIN, "bgd.bandung.example/ledger"),
        lambda note: note.replace("cnJy", "cnJz", 1),
        lambda note: note.replace("cnJy", "!!!!", 1),
        lambda note: note.partition("\n\n")[0] + "\n\n",
        lambda note: note[:-10] + "AAAAAAAA=\n",
        lambda note: "",
    ],
)
def test_a_changed_checkpoint_does_not_verify(change):
    with pytest.raises(BadCheckpoint):
        verify(change(a_note()))


def test_another_key_of_the_same_name_does_not_verify():
    with pytest.raises(BadCheckpoint):
        verify(a_note(), key=Ed25519PrivateKey.from_private_bytes(b"x" * 32))
