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
    `certificate` and `key`.

    Args:
        principal: `NAME`, the identity of that name that every member issued, or `MEMBER/NAME`, one identity that is
            used everywhere.
        base: what relative paths are relative to.

    Raises:
        MembersError: something is missing, the file is one for making a sandbox, or there is no such principal.
    """
    members = document.get("members")
    if not isinstance(members, dict) or not members:
        raise MembersError("The file names no members: it needs a table `members` (docs/configuration.md).")
    entries = {id_: _table(cast("dict[str, Any]", members), id_) for id_ in cast("dict[str, Any]", members)}
    if any("datasets" in entry and "address" not in entry for entry in entries.values()):
        raise MembersError(
            "This members file says what a sandbox holds. Needed is one that says where the gateways are, such as the"
            " sandbox.json that `bandung sandbox up` writes (docs/configuration.md)."
        )
    home, _, name = principal.rpartition("/")
    if home and home not in entries:
        raise MembersError(f"No such member: {home}.")
    return tuple(_member(id_, entry, home or id_, name, entries, base) for id_, entry in entries.items())


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


def _member(
    id_: str, entry: Mapping[str, Any], home: str, name: str, entries: Mapping[str, Mapping[str, Any]], base: Path
) -> Member:
    identity = _table(_table(entries[home], "principals"), name)
    if not identity:
        raise MembersError(f"{home} has no principal {name!r}.")
    return Member(
        id_,
        _text(entry, "address", id_),
        base / _text(entry, "ca", id_),
        base / _text(identity, "certificate", f"{home}, {name}"),
        base / _text(identity, "key", f"{home}, {name}"),
    )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    return cast("dict[str, Any]", table) if isinstance(table, dict) else {}


def _text(table: Mapping[str, Any], key: str, place: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise MembersError(f"{place}: `{key}` is missing.")
    return value
