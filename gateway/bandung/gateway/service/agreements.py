"""Agreements change only on the record, and a custodian can stop sharing at once and alone."""

from __future__ import annotations

from dataclasses import replace

from bandung.gateway.domain.agreement import Agreement, AgreementState, malformed
from bandung.gateway.domain.decision import names
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.ledger import Commit, Event, EventKind, Receipt
from bandung.gateway.domain.party import STAFF, Principal
from bandung.gateway.service.ports import AgreementsWriter, Catalogue, Clock


class AgreementDesk:
    """Lists, stores, suspends, resumes and ends agreements."""

    def __init__(self, trust_domain: str, agreements: AgreementsWriter, catalogue: Catalogue, clock: Clock) -> None:
        self._trust_domain = trust_domain
        self._agreements = agreements
        self._catalogue = catalogue
        self._clock = clock

    def list(self, principal: Principal) -> tuple[Agreement, ...]:
        """Return the agreements that name the principal; all of them for staff of this country."""
        if principal.trust_domain == self._trust_domain and principal.role in STAFF:
            return self._agreements.all()
        return tuple(agreement for agreement in self._agreements.all() if names(agreement, principal))

    def put(self, by: str, agreement: Agreement, reason: str, exchange: str) -> Receipt:
        """Store a new agreement, or a new version of one.

        Args:
            by: URI of the custodian, or `local:<user>`.

        Raises:
            Refusal: BAD_REQUEST without a reason, for a field of the wrong form, for a version that is not the next
                one, for a dataset or column that is not published, or for an agreement that has ended.
        """
        _require_reason(reason)
        if wrong := malformed(agreement):
            raise Refusal(ErrorKind.BAD_REQUEST, f"Not well-formed: {', '.join(wrong)}.")
        current = self._find(agreement.id)
        if current is not None:
            _require_unended(current)
        self._check_grants(agreement)
        return self._agreements.put(agreement, Commit(self._changed(by, agreement, reason, exchange)))

    def set_state(self, by: str, agreement_id: str, state: AgreementState, reason: str, exchange: str) -> Receipt:
        """Suspend, resume or end an agreement. What has ended stays ended.

        Raises:
            Refusal: BAD_REQUEST for an unknown agreement, a missing reason, or one that has ended.
        """
        _require_reason(reason)
        current = self._find(agreement_id)
        if current is None:
            raise Refusal(ErrorKind.BAD_REQUEST, f"There is no agreement {agreement_id!r}.")
        _require_unended(current)
        changed = replace(current, state=state, version=current.version + 1)
        return self._agreements.put(changed, Commit(self._changed(by, changed, reason, exchange)))

    def _find(self, agreement_id: str) -> Agreement | None:
        return next((a for a in self._agreements.all() if a.id == agreement_id), None)

    def _check_grants(self, agreement: Agreement) -> None:
        for grant in agreement.grants:
            epoch = self._catalogue.current(grant.dataset)
            if epoch is None:
                raise Refusal(ErrorKind.BAD_REQUEST, f"Dataset {grant.dataset!r} is not published here.")
            unknown = sorted(name for name in grant.uses if epoch.dataset.column(name) is None)
            if unknown:
                raise Refusal(ErrorKind.BAD_REQUEST, f"{grant.dataset} declares no column {', '.join(unknown)}.")

    def _changed(self, by: str, agreement: Agreement, reason: str, exchange: str) -> Event:
        body = {
            "agreement": agreement.id,
            "version": agreement.version,
            "state": agreement.state.value,
            "datasets": sorted(grant.dataset for grant in agreement.grants),
            "principals": sorted(agreement.principals),
            "reason": reason,
        }
        return Event(EventKind.AGREEMENT_CHANGED, self._clock.now(), exchange, by, body)


def _require_unended(agreement: Agreement) -> None:
    if agreement.state is AgreementState.ENDED:
        raise Refusal(ErrorKind.BAD_REQUEST, f"Agreement {agreement.id!r} has ended; make a new one.")


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise Refusal(ErrorKind.BAD_REQUEST, "A reason is mandatory.")
