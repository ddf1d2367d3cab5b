"""The words and signs of the closed grammar, checked before the parser sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from bandung.gateway.domain.errors import ErrorKind, Refusal

_HAVING: Final = "HAVING is not offered: filter the answer after you have received it."
_DISTINCT: Final = "DISTINCT is not offered: GROUP BY the dimension to see all of its codes."
_EITHER: Final = "Filters are dimension = 'code', joined by AND: group by the dimension."
_COMPARE: Final = "Filters compare a dimension with one code: ="
_ONE_DATASET: Final = "Ask one dataset at a time, without subqueries."
_WINDOW: Final = "Windows are not offered: compute on the answer."
_RECORDS: Final = "MIN and MAX would show single records: ask for AVG, or group by a banded dimension."
AGGREGATES: Final = "Only COUNT(*), SUM(x) and AVG(x) of a declared measure."
_QUOTE: Final = "A name that is a word of SQL is written in double quotes."
_LONG_NAME: Final = "A name has at most four parts: catalog.main.dataset.column."

_T = TokenType
_ALLOWED: Final = frozenset(
    {_T.SELECT, _T.FROM, _T.WHERE, _T.AND, _T.GROUP_BY, _T.ALL, _T.ORDER_BY, _T.ASC, _T.DESC, _T.LIMIT, _T.ALIAS}
    | {_T.VAR, _T.IDENTIFIER, _T.STRING, _T.NUMBER, _T.PLACEHOLDER, _T.PARAMETER, _T.COLON}
    | {_T.COMMA, _T.DOT, _T.L_PAREN, _T.R_PAREN, _T.STAR, _T.EQ, _T.SEMICOLON}
)
_CLAUSES: Final = frozenset({_T.SELECT, _T.FROM, _T.WHERE, _T.GROUP_BY, _T.ORDER_BY, _T.LIMIT})
_JOINS = {_T.JOIN, _T.LEFT, _T.RIGHT, _T.FULL, _T.INNER, _T.OUTER, _T.CROSS, _T.NATURAL, _T.LATERAL, _T.USING, _T.ON}
_SETS = {_T.UNION, _T.EXCEPT, _T.INTERSECT, _T.WITH, _T.EXISTS, _T.SELECT, _T.VALUES}
_COMPARISONS = {_T.GT, _T.GTE, _T.LT, _T.LTE, _T.NEQ, _T.IS, _T.LIKE, _T.ILIKE, _T.GLOB, _T.SIMILAR_TO, _T.NULL}
_NEAREST: Final[tuple[tuple[set[TokenType], str], ...]] = (
    ({_T.HAVING}, _HAVING),
    ({_T.DISTINCT}, _DISTINCT),
    ({_T.IN, _T.BETWEEN, _T.OR, _T.NOT}, _EITHER),
    (_COMPARISONS, _COMPARE),
    (_JOINS | _SETS, _ONE_DATASET),
    ({_T.OVER, _T.WINDOW}, _WINDOW),
    ({_T.CASE, _T.PLUS, _T.DASH, _T.SLASH, _T.DIV, _T.MOD, _T.DPIPE, _T.DCOLON, _T.CARET, _T.FILTER}, AGGREGATES),
)
_FUNCTIONS: Final = frozenset({"COUNT", "SUM", "AVG"})
_EXTREMES: Final = frozenset({"MIN", "MAX"})
_NAME_PARTS_MAX: Final = 4
_SHOWN_MAX: Final = 40


def check_words(tokens: Sequence[Token], text: str) -> None:
    """Check that every word and sign is of the grammar, there is one SELECT, and names are short.

    Raises:
        Refusal: NOT_IN_GRAMMAR with the place of the first foreign word and the nearest allowed form.
    """
    selects = dots = 0
    clause = _T.SELECT
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        selects += token.token_type is _T.SELECT
        dots = _dots(token, dots)
        clause = token.token_type if token.token_type in _CLAUSES else clause
        if token.token_type not in _ALLOWED or selects > 1:
            raise _foreign(token, text, _nearest(token))
        if token.token_type is _T.VAR and following is not None and following.token_type is _T.L_PAREN:
            _check_function(token, text)
        if clause is _T.FROM and token.token_type in {_T.COMMA, _T.L_PAREN}:
            raise _foreign(token, text, _ONE_DATASET)
        if dots == _NAME_PARTS_MAX:
            raise _foreign(token, text, _LONG_NAME)


def place(text: str, start: int) -> tuple[int, int]:
    """Return the 1-based line and column of a character."""
    before = text[:start]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _dots(token: Token, before: int) -> int:
    """Dots of the name that the token continues."""
    if token.token_type is _T.DOT:
        return before + 1
    return before if token.token_type in {_T.VAR, _T.IDENTIFIER} else 0


def _check_function(token: Token, text: str) -> None:
    name = token.text.upper()
    if name not in _FUNCTIONS:
        raise _foreign(token, text, _RECORDS if name in _EXTREMES else AGGREGATES)


def _nearest(token: Token) -> str:
    for kinds, words in _NEAREST:
        if token.token_type in kinds:
            return words
    remedy = ErrorKind.NOT_IN_GRAMMAR.spec.remedy
    return f"{remedy} {_QUOTE}" if token.text.isidentifier() else remedy


def _foreign(token: Token, text: str, nearest: str) -> Refusal:
    detail = f"Not offered: {token.text[:_SHOWN_MAX]}"
    return Refusal(ErrorKind.NOT_IN_GRAMMAR, detail, position=place(text, token.start), remedy=nearest)
