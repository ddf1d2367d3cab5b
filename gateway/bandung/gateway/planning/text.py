"""From text to a syntax tree: limits before the parser, and only a parser's clean verdict after it."""

from __future__ import annotations

import re
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.planning.words import check_words, place

_DIALECT: Final = sqlglot.Dialect.get_or_raise("duckdb")
SQL_BYTES_MAX: Final = 16 * 1024
SQL_TOKENS_MAX: Final = 2000
SQL_DEPTH_MAX: Final = 32

_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_EXPLAIN: Final = re.compile(r"\s*(EXPLAIN)(?=\s)", re.IGNORECASE)
_NEAREST = "Write SELECT dimensions, COUNT(*) FROM dataset GROUP BY dimensions."


def parse(text: str) -> exp.Expr:
    """Return the syntax tree of a single statement; comments are dropped.

    The parser sees only texts of allowed words: it takes exponential time for some others, such as many JOINs.

    Raises:
        Refusal: TOO_LARGE over a limit; NOT_IN_GRAMMAR for a foreign word; SYNTAX if the text cannot be read, is not
            one statement, or does not survive being written and read again.
    """
    tokens = _within_limits(text)
    _check_single(tokens)
    check_words(tokens, text)
    try:
        # Writing may change a tree: one is read to be written, and one to be kept, faster than a copy is made.
        draft, tree = (_DIALECT.parser().parse(tokens, text)[0] for _ in range(2))
        if draft is None or tree is None:
            raise Refusal(ErrorKind.SYNTAX, remedy=_NEAREST)
        written = draft.sql(dialect=_DIALECT, comments=False, copy=False)
        if sqlglot.parse_one(written, read=_DIALECT).sql(dialect=_DIALECT, copy=False) != written:
            raise Refusal(ErrorKind.SYNTAX, "The statement can be read in more than one way.", remedy=_NEAREST)
    except SqlglotError as error:
        raise Refusal(ErrorKind.SYNTAX, position=_place(error), remedy=_NEAREST) from error
    except (RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise Refusal(ErrorKind.SYNTAX, remedy=_NEAREST) from error
    return tree


def without_explain(text: str) -> tuple[str, bool]:
    """Return the statement after a leading EXPLAIN with every place as it was, and whether there was one."""
    found = _EXPLAIN.match(text)
    if found is None:
        return text, False
    return text[: found.start(1)] + " " * len(found.group(1)) + text[found.end(1) :], True


def position(node: exp.Expr, text: str) -> tuple[int, int] | None:
    """Return the 1-based line and column where a node begins, if the parser kept it."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    if not starts:
        return None
    return place(text, min(starts))


def _within_limits(text: str) -> list[Token]:
    if len(text.encode("utf-8", "surrogatepass")) > SQL_BYTES_MAX:
        raise Refusal(ErrorKind.TOO_LARGE, f"A statement may have {SQL_BYTES_MAX} bytes.")
    try:
        tokens = _DIALECT.tokenize(text)
    except (SqlglotError, ValueError) as error:
        raise Refusal(ErrorKind.SYNTAX, remedy=_NEAREST) from error
    if len(tokens) > SQL_TOKENS_MAX:
        raise Refusal(ErrorKind.TOO_LARGE, f"A statement may have {SQL_TOKENS_MAX} words and signs.")
    if _depth(tokens) > SQL_DEPTH_MAX:
        raise Refusal(ErrorKind.TOO_LARGE, f"Brackets may nest {SQL_DEPTH_MAX} deep.")
    return tokens


def _check_single(tokens: list[Token]) -> None:
    ends = [token.token_type is TokenType.SEMICOLON for token in tokens]
    first = ends.index(True) if True in ends else len(ends)
    if first == 0 or not all(ends[first:]):
        raise Refusal(ErrorKind.SYNTAX, "Send exactly one statement.", remedy=_NEAREST)


def _depth(tokens: list[Token]) -> int:
    depth = deepest = 0
    for token in tokens:
        if token.token_type in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif token.token_type in _CLOSING:
            depth -= 1
    return deepest


def _place(error: SqlglotError) -> tuple[int, int] | None:
    details = getattr(error, "errors", None)
    if not details or details[0].get("line") is None:
        return None
    return int(details[0]["line"]), int(details[0].get("col") or 1)
