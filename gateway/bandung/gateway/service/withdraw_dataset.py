"""Withdraw a dataset: from then on nothing is answered from it, and the record says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind, Receipt

if TYPE_CHECKING:
    from bandung.gateway.service.ports import CatalogueWriter, Clock


@dataclass(frozen=True, slots=True)
class WithdrawDataset:
    """Takes datasets out of the catalogue. Answers that were released stay released."""

    catalogue: CatalogueWriter
    clock: Clock

    def __call__(self, dataset: str, by: str, reason: str, exchange: str) -> Receipt:
        """Withdraw a dataset; publishing it anew makes its next epoch.

        Args:
            by: URI of the custodian, or `local:<user>`.

        Raises:
            Refusal: BAD_REQUEST without a reason; UNKNOWN_DATASET if it is not published.
        """
        if not reason.strip():
            raise Refusal(ErrorKind.BAD_REQUEST, "A reason is mandatory.")
        epoch = self.catalogue.current(dataset)
        if epoch is None:
            raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {dataset}.")
        body = {"dataset": dataset, "epoch": epoch.id, "reason": reason}
        event = Event(EventKind.DATASET_WITHDRAWN, self.clock.now(), exchange, by, body)
        return self.catalogue.withdraw(dataset, Commit(event))
