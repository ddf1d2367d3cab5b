"""Authorisation: agreements x touches -> a permit that the act needs, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bandung.gateway.domain.agreement import Agreement, AgreementState, Touches
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import Principal


@dataclass(frozen=True, slots=True)
class Permit:
    """Proof that an agreement in force covers these touches. Only `authorise` makes one."""

    principal: Principal
    touches: Touches
    agreement: str
    agreement_version: int
    purpose: str
    training_consent: bool


def authorise(principal: Principal, touches: Touches, agreements: Iterable[Agreement], now: str) -> Permit:
    """Return the permit of the first agreement that covers the touches.

    Args:
        now: RFC 3339 date-time, UTC (compares as text with `not_after`).

    Raises:
        Refusal: NO_AGREEMENT naming the first uncovered use, or SUSPENDED.
    """
    mine = [a for a in agreements if names(a, principal) and _grants(a, touches.dataset)]
    covering = [a for a in mine if not _uncovered(a, touches)]
    for agreement in covering:
        if agreement.state is AgreementState.ACTIVE and now < agreement.not_after:
            return Permit(
                principal,
                touches,
                agreement.id,
                agreement.version,
                agreement.purpose,
                agreement.training_consent,
            )
    if any(a.state is AgreementState.SUSPENDED for a in covering):
        raise Refusal(ErrorKind.SUSPENDED)
    if not mine:
        raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {touches.dataset}.")
    missing = min((_uncovered(a, touches) for a in mine), key=len)
    detail = "; ".join(missing) if missing else "the agreement has ended"
    raise Refusal(ErrorKind.NO_AGREEMENT, f"{touches.dataset}: {detail}.")


def names(agreement: Agreement, principal: Principal) -> bool:
    """Whether the agreement names the principal, by URI or by `spiffe://<domain>/<role>/*`."""
    role = f"spiffe://{principal.trust_domain}/{principal.role.value}/*"
    return principal.uri in agreement.principals or role in agreement.principals


def _grants(agreement: Agreement, dataset: str) -> bool:
    return any(grant.dataset == dataset for grant in agreement.grants)


def _uncovered(agreement: Agreement, touches: Touches) -> list[str]:
    allowed = {
        (column, use)
        for grant in agreement.grants
        if grant.dataset == touches.dataset
        for column, uses in grant.uses.items()
        for use in uses
    }
    return [f"{use.value} {column}" for column, use in sorted(touches.uses - allowed, key=lambda t: (t[0], t[1].value))]
