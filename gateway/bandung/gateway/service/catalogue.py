"""What a principal may see of the catalogue: only datasets that an agreement names it for."""

from __future__ import annotations

from bandung.gateway.domain.agreement import Agreement, AgreementState
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.decision import names
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import STAFF, Principal
from bandung.gateway.service.ports import Agreements, Catalogue


class CatalogueDesk:
    """Shows published datasets. What is not open to the caller does not exist for the caller."""

    def __init__(self, trust_domain: str, catalogue: Catalogue, agreements: Agreements) -> None:
        self._trust_domain = trust_domain
        self._catalogue = catalogue
        self._agreements = agreements

    def open_to(self, principal: Principal) -> tuple[Epoch, ...]:
        """Return the current epochs that the principal may see, by dataset name."""
        return tuple(epoch for epoch in self._catalogue.all_current() if self._sees(principal, epoch.dataset.name))

    def find(self, principal: Principal, name: str) -> Epoch | None:
        """Return the dataset's current epoch if the principal may see it."""
        return self._catalogue.current(name) if self._sees(principal, name) else None

    def dataset(self, principal: Principal, name: str) -> Epoch:
        """Return the dataset's current epoch.

        Raises:
            Refusal: UNKNOWN_DATASET, whether it is unpublished or only not open to the principal.
        """
        epoch = self.find(principal, name)
        if epoch is None:
            raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {name}.")
        return epoch

    def _sees(self, principal: Principal, dataset: str) -> bool:
        if principal.role in STAFF and principal.trust_domain == self._trust_domain:
            return True
        return any(_opens(agreement, principal, dataset) for agreement in self._agreements.all())


def _opens(agreement: Agreement, principal: Principal, dataset: str) -> bool:
    return (
        agreement.state is not AgreementState.ENDED
        and names(agreement, principal)
        and any(grant.dataset == dataset for grant in agreement.grants)
    )
