"""`bandung dataset …`: from a file or a table to something that can be asked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandung.gateway.cli.agreement import GatewayOption, ReasonOption
from bandung.gateway.cli.console import AsJson, Failure, not_well, report, subcommands

if TYPE_CHECKING:
    from bandung.gateway.app import Stores
    from bandung.gateway.domain.dataset import Dataset, Epoch
    from bandung.gateway.domain.ledger import Receipt
    from bandung.gateway.domain.view import GovernedView
    from bandung.gateway.service.check_dataset import Violation

app = subcommands("Datasets: drafted from a file, checked against the data, published as epochs, withdrawn.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE.TOML", help="The dataset's declaration.")]


@app.command()
def init(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", exists=True, dir_okay=False, help="CSV, Parquet or Arrow file.")
    ],
    country: Annotated[str, typer.Option("--country", help="ISO 3166-1 alpha-3 code, as KEN.")],
    unit: Annotated[
        str | None, typer.Option("--unit", help="Column that identifies who is protected; else each row is a unit.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="LINE", help="Line of the section source, as 'delimiter = \";\"'; repeatable."
        ),
    ] = None,
) -> None:
    """Draft a declaration from a file's columns, to be completed by hand. Writes to standard output."""
    from bandung.gateway.cli.dataset_draft import draft

    typer.echo(draft(data, country, unit, options or []), nl=False)


@app.command()
def check(
    file: FileArgument,
    gateway: Annotated[
        Path | None, typer.Option("--gateway", help="Directory of the gateway; a view needs the one of its base.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Hold a declaration against its data: violations with counts, never values; ends with 1 if there is one."""
    from bandung.gateway.app import check_dataset, read_dataset_or_view
    from bandung.gateway.domain.dataset import Dataset

    declared = read_dataset_or_view(file)
    if not isinstance(declared, Dataset):
        _check_view(declared, gateway, as_json=as_json)
        return
    found = check_dataset(declared)
    document = {
        "dataset": declared.name,
        "violations": [asdict(violation) for violation in found.violations],
        "notes": list(found.notes),
    }
    verdict = "cannot" if found.violations else "can"
    lines = [*map(_line, found.violations), *found.notes, f"{declared.name} {verdict} be published."]
    report(document, lines, as_json=as_json)
    if found.violations:
        raise not_well()


def _check_view(view: GovernedView, gateway: Path | None, *, as_json: bool) -> None:
    from bandung.gateway.app import open_stores
    from bandung.gateway.service.publish_view import check_view

    if gateway is None:
        raise Failure(f"{view.name} is a view; name the gateway that publishes {view.of}: --gateway DIRECTORY")
    with open_stores(gateway) as stores:
        base, found = check_view(view, stores.catalogue)
    verdict = "cannot" if found else "can"
    lines = [*(f"{problem}." for problem in found), f"{view.name} {verdict} be published over {base.id}."]
    report({"dataset": view.name, "base": base.id, "violations": list(found)}, lines, as_json=as_json)
    if found:
        raise not_well()


@app.command()
def tables(file: FileArgument, gateway: GatewayOption, *, as_json: AsJson = False) -> None:
    """Protect the registered tables and attack them, at home; ends with 1 if a number gives way. Publishes nothing."""
    from bandung.gateway.app import audit_tables, open_stores, read_declaration
    from bandung.gateway.cli.tables_report import document, lines

    dataset = read_declaration(file)
    with open_stores(gateway) as stores, _progress(dataset.name) as progress:
        found = audit_tables(stores, dataset, progress)
    report(document(found), lambda: lines(found), as_json=as_json)
    if not found.audit.safe:
        raise not_well()


@app.command()
def publish(file: FileArgument, gateway: GatewayOption, *, as_json: AsJson = False) -> None:
    """Make an epoch of a dataset or a view; it is what is asked from then on. A running gateway notices by itself."""
    from bandung.gateway.app import formerly_open, open_stores, publish_view, read_dataset_or_view
    from bandung.gateway.domain.dataset import Dataset

    declared = read_dataset_or_view(file)
    with open_stores(gateway) as stores:
        formerly: tuple[str, ...] = ()
        if isinstance(declared, Dataset):
            formerly = formerly_open(stores, declared)
            epoch, receipt = _publish_dataset(stores, declared)
        else:
            epoch, receipt = publish_view(stores, declared)
    facts = epoch.facts
    document = {
        "epoch": epoch.id,
        "rows": facts.rows,
        "units": facts.units,
        "receipt": receipt.id,
        "formerly": list(formerly),
    }
    lines = [
        f"{epoch.id} is published: {facts.rows} rows of {facts.units} units; ledger receipt {receipt.id}.",
        *(f"These rows were open as {other}: what that answered is not covered by this policy." for other in formerly),
        "Nobody can ask it before an agreement grants it: bandung agreement draft --help",
    ]
    report(document, lines, as_json=as_json)


def _publish_dataset(stores: Stores, dataset: Dataset) -> tuple[Epoch, Receipt]:
    from bandung.gateway.app import publish_dataset

    with _progress(dataset.name) as progress:
        return publish_dataset(stores, dataset, progress)


@app.command()
def withdraw(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset.")],
    gateway: GatewayOption,
    reason: ReasonOption,
    *,
    as_json: AsJson = False,
) -> None:
    """Stop answering from a dataset at once, until it is published anew."""
    from bandung.gateway.app import open_stores, withdraw_dataset

    with open_stores(gateway) as stores:
        receipt = withdraw_dataset(stores)(name, stores.operator, reason, stores.exchange())
    report(
        {"dataset": name, "receipt": receipt.id},
        [f"{name} is withdrawn; ledger receipt {receipt.id}."],
        as_json=as_json,
    )


@contextmanager
def _progress(name: str) -> Generator[Callable[[int, int], None]]:
    """Show a bar on standard error; what is given takes how much is done, and how much there is in all."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        bar = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _line(violation: Violation) -> str:
    count = f" ({violation.count})" if violation.count else ""
    return f"{violation.column}: {violation.rule}{count}. {violation.remedy}"
