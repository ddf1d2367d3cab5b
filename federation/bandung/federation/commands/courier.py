"""`bandung courier …`: the Flower node of a country. It carries training steps and sees no rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandung.gateway.cli.console import Failure, subcommands

app = subcommands("A country's Flower node: carries steps between a coordinator and the own gateway; sees no rows.")


@app.command()
def join(
    gateway: Annotated[Path, typer.Argument(metavar="GATEWAY_DIR", help="Directory of the country's gateway.")],
    coordinator: Annotated[
        Path, typer.Argument(metavar="COORDINATOR.JSON", help="The coordinator's document, as its operator gave it.")
    ],
) -> None:
    """Point the country's courier at a coordinator: writes GATEWAY_DIR/courier/courier.toml."""
    from bandung.federation.app import join as write
    from bandung.federation.app import read_coordinator

    path = write(gateway, read_coordinator(coordinator))
    typer.echo(f"Wrote {path}. The coordinator's operator must admit {gateway / 'member.json'}.")
    typer.echo(f"Next: bandung courier run {path.parent}")


@app.command()
def run(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The courier's directory, with courier.toml.")],
) -> int:
    """Run the courier in the foreground until SIGTERM."""
    from bandung.federation.config import COURIER_CONFIG
    from bandung.federation.courier.config import CourierConfigError, load_courier_config
    from bandung.federation.courier.keys import NodeKeyError
    from bandung.federation.courier.run import run_courier
    from bandung.gateway.cli.log import log_to_stderr

    log_to_stderr("text", "info")
    try:
        return run_courier(load_courier_config(directory / COURIER_CONFIG))
    except (CourierConfigError, NodeKeyError, OSError) as error:
        raise Failure(f"The courier cannot start: {error}") from error
