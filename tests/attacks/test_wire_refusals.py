"""A ledger that is filled with refusals until the disk is full.

How the attack works: every refusal of an authenticated principal is on the record before it is sent. Any certificate of
any admitted country will do, no agreement is needed: some thousand senseless calls a second write a hundred gigabytes a
day, and a gateway whose ledger cannot be written answers nobody.
"""

from __future__ import annotations

from pathlib import Path

import grpc

from bandung.gateway.server import patience
from bandung.gateway.server.door import Limits
from tests.support.clients import a_channel, a_client
from tests.support.gateway import a_gateway


def refused(channel: grpc.Channel, method: str = "/no/such") -> str:
    try:
        channel.unary_unary(method)(b"", timeout=5)
    except grpc.RpcError as error:
        return (error.details() or "")[:4]  # type: ignore[attr-defined]
    return ""


def test_who_is_refused_without_end_is_not_listened_to_and_does_not_fill_the_ledger(tmp_path: Path, monkeypatch):
    with a_gateway(tmp_path, limits=Limits(deadline_max_s=10, refusals_per_minute_max=20)) as gateway:
        gateway.publish()
        gateway.agree()
        before = len(gateway.entries())
        mallory = gateway.identity("courier", gateway.bgd)
        with a_channel(gateway.address, gateway.idn.ca, mallory) as channel:
            heard = [refused(channel) for _ in range(60)]
            assert heard == ["B213"] * 20 + ["B105"] * 40
            assert refused(channel, "/bandung.gateway.v1.LedgerService/GetHead") == "B105"
            codes = [entry.event.body["code"] for entry in gateway.entries()[before:]]
            assert codes == ["B213"] * 20 + ["B105"]
            with a_client(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as ani:
                assert ani.query("SELECT COUNT(*) FROM farms").table.num_rows == 1
            monkeypatch.setattr(patience, "_WINDOW_S", 0.0)
            assert refused(channel) == "B213"


def test_refusals_that_a_desk_records_count_as_well(tmp_path: Path):
    with a_gateway(tmp_path, limits=Limits(deadline_max_s=10, refusals_per_minute_max=5)) as gateway:
        with a_channel(gateway.address, gateway.idn.ca, gateway.identity("analyst/ani")) as channel:
            query = "/bandung.gateway.v1.QueryService/Query"
            heard = {refused(channel, query), *(_ask(channel, query) for _ in range(8))}
            assert heard == {"B211", "B203", "B105"}
        assert len(gateway.entries()) == 6


def _ask(channel: grpc.Channel, method: str) -> str:
    from bandung.gateway.v1 import query_pb2

    message = query_pb2.QueryRequest(sql="SELECT COUNT(*) FROM nothing").SerializeToString()
    try:
        channel.unary_unary(method)(message, timeout=5)
    except grpc.RpcError as error:
        return (error.details() or "")[:4]  # type: ignore[attr-defined]
    return ""


def test_minutes_of_many_principals_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(patience, "_WINDOWS_MAX", 10)
    patient = patience.Patience(2)
    for number in range(100):
        patient.note(f"spiffe://x/analyst/{number}")
    assert len(patient._windows) <= 10
