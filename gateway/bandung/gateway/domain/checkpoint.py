"""Signed checkpoints of a log: C2SP tlog-checkpoint in a C2SP signed note, Ed25519."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4


class BadCheckpoint(ValueError):
    """The text is not a checkpoint of this log, signed by this key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log's key vouches for: how many leaves there are, and the root over them."""

    size: int
    root: bytes


class LogSigner:
    """Signs the checkpoints of one log.

    Args:
        origin: the log's name, unique in the world, for instance `idn.bandung.example/ledger`; also the key's name.
    """

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.verifier = LogVerifier(origin, key.public_key())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed note: origin, size and root in base64, a blank line, the signature line."""
        body = _body(self.verifier.origin, checkpoint)
        signature = base64.b64encode(self.verifier.key_id + self._key.sign(body.encode())).decode()
        return f"{body}\n\u2014 {self.verifier.origin} {signature}\n"


class LogVerifier:
    """Checks the checkpoints of one log with its public key."""

    def __init__(self, origin: str, key: Ed25519PublicKey) -> None:
        self.origin = origin
        self.key_id = hashlib.sha256(f"{origin}\n".encode() + _ED25519 + key.public_bytes_raw()).digest()[
            :_KEY_ID_BYTES
        ]
        self._key = key

    def verify(self, note: str) -> Checkpoint:
        """Return what the note vouches for; signatures of others beside the log's own are passed over.

        Raises:
            BadCheckpoint: it is malformed, of another log, or not signed by the log's key.
        """
        checkpoint = self.parse(note)
        body, _, signatures = note.partition("\n\n")
        for line in signatures.splitlines():
            if self._signed(body + "\n", line):
                return checkpoint
        raise BadCheckpoint("no signature of the log's key")

    def parse(self, note: str) -> Checkpoint:
        """Return what the note says without looking at its signatures.

        Raises:
            BadCheckpoint: it is malformed, or of another log.
        """
        body = note.partition("\n\n")[0] + "\n"
        lines = body.splitlines()
        if len(lines) != 3 or lines[0] != self.origin or not lines[1].isdecimal():
            raise BadCheckpoint("not a checkpoint of this log")
        try:
            checkpoint = Checkpoint(int(lines[1]), base64.b64decode(lines[2], validate=True))
        except binascii.Error as error:
            raise BadCheckpoint("the root is not base64") from error
        if _body(self.origin, checkpoint) != body or len(checkpoint.root) != hashlib.sha256().digest_size:
            raise BadCheckpoint("not in canonical form")
        return checkpoint

    def _signed(self, body: str, line: str) -> bool:
        prefix = f"\u2014 {self.origin} "
        try:
            signature = base64.b64decode(line.removeprefix(prefix), validate=True)
            if not line.startswith(prefix) or signature[:_KEY_ID_BYTES] != self.key_id:
                return False
            self._key.verify(signature[_KEY_ID_BYTES:], body.encode())
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True


def _body(origin: str, checkpoint: Checkpoint) -> str:
    return f"{origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"
