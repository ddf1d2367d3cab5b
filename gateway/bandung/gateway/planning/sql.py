"""SQL to a statement: parse, check the grammar, resolve names. Analyst SQL goes no further than this module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import (
    Direction,
    Output,
    Placeholder,
    Presentation,
    Statement,
    Statistic,
    StatisticKind,
)
from bandung.gateway.planning import resolve
from bandung.gateway.planning.grammar import check_grammar, refuse
from bandung.gateway.planning.resolve import Find, Place
from bandung.gateway.planning.text import parse, position

SCHEMA = "main"
STATUS = ("OBS_STATUS", "CONF_STATUS")
DIGITS_MAX = 9
"""Of a whole number in a statement; more are read by no one."""


def plan_sql(text: str, find: Find) -> tuple[Statement, Epoch]:
    """Return the statement that a text means, and the epoch it asks.

    Raises:
        Refusal: with code, place and the nearest allowed form.
    """
    select = check_grammar(parse(text), text)
    source = select.args.get("from_")
    if source is None:
        refuse(select, text, "Name a dataset: SELECT … FROM dataset.")
    table = source.this
    if isinstance(table.this, exp.Dot) or table.db not in ("", SCHEMA):
        raise Refusal(ErrorKind.UNKNOWN_DATASET, f"Asked for: {table.sql()[:80]}", position=position(table, text))
    epoch = resolve.dataset(table.name, find, position(table, text))
    return _Reader(text, epoch, table.alias_or_name.lower()).statement(select), epoch


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the clauses of one SELECT over one epoch."""

    text: str
    epoch: Epoch
    table: str

    def statement(self, select: exp.Select) -> Statement:
        outputs = [self._output(item) for item in select.expressions]
        statistics = [self._statistic(item.unalias()) for item in select.expressions if _is_aggregate(item)]
        if not statistics:
            refuse(select.expressions[0], self.text, "Rows cannot be read: add an aggregate such as COUNT(*).")
        self._check_aliases(outputs, select)
        group_by = self._group_by(select)
        filters, parameters = self._filters(select)
        return Statement(
            epoch=self.epoch.id,
            group_by=group_by,
            filters=filters,
            statistics=tuple(statistics),
            presentation=Presentation(tuple(outputs), self._order(select, outputs), self._limit(select)),
            parameters=parameters,
        )

    def _output(self, item: exp.Expr) -> Output:
        inner = item.unalias()
        source = self._statistic(inner).name if _is_aggregate(item) else self._dimension(inner)
        if item.alias:
            return Output(source, item.alias)
        return Output(source, source if isinstance(inner, exp.Column) else inner.sql().lower())

    def _check_aliases(self, outputs: list[Output], select: exp.Select) -> None:
        names = [output.alias for output in outputs]
        if len({*names, *STATUS}) < len(names) + len(STATUS):
            refuse(select.expressions[-1], self.text, "Give every column of the answer a name of its own (AS name).")

    def _column(self, node: exp.Expr) -> exp.Column:
        tables = ("", self.table, self.epoch.dataset.name)
        if not isinstance(node, exp.Column) or node.table.lower() not in tables or node.db not in ("", SCHEMA):
            refuse(node, self.text, "Name a declared column of the dataset.")
        return node

    def _dimension(self, node: exp.Expr) -> str:
        return resolve.dimension(self._column(node).name, self.epoch.dataset, self._place(node)).name

    def _statistic(self, node: exp.Expr) -> Statistic:
        if isinstance(node, exp.Count):
            return Statistic(StatisticKind.COUNT.value)
        kind = StatisticKind.SUM if isinstance(node, exp.Sum) else StatisticKind.MEAN
        measure = resolve.measure(self._column(node.this).name, self.epoch.dataset, self._place(node.this))
        return Statistic(kind.value, measure.name)

    def _group_by(self, select: exp.Select) -> tuple[str, ...]:
        shown = [item.unalias() for item in select.expressions if not _is_aggregate(item)]
        names = [self._dimension(node) for node in shown]
        group = select.args.get("group")
        if group is None:
            if names:
                refuse(shown[0], self.text, f"Add GROUP BY {', '.join(names)}.")
            return ()
        grouped = names if group.args.get("all") else [self._grouped(node, select) for node in group.expressions]
        for node, name in zip(shown, names, strict=True):
            if name not in grouped:
                refuse(node, self.text, f"Add {name} to GROUP BY.")
        return tuple(dict.fromkeys(grouped))

    def _grouped(self, node: exp.Expr, select: exp.Select) -> str:
        """A dimension, its position in the SELECT list, or its alias there."""
        aliases = {item.alias.lower(): item.unalias() for item in select.expressions if item.alias}
        if isinstance(node, exp.Literal):
            node = self._at(node, [item.unalias() for item in select.expressions])
        elif isinstance(node, exp.Column) and not node.table:
            node = aliases.get(node.name.lower(), node)
        return self._dimension(node)

    def _at(self, literal: exp.Literal, items: list[exp.Expr]) -> exp.Expr:
        index = _whole(literal) or 0
        if not 1 <= index <= len(items):
            refuse(literal, self.text, f"Positions go from 1 to {len(items)}.")
        return items[index - 1]

    def _filters(self, select: exp.Select) -> tuple[tuple[tuple[str, str | Placeholder], ...], tuple[str, ...]]:
        where = select.args.get("where")
        if where is None:
            return (), ()
        comparisons = [self._comparison(node) for node in _conjuncts(where.this)]
        parameters = self._parameters(comparisons)
        keys = list(parameters)
        filters = tuple((name, self._value(name, node, keys)) for name, node in comparisons)
        return filters, tuple(parameters.values())

    def _comparison(self, node: exp.Expr) -> tuple[str, exp.Expr]:
        if not isinstance(node, exp.EQ):
            refuse(node, self.text, "Filters are dimension = 'code', joined by AND.")
        column, value = node.this.unnest(), node.expression.unnest()
        if not isinstance(column, exp.Column):
            column, value = value, column
        return self._dimension(column), value

    def _parameters(self, comparisons: list[tuple[str, exp.Expr]]) -> dict[str, str]:
        """The dimension of each parameter: `?` and `:name` in the order of the text, `$1`, `$2` by their number."""
        named: dict[str, str] = {}
        for name, node in comparisons:
            if isinstance(node, exp.Placeholder):
                key = _key(node)
                if named.setdefault(key, name) != name:
                    refuse(node, self.text, "Use each parameter for one column only.")
        numbers = [str(number + 1) for number in range(len(named))]
        if len({_style(key) for key in named}) > 1:
            raise Refusal(ErrorKind.BAD_PARAMETER, "Write all parameters as ?, or all by number, or all by name.")
        if named and _style(next(iter(named))) == "number":
            if set(named) != set(numbers):
                raise Refusal(ErrorKind.BAD_PARAMETER, "Number the parameters $1, $2, … without gaps.")
            return {number: named[number] for number in numbers}
        return named

    def _value(self, name: str, node: exp.Expr, keys: list[str]) -> str | Placeholder:
        if isinstance(node, exp.Placeholder):
            return Placeholder(keys.index(_key(node)))
        if not isinstance(node, exp.Literal):
            refuse(node, self.text, f"Compare {name} with one code in quotes, or with a parameter.")
        return resolve.code(node.this, resolve.dimension(name, self.epoch.dataset), self._place(node))

    def _order(self, select: exp.Select, outputs: list[Output]) -> tuple[tuple[str, Direction], ...]:
        order = select.args.get("order")
        return tuple(self._ordered(item, select, outputs) for item in order.expressions) if order else ()

    def _ordered(self, item: exp.Expr, select: exp.Select, outputs: list[Output]) -> tuple[str, Direction]:
        node = item.this
        direction = Direction.DESCENDING if item.args.get("desc") else Direction.ASCENDING
        sources = {output.alias.lower(): output.source for output in outputs}
        if isinstance(node, exp.Literal):
            node = self._at(node, [entry.unalias() for entry in select.expressions])
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in sources:
            return sources[node.name.lower()], direction
        source = self._statistic(node).name if _is_aggregate(node) else self._dimension(node)
        if source not in sources.values():
            refuse(item, self.text, "Order by a column of the answer.")
        return source, direction

    def _limit(self, select: exp.Select) -> int | None:
        limit = select.args.get("limit")
        if limit is None:
            return None
        node = limit.expression
        number = _whole(node) if isinstance(node, exp.Literal) else None
        if number is None:
            refuse(limit, self.text, f"LIMIT takes a whole number of at most {DIGITS_MAX} digits.")
        return number

    def _place(self, node: exp.Expr) -> Place:
        return position(node, self.text)


def _key(node: exp.Placeholder) -> str:
    """The parameter's name or number; a `?` is a parameter of its own."""
    return str(node.args.get("this") or f"?{id(node)}")


def _style(key: str) -> str:
    return "?" if key.startswith("?") else "number" if key.isdecimal() else "name"


def _whole(literal: exp.Literal) -> int | None:
    """The literal's whole number, unless it is a text, another number, or too long to be meant."""
    digits = literal.this
    return int(digits) if not literal.is_string and digits.isdecimal() and len(digits) <= DIGITS_MAX else None


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The comparisons from left to right, without recursion: hundreds may be joined."""
    waiting = [node]
    while waiting:
        found = waiting.pop().unnest()
        if isinstance(found, exp.And):
            waiting += (found.expression, found.this)
        else:
            yield found


def _is_aggregate(item: exp.Expr) -> bool:
    return isinstance(item.unalias(), exp.Count | exp.Sum | exp.Avg)
