"""docs/grammar.md says what is so: its examples plan, its refusals are refused in its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.check import CheckedPlan, check
from bandung.gateway.planning.present import result_schema
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.planning.text import SQL_BYTES_MAX, SQL_DEPTH_MAX, SQL_TOKENS_MAX
from tests.support.persons import EPOCHS, PRIVATE, TABLES, find_in

TEXT = (Path(__file__).parents[2] / "docs" / "grammar.md").read_text()
BLOCKS = re.findall(r"```sql( differential-privacy)?\n(.*?)```", TEXT, re.DOTALL)
EXAMPLES = [(line, bool(private)) for private, block in BLOCKS for line in block.splitlines()]
REFUSED = re.findall(r"^\| `(.+?)` \| (B\d{3}) \| (.+?) \|$", TEXT, re.MULTILINE)
VALUES = {"region": "N", "sex": "F", "income": "100"}


def planned(sql: str, epoch: Epoch) -> tuple[CheckedPlan, ...]:
    statement, _ = plan_sql(sql, find_in(epoch))
    parameters = tuple(VALUES[name] for name in statement.parameters)
    return tuple(check(plan, epoch) for plan in bind(statement, epoch, parameters))


@pytest.mark.parametrize(("sql", "private"), EXAMPLES)
def test_every_example_of_the_grammar_is_planned_by_the_policies_that_offer_it(sql: str, *, private: bool) -> None:
    offered = {"differential-privacy"}
    if not private:
        offered |= {"table-builder"} if "AVG" in sql else {"table-builder", "published-tables"}
    for policy, epoch in EPOCHS.items():
        if policy in offered:
            assert planned(sql, epoch)
            continue
        with pytest.raises(Refusal) as caught:
            planned(sql, epoch)
        assert caught.value.kind is ErrorKind.NOT_UNDER_POLICY


@pytest.mark.parametrize(("sql", "code", "nearest"), REFUSED)
def test_every_refusal_of_the_grammar_has_its_code_and_its_words(sql: str, code: str, nearest: str) -> None:
    with pytest.raises(Refusal) as caught:
        planned(sql, PRIVATE)
    assert caught.value.code == code
    assert nearest.lower() in caught.value.message.lower()


def test_the_page_has_examples_and_refusals() -> None:
    assert len(EXAMPLES) >= 30
    assert len(REFUSED) == len(re.findall(r"^\| `(SELECT|WITH)", TEXT, re.MULTILINE)) >= 25


def test_columns_are_called_as_the_page_says() -> None:
    asked = "COUNT(*), COUNT(DISTINCT person_id), SUM(income), AVG(p.income), VARIANCE(income), STDDEV(income)"
    statement, epoch = plan_sql(f"SELECT {asked}, MEDIAN(income) FROM persons p", find_in(TABLES))
    names = [name for name in result_schema(statement, epoch).names if "STATUS" not in name]
    assert names[:4] == ["count(*)", "count(distinct person)", "sum(income)", "avg(income)"]
    assert all(f"`{name}`" in TEXT for name in names)


def test_the_limits_on_the_page_are_those_in_force() -> None:
    assert (SQL_BYTES_MAX, SQL_TOKENS_MAX, SQL_DEPTH_MAX) == (16 * 1024, 2000, 32)
    limits = "A statement may have 16 KiB, 2 000\nwords and signs, and brackets 32 deep"
    assert limits in TEXT
