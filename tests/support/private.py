"""Tables under `differential-privacy`, protected in memory: plans and rows by hand, then the product's own pieces."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from bandung.connectors import reckoning
from bandung.connectors.base import Condition
from bandung.gateway.disclosure.differential_privacy import protect, questions
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Plan, Statistic
from bandung.gateway.domain.policy import DifferentialPrivacy
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.check import CheckedPlan, check
from tests.support.builders import a_dataset, an_epoch

PLENTY = 10**32
"""So much of rho, in nano-rho, that no noise is seen: what is left is what the statistic itself is."""


def a_private_epoch(*, rows_per_unit_max: int = 1, policy: DifferentialPrivacy | None = None, **changes: Any) -> Epoch:
    """`a_dataset()` under `differential-privacy`, a table's spending without limit."""
    policy = policy or DifferentialPrivacy(nano_rho_per_table_max=PLENTY)
    return an_epoch(a_dataset(policy=policy, **changes), rows_per_unit_max=rows_per_unit_max)


def a_plan(
    epoch: Epoch, *statistics: str, by: tuple[str, ...] = (), where: tuple[Condition, ...] = (), nano_rho: int = PLENTY
) -> CheckedPlan:
    """The checked plan of statistics by name: `count`, `sum(x)`, `quantile(x,0.5)`."""
    return check(Plan(epoch.id, by, where, tuple(map(statistic, statistics)), nano_rho), epoch)


def statistic(name: str) -> Statistic:
    """The statistic of a canonical name."""
    kind, _, of = name.rstrip(")").partition("(")
    measure, _, share = of.partition(",")
    return Statistic(kind, measure, share)


def raw_of(checked: CheckedPlan, epoch: Epoch, rows: pa.Table) -> Raw:
    """What the source says to the questions of a table."""
    asked = questions(checked, epoch)
    return Raw(
        reckoning.cells(asked.cells, rows),
        reckoning.contributions(asked.contributions, rows) if asked.contributions else None,
        tuple(reckoning.histogram(query, rows) for query in asked.histograms),
        reckoning.contributions(asked.keys, rows) if asked.keys else None,
    )


def release_of(checked: CheckedPlan, epoch: Epoch, rows: pa.Table) -> Release:
    """The release that a table gets."""
    return protect(checked, epoch, raw_of(checked, epoch, rows))


def persons(**columns: list[Any]) -> pa.Table:
    """Snapshot rows of `a_dataset()`: one person each unless `unit` is given, the columns not given all alike."""
    count = len(next(iter(columns.values())))
    default: dict[str, list[Any]] = {
        "unit": list(range(count)),
        "region": ["N"] * count,
        "sex": ["F"] * count,
        "age_group": ["15-29"] * count,
        "income": [0] * count,
    }
    return pa.table(default | columns)
