"""Members of a federation as somebody who asks sees them: where their gateways are, and who one is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast


class MembersError(ValueError):
    """A members file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One country's gateway, and the identity to use there.

    Attributes:
        id: ISO 3166-1 alpha-3 code, for instance IDN.
        address: `host:port` of the gateway.
        ca: certificates of the authority that vouches for the gateway, PEM.
        certificate, key: of whoever asks, PEM.
    """

    id: str
    address: str
    ca: Path
    certificate: Path
    key: Path


def members_of(document: Mapping[str, Any], principal: str, base: Path) -> tuple[Member, ...]:
    """Read members from a members file or a `sandbox.json`, in the order of the file.

    The document has a table `members`; each of its entries has `address`, `ca`, and `principals`: by name, each with
    `certificate` and `key`. A principal that is the same everywhere may stand in a table `principals` beside `members`.

    Args:
        principal: name of the identity to use.
        base: what relative paths are relative to.

    Raises:
        MembersError: something is missing, or a member knows no such principal.
    """
    members = document.get("members")
    if not isinstance(members, dict) or not members:
        raise MembersError("The file names no members: it needs a table `members`.")
    everywhere = _table(document, "principals")
    return tuple(
        _member(id_, cast("dict[str, Any]", entry), principal, everywhere, base)
        for id_, entry in cast("dict[str, object]", members).items()
    )


def only(members: Iterable[Member], ids: Iterable[str]) -> tuple[Member, ...]:
    """Return the members with these ids, in the order of the ids.

    Raises:
        MembersError: there is no such member.
    """
    by_id = {member.id: member for member in members}
    wanted = tuple(ids)
    if unknown := [id_ for id_ in wanted if id_ not in by_id]:
        raise MembersError(f"No such member: {', '.join(unknown)}. The file has {', '.join(by_id)}.")
    return tuple(by_id[id_] for id_ in wanted)


def _member(id_: str, entry: Mapping[str, Any], principal: str, everywhere: Mapping[str, Any], base: Path) -> Member:
    identity = _table(entry, "principals").get(principal, everywhere.get(principal))
    if not isinstance(identity, dict):
        raise MembersError(f"{id_} has no principal {principal!r}.")
    keys = cast("dict[str, Any]", identity)
    return Member(
        id_,
        _text(entry, "address", id_),
        base / _text(entry, "ca", id_),
        base / _text(keys, "certificate", f"{id_}, {principal}"),
        base / _text(keys, "key", f"{id_}, {principal}"),
    )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    return cast("dict[str, Any]", table) if isinstance(table, dict) else {}


def _text(table: Mapping[str, Any], key: str, place: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise MembersError(f"{place}: `{key}` is missing.")
    return value
