"""`bandung gateway …`: runs a gateway and keeps its identities and the countries it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandung.gateway.cli.console import AsJson, Failure, not_well, report, subcommands

app = subcommands("A country's gateway: the only process that sees rows.")

DirectoryArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the gateway.")]


@app.command()
def run(directory: DirectoryArgument) -> int:
    """Run the gateway in the foreground until SIGTERM, then let calls under way finish."""
    from bandung.gateway.app import load, run_gateway
    from bandung.gateway.cli.log import log_to_stderr

    log = load(directory)[1].log
    log_to_stderr(log.format, log.level)
    return run_gateway(directory)


@app.command()
def status(directory: DirectoryArgument, *, as_json: AsJson = False) -> None:
    """Tell whether the gateway answers; ends with 1 if it does not."""
    from bandung.gateway.app import probe

    found = probe(directory)
    document = {"member": found.member, "address": found.address, "status": found.status}
    report(document, [f"{found.member} at {found.address}: {found.status}"], as_json=as_json)
    if found.status != "SERVING":
        raise not_well()


@app.command()
def issue(
    directory: DirectoryArgument,
    role: Annotated[str, typer.Option("--role", help="analyst, service, custodian, operator, auditor.")],
    name: Annotated[str, typer.Option("--name", help="Name within the role: lower case, digits, . _ -")],
    out: Annotated[Path, typer.Option("--out", help="Directory that gets certificate, key and ca.pem.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Validity, in days.")] = 90,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key and a certificate for a person or a service of this country."""
    from bandung.gateway.app import clock, load
    from bandung.gateway.domain.party import Principal
    from bandung.gateway.pki.founding import issue_identity

    node, config = load(directory)
    principal = Principal.from_uri(f"spiffe://{config.member.trust_domain}/{role}/{name}")
    identity = issue_identity(node, principal, days, out, clock())
    document = {
        "uri": identity.uri,
        "certificate": str(identity.certificate),
        "key": str(identity.key),
        "ca": str(identity.ca),
    }
    lines = [f"{identity.uri}, valid for {days} days:", *(f"  {kind}: {document[kind]}" for kind in list(document)[1:])]
    report(document, lines, as_json=as_json)


@app.command()
def revoke(
    directory: DirectoryArgument,
    certificate: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="The certificate, PEM.")],
) -> None:
    """Revoke a certificate that this country issued; open connections lose it within seconds.

    The list `trust/<trust domain>.crl` must reach the other countries as well.
    """
    from bandung.gateway.app import clock, load
    from bandung.gateway.pki.founding import revoke_identity

    node, config = load(directory)
    path = revoke_identity(node, config, certificate, clock())
    typer.echo(f"Revoked. Give {path} to the countries where this certificate was used.")


@app.command()
def renew(directory: DirectoryArgument) -> None:
    """Replace the listener's key and certificate; a running gateway takes them up by itself."""
    from bandung.gateway.app import clock, load
    from bandung.gateway.pki.founding import renew_listener

    node, config = load(directory)
    renew_listener(node, config, clock())
    typer.echo("Renewed; the running gateway uses it for new connections.")


@app.command()
def admit(
    directory: DirectoryArgument,
    document: Annotated[Path, typer.Argument(metavar="MEMBER.JSON", help="The other country's membership document.")],
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="SHA-256 of the document, as its operator told you.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Pin another country: its authority and its mask key."""
    from bandung.gateway.app import load
    from bandung.gateway.pki.membership import pin, read_membership

    node, _ = load(directory)
    member = read_membership(document)
    if fingerprint is not None and fingerprint.strip().lower() != member.fingerprint:
        raise Failure(f"{document}: its fingerprint is {member.fingerprint}, not the one given. Nothing was changed.")
    pin(member, node.members, node.trust)
    lines = [
        f"{member.member} ({member.trust_domain}) is admitted.",
        f"Fingerprint {member.fingerprint}: compare it with its operator over another channel.",
    ]
    about = {"member": member.member, "trust_domain": member.trust_domain, "fingerprint": member.fingerprint}
    report(about, lines, as_json=as_json)
