"""The words and signs of the closed grammar, checked before the parser sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from bandung.gateway.domain.errors import ErrorKind, Refusal

_DISTINCT: Final = "Only COUNT(DISTINCT unit) of the unit of privacy: GROUP BY a dimension to see all of its codes."
_EITHER: Final = "Comparisons are joined by AND; write NOT only in NOT IN."
_COMPARE: Final = "Comparisons are =, <>, <, <=, >, >=, BETWEEN, IN and NOT IN, with literals."
_ONE_DATASET: Final = "Ask one dataset at a time, without subqueries."
_WINDOW: Final = "Windows are not offered: compute on the answer."
_RECORDS: Final = "MIN and MAX would show single records: ask for QUANTILE_CONT(x, 0.01) or QUANTILE_CONT(x, 0.99)."
AGGREGATES: Final = (
    "Only COUNT(*), COUNT(DISTINCT unit), SUM(x), AVG(x), VAR_SAMP(x), STDDEV_SAMP(x), MEDIAN(x) and "
    "QUANTILE_CONT(x, q) of a declared measure."
)
COUNTS: Final = "Write COUNT(*), or COUNT(DISTINCT unit) of the unit of privacy."
_SIGN: Final = "A minus is only the sign of a number. " + AGGREGATES
_QUOTE: Final = "A name that is a word of SQL is written in double quotes."
_LONG_NAME: Final = "A name has at most four parts: catalog.main.dataset.column."

_T = TokenType
_COMPARISONS: Final = frozenset({_T.EQ, _T.NEQ, _T.LT, _T.LTE, _T.GT, _T.GTE, _T.BETWEEN})
_ALLOWED: Final = _COMPARISONS | frozenset(
    {_T.SELECT, _T.FROM, _T.WHERE, _T.AND, _T.GROUP_BY, _T.ALL, _T.ORDER_BY, _T.ASC, _T.DESC, _T.LIMIT, _T.ALIAS}
    | {_T.HAVING, _T.ROLLUP, _T.DISTINCT, _T.IN, _T.NOT, _T.DASH}
    | {_T.VAR, _T.IDENTIFIER, _T.STRING, _T.NUMBER, _T.PLACEHOLDER, _T.PARAMETER, _T.COLON}
    | {_T.COMMA, _T.DOT, _T.L_PAREN, _T.R_PAREN, _T.STAR, _T.SEMICOLON}
)
_CLAUSES: Final = frozenset({_T.SELECT, _T.FROM, _T.WHERE, _T.GROUP_BY, _T.HAVING, _T.ORDER_BY, _T.LIMIT})
_JOINS = {_T.JOIN, _T.LEFT, _T.RIGHT, _T.FULL, _T.INNER, _T.OUTER, _T.CROSS, _T.NATURAL, _T.LATERAL, _T.USING, _T.ON}
_SETS = {_T.UNION, _T.EXCEPT, _T.INTERSECT, _T.WITH, _T.EXISTS, _T.SELECT, _T.VALUES}
_PATTERNS = {_T.IS, _T.LIKE, _T.ILIKE, _T.GLOB, _T.SIMILAR_TO, _T.NULL}
_NEAREST: Final[tuple[tuple[set[TokenType], str], ...]] = (
    ({_T.DISTINCT}, _DISTINCT),
    ({_T.OR, _T.NOT}, _EITHER),
    (_PATTERNS, _COMPARE),
    (_JOINS | _SETS, _ONE_DATASET),
    ({_T.OVER, _T.WINDOW}, _WINDOW),
    ({_T.DASH}, _SIGN),
    ({_T.CASE, _T.PLUS, _T.SLASH, _T.DIV, _T.MOD, _T.DPIPE, _T.DCOLON, _T.CARET, _T.FILTER}, AGGREGATES),
    ({_T.CUBE, _T.GROUPING_SETS}, "Write one ROLLUP over one declared hierarchy."),
)
_BEFORE_SIGN: Final = _COMPARISONS | {_T.AND, _T.L_PAREN}
_BEFORE_NAME: Final = _CLAUSES | {_T.COMMA, _T.DOT, _T.AND, _T.ALIAS, _T.L_PAREN}
_AFTER_NAME: Final = _COMPARISONS | _CLAUSES | {_T.COMMA, _T.DOT, _T.ALIAS, _T.R_PAREN, _T.IN, _T.NOT, _T.SEMICOLON}
_FUNCTIONS: Final = frozenset(
    {"COUNT", "SUM", "AVG", "VAR_SAMP", "VARIANCE", "STDDEV_SAMP", "STDDEV"}
    | {"MEDIAN", "QUANTILE", "QUANTILE_CONT", "APPROX_QUANTILE", "PERCENTILE_CONT"}
)
_EXTREMES: Final = frozenset({"MIN", "MAX"})
_NAME_PARTS_MAX: Final = 4
SHOWN_MAX: Final = 40


def check_words(tokens: Sequence[Token], text: str) -> None:
    """Check that every word and sign is of the grammar, there is one SELECT, and names are short.

    Raises:
        Refusal: NOT_IN_GRAMMAR with the place of the first foreign word and the nearest allowed form.
    """
    selects = dots = 0
    clause = _T.SELECT
    for before, token, after in zip([None, *tokens[:-1]], tokens, [*tokens[1:], None], strict=True):
        selects += token.token_type is _T.SELECT
        dots = _dots(token, dots)
        clause = token.token_type if token.token_type in _CLAUSES else clause
        if token.token_type not in _ALLOWED or selects > 1 or not _in_place(before, token, after):
            raise _foreign(token, text, _nearest(before, token, after))
        if token.token_type is _T.VAR and _is(after, _T.L_PAREN):
            _check_function(before, token, text)
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


def _in_place(before: Token | None, token: Token, after: Token | None) -> bool:
    """DISTINCT stands in COUNT( ) only, NOT before IN only, a minus before a number that is compared only."""
    match token.token_type:
        case _T.DISTINCT:
            return _is(before, _T.L_PAREN)
        case _T.NOT:
            return _is(after, _T.IN)
        case _T.DASH:
            return _is(after, _T.NUMBER) and before is not None and before.token_type in _BEFORE_SIGN
        case _:
            return True


def _is(token: Token | None, kind: TokenType) -> bool:
    return token is not None and token.token_type is kind


def _check_function(before: Token | None, token: Token, text: str) -> None:
    name = token.text.upper()
    within_group = name == "GROUP" and before is not None and before.text.upper() == "WITHIN"
    if name not in _FUNCTIONS and not within_group:
        raise _foreign(token, text, _RECORDS if name in _EXTREMES else AGGREGATES)


def _nearest(before: Token | None, token: Token, after: Token | None) -> str:
    if _stands_as_name(before, token, after):
        return _QUOTE
    for kinds, words in _NEAREST:
        if token.token_type in kinds:
            return words
    return ErrorKind.NOT_IN_GRAMMAR.spec.remedy


def _stands_as_name(before: Token | None, token: Token, after: Token | None) -> bool:
    """Whether a word stands alone where a name would, as in SELECT date, …"""
    begun = before is not None and before.token_type in _BEFORE_NAME
    ended = after is None or after.token_type in _AFTER_NAME
    return begun and ended and token.text.isidentifier()


def _foreign(token: Token, text: str, nearest: str) -> Refusal:
    detail = f"Not offered: {token.text[:SHOWN_MAX]}"
    return Refusal(ErrorKind.NOT_IN_GRAMMAR, detail, position=place(text, token.start), remedy=nearest)
