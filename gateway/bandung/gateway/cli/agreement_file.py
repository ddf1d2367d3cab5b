"""Agreements as TOML files: read into terms, and drafted from a published dataset."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bandung.gateway.config import read_toml
from bandung.gateway.domain.agreement import ID, MOMENT, PRINCIPAL, PURPOSE_MIN, Agreement, AgreementState, Grant, Use
from bandung.gateway.domain.dataset import Dataset
from bandung.gateway.domain.policy import DifferentialPrivacy

UseName = Annotated[str, Field(pattern=f"^({'|'.join(use.value for use in Use)})$")]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class GrantSection(_Closed):
    """One dataset and what may be done with each of its columns; a column that is absent may not be used."""

    dataset: str
    uses: dict[str, list[UseName]]


class AgreementFile(_Closed):
    """An agreement as a custodian writes it.

    Attributes:
        not_after: RFC 3339, UTC, with milliseconds.
        training_consent: jobs within these terms need no decision of a person.
    """

    id: Annotated[str, Field(pattern=ID)]
    version: Annotated[int, Field(ge=1)]
    purpose: Annotated[str, Field(min_length=PURPOSE_MIN)]
    principals: Annotated[list[Annotated[str, Field(pattern=PRINCIPAL)]], Field(min_length=1)]
    not_after: Annotated[str, Field(pattern=MOMENT)]
    training_consent: bool = False
    grants: Annotated[list[GrantSection], Field(min_length=1)]

    def terms(self) -> Agreement:
        """Return the agreement, in force."""
        return Agreement(
            id=self.id,
            version=self.version,
            purpose=self.purpose,
            principals=tuple(self.principals),
            grants=tuple(
                Grant(grant.dataset, {name: frozenset(map(Use, uses)) for name, uses in grant.uses.items()})
                for grant in self.grants
            ),
            not_after=self.not_after,
            state=AgreementState.ACTIVE,
            training_consent=self.training_consent,
        )


def read_agreement(path: Path) -> Agreement:
    """Read an agreement from its file.

    Raises:
        Refusal: BAD_CONFIGURATION naming everything that is wrong with it.
    """
    return read_toml(path, AgreementFile).terms()


def every_use(dataset: Dataset) -> Grant:
    """Return a grant of every use that the declared roles, the policy and the training rules allow."""
    training = frozenset({Use.TRAIN}) if dataset.training.allowed else frozenset[Use]()
    ranges = frozenset({Use.FILTER}) if isinstance(dataset.policy, DifferentialPrivacy) else frozenset[Use]()
    uses = {column.name: frozenset({Use.GROUP, Use.FILTER}) | training for column in dataset.dimensions}
    uses |= {column.name: frozenset({Use.AGGREGATE}) | ranges | training for column in dataset.measures}
    return Grant(dataset.name, uses)


def everything(
    agreement_id: str, purpose: str, principals: tuple[str, ...], datasets: Iterable[Dataset], not_after: dt.datetime
) -> Agreement:
    """Return the first version of an agreement that grants every use of datasets."""
    return Agreement(
        id=agreement_id,
        version=1,
        purpose=purpose,
        principals=principals,
        grants=tuple(map(every_use, datasets)),
        not_after=not_after.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        state=AgreementState.ACTIVE,
    )


def draft(agreement: Agreement) -> str:
    """Write an agreement as a TOML file that a custodian can cut down."""
    principals = ", ".join(map(json.dumps, agreement.principals))
    lines = [
        "# Terms between this country and the principals named. Whatever is not granted here is refused.",
        f"id = {json.dumps(agreement.id)}",
        "# Rises by one with every change.",
        f"version = {agreement.version}",
        f"purpose = {json.dumps(agreement.purpose, ensure_ascii=False)}",
        "# Who may ask; `/*` stands for everybody with that role in that trust domain.",
        f"principals = [{principals}]",
        "# Until when: RFC 3339, UTC.",
        f"not_after = {json.dumps(agreement.not_after)}",
        "# true: training jobs within these terms need no decision of a person.",
        f"training_consent = {str(agreement.training_consent).lower()}",
    ]
    for grant in agreement.grants:
        lines += ["", "[[grants]]", f'dataset = "{grant.dataset}"', "# GROUP, FILTER, AGG, TRAIN per column."]
        lines += ["[grants.uses]", *(f"{name} = {_uses(uses)}" for name, uses in grant.uses.items())]
    return "\n".join(lines) + "\n"


def _uses(uses: frozenset[Use]) -> str:
    return "[" + ", ".join(f'"{use.value}"' for use in Use if use in uses) + "]"
