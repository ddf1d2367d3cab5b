"""`bandung ledger …`: what the gateway did, as it stands on its record."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from bandung.gateway.cli.agreement import GatewayOption
from bandung.gateway.cli.console import AsJson, not_well, report, subcommands
from bandung.gateway.domain.ledger import LedgerEntry

app = subcommands("The append-only record of everything that a gateway answered, refused and changed.")

_LAST = 20


@app.command()
def show(
    gateway: GatewayOption,
    start: Annotated[
        int | None, typer.Option("--start", help="Index of the first entry; by default the last ones are shown.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many entries.")] = _LAST,
    *,
    as_json: AsJson = False,
) -> None:
    """Show entries of the gateway's ledger."""
    from bandung.gateway.app import open_stores

    with open_stores(gateway) as stores:
        size, root = stores.ledger.head()
        entries = stores.ledger.entries(max(0, size - count) if start is None else start, count)
    report(
        {"size": size, "root": root, "entries": [_document(entry) for entry in entries]},
        [*(_line(entry) for entry in entries), f"{size} entries, root {root}"],
        as_json=as_json,
    )


@app.command()
def verify(gateway: GatewayOption, *, as_json: AsJson = False) -> None:
    """Recompute the whole ledger and hold it against its signed checkpoints; ends with 1 if anything is amiss."""
    from bandung.gateway.app import open_stores

    with open_stores(gateway) as stores:
        findings = stores.ledger.verify()
    report({"findings": list(findings)}, list(findings) or ["The ledger is in order."], as_json=as_json)
    if findings:
        raise not_well()


def _line(entry: LedgerEntry) -> str:
    body = json.dumps(dict(entry.event.body), ensure_ascii=False, sort_keys=True)
    return f"{entry.index:>6}  {entry.event.at}  {entry.event.kind.value:<18} {entry.event.principal}  {body}"


def _document(entry: LedgerEntry) -> dict[str, Any]:
    event = entry.event
    return {
        "index": entry.index,
        "leaf": entry.leaf,
        "kind": event.kind.value,
        "at": event.at,
        "exchange": event.exchange,
        "principal": event.principal,
        "body": dict(event.body),
    }
