"""Expressions over the columns of a relation, as SQL: total, every literal bound."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import sqlalchemy as sa

from bandung.connectors.base import Among, Banded, Column, Condition, Expression, FixedPoint, Recode, Scalar
from bandung.connectors.columns import Columns, Sql
from bandung.connectors.literals import is_number, literals
from bandung.connectors.schemas import source_type

_EXACT = sa.Numeric(38, 0)
_SAFE_INTEGER = 9_000_000_000_000_000.0
"""Fixed-point values stay below 2^53, where every integer is a double."""
_SAFE_REAL = 1e18
"""Source numbers beyond it yield NULL: with scale and decimals up to 10^9 nothing overflows a double."""


class Expressions:
    """Writes the expressions of views over these columns.

    Attributes:
        columns: as given.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def value(self, expression: Expression) -> Sql:
        """Return what the expression yields: text for codes, a 64-bit integer for fixed point."""
        match expression:
            case Column(name=name):
                return self.columns.column(name)
            case FixedPoint():
                number = self._shifted(expression)
                safe = number.between(real(-_SAFE_INTEGER), real(_SAFE_INTEGER))
                return sa.case((safe, sa.cast(sa.func.floor(number), sa.BigInteger)), else_=None)
            case Recode():
                return self._recoded(expression)
            case Banded(bands=bands, missing=missing):
                codes = [code for code, _, _ in bands]
                every = [*([missing] if missing is not None and missing not in codes else []), *codes]
                whens = [(self._matches(expression, code), sa.literal(code, sa.String)) for code in every]
                return sa.case(*whens, else_=None)

    def _recoded(self, recode: Recode) -> Sql:
        type_ = source_type(self.columns.schema, recode.column)
        column, text = self.columns.column(recode.column), pa.types.is_string(type_)
        code_of: dict[Scalar, str] = {}
        for code, values in recode.codes:
            for value in literals(values, type_):
                code_of.setdefault(value, code)
        spelled: list[Scalar] = []
        others: dict[str, list[Scalar]] = {}
        for value, code in code_of.items():
            as_it_is = (text or type(value) is int) and str(value) == code
            (spelled if as_it_is else others.setdefault(code, [])).append(value)
        whens: list[tuple[Sql, Sql]] = []
        if spelled:
            # Engines look a value up in one long list, but try each of many conditions in turn.
            whens.append((column.in_(spelled), column if text else sa.cast(column, sa.String)))
        whens += [(column.in_(values), sa.literal(code, sa.String)) for code, values in others.items()]
        if recode.missing is not None:
            whens.append((column.is_(None), sa.literal(recode.missing, sa.String)))
        return sa.case(*whens, else_=None) if whens else sa.cast(sa.null(), sa.String)

    def holds(self, expression: Expression, condition: Condition) -> Sql:
        """Return the predicate that a row meets a condition on the expression."""
        if isinstance(condition, Among):
            return sa.or_(*(self._matches(expression, code) for code in condition.codes))
        return self.value(expression).between(integer(condition.low), integer(condition.high))

    def _matches(self, expression: Expression, code: str) -> Sql:
        """Return the predicate that the expression yields this code."""
        match expression:
            case Recode(column=name, codes=codes, missing=missing):
                column = self.columns.column(name)
                values = literals(dict(codes).get(code, ()), source_type(self.columns.schema, name))
                found = column.in_(values) if values else sa.false()
                return sa.or_(found, column.is_(None)) if code == missing else found
            case Banded(number=number, bands=bands, missing=missing):
                shifted = self._shifted(number)
                # floor(y) >= bound is y >= bound for a whole bound
                held = [
                    sa.and_(shifted >= real(low), shifted < real(high)) for name, low, high in bands if name == code
                ]
                gap = [self.any_missing(expression)] if code == missing else []
                return sa.or_(sa.false(), *held, *gap)
            case Column() | FixedPoint():
                return self.value(expression) == sa.literal(code, sa.String)

    def _shifted(self, number: FixedPoint) -> Sql:
        """Return (sum of columns x scale + offset) x 10^decimals + 1/2, in double precision."""
        total = self._number(number.columns[0], number.missing_values)
        for name in number.columns[1:]:
            total = total + self._number(name, number.missing_values)
        scaled = total * real(number.scale) + real(number.offset)
        return scaled * real(10.0**number.decimals) + real(0.5)

    def _number(self, name: str, missing_values: Sequence[float]) -> Sql:
        type_ = source_type(self.columns.schema, name)
        if not is_number(type_):
            return sa.cast(sa.null(), sa.Double)
        number = sa.cast(self.columns.column(name), sa.Double)
        held = [] if pa.types.is_integer(type_) else [number.between(real(-_SAFE_REAL), real(_SAFE_REAL))]
        if missing_values:
            held.append(number.not_in(missing_values))
        return sa.case((sa.and_(*held), number), else_=None) if held else number

    def any_missing(self, expression: Expression) -> Sql:
        """Return the predicate that a source value of the expression is missing."""
        match expression:
            case Column(name=name) | Recode(column=name):
                return self.columns.column(name).is_(None)
            case Banded(number=number):
                return self.any_missing(number)
            case FixedPoint(columns=names, missing_values=values):
                absent = [self.columns.column(name).is_(None) for name in names]
                numbers = [name for name in names if values and is_number(source_type(self.columns.schema, name))]
                absent += [sa.cast(self.columns.column(name), sa.Double).in_(values) for name in numbers]
                return sa.or_(*absent)


def exact(value: Sql) -> Sql:
    """Return the value as a decimal of 38 digits."""
    return sa.cast(value, _EXACT)


def clamped(value: Sql, low: int, high: int) -> Sql:
    """Return the value moved into the range; NULL stays NULL."""
    return sa.case((value < integer(low), integer(low)), (value > integer(high), integer(high)), else_=value)


def integer(value: int) -> Sql:
    """Return a bound 64-bit integer."""
    return sa.literal(value, sa.BigInteger)


def real(value: float) -> Sql:
    """Return a bound double."""
    return sa.literal(float(value), sa.Double)
