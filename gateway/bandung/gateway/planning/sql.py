"""SQL to a statement, by passes that each look at one thing. Analyst SQL goes no further than this module.

text → `text.parse` (limits, then `words.check_words`, then the parser) → `grammar.check_grammar` → `Scope`
     → `_outputs`, `_levels`, `predicates.comparisons`, `ordering.presentation` → `Statement`
"""

from __future__ import annotations

from sqlglot import exp

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Output, Statement, Statistic
from bandung.gateway.planning import resolve
from bandung.gateway.planning.aggregates import heading, is_aggregate, statistic
from bandung.gateway.planning.grammar import check_grammar
from bandung.gateway.planning.ordering import item_at, presentation
from bandung.gateway.planning.predicates import comparisons
from bandung.gateway.planning.present import result_schema
from bandung.gateway.planning.resolve import Find
from bandung.gateway.planning.scope import SCHEMA, Scope
from bandung.gateway.planning.text import parse, position, without_explain


def plan_sql(text: str, find: Find) -> tuple[Statement, Epoch]:
    """Return the statement that a text means, and the epoch it asks.

    Raises:
        Refusal: with code, place and the nearest allowed form.
    """
    text, explain = without_explain(text)
    select = check_grammar(parse(text), text)
    scope = _scope(select, text, find)
    return _statement(select, scope, explain=explain), scope.epoch


def _scope(select: exp.Select, text: str, find: Find) -> Scope:
    source = select.args.get("from_")
    if source is None:
        nearest = "Name one: SELECT … FROM dataset."
        place = position(select, text)
        raise Refusal(ErrorKind.NOT_IN_GRAMMAR, "No dataset is asked", position=place, remedy=nearest)
    table = source.this
    if isinstance(table.this, exp.Dot) or table.db not in ("", SCHEMA):
        raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {table.sql()[:80]}", position=position(table, text))
    epoch = resolve.dataset(table.name, find, position(table, text))
    return Scope(text, epoch, table.alias_or_name.lower())


def _statement(select: exp.Select, scope: Scope, *, explain: bool) -> Statement:
    items = [statistic(item.unalias(), scope) if is_aggregate(item) else None for item in select.expressions]
    shown = {held.name: held for held in items if held}
    if not items:
        raise Refusal(ErrorKind.NOT_IN_GRAMMAR, "Nothing is selected", remedy="Add an aggregate such as COUNT(*).")
    if not shown:
        scope.refuse(select.expressions[0], "Rows cannot be read: add an aggregate such as COUNT(*).")
    outputs = tuple(_output(item, held, scope) for item, held in zip(select.expressions, items, strict=True))
    levels = _levels(select, scope)
    filters, parameters = comparisons(select, scope)
    presented, looked = presentation(select, outputs, shown, scope)
    statistics = tuple(dict.fromkeys((*shown.values(), *looked)))
    statement = Statement(scope.epoch.id, levels, filters, statistics, presented, parameters, explain)
    names = result_schema(statement, scope.epoch).names
    if len(set(names)) < len(names):
        scope.refuse(select.expressions[-1], "Give every column of the answer a name of its own (AS name).")
    return statement


def _output(item: exp.Expr, held: Statistic | None, scope: Scope) -> Output:
    if held:
        return Output(held.name, item.alias or heading(held, scope.epoch.dataset))
    name = scope.dimension(item.unalias())
    return Output(name, item.alias or name)


def _levels(select: exp.Select, scope: Scope) -> tuple[tuple[str, ...], ...]:
    """What is grouped by: once, or once for each level of the one ROLLUP, the finest first."""
    shown = [item.unalias() for item in select.expressions if not is_aggregate(item)]
    names = [scope.dimension(node) for node in shown]
    group = select.args.get("group")
    if group is None:
        if names:
            scope.refuse(shown[0], f"Add GROUP BY {', '.join(names)}.")
        return ((),)
    grouped, rolled = (names, ()) if group.args.get("all") else _grouped(group, select, scope)
    for node, name in zip(shown, names, strict=True):
        if name not in grouped:
            scope.refuse(node, f"Add {name} to GROUP BY.")
    return resolve.levels(tuple(grouped), rolled)


def _grouped(group: exp.Group, select: exp.Select, scope: Scope) -> tuple[list[str], tuple[str, ...]]:
    """All dimensions of GROUP BY in the order of the text, and those of its ROLLUP."""
    aliases = {item.alias.lower(): item.unalias() for item in select.expressions if item.alias}

    def named(node: exp.Expr) -> str:
        """A dimension, its position in the SELECT list, or its alias there."""
        if isinstance(node, exp.Literal):
            node = item_at(node, select, scope)
        elif isinstance(node, exp.Column) and not node.table:
            node = aliases.get(node.name.lower(), node)
        return scope.dimension(node)

    names: list[str] = []
    rolled: tuple[str, ...] = ()
    for node in group.expressions:
        if isinstance(node, exp.Rollup):
            inner = tuple(named(part) for part in node.expressions)
            if rolled or not inner:
                scope.refuse(node, "Write one ROLLUP over one declared hierarchy.")
            rolled = resolve.hierarchy(inner, scope.epoch.dataset, scope.place(node))
            names += rolled
        else:
            names.append(named(node))
    if rolled and len(set(names)) < len(names):
        scope.refuse(group, "Name each dimension once beside ROLLUP.")
    return names, rolled
