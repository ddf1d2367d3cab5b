"""The ledger: what all this left on the record of one country."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby

from countries import Countries
from promises import Promises
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bandung.federation.domain.model_card import ModelCard
from bandung.gateway.client.values import Entry


def ledger(
    countries: Countries, country: str, cards: Iterable[ModelCard], console: Console, promises: Promises
) -> None:
    """Read a country's ledger as its auditor, and look for every answer that was used."""
    with countries.client(country, f"{country}/auditor") as gateway:
        entries = list(gateway.ledger())
        head = gateway.head()
    table = Table(box=SIMPLE_HEAD)
    for name in ("entries", "time", "kind", "by", "about"):
        table.add_column(name, no_wrap=True)
    for (kind, who, about), group in groupby(entries, _what):
        same = list(group)
        places = f"{same[0].index}" if len(same) == 1 else f"{same[0].index}-{same[-1].index}"
        table.add_row(
            places, same[0].at[11:19], kind, who.removeprefix("spiffe://").replace(".sandbox.example", ""), about
        )
    console.print(f"  The {len(entries)} entries at {country}, as its auditor sees them:")
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


def _what(entry: Entry) -> tuple[str, str, str]:
    """Return what a reader wants of an entry: the kind of event, who caused it, and what it is about."""
    fields = json.loads(entry.body)
    parts = [str(fields[key]) for key in ("epoch", "code", "decision") if key in fields]
    parts += [f"by {', '.join(fields['group_by'])}"] if fields.get("group_by") else []
    return entry.kind, entry.principal, " ".join(parts)
