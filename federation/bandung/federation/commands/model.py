"""`bandung model …`: reads a model card and predicts with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandung.gateway.cli.console import AsJson, Failure, subcommands

if TYPE_CHECKING:
    import pyarrow as pa

    from bandung.federation.domain.model_card import ModelCard

app = subcommands("Trained models: coefficients, standard errors, who contributed, what it cost, and predictions.")

CardArgument = Annotated[Path, typer.Argument(metavar="CARD.JSON", help="The model card.")]


@app.command()
def show(file: CardArgument, *, as_json: AsJson = False) -> None:
    """Show a model card for people."""
    from bandung.federation.training.model_card import render

    card = _card(file)
    typer.echo(json.dumps(card.to_json(), indent=2, ensure_ascii=False) if as_json else render(card), nl=as_json)


@app.command()
def predict(
    file: CardArgument,
    table: Annotated[Path, typer.Argument(metavar="TABLE.CSV", help="Own records, CSV: a column per feature.")],
    out: Annotated[Path, typer.Option("--out", help="Where the table with predictions is written, CSV.")],
) -> None:
    """Append predictions to a table of one's own."""
    from pyarrow import csv

    from bandung.federation.training.model_card import BadTable
    from bandung.federation.training.model_card import predict as apply

    card = _card(file)
    try:
        predicted = apply(card, _read(table))
    except BadTable as error:
        raise Failure(f"{table}: {error}.") from error
    csv.write_csv(predicted, out)
    typer.echo(f"Wrote {predicted.num_rows} predictions to {out}.")


def _card(file: Path) -> ModelCard:
    from bandung.federation.domain.model_card import ModelCard

    try:
        return ModelCard.from_json(json.loads(file.read_bytes()))
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}.") from error
    except ValueError as error:
        raise Failure(f"{file}: {error}.") from error


def _read(table: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    try:
        return csv.read_csv(table)
    except OSError as error:
        raise Failure(f"{table}: {error.strerror or error}.") from error
    except pa.ArrowInvalid as error:
        raise Failure(f"{table}: not a CSV file: {error}.") from error
