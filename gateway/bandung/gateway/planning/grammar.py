"""The closed grammar: every node of the tree must be of an allowed class, with allowed parts, in an allowed place."""

from __future__ import annotations

from typing import Final, NoReturn

from sqlglot import exp

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.planning.text import parse, position
from bandung.gateway.planning.words import AGGREGATES, COUNTS, SHOWN_MAX

_PARTS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Select: frozenset({"expressions", "from_", "where", "group", "having", "order", "limit"}),
    exp.From: frozenset({"this"}),
    exp.Table: frozenset({"this", "db", "catalog", "alias"}),
    exp.TableAlias: frozenset({"this"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Column: frozenset({"this", "table", "db", "catalog"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Count: frozenset({"this", "big_int"}),
    exp.Star: frozenset(),
    exp.Distinct: frozenset({"expressions"}),
    **dict.fromkeys((exp.Sum, exp.Avg, exp.Variance, exp.Stddev, exp.StddevSamp, exp.Median), frozenset({"this"})),
    exp.PercentileCont: frozenset({"this", "expression"}),
    exp.Quantile: frozenset({"this", "quantile"}),
    exp.ApproxQuantile: frozenset({"this", "quantile"}),
    exp.WithinGroup: frozenset({"this", "expression"}),
    exp.Where: frozenset({"this"}),
    exp.Having: frozenset({"this"}),
    exp.And: frozenset({"this", "expression"}),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), frozenset({"this", "expression"})),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Not: frozenset({"this"}),
    exp.Neg: frozenset({"this"}),
    exp.Paren: frozenset({"this"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Placeholder: frozenset({"this"}),
    exp.Group: frozenset({"expressions", "all"}),
    exp.Rollup: frozenset({"expressions"}),
    exp.Order: frozenset({"expressions"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.Limit: frozenset({"expression"}),
}
"""Allowed node classes with their allowed parts; what is not here is refused."""


def check_grammar(tree: exp.Expr, text: str) -> exp.Select:
    """Return the tree as a SELECT of the closed grammar.

    Raises:
        Refusal: NOT_IN_GRAMMAR with the place of the first foreign part and the nearest allowed form.
    """
    if not isinstance(tree, exp.Select):
        _refuse(tree, text)
    for node in tree.walk(bfs=False):
        parts = _PARTS.get(type(node))
        if parts is None:
            _refuse(node, text)
        for name, value in node.args.items():
            if name not in parts and value not in (None, False, []):
                foreign = value[0] if isinstance(value, list) else value
                _refuse(foreign if isinstance(foreign, exp.Expr) else node, text)
    _check_places(tree, text)
    return tree


def is_bare(name: str) -> bool:
    """Tell whether a name of small letters, digits and underscores can be written without quotes."""
    text = f"SELECT {name}, COUNT(*) FROM {name} GROUP BY {name} ORDER BY {name}"  # noqa: S608  (only parsed)
    try:
        check_grammar(parse(text), text)
    except Refusal:
        return False
    return True


def _check_places(tree: exp.Select, text: str) -> None:
    """Refuse aggregates outside the SELECT list's top, ORDER BY and HAVING, and what they cannot be made of."""
    for node in tree.find_all(exp.AggFunc, exp.WithinGroup):
        if isinstance(node.parent, exp.WithinGroup):
            continue
        above = node.parent.parent if isinstance(node.parent, exp.Alias) else node.parent
        if above is not tree and not isinstance(above, exp.Ordered) and not node.find_ancestor(exp.Having):
            _refuse(node, text)
        if isinstance(node, exp.Count):
            if not isinstance(node.this, exp.Star | exp.Distinct):
                refuse(node, text, COUNTS)
        elif not isinstance(node, exp.WithinGroup) and not isinstance(node.this, exp.Column):
            _refuse(node, text)
    for node in tree.find_all(exp.Star):
        if not isinstance(node.parent, exp.Count):
            refuse(node, text, "Rows cannot be read: name dimensions and aggregates instead of *.")


def refuse(node: exp.Expr, text: str, nearest: str) -> NoReturn:
    """Refuse a node with its place and the nearest allowed form.

    Raises:
        Refusal: NOT_IN_GRAMMAR, always.
    """
    raise Refusal(
        ErrorKind.NOT_IN_GRAMMAR, f"Not offered: {_called(node)}", position=position(node, text), remedy=nearest
    )


def _refuse(node: exp.Expr, text: str) -> NoReturn:
    computed = isinstance(node, exp.Binary | exp.Func)
    refuse(node, text, AGGREGATES if computed else ErrorKind.NOT_IN_GRAMMAR.spec.remedy)


def _called(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        return node.sql_name() if not isinstance(node, exp.Anonymous) else "a function"
    if isinstance(node, exp.Column | exp.Star):
        return node.name[:SHOWN_MAX]
    if isinstance(node, exp.Literal):
        return "a literal"
    return type(node).__name__.upper()
