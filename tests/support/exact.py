"""Plans answered exactly, by brute force and without any protection: what a statement means."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pyarrow as pa

from bandung.connectors.base import Among
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Plan, Statistic


def exact(plan: Plan, epoch: Epoch, people: list[dict[str, Any]]) -> pa.Table:
    """Return a table of the form of a release: the plan's cells that have records, unprotected.

    Args:
        people: records; measures in units of 10^-decimals.
    """
    kept = [person for person in people if all(_holds(person, condition) for condition in plan.filters)]
    cells: dict[tuple[str, ...], list[dict[str, Any]]] = {} if plan.group_by else {(): []}
    for person in kept:
        cells.setdefault(tuple(person[name] for name in plan.group_by), []).append(person)
    keys = sorted(cells)
    columns: dict[str, Any] = {name: [key[i] for key in keys] for i, name in enumerate(plan.group_by)}
    for asked in plan.statistics:
        columns[asked.name] = [_statistic(asked, cells[key], epoch) for key in keys]
        columns[f"{asked.name}.ci95"] = pa.nulls(len(keys), pa.float64())
    status = pa.array(["A"] * len(keys), pa.utf8())
    return pa.table({**columns, "OBS_STATUS": status, "CONF_STATUS": status})


def _holds(person: dict[str, Any], condition: Any) -> bool:
    value = person[condition.column]
    if isinstance(condition, Among):
        return value in condition.codes
    return value is not None and condition.low <= value <= condition.high


def _statistic(asked: Statistic, people: list[dict[str, Any]], epoch: Epoch) -> Any:
    if asked.kind == "count":
        return len(people)
    if asked.kind == "units":
        return len({person["person_id"] for person in people})
    factor = 10 ** epoch.dataset.column(asked.measure).decimals  # type: ignore[union-attr]
    values = [person[asked.measure] / factor for person in people if person[asked.measure] is not None]
    match asked.kind:
        case "sum":
            return float(sum(values)) if values else None
        case "mean":
            return statistics.fmean(values) if values else None
        case "variance":
            return statistics.variance(values) if len(values) > 1 else None
        case "stddev":
            return statistics.stdev(values) if len(values) > 1 else None
        case _:
            return float(np.quantile(values, float(asked.share))) if values else None
