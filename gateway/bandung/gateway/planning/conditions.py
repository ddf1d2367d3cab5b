"""Comparisons of declared columns with literals to the conditions of a plan, one for each column."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from bandung.connectors.base import Among, Between, Condition
from bandung.gateway.domain.dataset import Dataset, Dimension, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Comparison, Operator
from bandung.gateway.planning import resolve


def conditions(comparisons: Iterable[Comparison], of: Dataset) -> tuple[Condition, ...]:
    """Return what all comparisons together mean, by column; a column that keeps every record has no condition.

    Args:
        comparisons: of declared columns, every value given.

    Raises:
        Refusal: UNKNOWN_CODE for a value that the column is not declared to have; BAD_REQUEST if no record can hold
            them all, a table that is empty whatever the data.
    """
    by_column = groupby(sorted(comparisons, key=lambda held: held.column), key=lambda held: held.column)
    found = [_condition(resolve.filtered(name, of), tuple(held)) for name, held in by_column]
    return tuple(condition for condition in found if condition is not None)


def _condition(column: Dimension | Measure, held: tuple[Comparison, ...]) -> Condition | None:
    return _among(column, held) if isinstance(column, Dimension) else _between(column, held)


def _among(column: Dimension, held: tuple[Comparison, ...]) -> Among | None:
    declared = {entry.code for entry in column.codes}
    kept = set(declared)
    for comparison in held:
        codes = {resolve.code(str(value), column) for value in comparison.values}
        kept &= codes if comparison.operator is Operator.EQUAL else declared - codes
    if not kept:
        raise _empty(column)
    return None if kept == declared else Among(column.name, tuple(sorted(kept)))


def _between(column: Measure, held: tuple[Comparison, ...]) -> Between | None:
    low, high = least, most = column.range_steps
    for comparison in held:
        for value in comparison.values:
            step = resolve.steps(str(value), column)
            match comparison.operator:
                case Operator.AT_LEAST:
                    low = max(low, step)
                case Operator.ABOVE:
                    low = max(low, step + 1)
                case Operator.AT_MOST:
                    high = min(high, step)
                case Operator.BELOW:
                    high = min(high, step - 1)
                case _:
                    low, high = max(low, step), min(high, step)
    if low > high:
        raise _empty(column)
    # A missing value lies in no range, so where one is possible even the whole range leaves records out.
    whole = (low, high) == (least, most) and not column.optional
    return None if whole else Between(column.name, low, high)


def _empty(column: Dimension | Measure) -> Refusal:
    return Refusal(ErrorKind.BAD_REQUEST, f"No record can hold every comparison of {column.name}.")
