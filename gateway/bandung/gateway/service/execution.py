"""Execute a checked plan: what the source is asked, and how its policy makes a release of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandung.gateway.disclosure import table_builder
from bandung.gateway.disclosure.published.release import exact, published
from bandung.gateway.domain.policy import PublishedTables
from bandung.gateway.domain.release import Raw, Release
from bandung.gateway.planning.check import CheckedPlan, source_query

if TYPE_CHECKING:
    from bandung.connectors.base import Stop
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.domain.noise import Noise
    from bandung.gateway.service.ports import Cells


def execute(checked: CheckedPlan, epoch: Epoch, source: Cells, dataset_key: bytes, stop: Stop) -> Release:
    """Return the release of a plan.

    Raises:
        SourceError: the source failed, or holds something else than was published.
        Stopped: `stop` was set.
    """
    cells = source.cells(source_query(checked, epoch), stop)
    if isinstance(epoch.dataset.policy, PublishedTables):
        return published(checked, epoch, Raw(cells, None))
    closer_look = table_builder.uncertified(checked, epoch, cells)
    contributions = source.contributions(closer_look, stop) if closer_look else None
    return table_builder.protect(checked, epoch, Raw(cells, contributions), dataset_key)


def expected_noise(checked: CheckedPlan, epoch: Epoch) -> Noise:
    """Return the noise that a plan's release will publish; it depends on no data."""
    if isinstance(epoch.dataset.policy, PublishedTables):
        return exact(checked.plan.statistics)
    return table_builder.published_noise(checked.plan.statistics, epoch)
