"""`bandung budget`: what was spent of quotas and privacy budgets, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandung.federation.commands.output import PlotOption
from bandung.federation.commands.reach import AsOption, MembersOption, OnlyOption, ended, members_named
from bandung.gateway.cli.console import AsJson, report, subcommands
from bandung.gateway.domain.budget import FRACTIONS, spoken

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
    plot: PlotOption = None,
) -> int:
    """Show what was spent: your own accounts; to a country's custodian, operator or auditor all of them."""
    from bandung.federation.domain.study import Declined, Unreachable
    from bandung.federation.statistics.fan_out import budgets

    asked = members_named(members, principal, only)
    document: dict[str, Any] = {}
    lines: list[str] = []
    shown: dict[str, tuple[Budget, ...]] = {}
    outcomes = budgets(asked)
    for member, found in zip(asked, outcomes, strict=True):
        if isinstance(found, Declined | Unreachable):
            document[member.id] = {"error": found.reason}
            lines.append(f"{member.id}  {found.reason}")
            continue
        shown[member.id] = found
        document[member.id] = [_document(budget) for budget in found]
        lines += _lines(member.id, found)
    report(document, lines, as_json=as_json)
    if plot is not None:
        _draw(shown, plot)
    return ended(outcomes)


def _document(budget: Budget) -> dict[str, Any]:
    accounts = [{**asdict(account), "left": account.left} for account in budget.accounts]
    return {"epoch": budget.epoch, "policy": budget.policy, "accounts": accounts}


def _parts(account: Account) -> tuple[str, str, str]:
    """Return an account's unit, its dataset, and whose it is: everybody's, an agreement's, or a principal's."""
    unit, of, *party = account.scope.split("/", 2)
    return unit, of.partition(":")[0], party[0] if party else "everybody"


def _lines(member: str, budgets: tuple[Budget, ...]) -> Iterator[str]:
    """Yield each account once: under the dataset that it is of or, if that is not shown, under the first view of it."""
    place: dict[str, str] = {}
    for budget in budgets:
        for account in budget.accounts:
            if account.scope not in place or _parts(account)[1] == _name(budget):
                place[account.scope] = budget.epoch
    width = max((len(_parts(account)[2]) for budget in budgets for account in budget.accounts), default=0)
    for budget in budgets:
        yield f"{member}  {budget.epoch} under {budget.policy}"
        bases = {_parts(account)[1] for account in budget.accounts} - {_name(budget)}
        yield from (f"     the accounts of {base}" for base in bases)
        yield from (f"     {_line(a, width)}" for a in budget.accounts if place[a.scope] == budget.epoch)


def _name(budget: Budget) -> str:
    return budget.epoch.partition("@")[0]


def _line(account: Account, width: int) -> str:
    unit, _, whose = _parts(account)
    share = account.spent / account.cap
    line = f"{whose:<{width}}  {spoken(unit, account.spent)} spent of {spoken(unit, account.cap)} ({share:.0%})"
    return (
        line if account.epsilon_cap is None else f"{line}; ε {account.epsilon_spent:.3g} of {account.epsilon_cap:.3g}"
    )


def _draw(shown: dict[str, tuple[Budget, ...]], path: Path) -> None:
    from bandung.federation.statistics.picture import shares

    bars: dict[str, float] = {}
    for member, budgets in shown.items():
        for account in (account for budget in budgets for account in budget.accounts):
            unit, dataset, whose = _parts(account)
            counted = FRACTIONS.get(unit, (unit, 1))[0]
            bars[f"{member} {dataset}\n{counted}, {whose.removeprefix('spiffe://')}"] = account.spent / account.cap
    shares(bars, path)
