"""Agreements: who may use which columns of which datasets, how, for what purpose, until when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

ID: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"
PRINCIPAL: Final = r"^spiffe://[a-z0-9.-]+/(analyst|service)/([a-z0-9._-]+|\*)$"
MOMENT: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
"""The forms of an agreement's id, of its principals, and of its end: RFC 3339, UTC, with milliseconds."""
PURPOSE_MIN: Final = 3
"""Fewest characters of a purpose."""


class Use(Enum):
    """How a column is used."""

    GROUP = "GROUP"
    FILTER = "FILTER"
    AGGREGATE = "AGG"
    TRAIN = "TRAIN"


class AgreementState(Enum):
    """Where an agreement stands."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class Grant:
    """One dataset of an agreement: uses per column. What is absent is denied; `count` needs no column."""

    dataset: str
    uses: Mapping[str, frozenset[Use]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Terms in force between a country and principals.

    Attributes:
        id: unique at this gateway.
        version: rises with every change.
        principals: URIs; a trailing `/*` matches every name under a role of one trust domain.
        not_after: RFC 3339 date-time, UTC.
        training_consent: a standing rule: jobs within this agreement need no decision of a person.
    """

    id: str
    version: int
    purpose: str
    principals: tuple[str, ...]
    grants: tuple[Grant, ...]
    not_after: str
    state: AgreementState
    training_consent: bool = False


def malformed(agreement: Agreement) -> tuple[str, ...]:
    """Return the fields whose form is wrong. An end that is not a moment in UTC would compare as never reached."""
    held = {
        "id": re.fullmatch(ID, agreement.id),
        "version": agreement.version >= 1,
        "purpose": len(agreement.purpose.strip()) >= PURPOSE_MIN,
        "principals": agreement.principals and all(re.fullmatch(PRINCIPAL, uri) for uri in agreement.principals),
        "grants": agreement.grants,
        "not_after": re.fullmatch(MOMENT, agreement.not_after),
    }
    return tuple(field for field, holds in held.items() if not holds)


@dataclass(frozen=True, slots=True)
class Touches:
    """All that authorisation looks at: one dataset and the uses of its columns."""

    dataset: str
    uses: frozenset[tuple[str, Use]]
