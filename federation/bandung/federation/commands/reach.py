"""Options by which commands find gateways and coordinators, and the errors that they turn into sentences."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandung.gateway.cli.console import ExitCode, Failure

if TYPE_CHECKING:
    from bandung.federation.domain.member import Member
    from bandung.federation.superlink.client import CoordinatorClient
    from bandung.gateway.client import GatewayClient

CoordinatorOption = Annotated[
    Path, typer.Option("--coordinator", help="Directory with coordinator.json and token; a coordinator's own will do.")
]
MembersOption = Annotated[
    Path, typer.Option("--members", help="Members file, or the sandbox.json of a sandbox: where the gateways are.")
]
OnlyOption = Annotated[str, typer.Option("--only", metavar="IDS", help="Ask these members only, for instance IDN,BGD.")]
AsOption = Annotated[
    str,
    typer.Option(
        "--as", metavar="PRINCIPAL", help="Who asks: NAME as each member knows it, or MEMBER/NAME, one for all."
    ),
]
MemberOption = Annotated[str, typer.Option("--member", help="Member id of the country.")]


@contextmanager
def coordinator(directory: Path) -> Generator[CoordinatorClient]:
    """Give a client of a coordinator.

    Raises:
        Failure: with the coordinator's reason.
    """
    from bandung.federation.app import coordinator_client
    from bandung.federation.superlink.client import CoordinatorError

    try:
        with coordinator_client(directory) as client:
            yield client
    except CoordinatorError as error:
        code = ExitCode.REFUSED if error.status else ExitCode.UNAVAILABLE
        raise Failure(f"The coordinator did not do it: {error.reason}.", code) from error


@contextmanager
def gateway(members: Path, member: str, principal: str) -> Generator[GatewayClient]:
    """Give a client of one country's gateway, as one of the principals that the members file names.

    Raises:
        Failure: with the gateway's reason, or why it is not reached.
    """
    from bandung.federation.statistics.fan_out import connect, unreached
    from bandung.gateway.client import GatewayError

    (chosen,) = _chosen(members_as(members, principal), [member])
    try:
        with connect(chosen) as client:
            yield client
    except GatewayError as error:
        if error.refused:
            raise Failure(error.message) from error
        raise Failure(unreached(chosen, error), ExitCode.UNAVAILABLE) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}.") from error


def members_as(path: Path, principal: str) -> tuple[Member, ...]:
    """Read a members file (TOML) or a `sandbox.json`.

    Raises:
        Failure: it cannot be read.
    """
    from bandung.federation.domain.member import MembersError, members_of

    try:
        text = path.read_text("utf-8")
        document: dict[str, Any] = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return members_of(document, principal, path.parent)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}.") from error
    except MembersError as error:
        raise Failure(f"{path}: {error}") from error
    except ValueError as error:
        raise Failure(f"{path}: neither TOML nor JSON: {error}.") from error


def members_named(path: Path, principal: str, ids: str) -> tuple[Member, ...]:
    """Read a members file, and of its members those that are named; all of them if none is.

    Args:
        ids: member ids, separated by commas.

    Raises:
        Failure: it cannot be read, or there is no such member.
    """
    members = members_as(path, principal)
    return _chosen(members, [id_.strip() for id_ in ids.split(",")]) if ids else members


def _chosen(members: tuple[Member, ...], ids: list[str]) -> tuple[Member, ...]:
    from bandung.federation.domain.member import MembersError, only

    try:
        return only(members, ids)
    except MembersError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


def ended(outcomes: Iterable[object]) -> ExitCode:
    """Return how a question to several countries ends: done if one answered, else refused if one said no."""
    from bandung.federation.domain.study import Declined, Unreachable

    kinds = {type(outcome) for outcome in outcomes}
    if kinds - {Declined, Unreachable}:
        return ExitCode.DONE
    return ExitCode.REFUSED if Declined in kinds else ExitCode.UNAVAILABLE
