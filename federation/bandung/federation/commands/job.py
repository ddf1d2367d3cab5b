"""`bandung job …`: signs and submits training jobs, follows them, and decides on them at home."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from bandung.federation.commands.reach import (
    CoordinatorOption,
    MemberOption,
    MembersOption,
    coordinator,
    gateway,
)
from bandung.gateway.cli.console import AsJson, Failure, not_well, report, subcommands

app = subcommands("Training jobs: signed by their author, consented to by each country.")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The signed job's file, or its id.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it goes on the record of the country.")]
CustodianOption = Annotated[str, typer.Option("--as", help="Principal of the members file to act as.")]


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Job as a TOML file.")],
    certificate: Annotated[Path, typer.Option("--certificate", help="The author's certificate, PEM.")],
    key: Annotated[Path, typer.Option("--key", help="The author's private key, PEM.")],
    out: Annotated[Path, typer.Option("--out", help="Where the signed job is written.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Sign a job file with the author's key."""
    from bandung.federation.domain.job_file import JobFileError, certificate_uri, read_job
    from bandung.federation.domain.job_file import sign as seal
    from bandung.gateway.app import clock
    from bandung.gateway.client.jobs import read_envelope

    try:
        pem = certificate.read_bytes()
        created = clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        job = read_job(file.read_text("utf-8"), certificate_uri(pem), created)
        signed = seal(job, pem, key.read_bytes())
        out.write_bytes(signed)
    except JobFileError as error:
        raise Failure("\n".join((f"{file} cannot be signed:", *(f"  {p}" for p in error.problems)))) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}.") from error
    except ValueError as error:
        raise Failure(f"{certificate} or {key} is not PEM: {error}.") from error
    digest = read_envelope(signed).digest
    report({"job": digest, "file": str(out)}, [f"Signed as {job.author}: {out}", f"job {digest}"], as_json=as_json)


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="JOB.JSON", help="The signed job.")],
    coordinator_directory: CoordinatorOption,
    *,
    follow: Annotated[bool, typer.Option("--watch", help="Show its progress until it rests.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hand a signed job to a coordinator. The same job again is not started again."""
    with coordinator(coordinator_directory) as client:
        submitted = client.submit(_content(file))
    digest = _at_gateways(str(file))
    lines = [f"job {digest} is with the coordinator.", "Each country's custodian must consent before its first step."]
    report({"job": digest, "at_coordinator": submitted}, lines, as_json=as_json)
    if follow:
        watch(submitted, coordinator_directory, as_json=as_json)


@app.command()
def watch(job: JobArgument, coordinator_directory: CoordinatorOption, *, as_json: AsJson = False) -> None:
    """Show a job's progress, a bar per country, until it rests; ends with 1 unless it is complete."""
    from bandung.federation.commands.watch import watch as show
    from bandung.federation.training.exchange import JobState

    with coordinator(coordinator_directory) as client:
        state = show(client.events(_at_coordinator(job)), as_json=as_json)
    if state is not JobState.COMPLETED:
        raise not_well()


@app.command()
def status(
    coordinator_directory: CoordinatorOption,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="File or id of one job; else all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the jobs of a coordinator with their states."""
    wanted = None if job is None else _at_coordinator(job)
    with coordinator(coordinator_directory) as client:
        jobs = [entry for entry in client.jobs() if wanted in {None, entry["job"]}]
    if wanted is not None and not jobs:
        raise Failure(f"The coordinator knows no job {wanted}.")
    report({"jobs": jobs}, [f"{entry['job']}  {entry['state']}" for entry in jobs], as_json=as_json)


@app.command()
def resume(job: JobArgument, coordinator_directory: CoordinatorOption) -> None:
    """Start a paused or failed job again, from its last checkpoint."""
    with coordinator(coordinator_directory) as client:
        client.resume(_at_coordinator(job))
    typer.echo(f"job {job} goes on")


@app.command()
def card(
    job: JobArgument,
    coordinator_directory: CoordinatorOption,
    out: Annotated[Path, typer.Option("--out", help="Where the model card is written, JSON.")],
) -> None:
    """Fetch the model card of a finished job."""
    import json

    with coordinator(coordinator_directory) as client:
        document = client.card(_at_coordinator(job))
    out.write_text(json.dumps(document, indent=2, ensure_ascii=False), "utf-8")
    typer.echo(f"Wrote {out}. Read it with: bandung model show {out}")


@app.command("list")
def list_(
    members: MembersOption, member: MemberOption, principal: CustodianOption = "custodian", *, as_json: AsJson = False
) -> None:
    """List the jobs that a country knows, with its decisions."""
    with gateway(members, member, principal) as client:
        jobs = client.jobs()
    documents: list[dict[str, Any]] = [
        {"job": job.digest, "decision": job.decision.value, "reason": job.reason, "decided_by": job.decided_by}
        for job in jobs
    ]
    lines = [f"{entry['job']}  {entry['decision']}  {entry['reason']}" for entry in documents] or ["No jobs."]
    report({"member": member, "jobs": documents}, lines, as_json=as_json)


@app.command()
def consent(
    job: JobArgument,
    members: MembersOption,
    member: MemberOption,
    reason: ReasonOption,
    principal: CustodianOption = "custodian",
    *,
    as_json: AsJson = False,
) -> None:
    """Consent to a job as a country's custodian."""
    _decide(members, member, principal, job, "CONSENTED", reason, as_json=as_json)


@app.command()
def refuse(
    job: JobArgument,
    members: MembersOption,
    member: MemberOption,
    reason: ReasonOption,
    principal: CustodianOption = "custodian",
    *,
    as_json: AsJson = False,
) -> None:
    """Refuse a job as a country's custodian."""
    _decide(members, member, principal, job, "REFUSED", reason, as_json=as_json)


@app.command()
def withdraw(
    job: JobArgument,
    members: MembersOption,
    member: MemberOption,
    reason: ReasonOption,
    principal: CustodianOption = "custodian",
    *,
    as_json: AsJson = False,
) -> None:
    """Take an earlier consent back; the country's next step is refused."""
    _decide(members, member, principal, job, "WITHDRAWN", reason, as_json=as_json)


def _decide(members: Path, member: str, principal: str, job: str, decision: str, reason: str, *, as_json: bool) -> None:
    from bandung.gateway.client.jobs import Decision

    digest = _at_gateways(job)
    with gateway(members, member, principal) as client:
        receipt = client.decide(digest, Decision(decision), reason)
    document = {"member": member, "job": digest, "decision": decision, "receipt": receipt}
    report(document, [f"{member} {decision} job {digest}; ledger receipt {receipt}."], as_json=as_json)


def _at_coordinator(job: str) -> str:
    """Return the id under which a coordinator knows a job: the digest of the signed document as it was handed in."""
    file = Path(job)
    return hashlib.sha256(_content(file)).hexdigest() if file.is_file() else job


def _at_gateways(job: str) -> str:
    """Return the id under which countries know a job: the digest of what its author signed."""
    from bandung.gateway.client.jobs import BadJob, read_envelope

    file = Path(job)
    if not file.is_file():
        return job
    try:
        return read_envelope(_content(file)).digest
    except BadJob as error:
        raise Failure(f"{file}: not a signed job: {error}.") from error


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}.") from error
