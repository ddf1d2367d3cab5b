"""A coverage-guided fuzzer of the planner: `make fuzz`. Any text is planned or refused, within a second of work.

Arguments are libFuzzer's. Coverage is that of the planner and of what it calls in Python; statements of the tests are
the seeds, and half of what is tried is made of the grammar's own words, which get further than letters do.
"""

from __future__ import annotations

import re
import sys
import time
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["bandung", "sqlglot"]):
    from bandung.gateway.domain.errors import Refusal
    from bandung.gateway.planning.bind import bind
    from bandung.gateway.planning.check import check
    from bandung.gateway.planning.present import result_schema
    from bandung.gateway.planning.sql import plan_sql
    from tests.support.persons import EPOCHS, find_in

SECONDS_MAX = 1.0
PLANS = Path(__file__).parent / "plans"
WORDS = re.findall(
    r"\S+",
    """
    SELECT FROM WHERE AND GROUP BY HAVING ORDER BY LIMIT ALL ROLLUP EXPLAIN DISTINCT BETWEEN IN NOT AS ASC DESC WITHIN
    GROUP COUNT(*) COUNT( SUM( AVG( MEDIAN( VAR_SAMP( STDDEV( QUANTILE_CONT( PERCENTILE_CONT( MAX( persons persons p
    region district sex age_group income balance debt person n "n" 'N' 'N1' '15-29' 'F' 0 1 0.5 -1.5 1000 1e99 ? $1 $2
    :x ( ) , . * = <> < <= > >= - + / ; -- /* */ ' " [ ] { } NULL OR JOIN CASE UNION OVER :: \\ é \x00
    """,
)


def text_of(data: bytes) -> str:
    """An even first byte: the rest is a text as it stands. An odd one: each further byte is a word of the grammar."""
    if not data or data[0] % 2 == 0:
        return data[1:].decode("utf-8", "replace")
    return " ".join(WORDS[byte % len(WORDS)] for byte in data[1:])


def ask(text: str, policy: str) -> None:
    """Plan a text under a policy; only a refusal of the request may come of it.

    Raises:
        AssertionError: it was refused with words that are not about the request, or took too long.
    """
    epoch, begun = EPOCHS[policy], time.process_time()
    try:
        statement, _ = plan_sql(text, find_in(epoch))
        plans = bind(statement, epoch, ("N",) * len(statement.parameters))
        outcome = [check(plan, epoch).plan.digest for plan in plans] + result_schema(statement, epoch).names
    except Refusal as refusal:
        outcome = [refusal.message if refusal.code.startswith("B2") else ""]
    assert all(outcome), text
    assert time.process_time() - begun < SECONDS_MAX, text


def one_input(data: bytes) -> None:
    """What the fuzzer calls."""
    text = text_of(data)
    for policy in EPOCHS:
        ask(text, policy)


def seeds() -> list[str]:
    """Every statement of the planner's tests."""
    allowed = tomllib.loads((PLANS / "allowed.toml").read_text())["pair"]
    refused = tomllib.loads((PLANS / "refused.toml").read_text())["refused"]
    return [*(sql for pair in allowed for sql in pair["sql"]), *(row[0] for row in refused)]


def main() -> None:
    """Fuzz until an argument such as `-max_total_time=60` says stop; a finding is printed, and the exit is not 0."""
    with TemporaryDirectory() as corpus:
        for number, sql in enumerate(seeds()):
            (Path(corpus) / str(number)).write_bytes(b"\x00" + sql.encode())
        atheris.Setup(
            [*sys.argv, "-max_len=2000", "-rss_limit_mb=2048", f"-artifact_prefix={corpus}/", corpus], one_input
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
