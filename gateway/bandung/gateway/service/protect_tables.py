"""Protect an epoch's registered tables together: find what is sensitive, withhold, audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING

from bandung.connectors.base import Stopped
from bandung.gateway.disclosure.published.audit import Audit, audit
from bandung.gateway.disclosure.published.links import Links, Number
from bandung.gateway.disclosure.published.registered import cells_of, linked
from bandung.gateway.disclosure.published.suppress import Needs, suppress
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import PublishedTables, Secondary
from bandung.gateway.domain.release import Raw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bandung.connectors.base import CellQuery, ContributionQuery, Stop
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.service.ports import Cells, Suppressor

NAMED_MAX = 20
"""Most numbers that a refusal names."""

Progress = Callable[[int, int], None]
"""Told how much of the work at hand is done, and how much it is in all."""


@dataclass(frozen=True, slots=True, eq=False)
class Protected:
    """An epoch's tables with what was decided about each number. For the custodian, at home: it holds values."""

    epoch: Epoch
    links: Links
    needs: Needs
    audit: Audit

    @property
    def values(self) -> NDArray[np.float64]:
        """The true value of each number, in units of its scale."""
        return self.links.total(self.links.values)

    @property
    def giving_way(self) -> tuple[Number, ...]:
        """Numbers that could be worked out, though they are withheld, or would have to be."""
        return tuple(compress(self.links.numbers, self.audit.short))

    def safe(self) -> Epoch:
        """Return the epoch with what it withholds.

        Raises:
            Refusal: UNSAFE_TABLES, naming numbers that give way to the custodian alone; codes, never values.
        """
        if not self.audit.safe:
            named = "; ".join(_named(number) for number in self.giving_way[:NAMED_MAX])
            raise Refusal(ErrorKind.UNSAFE_TABLES, private=f"{len(self.giving_way)} give way, first {named}")
        return replace(self.epoch, withheld=cells_of(self.links, self.audit.withheld))


def protect_tables(epoch: Epoch, source: Cells, suppressor: Suppressor, stop: Stop, progress: Progress) -> Protected:
    """Return an epoch's registered tables, protected and audited.

    Args:
        suppressor: asked first if the policy says so.

    Raises:
        Refusal: BAD_CONFIGURATION if the suppressor that the policy wants cannot work.
        SourceError: the source failed.
        Stopped: `stop` was set.
    """

    def ask(cells: CellQuery, contributions: ContributionQuery) -> Raw:
        return Raw(source.cells(cells, stop), source.contributions(contributions, stop))

    links, needs = linked(epoch, ask)
    sensitive = needs.sensitive & links.told
    policy, withheld = epoch.dataset.policy_as(PublishedTables), sensitive
    if policy.secondary is Secondary.TAU_ARGUS:
        withheld = suppressor.propose(links, needs, policy.tables)
    withheld = suppress(links, needs, withheld, _counted(int(sensitive.sum()), stop, progress))
    found = audit(links, needs, withheld, _counted(int(withheld.sum()), stop, progress))
    return Protected(epoch, links, needs, found)


def _counted(total: int, stop: Stop, progress: Progress) -> Callable[[], None]:
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        progress(done, total)
        if stop.stopped:
            raise Stopped

    return advance


def _named(number: Number) -> str:
    held = ", ".join(f"{name}={code}" for name, code in zip(number.group_by, number.key, strict=True))
    return f"{number.statistic} of {held or 'all'}"
