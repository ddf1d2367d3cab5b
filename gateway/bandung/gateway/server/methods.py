"""The method table: which roles may call what. A method that is not here is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.party import STAFF, Principal, Role


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a method.

    Attributes:
        home: roles of this country's own trust domain.
        abroad: roles of any other trust domain. Staff of another country has no authority here.
    """

    home: frozenset[Role]
    abroad: frozenset[Role]


_EVERYONE = frozenset(Role)
_ASKING = frozenset({Role.ANALYST, Role.SERVICE})

ANYONE = Access(_EVERYONE, _EVERYONE)
NOBODY = Access(frozenset(), frozenset())
ASKING = Access(_ASKING | {Role.CUSTODIAN}, _ASKING)
LOOKING = Access(_ASKING | STAFF, _ASKING)
PROPOSING = Access(_ASKING | {Role.COURIER}, _ASKING)
FOLLOWING = Access(_ASKING | STAFF | {Role.COURIER}, _ASKING)
DECIDING = Access(frozenset({Role.CUSTODIAN}), frozenset())
CARRYING = Access(frozenset({Role.COURIER}), frozenset())
READING_LEDGER = Access(STAFF, frozenset())

METHODS: Mapping[str, Access] = {
    "/arrow.flight.protocol.FlightService/Handshake": ANYONE,
    "/arrow.flight.protocol.FlightService/ListFlights": ASKING,
    "/arrow.flight.protocol.FlightService/GetFlightInfo": ASKING,
    "/arrow.flight.protocol.FlightService/PollFlightInfo": ASKING,
    "/arrow.flight.protocol.FlightService/GetSchema": ASKING,
    "/arrow.flight.protocol.FlightService/DoGet": ASKING,
    "/arrow.flight.protocol.FlightService/DoPut": ASKING,
    "/arrow.flight.protocol.FlightService/DoExchange": NOBODY,
    "/arrow.flight.protocol.FlightService/DoAction": ASKING,
    "/arrow.flight.protocol.FlightService/ListActions": ASKING,
    "/bandung.gateway.v1.CatalogueService/ListDatasets": LOOKING,
    "/bandung.gateway.v1.CatalogueService/GetDataset": LOOKING,
    "/bandung.gateway.v1.QueryService/Plan": ASKING,
    "/bandung.gateway.v1.QueryService/Query": ASKING,
    "/bandung.gateway.v1.QueryService/ShowBudget": LOOKING,
    "/bandung.gateway.v1.AgreementService/ListAgreements": LOOKING,
    "/bandung.gateway.v1.AgreementService/PutAgreement": DECIDING,
    "/bandung.gateway.v1.AgreementService/SetAgreementState": DECIDING,
    "/bandung.gateway.v1.TrainingService/ProposeJob": PROPOSING,
    "/bandung.gateway.v1.TrainingService/ListJobs": FOLLOWING,
    "/bandung.gateway.v1.TrainingService/DecideJob": DECIDING,
    "/bandung.gateway.v1.TrainingService/Step": CARRYING,
    "/bandung.gateway.v1.LedgerService/ListEntries": READING_LEDGER,
    "/bandung.gateway.v1.LedgerService/GetHead": ANYONE,
    "/grpc.health.v1.Health/Check": ANYONE,
    "/grpc.health.v1.Health/Watch": NOBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ANYONE,
}


def check_access(method: str, principal: Principal, trust_domain: str) -> None:
    """Let the principal pass, or refuse.

    Args:
        trust_domain: this gateway's own.

    Raises:
        Refusal: NOT_OFFERED for a method that is not in the table or open to nobody; METHOD_DENIED for a role that
            may not call it.
    """
    access = METHODS.get(method, NOBODY)
    if access == NOBODY:
        raise Refusal(ErrorKind.NOT_OFFERED)
    if principal.role not in (access.home if principal.trust_domain == trust_domain else access.abroad):
        raise Refusal(ErrorKind.METHOD_DENIED)
