"""`bandung sandbox …`: a whole federation on one machine, with your data or made-up ones."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from bandung.gateway.cli.console import AsJson, not_well, report, subcommands

app = subcommands("A whole federation on loopback: gateways, couriers, a coordinator, ready-made identities.")

DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the sandbox.")]


@app.command()
def up(
    directory: DirectoryArgument,
    members: Annotated[
        Path | None, typer.Option("--members", help="TOML file of countries and their datasets; else two made-up ones.")
    ] = None,
    wait_s: Annotated[float, typer.Option("--wait-s", help="Longest wait until all is healthy, in seconds.")] = 120.0,
) -> None:
    """Start a federation and return when all of it is healthy. Writes DIR/sandbox.json."""
    from bandung.federation.sandbox.lifecycle import up as start

    given_up = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: given_up.set())
    sandbox = start(directory, members, wait_s, lambda text: typer.echo(f"  {text} …", err=True), given_up.is_set)
    for name, node in sandbox.members.items():
        typer.echo(f"{name}  {node.flight_uri}")
    typer.echo(f"coordinator  {sandbox.coordinator.address}")
    typer.echo(
        f"Everything else is in {sandbox.directory / 'sandbox.json'}; stop with: bandung sandbox down {directory}"
    )


@app.command()
def status(directory: DirectoryArgument, *, as_json: AsJson = False) -> None:
    """Tell how each process is; ends with 1 if one is not healthy."""
    from bandung.federation.sandbox.lifecycle import status as look

    parts = look(directory.resolve())
    document = {"processes": [{"name": part.name, "pid": part.pid, "status": part.status} for part in parts]}
    lines = [f"{part.name:<16} {part.pid:>7}  {part.status}" for part in parts] or ["No sandbox was started here."]
    report(document, lines, as_json=as_json)
    if not parts or any(part.status != "SERVING" for part in parts):
        raise not_well()


@app.command()
def restart(
    directory: DirectoryArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="For instance 'IDN gateway', or coordinator.")],
) -> None:
    """Stop a process, if it still runs, and start it again."""
    from bandung.federation.sandbox.lifecycle import restart as again

    again(directory, name)
    typer.echo(f"{name} runs again.")


@app.command()
def down(directory: DirectoryArgument) -> None:
    """Stop every process of the sandbox; its files stay."""
    from bandung.federation.sandbox.lifecycle import down as stop

    stop(directory.resolve())
    typer.echo("Everything of the sandbox is stopped.")
