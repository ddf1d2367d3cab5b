"""Key files: created once, never replaced, readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

_SECRET_MODE = 0o600
_PUBLIC_MODE = 0o644


def write_secret(path: Path, content: bytes) -> None:
    """Create a file that only its owner may read.

    Raises:
        FileExistsError: there is one already; a key is never overwritten.
    """
    _create(path, content, _SECRET_MODE)


def write_public(path: Path, content: bytes) -> None:
    """Create a file that everybody may read.

    Raises:
        FileExistsError: there is one already.
    """
    _create(path, content, _PUBLIC_MODE)


def replace_public(path: Path, content: bytes) -> None:
    """Write a file that everybody may read, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    _create(beside, content, _PUBLIC_MODE)
    beside.replace(path)


def _create(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o755 if mode == _PUBLIC_MODE else 0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
