"""docs/grammar.md says what is so: its examples plan, its refusals are refused in its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.errors import Refusal
from bandung.gateway.planning.bind import bind
from bandung.gateway.planning.present import result_schema
from bandung.gateway.planning.sql import plan_sql
from bandung.gateway.planning.text import SQL_BYTES_MAX, SQL_DEPTH_MAX, SQL_TOKENS_MAX
from tests.support.builders import an_epoch

TEXT = (Path(__file__).parents[2] / "docs" / "grammar.md").read_text()
EXAMPLES = [line for block in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
REFUSED = re.findall(r"^\| `(.+?)` \| (B\d{3}) \| (.+?) \|$", TEXT, re.MULTILINE)
EPOCH = an_epoch()


def find(name: str) -> Epoch | None:
    return EPOCH if name == "persons" else None


@pytest.mark.parametrize("sql", EXAMPLES)
def test_every_example_of_the_grammar_is_planned(sql: str) -> None:
    statement, epoch = plan_sql(sql, find)
    codes = {"region": "N", "sex": "F"}
    assert bind(statement, epoch, tuple(codes[name] for name in statement.parameters)).statistics


@pytest.mark.parametrize(("sql", "code", "nearest"), REFUSED)
def test_every_refusal_of_the_grammar_has_its_code_and_its_words(sql: str, code: str, nearest: str) -> None:
    with pytest.raises(Refusal) as caught:
        plan_sql(sql, find)
    assert caught.value.code == code
    assert nearest.lower() in caught.value.message.lower()


def test_the_page_has_examples_and_refusals() -> None:
    assert len(EXAMPLES) >= 15
    assert len(REFUSED) == TEXT.count("| `")


def test_columns_are_called_as_the_page_says() -> None:
    statement, epoch = plan_sql("SELECT COUNT(*), SUM(income), AVG(income) FROM persons", find)
    names = [name for name in result_schema(statement, epoch).names if "STATUS" not in name]
    assert names == ["count(*)", "sum(income)", "avg(income)"]
    assert all(f"`{name}`" in TEXT for name in names)


def test_the_limits_on_the_page_are_those_in_force() -> None:
    assert (SQL_BYTES_MAX, SQL_TOKENS_MAX, SQL_DEPTH_MAX) == (16 * 1024, 2000, 32)
    limits = "A statement may have 16 KiB, 2 000\nwords and signs, and brackets 32 deep"
    assert limits in TEXT
