"""The members file: which countries a sandbox has, and whose data they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from bandung.gateway.config import MEMBER_ID, read_toml
from bandung.gateway.domain.errors import ErrorKind, Refusal


class SandboxMember(BaseModel):
    """One country of a sandbox.

    Attributes:
        datasets: declarations to publish, relative to the members file.
        agreements: agreement files instead of the default one, which grants every use to every sandbox analyst.
        country: ISO 3166-1 alpha-3, if it differs from the member id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: Annotated[tuple[Path, ...], Field(min_length=1)]
    agreements: tuple[Path, ...] = ()
    country: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _holds_data(cls, entry: Any) -> Any:
        if isinstance(entry, dict) and "address" in entry:
            raise ValueError(
                "this says where a gateway is; a sandbox's members file names the `datasets` (docs/configuration.md)"
            )
        return entry

    def under(self, base: Path) -> SandboxMember:
        """Return the same with paths made absolute."""
        datasets = tuple((base / path).resolve() for path in self.datasets)
        agreements = tuple((base / path).resolve() for path in self.agreements)
        return self.model_copy(update={"datasets": datasets, "agreements": agreements})


class _MembersFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    members: Annotated[
        dict[Annotated[str, StringConstraints(pattern=f"^{MEMBER_ID}$")], SandboxMember], Field(min_length=1)
    ]


def read_members_file(path: Path) -> dict[str, SandboxMember]:
    """Read a members file: a table `[members.<ID>]` for each country.

    Raises:
        Refusal: BAD_CONFIGURATION naming every problem at once, files that do not exist included.
    """
    base = path.resolve().parent
    members = {name: member.under(base) for name, member in read_toml(path, _MembersFile).members.items()}
    files = [file for member in members.values() for file in (*member.datasets, *member.agreements)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"{path}: there is no {', no '.join(missing)}.")
    return members
