"""`bandung query` and `bandung datasets`: ask many countries at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandung.federation.commands.output import ArrowOption, PlotOption
from bandung.federation.commands.reach import AsOption, MembersOption, OnlyOption, ended, members_named
from bandung.gateway.cli.console import AsJson, ExitCode, Failure, report
from bandung.gateway.domain.budget import spoken

if TYPE_CHECKING:
    import pyarrow as pa

    from bandung.federation.domain.member import Member
    from bandung.federation.domain.study import Outcome
    from bandung.federation.statistics.combine import Pooled
    from bandung.gateway.client.values import Column, Plan, RegisteredTable


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The question, the same for every country.")],
    members: MembersOption,
    only: OnlyOption = "",
    principal: AsOption = "analyst-1",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="Code for a placeholder `?`; once for each, in order.")
    ] = None,
    rho: Annotated[
        float,
        typer.Option("--rho", min=0, help="What the table may spend of a privacy budget; 0: what the policy says."),
    ] = 0.0,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would give and cost, as EXPLAIN does; spend nothing.")
    ] = False,
    pooled: Annotated[bool, typer.Option("--pooled", help="Add the totals over the countries that answered.")] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV: a row for each country and cell.")] = False,
    arrow: ArrowOption = None,
    plot: PlotOption = None,
) -> int:
    """Ask every country the same question at once. Who refuses or is away is shown with the reason.

    --csv and --arrow hold the countries' rows, or with --pooled the totals.
    """
    from bandung.federation.domain.study import answered
    from bandung.federation.statistics.combine import CombineError, long_table, pool
    from bandung.federation.statistics.picture import bars

    if as_json and as_csv:
        raise Failure("--json and --csv both write to standard output: give one of them.", ExitCode.USAGE)
    asked, nano_rho = members_named(members, principal, only), round(rho * 1e9)
    if dry_run or sql.upper().split(maxsplit=1)[:1] == ["EXPLAIN"]:
        return _dry_run(asked, sql, parameter or [], nano_rho, as_json=as_json)
    outcomes = _ask(asked, sql, parameter or [], nano_rho)
    if not answered(outcomes):
        if as_json:
            _print_json(sql, outcomes, None)
        typer.echo("No country answered.", err=True)
        return ended(outcomes)
    _tell_unheeded(nano_rho, {answer.member: answer.policy for answer in answered(outcomes)})
    try:
        total = pool(outcomes) if pooled else None
        table = total.total if total else long_table(outcomes)
    except CombineError as error:
        raise Failure(str(error)) from error
    if as_json:
        _print_json(sql, outcomes, total)
    elif as_csv:
        _print_csv(table)
    elif arrow is None:
        _print_tables(outcomes, total)
    if arrow is not None:
        _write_arrow(table, arrow)
    if plot is not None:
        bars(outcomes, plot)
    return ExitCode.DONE


def datasets(
    members: MembersOption, only: OnlyOption = "", principal: AsOption = "analyst-1", *, as_json: AsJson = False
) -> int:
    """List the datasets that are open to you, with their columns, in every country."""
    from bandung.federation.domain.study import Declined, Unreachable
    from bandung.federation.statistics.fan_out import catalogues

    asked = members_named(members, principal, only)
    document: dict[str, Any] = {}
    lines: list[str] = []
    outcomes = catalogues(asked)
    for member, found in zip(asked, outcomes, strict=True):
        if isinstance(found, Declined | Unreachable):
            document[member.id] = {"error": found.reason}
            lines.append(f"{member.id}  {found.reason}")
            continue
        document[member.id] = [asdict(dataset) for dataset in found]
        for dataset in found:
            lines += [f"{member.id}  {dataset.epoch}  {dataset.title} ({dataset.period})"]
            lines += [f"     {column.name:<18} {column.role:<10} {_domain(column)}" for column in dataset.columns]
            lines += [f"     table {_registered(table)}" for table in dataset.policy.tables]
    report(document, lines, as_json=as_json)
    return ended(outcomes)


def _dry_run(members: tuple[Member, ...], sql: str, parameters: list[str], nano_rho: int, *, as_json: bool) -> ExitCode:
    """Tell for every country the decision and its rule, cost, size and expected error."""
    from bandung.federation.domain.study import Declined, Unreachable
    from bandung.federation.statistics.fan_out import plans

    found = dict(zip((m.id for m in members), plans(members, sql, parameters, nano_rho), strict=True))
    document: dict[str, Any] = {}
    lines: list[str] = []
    for member, plan in found.items():
        if isinstance(plan, Declined | Unreachable):
            document[member] = {"error": plan.reason}
            lines.append(f"{member}  {plan.reason}")
        else:
            document[member] = _plan_document(plan)
            lines += [f"{member}  {line}" for line in _plan_lines(plan)]
    report(document, lines, as_json=as_json)
    _tell_unheeded(nano_rho, {m: p.policy for m, p in found.items() if not isinstance(p, Declined | Unreachable)})
    return ended(found.values())


def _tell_unheeded(nano_rho: int, policies: Mapping[str, str]) -> None:
    """Tell in which countries --rho means nothing; elsewhere the same question may well spend it."""
    for member, policy in policies.items() if nano_rho else ():
        if policy != "differential-privacy":
            typer.echo(f"{member} keeps no privacy budget ({policy}): --rho means nothing there.", err=True)


def _plan_document(plan: Plan) -> dict[str, Any]:
    fields = {name: getattr(plan, name) for name in plan.__slots__ if name != "schema"}
    return {**fields, "columns": plan.schema.names}


def _plan_lines(plan: Plan) -> Iterator[str]:
    from bandung.gateway.domain.noise import CELL_SIZES, half_width, half_width_of_rank

    yield f"allowed by agreement {plan.agreement} version {plan.agreement_version}: {plan.purpose}"
    yield f"asks {plan.epoch} under {plan.policy}; " + ("released already" if plan.released else "not released yet")
    cost = ", ".join(spoken(unit, amount) for unit, amount in sorted(plan.cost.items()) if amount)
    yield f"costs {cost or ('nothing' if plan.cost else 'what its parameters say')}"
    if left := [spoken(unit, left - plan.cost.get(unit, 0)) for unit, left in sorted(plan.left.items())]:
        yield f"leaves you {', '.join(left)}"
    if plan.cells:
        yield f"gives {plan.cells} cells, about {plan.bytes_about / 1024:.1f} KiB"
    for statistic, published in plan.noise.items():
        error, ranks = half_width(published), half_width_of_rank(published)
        if error is not None:
            yield f"{statistic}: 95 % of values within {error:.3g} of the truth"
            continue
        if ranks is not None:
            yield f"{statistic}: 95 % of values within {ranks:,.0f} records of their true place in the order"
            continue
        by_size = [(size, half_width(published, size)) for size in CELL_SIZES]
        told = ", ".join(f"{error:.3g} in a cell of {size}" for size, error in by_size if error is not None)
        yield f"{statistic}: 95 % of values within {told}"


def _ask(members: tuple[Member, ...], sql: str, parameters: list[str], nano_rho: int) -> tuple[Outcome, ...]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    from bandung.federation.statistics.fan_out import ask
    from bandung.federation.statistics.show import line

    console = Console(stderr=True)
    reason = TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    columns = (SpinnerColumn(finished_text="•"), TextColumn("{task.fields[member]}"), reason)
    with Progress(*columns, console=console) as progress:
        tasks = {member.id: progress.add_task("asked", total=1, member=member.id) for member in members}
        return ask(
            members,
            sql,
            parameters,
            lambda o: progress.update(tasks[o.member], completed=1, description=line(o)),
            nano_rho=nano_rho,
        )


def _print_tables(outcomes: tuple[Outcome, ...], total: Pooled | None) -> None:
    from rich.console import Console

    from bandung.federation.statistics.show import legend, wide

    table = wide(outcomes, total)
    console = Console()
    # A table is shown whole: wider than the screen rather than with its numbers cut off.
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    console.print(table)
    console.print(legend(outcomes, total), style="dim", highlight=False)


def _print_csv(table: pa.Table) -> None:
    from pyarrow import csv

    sys.stdout.flush()
    csv.write_csv(table, sys.stdout.buffer)


def _print_json(sql: str, outcomes: tuple[Outcome, ...], total: Pooled | None) -> None:
    document: dict[str, Any] = {"sql": sql, "members": {o.member: _outcome_document(o) for o in outcomes}}
    if total:
        document["pooled"] = total.total.to_pylist()
        document["unpooled"] = dict(total.unpooled)
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _write_arrow(table: pa.Table, path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    from bandung.federation.domain.study import Answered, Declined

    if isinstance(outcome, Answered):
        return {
            "status": "answered",
            "epoch": outcome.epoch,
            "policy": outcome.policy,
            "receipt": outcome.receipt,
            "bytes": outcome.bytes,
            "seconds": round(outcome.seconds, 4),
            "noise": {name: dict(outcome.noise_of(name)) for name in outcome.statistics},
            "rows": outcome.table.to_pylist(),
        }
    if isinstance(outcome, Declined):
        return {"status": "declined", "code": outcome.code, "reason": outcome.reason}
    return {"status": "unreachable", "reason": outcome.reason}


def _registered(table: RegisteredTable) -> str:
    return f"{' x '.join(table.group_by) or 'in all'}: {', '.join(table.statistics)}"


def _domain(column: Column) -> str:
    if column.open:
        return "any text that enough units have"
    if column.codes:
        codes = ", ".join(code for code, _ in column.codes[:12])
        return f"{codes}, … ({len(column.codes)} codes)" if len(column.codes) > 12 else codes
    return f"{column.minimum:g} to {column.maximum:g} {column.unit_of_measurement}"
