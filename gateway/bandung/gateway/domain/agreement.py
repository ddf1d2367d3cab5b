"""Agreements: who may use which columns of which datasets, how, for what purpose, until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


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


@dataclass(frozen=True, slots=True)
class Touches:
    """All that authorisation looks at: one dataset and the uses of its columns."""

    dataset: str
    uses: frozenset[tuple[str, Use]]
