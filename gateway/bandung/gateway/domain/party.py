"""Who asks: principals named by SPIFFE-style URIs, and the roles they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bandung.gateway.domain.errors import ErrorKind, Refusal


class Role(Enum):
    """What a principal is, by the first segment of its URI path."""

    ANALYST = "analyst"
    SERVICE = "service"
    CUSTODIAN = "custodian"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    COURIER = "courier"
    GATEWAY = "gateway"


STAFF: Final = frozenset({Role.CUSTODIAN, Role.OPERATOR, Role.AUDITOR})
"""Who works at a country's own office; abroad these roles have no authority."""


_NAME = r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?"
_URI = re.compile(rf"spiffe://(?P<domain>{_NAME})/(?P<role>[a-z]+)(?:/(?P<name>{_NAME}))?")


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated party.

    Attributes:
        trust_domain: of the country that vouches for it, for instance `idn.bandung.example`.
        role: what it may be at all.
        name: within role and domain; empty for a node's own identities.
    """

    trust_domain: str
    role: Role
    name: str = ""

    @property
    def uri(self) -> str:
        """`spiffe://<trust domain>/<role>[/<name>]`."""
        tail = f"/{self.name}" if self.name else ""
        return f"spiffe://{self.trust_domain}/{self.role.value}{tail}"

    @classmethod
    def from_uri(cls, uri: str) -> Principal:
        """Read a principal from its URI.

        Raises:
            Refusal: NO_IDENTITY if the URI is not of the form, or the role is unknown.
        """
        match = _URI.fullmatch(uri)
        roles = {role.value: role for role in Role}
        if match is None or match["role"] not in roles:
            raise Refusal(ErrorKind.NO_IDENTITY)
        return cls(match["domain"], roles[match["role"]], match["name"] or "")
