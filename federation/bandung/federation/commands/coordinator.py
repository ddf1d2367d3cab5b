"""`bandung coordinator …`: a guarded Flower SuperLink. Anybody may run one; nobody has to trust it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bandung.gateway.cli.console import AsJson, Failure, not_well, report, subcommands

app = subcommands("Turns released sums into models. Anybody may run one; nobody has to trust it.")

DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the coordinator.")]


@app.command()
def init(
    directory: DirectoryArgument,
    public_address: Annotated[str, typer.Option("--public-address", help="host:port that couriers reach it under.")],
    listen: Annotated[str, typer.Option("--listen", help="Address and port for couriers.")] = "0.0.0.0:9092",
    internal_listen: Annotated[
        str, typer.Option("--internal-listen", help="Address and port for jobs; keep it off public networks.")
    ] = "127.0.0.1:9093",
) -> None:
    """Make a coordinator: authority, certificate, token, explained settings, and the document for couriers."""
    from bandung.federation.app import coordinator_settings, found_coordinator
    from bandung.gateway.app import clock

    settings = coordinator_settings(listen, public_address, internal_listen)
    found_coordinator(directory, settings, clock())
    typer.echo(f"The coordinator is founded in {directory}.")
    typer.echo(f"  for couriers and authors of jobs: {directory / 'coordinator.json'}")
    typer.echo(f"  token for authors of jobs:        {directory / 'token'}")
    typer.echo(f"Next: bandung coordinator admit {directory} MEMBER.JSON; bandung coordinator run {directory}")


@app.command()
def admit(
    directory: DirectoryArgument,
    document: Annotated[Path, typer.Argument(metavar="MEMBER.JSON", help="A country's membership document.")],
) -> None:
    """Let a country's courier take work here. A running coordinator notices by itself."""
    from bandung.federation.app import admit_courier
    from bandung.gateway.pki.membership import read_membership

    member = read_membership(document)
    admit_courier(directory, member)
    typer.echo(f"The courier of {member.member} is admitted. Fingerprint of its document: {member.fingerprint}")


@app.command()
def run(directory: DirectoryArgument) -> int:
    """Run the coordinator in the foreground until SIGTERM."""
    from bandung.federation.app import coordinator_config, read_coordinator_settings
    from bandung.gateway.cli.log import log_to_stderr

    log = read_coordinator_settings(directory).log
    config = coordinator_config(directory)
    log_to_stderr(log.format, log.level)
    from bandung.federation.superlink.coordinator import run_coordinator

    try:
        return run_coordinator(config)
    except (OSError, ValueError) as error:
        raise Failure(f"The coordinator cannot run: {error}") from error


@app.command()
def status(directory: DirectoryArgument, *, as_json: AsJson = False) -> None:
    """Tell whether the coordinator serves and which couriers are connected; ends with 1 if it does not."""
    from bandung.federation.app import coordinator_client
    from bandung.federation.superlink.client import CoordinatorError

    try:
        with coordinator_client(directory) as client:
            health: dict[str, Any] = client.health()
    except CoordinatorError as error:
        health = {"status": "NOT_SERVING", "members": {}, "reason": error.reason}
    lines = [f"coordinator: {health['status']} {health.get('reason', '')}".rstrip()]
    lines += [f"  courier {member}: {'connected' if on else 'away'}" for member, on in health["members"].items()]
    report(health, lines, as_json=as_json)
    if health["status"] != "SERVING":
        raise not_well()
