"""Hostile text: keep the gateway busy, or make it fail, with a statement that is small enough to be read.

A general parser of SQL takes exponential time for some texts (a few hundred JOINs without a condition), recurses as
deep as the text nests, and reads numbers of any length. Only the words of the closed grammar reach it here.
"""

from __future__ import annotations

import time
from contextlib import suppress

import numpy as np
import pytest

from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.planning.sql import plan_sql
from tests.support.builders import an_epoch

EPOCH = an_epoch()
SECONDS_MAX = 1.0
COUNT = "SELECT COUNT(*) FROM persons "
TEXTS = {
    "joins": COUNT + "JOIN persons " * 900,
    "joins by comma": COUNT + ", persons" * 900,
    "brackets": COUNT + "WHERE " + "(" * 32 + "region = 'N'" + ")" * 32,
    "open brackets": COUNT + "WHERE " + "(" * 32,
    "brackets around a table": "SELECT COUNT(*) FROM " + "(" * 32 + "persons" + ")" * 32,
    "subqueries": COUNT + "WHERE (SELECT COUNT(*) FROM persons " * 30 + ")" * 30,
    "minus": "SELECT " + "- " * 1900 + "1",
    "not": COUNT + "WHERE " + "NOT " * 1900 + "region",
    "case": "SELECT " + "CASE " * 1900,
    "dots": "SELECT " + ".".join(["a"] * 900) + " FROM persons",
    "dots of a table": "SELECT COUNT(*) FROM " + ".".join(["a"] * 900),
    "equals": COUNT + "WHERE " + " = ".join(["region"] * 900),
    "strings": COUNT + "WHERE region = " + "'N' " * 1900,
    "functions": "SELECT " + "SUM(" * 32 + "income" + ")" * 32 + " FROM persons",
    "aliases": "SELECT COUNT(*) " + "AS x " * 900,
    "columns": "SELECT " + ", ".join(["a"] * 950) + " FROM persons",
    "colons": "SELECT " + "a:" * 900,
    "limits": COUNT + "LIMIT 1 " * 900,
    "semicolons": ";" * 1900,
    "lists": COUNT + "WHERE region IN (" + "'N', " * 900 + "'N')",
    "lists in brackets": COUNT + "WHERE region IN " + "(" * 31 + "'N'" + ")" * 31,
    "ranges": COUNT + "WHERE " + " AND ".join(["income BETWEEN 1 AND 2"] * 300),
    "having": COUNT + "HAVING " + " AND ".join(["COUNT(*) > 1"] * 300),
    "rollups": COUNT + "GROUP BY " + ", ".join(["ROLLUP (region)"] * 400),
    "rolled brackets": COUNT + "GROUP BY " + "ROLLUP (" * 31 + "region" + ")" * 31,
    "within groups": "SELECT " + "PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY income) " * 150 + "FROM persons",
    "explains": "EXPLAIN " * 1900,
    "spaces before explain": " " * 16_000 + "EXPLAIN",
}
WORDS = ["SELECT", "FROM", "WHERE", "AND", "GROUP_BY", "ORDER_BY", "ALL", "DESC", "LIMIT", "AS", "region", "persons"]
WORDS += ["HAVING", "ROLLUP", "DISTINCT", "BETWEEN", "NOT_IN", "IN", "WITHIN_GROUP", "income"]
SIGNS = ["'N'", "1", "?", "$1", ":", ",", ".", "(", ")", "*", "=", "COUNT(*)", "<>", "<=", "-", "MEDIAN("]


def plan(sql: str) -> float:
    """Return how long it takes to plan or to refuse a text."""
    begun = time.monotonic()
    with suppress(Refusal):
        plan_sql(sql, lambda name: EPOCH if name == "persons" else None)
    return time.monotonic() - begun


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_keeps_the_planner_busy(name: str) -> None:
    assert plan(TEXTS[name]) < SECONDS_MAX


@pytest.mark.parametrize("seed", range(60))
def test_no_repetition_of_allowed_words_keeps_the_planner_busy(seed: int) -> None:
    draw = np.random.default_rng(seed)
    phrase = " ".join(draw.choice(WORDS + SIGNS, draw.integers(1, 6)).tolist()).replace("_", " ")
    assert plan(COUNT + ("WHERE " if seed % 2 else "") + f"{phrase} " * 300) < SECONDS_MAX


def test_four_hundred_comparisons_are_an_ordinary_question() -> None:
    statement, _ = plan_sql(COUNT + "WHERE " + " AND ".join(["region = 'N'"] * 400), lambda _: EPOCH)
    assert len(statement.filters) == 400


@pytest.mark.parametrize("place", ["LIMIT ", "ORDER BY ", "GROUP BY ", "WHERE region = $"])
def test_a_number_of_five_thousand_digits_is_refused(place: str) -> None:
    with pytest.raises(Refusal) as caught:
        plan_sql(COUNT + place + "9" * 5000, lambda _: EPOCH)
    assert caught.value.kind in {ErrorKind.NOT_IN_GRAMMAR, ErrorKind.BAD_PARAMETER}
