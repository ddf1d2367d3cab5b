"""HAVING, ORDER BY and LIMIT: how a release is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from bandung.gateway.domain.plan import Direction, Output, Presentation, Statistic, Threshold
from bandung.gateway.planning import resolve
from bandung.gateway.planning.aggregates import is_aggregate, statistic
from bandung.gateway.planning.predicates import compared, literal_number
from bandung.gateway.planning.scope import Scope

DIGITS_MAX: Final = 9
"""Of a whole number in a statement; more are read by no one."""
_HAVING: Final = "HAVING compares aggregates with numbers, joined by AND; filter dimensions in WHERE."


def presentation(
    select: exp.Select, outputs: tuple[Output, ...], shown: Mapping[str, Statistic], scope: Scope
) -> tuple[Presentation, tuple[Statistic, ...]]:
    """Return how the release is shown, and the statistics that HAVING looks at.

    Args:
        shown: statistics of the SELECT list, by their name in the release.

    Raises:
        Refusal: NOT_IN_GRAMMAR for a column that is not in the answer, or a limit that is no number.
    """
    thresholds = _having(select, outputs, shown, scope)
    having = tuple(threshold for _, threshold in thresholds)
    order = tuple(_ordered(item, select, outputs, scope) for item in _expressions(select, "order"))
    return Presentation(outputs, having, order, _limit(select, scope)), tuple(looked for looked, _ in thresholds)


def item_at(literal: exp.Literal, select: exp.Select, scope: Scope) -> exp.Expr:
    """Return the item of the SELECT list that a position names, without its alias.

    Raises:
        Refusal: NOT_IN_GRAMMAR for a position outside the list.
    """
    items = select.expressions
    index = _whole(literal) or 0
    if not 1 <= index <= len(items):
        scope.refuse(literal, f"Positions go from 1 to {len(items)}.")
    return items[index - 1].unalias()


def _having(
    select: exp.Select, outputs: tuple[Output, ...], shown: Mapping[str, Statistic], scope: Scope
) -> list[tuple[Statistic, Threshold]]:
    having = select.args.get("having")
    aliases = {output.alias.lower(): shown[output.source] for output in outputs if output.source in shown}
    found: list[tuple[Statistic, Threshold]] = []
    for held in compared(having.this, scope, _HAVING) if having else ():
        looked = statistic(held.subject, scope) if is_aggregate(held.subject) else aliases.get(_bare(held.subject))
        numbers = [literal_number(value) for value in held.values]
        exact = resolve.number(numbers[0]) if len(numbers) == 1 and numbers[0] else None
        if looked is None or exact is None:
            scope.refuse(held.subject, _HAVING)
        found.append((looked, Threshold(looked.name, held.operator, float(exact))))
    return found


def _ordered(item: exp.Expr, select: exp.Select, outputs: tuple[Output, ...], scope: Scope) -> tuple[str, Direction]:
    node = item.this
    direction = Direction.DESCENDING if item.args.get("desc") else Direction.ASCENDING
    sources = {output.alias.lower(): output.source for output in outputs}
    if isinstance(node, exp.Literal):
        node = item_at(node, select, scope)
    if _bare(node) in sources:
        return sources[_bare(node)], direction
    source = statistic(node, scope).name if is_aggregate(node) else scope.dimension(node)
    if source not in sources.values():
        scope.refuse(item, "Order by a column of the answer.")
    return source, direction


def _bare(node: exp.Expr) -> str:
    """The name of a column that stands without its table, as aliases do; else nothing."""
    return node.name.lower() if isinstance(node, exp.Column) and not node.table else ""


def _limit(select: exp.Select, scope: Scope) -> int | None:
    limit = select.args.get("limit")
    if limit is None:
        return None
    node = limit.expression
    found = _whole(node) if isinstance(node, exp.Literal) else None
    if found is None:
        scope.refuse(limit, f"LIMIT takes a whole number of at most {DIGITS_MAX} digits.")
    return found


def _whole(literal: exp.Literal) -> int | None:
    """The literal's whole number, unless it is a text, another number, or too long to be meant."""
    digits = literal.this
    return int(digits) if not literal.is_string and digits.isdecimal() and len(digits) <= DIGITS_MAX else None


def _expressions(select: exp.Select, clause: str) -> list[exp.Expr]:
    held = select.args.get(clause)
    return held.expressions if held else []
