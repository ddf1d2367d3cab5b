"""What an audit of registered tables found, for the custodian's own console: it holds what nobody else may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bandung.gateway.service.protect_tables import Protected


def document(found: Protected) -> dict[str, Any]:
    """Return the audit as one document: tables with their numbers of cells, and every withheld number's bounds."""
    return {
        "dataset": found.epoch.dataset.name,
        "safe": found.audit.safe,
        "tables": [_table(found, group_by, statistic) for group_by, statistic in _told(found)],
        "withheld": [_number(found, row) for row in np.flatnonzero(found.audit.withheld).tolist()],
        "giving_way": [
            {"group_by": number.group_by, "statistic": number.statistic, "cell": number.key}
            for number in found.giving_way
        ],
    }


def lines(found: Protected) -> list[str]:
    """Return the audit for people."""
    told = document(found)
    cells = [
        f"{table['statistic']} by {', '.join(table['group_by']) or 'nothing'}: {table['cells']} cells, "
        f"{table['primary']} sensitive, {table['secondary']} withheld for their sake"
        for table in told["tables"]
    ]
    verdict = "can" if found.audit.safe else "cannot"
    return [*cells, *map(_line, told["withheld"]), f"The tables of {told['dataset']} {verdict} be published."]


def _told(found: Protected) -> list[tuple[tuple[str, ...], str]]:
    return [place for place, rows in found.links.blocks.items() if found.links.told[rows].all()]


def _table(found: Protected, group_by: tuple[str, ...], statistic: str) -> dict[str, Any]:
    rows = found.links.blocks[group_by, statistic]
    sensitive, withheld = found.needs.sensitive[rows], found.audit.withheld[rows]
    return {
        "group_by": group_by,
        "statistic": statistic,
        "cells": len(sensitive),
        "primary": int(sensitive.sum()),
        "secondary": int((withheld & ~sensitive).sum()),
    }


def _number(found: Protected, row: int) -> dict[str, Any]:
    """A withheld number and how it could be bounded, as shares of its value; null for unbounded."""
    number, audit = found.links.numbers[row], found.audit
    return {
        "group_by": number.group_by,
        "statistic": number.statistic,
        "cell": number.key,
        "kind": "primary" if found.needs.sensitive[row] else "secondary",
        "below": _share(audit.down[row], found.values[row]),
        "above": _share(audit.up[row], found.values[row]),
        "safe": not audit.short[row],
    }


def _share(width: float, value: float) -> float | None:
    """The width as a share of the value; of 1 where the value is 0."""
    return round(float(width) / (abs(float(value)) or 1), 4) if np.isfinite(width) else None


def _line(number: Mapping[str, Any]) -> str:
    below, above = ("unbounded" if number[end] is None else f"{number[end]:.0%}" for end in ("below", "above"))
    cell = ", ".join(f"{name}={code}" for name, code in zip(number["group_by"], number["cell"], strict=True))
    verdict = "" if number["safe"] else "  GIVES WAY"
    return f"  {number['statistic']} of {cell or 'all'} ({number['kind']}): {below} below, {above} above{verdict}"
