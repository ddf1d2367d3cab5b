"""`bandung ptable …`: the perturbation table behind a dataset's counts, which anybody may see."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandung.gateway.cli.console import Failure, not_well, report, subcommands
from bandung.gateway.domain.policy import TableBuilder

if TYPE_CHECKING:
    from bandung.gateway.disclosure.published_ptable import Finding, PublishedPTable
    from bandung.gateway.domain.dataset import Dataset

app = subcommands("Perturbation tables: what may happen to a count. The table is public, the keys are secret.")

_VERDICTS = {True: "holds", False: "DOES NOT HOLD", None: "as published"}


class Form(Enum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command()
def show(
    of: Annotated[str, typer.Argument(metavar="FILE.TOML|DATASET", help="A declaration, or a published dataset.")],
    gateway: Annotated[
        Path | None, typer.Option("--gateway", help="The gateway's directory; needed for a published dataset.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to write it.")] = Form.TABLE,
) -> None:
    """Generate a dataset's perturbation table and check it; ends with 1 if it is not what was declared."""
    from bandung.gateway.disclosure.published_ptable import published_ptable

    dataset = _dataset(of, gateway)
    if not isinstance(dataset.policy, TableBuilder):
        raise Failure(f"{dataset.name} is not under the policy table-builder, so it has no perturbation table.")
    table = published_ptable(dataset.policy)
    if form is Form.CSV:
        typer.echo(_csv(table), nl=False)
        for line in map(_line, table.findings):
            typer.echo(line, err=True)
    else:
        document = {"dataset": dataset.name, **asdict(table)}
        lines = [*_csv(table, " ").splitlines(), *map(_line, table.findings)]
        report(document, lines, as_json=form is Form.JSON)
    if any(finding.holds is False for finding in table.findings):
        raise not_well()


def _dataset(of: str, gateway: Path | None) -> Dataset:
    from bandung.gateway.app import open_stores, read_declaration

    if of.endswith(".toml"):
        return read_declaration(Path(of))
    if gateway is None:
        raise Failure(f"{of} is no declaration (*.toml); name the gateway that publishes it: --gateway DIRECTORY")
    with open_stores(gateway) as stores:
        epoch = stores.catalogue.current(of)
    if epoch is None:
        raise Failure(f"{of} is not published here.")
    return epoch.dataset


def _csv(table: PublishedPTable, delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _line(finding: Finding) -> str:
    return f"{finding.rule}: {_VERDICTS[finding.holds]} ({finding.found})."
