"""WHERE and HAVING: conjunctions of comparisons with literals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from bandung.gateway.domain.dataset import Dimension, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Comparison, Operator, Placeholder
from bandung.gateway.planning import resolve
from bandung.gateway.planning.scope import Scope

_OPERATORS: Final[dict[type[exp.Expr], Operator]] = {
    exp.EQ: Operator.EQUAL,
    exp.NEQ: Operator.UNEQUAL,
    exp.LT: Operator.BELOW,
    exp.LTE: Operator.AT_MOST,
    exp.GT: Operator.ABOVE,
    exp.GTE: Operator.AT_LEAST,
}
_MIRRORED: Final = {
    Operator.EQUAL: Operator.EQUAL,
    Operator.UNEQUAL: Operator.UNEQUAL,
    Operator.BELOW: Operator.ABOVE,
    Operator.AT_MOST: Operator.AT_LEAST,
    Operator.ABOVE: Operator.BELOW,
    Operator.AT_LEAST: Operator.AT_MOST,
}
FILTERS: Final = "Filters compare a dimension with codes or a measure with numbers, joined by AND."


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison as it is written: something, an operator, and literals or placeholders."""

    subject: exp.Expr
    operator: Operator
    values: tuple[exp.Expr, ...]


def compared(predicate: exp.Expr, scope: Scope, nearest: str) -> Iterator[Compared]:
    """Yield the comparisons of a conjunction from left to right, literals on the right; BETWEEN is two of them.

    Raises:
        Refusal: NOT_IN_GRAMMAR with the nearest form, for anything else.
    """
    for node in _conjuncts(predicate):
        negated = isinstance(node, exp.Not)
        inner = node.this.unnest() if negated else node
        if isinstance(inner, exp.In):
            values = tuple(value.unnest() for value in inner.expressions)
            yield Compared(inner.this.unnest(), Operator.UNEQUAL if negated else Operator.EQUAL, values)
        elif isinstance(inner, exp.Between) and not negated:
            yield Compared(inner.this.unnest(), Operator.AT_LEAST, (inner.args["low"].unnest(),))
            yield Compared(inner.this.unnest(), Operator.AT_MOST, (inner.args["high"].unnest(),))
        elif type(inner) in _OPERATORS and not negated:
            yield _sided(inner.this.unnest(), _OPERATORS[type(inner)], inner.expression.unnest())
        else:
            scope.refuse(node, nearest)


def literal_number(node: exp.Expr) -> str | None:
    """Return the text of a number that stands as a literal, its sign included."""
    if isinstance(node, exp.Neg):
        inner = literal_number(node.this) if isinstance(node.this, exp.Literal) else None
        return None if inner is None else f"-{inner}"
    return node.this if isinstance(node, exp.Literal) and not node.is_string else None


def comparisons(select: exp.Select, scope: Scope) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """Return the comparisons of WHERE, and the column of each of their parameters.

    Raises:
        Refusal: NOT_IN_GRAMMAR, UNKNOWN_COLUMN, WRONG_ROLE, UNKNOWN_CODE with their places; BAD_PARAMETER for
            parameters that are written in several ways or leave gaps.
    """
    where = select.args.get("where")
    if where is None:
        return (), ()
    found = [(held, scope.filtered(held.subject)) for held in compared(where.this, scope, FILTERS)]
    parameters = _parameters(found, scope)
    keys = list(parameters)
    filters = tuple(_comparison(held, column, keys, scope) for held, column in found)
    return filters, tuple(parameters.values())


def _comparison(held: Compared, column: Dimension | Measure, keys: list[str], scope: Scope) -> Comparison:
    operator = resolve.operator(held.operator, column, scope.place(held.subject))
    if isinstance(column, Measure) and len(held.values) > 1:
        scope.refuse(held.subject, f"Compare {column.name} with one number, or by BETWEEN.")
    return Comparison(column.name, operator, tuple(_value(node, column, keys, scope) for node in held.values))


def _value(node: exp.Expr, column: Dimension | Measure, keys: list[str], scope: Scope) -> str | Placeholder:
    if isinstance(node, exp.Placeholder):
        return Placeholder(keys.index(_key(node)))
    if isinstance(column, Dimension):
        if not isinstance(node, exp.Literal):
            scope.refuse(node, f"Compare {column.name} with codes in quotes, or with parameters.")
        return resolve.code(node.this, column, scope.place(node))
    number = literal_number(node)
    if number is None:
        scope.refuse(node, f"Compare {column.name} with a number, or with a parameter.")
    resolve.steps(number, column, scope.place(node))
    return number


def _parameters(found: list[tuple[Compared, Dimension | Measure]], scope: Scope) -> dict[str, str]:
    """The column of each parameter: `?` and `:name` in the order of the text, `$1`, `$2` by their number."""
    named: dict[str, str] = {}
    for node, name in ((node, column.name) for held, column in found for node in held.values):
        if isinstance(node, exp.Placeholder) and named.setdefault(_key(node), name) != name:
            scope.refuse(node, "Use each parameter for one column only.")
    numbers = [str(number + 1) for number in range(len(named))]
    if len({_style(key) for key in named}) > 1:
        raise Refusal(ErrorKind.BAD_PARAMETER, "Write all parameters as ?, or all by number, or all by name.")
    if named and _style(next(iter(named))) == "number":
        if set(named) != set(numbers):
            raise Refusal(ErrorKind.BAD_PARAMETER, "Number the parameters $1, $2, … without gaps.")
        return {number: named[number] for number in numbers}
    return named


def _key(node: exp.Placeholder) -> str:
    """The parameter's name or number; a `?` is a parameter of its own."""
    return str(node.args.get("this") or f"?{id(node)}")


def _style(key: str) -> str:
    return "?" if key.startswith("?") else "number" if key.isdecimal() else "name"


def _sided(left: exp.Expr, operator: Operator, right: exp.Expr) -> Compared:
    """The literal may stand on either side."""
    if isinstance(left, exp.Literal | exp.Neg | exp.Placeholder):
        return Compared(right, _MIRRORED[operator], (left,))
    return Compared(left, operator, (right,))


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The comparisons from left to right, without recursion: hundreds may be joined."""
    waiting = [node]
    while waiting:
        found = waiting.pop().unnest()
        if isinstance(found, exp.And):
            waiting += (found.expression, found.this)
        else:
            yield found
