"""A registered table as it is published: exact numbers, except for those that the epoch withholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bandung.connectors.base import Among
from bandung.gateway.disclosure.cells import Padded, key_columns
from bandung.gateway.disclosure.table_builder import CONFIDENTIAL, FREE, NORMAL, SUPPRESSED
from bandung.gateway.domain.dataset import Measure
from bandung.gateway.domain.plan import StatisticKind
from bandung.gateway.domain.release import Raw, Release

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.noise import Noise
    from bandung.gateway.domain.plan import Statistic
    from bandung.gateway.planning.check import CheckedPlan


def published(checked: CheckedPlan, epoch: Epoch, raw: Raw) -> Release:
    """Return the release of a registered table, a margin of one, or a slice of either.

    Every withheld number has the same status, whether it is sensitive itself or withheld for the sake of another: which
    of them are sensitive would tell their bounds.

    Raises:
        SourceError: the source's cells are not what was published.
        KeyError: nobody decided what of this table is withheld.
    """
    plan, cells = checked.plan, Padded.on(checked, raw.cells)
    held = {filter_.column: filter_.codes[0] for filter_ in plan.filters if isinstance(filter_, Among)}
    places = [
        tuple({**held, **dict(zip(plan.group_by, key, strict=True))}[name] for name in plan.variables)
        for key in checked.keys
    ]
    columns: dict[str, pa.Array] = {}
    any_withheld = np.zeros(len(places), dtype=np.bool_)
    for statistic in plan.statistics:
        hidden = epoch.withheld[plan.variables, statistic.name]
        mask = np.array([place in hidden for place in places])
        columns[statistic.name] = pa.array(_values(statistic, epoch, cells), mask=mask)
        any_withheld |= mask
    status = {
        "OBS_STATUS": pa.array(np.where(any_withheld, SUPPRESSED, NORMAL).tolist(), pa.utf8()),
        "CONF_STATUS": pa.array(np.where(any_withheld, CONFIDENTIAL, FREE).tolist(), pa.utf8()),
    }
    return Release(pa.table({**key_columns(checked), **columns, **status}), exact(plan.statistics))


def exact(statistics: tuple[Statistic, ...]) -> Noise:
    """Return the noise of published numbers: none."""
    return {statistic.name: {"variance": 0.0} for statistic in statistics}


def _values(statistic: Statistic, epoch: Epoch, cells: Padded) -> np.ndarray:
    if statistic.kind == StatisticKind.COUNT.value:
        return cells.integers("rows")
    column = epoch.dataset.column(statistic.measure)
    if not isinstance(column, Measure):
        raise TypeError(f"{statistic.measure} is no measure")
    return cells.integers(f"{column.name}.sum") / 10.0**column.decimals
