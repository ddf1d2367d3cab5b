"""`bandung agreement …`: what a custodian grants, changes and takes back at the own gateway."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from bandung.gateway.cli.console import AsJson, Failure, report, subcommands
from bandung.gateway.domain.agreement import Agreement, AgreementState, Grant

app = subcommands("Agreements: who may use which columns of which datasets, how, for what purpose, until when.")

GatewayOption = Annotated[Path, typer.Option("--gateway", help="Directory of the gateway.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it goes on the record.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the agreement.")]


@app.command()
def draft(
    dataset: Annotated[list[str], typer.Argument(metavar="DATASET…", help="Published datasets to grant.")],
    gateway: GatewayOption,
    principal: Annotated[list[str], typer.Option("--principal", help="URI of who may ask; may be repeated.")],
    agreement_id: Annotated[str, typer.Option("--id", help="Id of the agreement.")] = "agreement-1",
    purpose: Annotated[str, typer.Option("--purpose", help="What the answers are for.")] = "statistics",
) -> None:
    """Write an agreement that grants every use of published datasets, to be cut down and then `put`."""
    from bandung.gateway.app import clock, open_stores
    from bandung.gateway.cli.agreement_file import draft as write
    from bandung.gateway.cli.agreement_file import everything

    with open_stores(gateway) as stores:
        epochs = [stores.catalogue.current(name) for name in dataset]
    missing = [name for name, epoch in zip(dataset, epochs, strict=True) if epoch is None]
    if missing:
        raise Failure(f"Not published here: {', '.join(missing)}.")
    datasets = [epoch.dataset for epoch in epochs if epoch is not None]
    agreement = everything(agreement_id, purpose, tuple(principal), datasets, clock() + dt.timedelta(days=365))
    typer.echo(write(agreement), nl=False)


@app.command()
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Agreement as a TOML file.")],
    gateway: GatewayOption,
    reason: ReasonOption,
    *,
    as_json: AsJson = False,
) -> None:
    """Put an agreement, or a new version of one, into force."""
    from bandung.gateway.app import agreement_desk, open_stores
    from bandung.gateway.cli.agreement_file import read_agreement

    agreement = read_agreement(file)
    with open_stores(gateway) as stores:
        receipt = agreement_desk(stores).put(stores.operator, agreement, reason, stores.exchange())
    document = {"agreement": agreement.id, "version": agreement.version, "receipt": receipt.id}
    line = f"Agreement {agreement.id} version {agreement.version} is in force; ledger receipt {receipt.id}."
    report(document, [line], as_json=as_json)


@app.command()
def suspend(agreement_id: IdArgument, gateway: GatewayOption, reason: ReasonOption, *, as_json: AsJson = False) -> None:
    """Suspend an agreement at once; it can be resumed."""
    _set(gateway, agreement_id, AgreementState.SUSPENDED, reason, as_json=as_json)


@app.command()
def resume(agreement_id: IdArgument, gateway: GatewayOption, reason: ReasonOption, *, as_json: AsJson = False) -> None:
    """Put a suspended agreement back into force."""
    _set(gateway, agreement_id, AgreementState.ACTIVE, reason, as_json=as_json)


@app.command()
def end(agreement_id: IdArgument, gateway: GatewayOption, reason: ReasonOption, *, as_json: AsJson = False) -> None:
    """End an agreement for good."""
    _set(gateway, agreement_id, AgreementState.ENDED, reason, as_json=as_json)


@app.command("list")
def list_(gateway: GatewayOption, *, as_json: AsJson = False) -> None:
    """List the agreements at this gateway at their newest version."""
    from bandung.gateway.app import open_stores

    with open_stores(gateway) as stores:
        agreements = stores.agreements.all()
    report({"agreements": [_document(a) for a in agreements]}, [_line(a) for a in agreements], as_json=as_json)


def _set(gateway: Path, agreement_id: str, state: AgreementState, reason: str, *, as_json: bool) -> None:
    from bandung.gateway.app import agreement_desk, open_stores

    with open_stores(gateway) as stores:
        receipt = agreement_desk(stores).set_state(stores.operator, agreement_id, state, reason, stores.exchange())
    document = {"agreement": agreement_id, "state": state.value, "receipt": receipt.id}
    report(document, [f"Agreement {agreement_id} is {state.value}; ledger receipt {receipt.id}."], as_json=as_json)


def _line(agreement: Agreement) -> str:
    datasets = ", ".join(grant.dataset for grant in agreement.grants)
    who = ", ".join(agreement.principals)
    return (
        f"{agreement.id}  version {agreement.version}  {agreement.state.value}  until {agreement.not_after}  "
        f"{datasets}  for {who}: {agreement.purpose}"
    )


def _document(agreement: Agreement) -> dict[str, Any]:
    return {
        "id": agreement.id,
        "version": agreement.version,
        "state": agreement.state.value,
        "purpose": agreement.purpose,
        "principals": list(agreement.principals),
        "not_after": agreement.not_after,
        "training_consent": agreement.training_consent,
        "grants": [{"dataset": grant.dataset, "uses": _uses(grant)} for grant in agreement.grants],
    }


def _uses(grant: Grant) -> dict[str, list[str]]:
    return {name: sorted(use.value for use in uses) for name, uses in grant.uses.items()}
