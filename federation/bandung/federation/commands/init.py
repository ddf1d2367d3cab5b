"""`bandung gateway init`: founds a country's node, gateway and courier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandung.gateway.cli.console import AsJson, report


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New directory of the gateway.")],
    member: Annotated[str, typer.Option("--member", help="Member id, for instance IDN.")],
    trust_domain: Annotated[str, typer.Option("--trust-domain", help="Domain of this country's identities.")],
    public_address: Annotated[
        str, typer.Option("--public-address", help="host:port that other countries reach the gateway under.")
    ] = "localhost:8815",
    listen: Annotated[str, typer.Option("--listen", help="Address and port to listen on.")] = "0.0.0.0:8815",
    country: Annotated[
        str | None, typer.Option("--country", help="ISO 3166-1 alpha-3 code; by default the member id.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a country's node: authority, keys, certificates, explained settings, membership document."""
    from bandung.federation.app import found_node
    from bandung.gateway.app import clock
    from bandung.gateway.config import GatewayConfig, validated

    config = validated(
        {
            "member": {"id": member, "country": country or member, "trust_domain": trust_domain},
            "network": {"listen": listen, "public_address": public_address},
        },
        GatewayConfig,
        "command line",
    )
    membership = found_node(directory, config, clock())
    lines = [
        f"{member} is founded in {directory}.",
        f"  settings     {directory / 'gateway.toml'}",
        f"  membership   {directory / 'member.json'}  (give it to the other countries)",
        f"  fingerprint  {membership.fingerprint}",
        f"  authority    {directory / 'ca' / 'ca.key'}  (needed to issue only: keep it off this machine)",
        f"Next: bandung gateway issue {directory} --role analyst --name NAME --out keys",
        f"      bandung gateway run {directory}",
    ]
    document = {"member": member, "directory": str(directory), "fingerprint": membership.fingerprint}
    report(document, lines, as_json=as_json)
