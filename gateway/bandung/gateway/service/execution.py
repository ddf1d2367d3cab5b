"""Execute a checked plan: what the source is asked, and how its policy makes a release of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandung.gateway.disclosure import differential_privacy, table_builder
from bandung.gateway.disclosure.published.release import exact, published
from bandung.gateway.domain.policy import DifferentialPrivacy, PublishedTables, TableBuilder
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
    match epoch.dataset.policy:
        case TableBuilder():
            cells = source.cells(source_query(checked, epoch), stop)
            closer_look = table_builder.uncertified(checked, epoch, cells, dataset_key)
            contributions = source.contributions(closer_look, stop) if closer_look else None
            return table_builder.protect(checked, epoch, Raw(cells, contributions), dataset_key)
        case DifferentialPrivacy():
            asked = differential_privacy.questions(checked, epoch)
            with differential_privacy.drawing(checked, epoch) as draws:
                raw = Raw(
                    source.cells(asked.cells, stop),
                    source.contributions(asked.contributions, stop) if asked.contributions else None,
                    tuple(source.histogram(query, stop) for query in asked.histograms),
                    source.contributions(asked.keys, stop) if asked.keys else None,
                )
                return differential_privacy.protect(checked, epoch, raw, draws)
        case PublishedTables():
            return published(checked, epoch, Raw(source.cells(source_query(checked, epoch), stop), None))


def expected_noise(checked: CheckedPlan, epoch: Epoch) -> Noise:
    """Return the noise that a plan's release will publish; it depends on no data.

    Raises:
        Refusal: NOT_UNDER_POLICY or TOO_LARGE for a table that its budget or its policy cannot carry.
    """
    match epoch.dataset.policy:
        case TableBuilder():
            return table_builder.published_noise(checked.plan.statistics, epoch)
        case DifferentialPrivacy():
            return differential_privacy.expected(checked, epoch)
        case PublishedTables():
            return exact(checked.plan.statistics)
