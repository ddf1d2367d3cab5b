"""The membership document: all that other countries must know of one, in public keys and addresses."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import rfc8785
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from bandung.gateway.config import MEMBER_ID, TRUST_DOMAIN, read_json
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.pki.authority import permitted_domains
from bandung.gateway.pki.files import replace_public

_MASK_KEY_BYTES = 32
_Stamp = tuple[tuple[str, int], ...]
_log = logging.getLogger(__name__)


class Membership(BaseModel):
    """A country as the others know it.

    Attributes:
        version: of this document's form; always 1.
        member: id, for instance `IDN`.
        country: ISO 3166-1 alpha-3.
        gateway: `host:port` that other countries reach the gateway under.
        ca: certificate of the country's authority, PEM.
        mask_key: X25519 public key for pairwise masks, base64 of 32 bytes.
        node_key: P-384 public key of the courier, PEM.
        created: RFC 3339, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: int = 1
    member: str
    country: str
    trust_domain: str
    gateway: str
    ca: str
    mask_key: str
    node_key: str
    created: str

    @field_validator("version")
    @classmethod
    def _known_version(cls, value: int) -> int:
        if value != 1:
            raise ValueError("this release reads version 1 only")
        return value

    @field_validator("member")
    @classmethod
    def _member_id(cls, value: str) -> str:
        return _matching(value, MEMBER_ID, "2 to 16 capitals, digits and hyphens")

    @field_validator("trust_domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        return _matching(value, TRUST_DOMAIN, "a lower-case domain name")

    @field_validator("mask_key")
    @classmethod
    def _mask(cls, value: str) -> str:
        try:
            length = len(base64.b64decode(value, validate=True))
        except binascii.Error as error:
            raise ValueError("not base64") from error
        if length != _MASK_KEY_BYTES:
            raise ValueError(f"must be {_MASK_KEY_BYTES} bytes, is {length}")
        return value

    @model_validator(mode="after")
    def _own_authority(self) -> Membership:
        if permitted_domains(self.ca.encode()) != (self.trust_domain,):
            raise ValueError("the authority must be constrained to exactly the trust domain")
        return self

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785): what two operators compare by telephone."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump())).hexdigest()

    @property
    def mask_public_key(self) -> bytes:
        """The mask key, 32 raw bytes."""
        return base64.b64decode(self.mask_key)


def read_membership(path: Path) -> Membership:
    """Read a membership document.

    Raises:
        Refusal: BAD_CONFIGURATION naming everything that is wrong with it.
    """
    return read_json(path, Membership)


def read_members(directory: Path) -> dict[str, Membership]:
    """Read the pinned membership documents of a directory, by member id."""
    members = (read_membership(path) for path in sorted(directory.glob("*.json")))
    return {member.member: member for member in members}


class PinnedMaskKeys(Mapping[str, bytes]):
    """Mask public keys by member id, as the pinned documents say now: an admission needs no restart.

    A document that cannot be read leaves the last good keys in force. Safe for use by several threads.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = _read_keys(directory)

    def __getitem__(self, member: str) -> bytes:
        """Return a member's key, 32 raw bytes."""
        return self._current()[member]

    def __iter__(self) -> Iterator[str]:
        """Iterate over member ids."""
        return iter(self._current())

    def __len__(self) -> int:
        """Return how many members are pinned."""
        return len(self._current())

    def _current(self) -> Mapping[str, bytes]:
        if _stamp(self._directory) != self._state[0]:
            try:
                self._state = _read_keys(self._directory)
            except Refusal as refusal:
                _log.error("pinned members not readable, the last good keys stay in force: %s", refusal)
        return self._state[1]


def _read_keys(directory: Path) -> tuple[_Stamp, Mapping[str, bytes]]:
    stamp = _stamp(directory)
    return stamp, {name: member.mask_public_key for name, member in read_members(directory).items()}


def _stamp(directory: Path) -> _Stamp:
    return tuple((path.name, path.stat().st_mtime_ns) for path in sorted(directory.glob("*.json")))


def pin(member: Membership, members: Path, trust: Path) -> None:
    """Admit a country: its document under `members`, its authority under `trust`, named by its trust domain.

    Pinning the same document again changes nothing.

    Raises:
        Refusal: BAD_CONFIGURATION if the id or the trust domain is already held by another document: keys of an
            admitted country never change silently.
    """
    for known in read_members(members).values():
        if known == member:
            return
        if known.member == member.member or known.trust_domain == member.trust_domain:
            detail = f"{known.member} ({known.trust_domain}) is admitted with other keys, fingerprint"
            raise Refusal(
                ErrorKind.BAD_CONFIGURATION,
                f"{detail} {known.fingerprint}.",
                remedy=f"If the country did change its keys, remove {members / known.member}.json and admit it again.",
            )
    members.mkdir(exist_ok=True)
    trust.mkdir(exist_ok=True)
    replace_public(trust / f"{member.trust_domain}.pem", member.ca.encode())
    replace_public(members / f"{member.member}.json", member.model_dump_json(indent=2).encode())


def _matching(value: str, pattern: str, meaning: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError(f"must be {meaning}")
    return value
