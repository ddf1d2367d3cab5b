"""Agreements that come over the wire, where no command line has looked at them.

How the attack works: the end of an agreement is compared as text with the time now. An end such as `never` sorts behind
every date, so whoever gets a custodian to send it (a script, a template, a slip) has an agreement that nothing ends.
An ended agreement could be brought back by its next version, although what has ended stays ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from bandung.gateway.domain.agreement import Agreement, AgreementState
from bandung.gateway.server import convert
from bandung.gateway.v1 import agreement_pb2
from tests.support.clients import a_channel, a_client
from tests.support.gateway import Gateway, a_gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with a_gateway(tmp_path_factory.mktemp("agreements")) as gateway:
        gateway.publish()
        gateway.agree()
        yield gateway


def put(gateway: Gateway, agreement: Agreement, who: str = "custodian/citra", country: Any = None) -> str:
    files = gateway.identity(who, country)
    with a_channel(gateway.address, gateway.idn.ca, files) as channel:
        send = channel.unary_unary(
            "/bandung.gateway.v1.AgreementService/PutAgreement",
            agreement_pb2.PutAgreementRequest.SerializeToString,
            agreement_pb2.PutAgreementResponse.FromString,
        )
        message = convert.agreement_message(agreement)
        try:
            return send(agreement_pb2.PutAgreementRequest(agreement=message, reason="tests")).receipt
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        {"not_after": "never"},
        {"not_after": "9"},
        {"not_after": ""},
        {"not_after": "2030-01-01T00:00:00+07:00"},
        {"principals": ()},
        {"principals": ("*",)},
        {"principals": ("spiffe://idn.bandung.example/*",)},
        {"principals": ("spiffe://idn.bandung.example/courier",)},
        {"purpose": " "},
        {"id": "../x"},
        {"grants": ()},
    ],
)
def test_terms_of_a_wrong_form_never_come_into_force(gateway: Gateway, change: dict[str, Any]):
    before = gateway.desk._agreements.all()
    terms = replace(before[0], id=f"other-{len(gateway.entries())}", version=1)
    assert "B211" in put(gateway, replace(terms, **change))
    assert gateway.desk._agreements.all() == before


@pytest.mark.parametrize(
    ("who", "abroad"), [("custodian/mallory", True), ("operator/o", False), ("analyst/ani", False)]
)
def test_nobody_but_this_countrys_custodian_makes_agreements(gateway: Gateway, who: str, abroad: bool):
    terms = replace(gateway.desk._agreements.all()[0], id="theirs-1", version=1)
    assert "B103" in put(gateway, terms, who, gateway.bgd if abroad else None)
    assert gateway.last() == ("call.refused", "B103")


def test_an_ended_agreement_is_not_brought_back_by_its_next_version(gateway: Gateway):
    terms = replace(gateway.desk._agreements.all()[0], id="ended-1", version=1)
    assert ":" in put(gateway, terms)
    gateway.set_state(AgreementState.ENDED, "ended-1")
    assert "B211" in put(gateway, replace(terms, version=3))
    assert put(gateway, replace(terms, id="ended-2"))


def test_an_analyst_sees_no_other_countrys_agreements(gateway: Gateway):
    with a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/eve", gateway.bgd)) as client:
        assert client.agreements() == ()
