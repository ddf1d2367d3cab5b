"""The command `bandung`: one program for custodians, operators, analysts and auditors.

What a command needs is imported when it runs: a gateway must not pay for Flower or plots.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bandung.gateway.cli import agreement, dataset, ledger, node, ptable
from bandung.gateway.cli.console import run, subcommands
from bandung.gateway.version import __version__

app = subcommands("Countries learn from each other's data; raw rows never leave.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; see `docs/operate.md`."""
    return run(composed(), arguments)


@app.callback(invoke_without_command=True)
def bandung(*, version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False) -> None:
    """Countries learn from each other's data; raw rows never leave."""
    if version:
        typer.echo(f"bandung {__version__}")
        raise typer.Exit


def composed() -> typer.Typer:
    """Return the program with all its commands."""
    from bandung.federation.commands import budget, coordinator, courier, job, model, query, sandbox
    from bandung.federation.commands.init import init

    if not app.registered_groups:
        node.app.command("init")(init)
        app.add_typer(node.app, name="gateway")
        app.add_typer(dataset.app, name="dataset")
        app.add_typer(agreement.app, name="agreement")
        app.add_typer(ptable.app, name="ptable")
        app.add_typer(ledger.app, name="ledger")
        app.add_typer(job.app, name="job")
        app.add_typer(model.app, name="model")
        app.add_typer(courier.app, name="courier")
        app.add_typer(coordinator.app, name="coordinator")
        app.add_typer(sandbox.app, name="sandbox")
        app.add_typer(budget.app, name="budget")
        app.command("query")(query.query)
        app.command("datasets")(query.datasets)
    return app


if __name__ == "__main__":
    sys.exit(main())
