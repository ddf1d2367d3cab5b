"""Publish a governed view: hold it against its base, and make it current on the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind, Receipt
from bandung.gateway.domain.view import GovernedView, ViewEpoch, over, problems

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch
    from bandung.gateway.service.ports import Catalogue, CatalogueWriter, Clock, Randomness


def check_view(view: GovernedView, catalogue: Catalogue) -> tuple[Epoch, tuple[str, ...]]:
    """Return the view's base, and what keeps the view from standing over it, as `key.path: reason`.

    Raises:
        Refusal: UNKNOWN_DATASET if the base is not published; BAD_DECLARATION if a dataset has the view's name, or
            the base is a view.
    """
    base, taken = catalogue.current(view.of), catalogue.current(view.name)
    if base is None:
        raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {view.of}.", remedy="Publish the base first.")
    if base.base is not None:
        raise Refusal(ErrorKind.BAD_DECLARATION, f"view.of: {view.of} is a view itself; name its base.")
    if taken is not None and taken.base is None:
        raise Refusal(ErrorKind.BAD_DECLARATION, f"dataset.name: {view.name} is a published dataset.")
    return base, tuple(problems(view, base.dataset))


@dataclass(frozen=True, slots=True)
class PublishView:
    """Makes views current. They copy nothing: whatever epoch of the base is current is what they show."""

    catalogue: CatalogueWriter
    clock: Clock
    randomness: Randomness

    def __call__(self, view: GovernedView, by: str) -> tuple[Epoch, Receipt]:
        """Publish a view and return the epoch that it shows now.

        Args:
            by: URI of the custodian, or `local:<user>`.

        Raises:
            Refusal: as `check_view`, and BAD_DECLARATION if the view does not fit its base.
        """
        base, found = check_view(view, self.catalogue)
        now = self.clock.now()
        published = ViewEpoch(self.catalogue.next_number(view.name), view, now)
        epoch = over(published, base)
        if epoch is None:
            raise Refusal(ErrorKind.BAD_DECLARATION, "; ".join(found) + ".")
        body = {"epoch": epoch.id, "declaration": view.digest, "view_of": view.of}
        event = Event(EventKind.DATASET_PUBLISHED, now, self.randomness.bytes(16).hex(), by, body)
        return epoch, self.catalogue.publish(published, Commit(event))
