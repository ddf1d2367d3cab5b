"""What a statement touches: all that authorisation looks at."""

from __future__ import annotations

from bandung.gateway.domain.agreement import Touches, Use
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Statement


def touches(statement: Statement, epoch: Epoch) -> Touches:
    """Return the dataset and the use of each column that the statement names."""
    uses = {
        *((name, Use.GROUP) for name in statement.group_by),
        *((name, Use.FILTER) for name in {held.column for held in statement.filters}),
        *((statistic.measure, Use.AGGREGATE) for statistic in statement.statistics if statistic.measure),
    }
    return Touches(epoch.dataset.name, frozenset(uses))
