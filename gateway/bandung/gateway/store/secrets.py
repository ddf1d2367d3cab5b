"""The node's own secrets: one directory, one file of 32 random bytes for each."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.service.ports import Randomness

_SECRET_BYTES = 32
_DATASET = re.compile(r"[a-z_][a-z0-9_]*")


class FileSecrets:
    """Secrets in `<directory>/secrets/` (mode 0700), each made at its first use and fixed from then on.

    A new secret is on disk before it is first used, and of several processes that make the same one at once all
    get the one that was first. Safe for use by several threads at once.

    Raises:
        Refusal: BAD_CONFIGURATION (from any method) if a secret cannot be read or written, has a wrong length, or
            is readable by others than its owner.
    """

    def __init__(self, directory: Path, randomness: Randomness) -> None:
        self._directory = directory / "secrets"
        self._randomness = randomness
        self._lock = threading.Lock()
        self._known: dict[str, bytes] = {}

    def dataset_key(self, dataset: str) -> bytes:
        """Return the 32-byte key of a dataset's record keys and noise."""
        if not _DATASET.fullmatch(dataset):
            raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{dataset!r} is not a dataset's name.")
        return self._secret(f"dataset-{dataset}")

    def ledger_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the ledger's checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self._secret("ledger"))

    def mask_key(self) -> X25519PrivateKey:
        """Return the key from which the masks with other countries are agreed."""
        return X25519PrivateKey.from_private_bytes(self._secret("mask"))

    def ticket_key(self) -> bytes:
        """Return the 32-byte key that seals tickets and prepared handles."""
        return self._secret("ticket")

    def literal_key(self) -> bytes:
        """Return the 32-byte HMAC key under which literals stand in ledger bodies."""
        return self._secret("literal")

    def _secret(self, name: str) -> bytes:
        with self._lock:
            if name not in self._known:
                try:
                    self._known[name] = self._read_or_make(name)
                except OSError as error:
                    raise Refusal(ErrorKind.BAD_CONFIGURATION, f"Secret {name!r}.", private=str(error)) from error
            return self._known[name]

    def _read_or_make(self, name: str) -> bytes:
        path = self._directory / f"{name}.key"
        if not path.exists():
            self._make(path)
        secret = path.read_bytes()
        if len(secret) != _SECRET_BYTES or path.stat().st_mode & 0o077:
            raise Refusal(ErrorKind.BAD_CONFIGURATION, f"Secret {name!r} has a wrong length or loose permissions.")
        return secret

    def _make(self, path: Path) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{self._randomness.bytes(8).hex()}.draft")
        _write_durably(draft, self._randomness.bytes(_SECRET_BYTES))
        try:
            # A link, unlike a rename, never replaces a secret that another process made meanwhile.
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        sync_directory(self._directory)


def sync_directory(directory: Path) -> None:
    """Make the directory's own entries durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
