"""The ledger: what all this left on the record of one country."""

from __future__ import annotations

import json
from collections.abc import Iterable

from countries import Countries
from promises import Promises
from rich.console import Console
from rich.table import Table

from bandung.federation.domain.model_card import ModelCard

SHOWN = 9


def ledger(
    countries: Countries, country: str, cards: Iterable[ModelCard], console: Console, promises: Promises
) -> None:
    """Read a country's ledger as its auditor, and look for every answer that was used."""
    with countries.client(country, f"{country}/auditor") as gateway:
        entries = list(gateway.ledger())
        head = gateway.head()
    table = Table(show_edge=False, pad_edge=False)
    for name in ("entry", "time", "kind", "by", "about"):
        table.add_column(name, justify="right" if name == "entry" else "left", no_wrap=True)
    for entry in entries[-SHOWN:]:
        who = entry.principal.removeprefix("spiffe://")
        table.add_row(str(entry.index), entry.at[11:19], entry.kind, who, _about(entry.body))
    console.print(f"  The last {SHOWN} of {len(entries)} entries at {country}, as its auditor sees them:")
    console.print(table)
    console.print(f"  Merkle tree of {head.size} leaves, root {head.root[:32]}…", style="dim", highlight=False)
    receipts = [answer.receipt for answer in countries.answers if answer.member == country]
    receipts += [r["receipt"] for card in cards for r in card.receipts if r["member"] == country]
    places = {f"{entry.index}:{entry.leaf[:16]}" for entry in entries}
    promises.check(
        f"each of the {len(receipts)} answers that {country} gave is in its ledger under its receipt",
        holds=bool(receipts) and set(receipts) <= places,
    )
    kinds = {entry.kind for entry in entries}
    promises.check(
        "refusals, consents and training steps are there too",
        holds={"query.refused", "job.decided", "step.answered"} <= kinds,
    )


def _about(body: str) -> str:
    """Return what a reader wants first of an event's body."""
    fields = json.loads(body)
    parts = [str(fields[key]) for key in ("epoch", "code", "decision", "round") if key in fields]
    parts += [f"by {', '.join(fields['group_by'])}"] if fields.get("group_by") else []
    return " ".join(parts)
