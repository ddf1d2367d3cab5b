"""`bandung budget`: what was spent of quotas and privacy budgets, and what is left."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandung.federation.commands.reach import AsOption, MembersOption, OnlyOption, members_named
from bandung.gateway.cli.console import AsJson, ExitCode, Failure, report, subcommands

if TYPE_CHECKING:
    from bandung.gateway.client.values import Budget
    from bandung.gateway.domain.budget import Account

app = subcommands("Quotas and privacy budgets.")


@app.callback()
def budget() -> None:
    """Quotas and privacy budgets."""


@app.command()
def show(
    members: MembersOption,
    only: OnlyOption = "",
    principal: AsOption = "analyst-1",
    *,
    as_json: AsJson = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw bars (.png or .svg).")] = None,
) -> int:
    """Show what was spent: your own accounts; to a country's custodian, operator or auditor all of them."""
    from bandung.federation.domain.study import Declined, Unreachable
    from bandung.federation.statistics.fan_out import budgets

    asked = members_named(members, principal, only)
    document: dict[str, Any] = {}
    lines: list[str] = []
    shown: dict[str, tuple[Budget, ...]] = {}
    for member, found in zip(asked, budgets(asked), strict=True):
        if isinstance(found, Declined | Unreachable):
            document[member.id] = {"error": found.reason}
            lines.append(f"{member.id}  {found.reason}")
            continue
        shown[member.id] = found
        document[member.id] = [_document(budget) for budget in found]
        first: dict[str, str] = {}
        for budget in found:
            lines.append(f"{member.id}  {budget.epoch} under {budget.policy}")
            shared = {first.setdefault(account.scope, budget.epoch) for account in budget.accounts} - {budget.epoch}
            lines += [f"     the accounts of {', '.join(sorted(shared))}"] if shared else []
            lines += [f"     {_line(a)}" for a in budget.accounts if first[a.scope] == budget.epoch]
    report(document, lines, as_json=as_json)
    if plot is not None:
        _draw(shown, plot)
    return ExitCode.DONE if shown else ExitCode.UNAVAILABLE


def spoken(unit: str, amount: int) -> str:
    """Return an amount as people say it: `3 tables`, `0.001 of rho`."""
    if unit == "nano_rho":
        return f"{amount / 1e9:.9g} of rho"
    return f"{amount:,} {unit[:-1] if amount == 1 and unit.endswith('s') else unit}"


def _document(budget: Budget) -> dict[str, Any]:
    accounts = [{**asdict(account), "left": account.left} for account in budget.accounts]
    return {"epoch": budget.epoch, "policy": budget.policy, "accounts": accounts}


def _line(account: Account) -> str:
    unit, whose = _parts(account.scope)
    share = account.spent / account.cap
    line = f"{whose:<44} {spoken(unit, account.spent)} spent of {spoken(unit, account.cap)} ({share:.0%})"
    return (
        line if account.epsilon_cap is None else f"{line}; ε {account.epsilon_spent:.3g} of {account.epsilon_cap:.3g}"
    )


def _parts(scope: str) -> tuple[str, str]:
    """Return the unit and whose account it is: everybody's, an agreement's, or a principal's."""
    unit, _, rest = scope.partition("/")
    return unit, rest.partition("/")[2] or "everybody"


def _draw(shown: dict[str, tuple[Budget, ...]], path: Path) -> None:
    from bandung.federation.statistics.picture import shares

    bars = {
        f"{member} {budget.epoch}\n{unit}, {whose.rpartition('/')[2]}": account.spent / account.cap
        for member, budgets in shown.items()
        for budget in budgets
        for account in budget.accounts
        for unit, whose in [_parts(account.scope)]
    }
    try:
        shares(bars, path)
    except ValueError as error:
        raise Failure(f"{path} cannot be drawn: {error}", ExitCode.USAGE) from error
