"""Lays out a sandbox on disk by the same acts that found, admit and publish at a real node."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bandung.federation.app import (
    admit_courier,
    coordinator_settings,
    found_coordinator,
    found_node,
    join,
)
from bandung.federation.config import CoordinatorDirectory
from bandung.federation.sandbox.document import Sandbox, SandboxCoordinator, SandboxNode, SandboxPrincipal
from bandung.federation.sandbox.members import SandboxMember
from bandung.gateway.app import agreement_desk, open_stores, publish_dataset, read_declaration
from bandung.gateway.cli.agreement_file import everything, read_agreement
from bandung.gateway.config import GatewayConfig, NodeDirectory, validated
from bandung.gateway.domain.party import Principal, Role
from bandung.gateway.pki.founding import issue_identity
from bandung.gateway.pki.membership import Membership, pin

_HOST = "127.0.0.1"
_IDENTITY_DAYS = 90
_PRINCIPALS = {
    "analyst-1": Role.ANALYST,
    "analyst-2": Role.ANALYST,
    "custodian": Role.CUSTODIAN,
    "auditor": Role.AUDITOR,
}


def compose(directory: Path, members: Mapping[str, SandboxMember], now: dt.datetime) -> Sandbox:
    """Found every country and the coordinator, admit all to all, publish, and put the agreements into force.

    Raises:
        Refusal: whatever the acts refuse, for instance a declaration that does not hold.
    """
    ports = _free_ports(len(members) + 2)
    documents = {
        name: found_node(directory / name, _config(name, member, ports.pop()), now) for name, member in members.items()
    }
    for name in members:
        node = NodeDirectory(directory / name)
        for document in documents.values():
            pin(document, node.members, node.trust)
    coordinator = _coordinator(directory / "coordinator", documents, (ports.pop(), ports.pop()), now)
    nodes = {name: _node(directory / name, documents[name], now) for name in members}
    for name, member in members.items():
        _publish(directory / name, member, list(documents.values()), now)
    return Sandbox(directory, nodes, coordinator)


def _config(name: str, member: SandboxMember, port: int) -> GatewayConfig:
    about = {"id": name, "country": member.country or name, "trust_domain": f"{name.lower()}.sandbox.example"}
    address = f"{_HOST}:{port}"
    return validated(
        {"member": about, "network": {"listen": address, "public_address": address}}, GatewayConfig, "sandbox"
    )


def _coordinator(
    directory: Path, documents: Mapping[str, Membership], ports: tuple[int, int], now: dt.datetime
) -> SandboxCoordinator:
    public, internal = (f"{_HOST}:{port}" for port in ports)
    document = found_coordinator(directory, coordinator_settings(public, public, internal), now)
    for name, member in documents.items():
        admit_courier(directory, member)
        join(directory.parent / name, document)
    place = CoordinatorDirectory(directory)
    return SandboxCoordinator(
        address=internal,
        public_address=public,
        ca=str(place.authority[0]),
        token_file=str(place.token),
        directory=str(directory),
    )


def _node(directory: Path, member: Membership, now: dt.datetime) -> SandboxNode:
    node = NodeDirectory(directory)
    keys = directory / "keys"
    issued = {
        name: issue_identity(node, Principal(member.trust_domain, role, name), _IDENTITY_DAYS, keys, now)
        for name, role in _PRINCIPALS.items()
    }
    principals = {
        name: SandboxPrincipal(identity.uri, str(identity.certificate), str(identity.key))
        for name, identity in issued.items()
    }
    principals["courier"] = SandboxPrincipal(
        Principal(member.trust_domain, Role.COURIER).uri,
        str(node.courier / "courier.pem"),
        str(node.courier / "courier.key"),
    )
    return SandboxNode(
        flight_uri=f"grpc+tls://{member.gateway}",
        address=member.gateway,
        ca=str(node.authority[0]),
        trust_domain=member.trust_domain,
        directory=str(directory),
        principals=principals,
    )


def _publish(directory: Path, member: SandboxMember, everybody: list[Membership], now: dt.datetime) -> None:
    with open_stores(directory) as stores:
        datasets = [publish_dataset(stores, read_declaration(file))[0].dataset for file in member.datasets]
        analysts = tuple(f"spiffe://{other.trust_domain}/analyst/*" for other in everybody)
        not_after = now + dt.timedelta(days=_IDENTITY_DAYS)
        agreements = [read_agreement(file) for file in member.agreements] or [
            everything("sandbox", "trying things out in a sandbox", analysts, datasets, not_after)
        ]
        for agreement in agreements:
            agreement_desk(stores).put(stores.operator, agreement, "the sandbox was started", stores.exchange())


def _free_ports(count: int) -> list[int]:
    """Return free ports of loopback. All are held until all are found, so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((_HOST, 0))
        return [int(probe.getsockname()[1]) for probe in sockets]
