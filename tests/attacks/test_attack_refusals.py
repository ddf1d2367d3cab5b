"""Refusals that depend on data: make the gateway fail, or leave, in ways that differ with what stands in a row.

Error texts quote the value that failed to convert, name the row, or come at another time; whoever can make a question
fail for one person learns about that person (Haeberlen, Pierce, Narayan, USENIX Security 2011; Litchfield et al., The
Database Hacker's Handbook, 2005). A source is spoiled in many ways behind a gateway's back, each with a canary in the
place of a value. Whatever went wrong with a live one, there is one code and one text; a copy answers as before, and
publishing what is spoiled is refused. The canary is in no answer, no refusal, no log at the default level, and no entry
of the ledger. The control reads the canary from the same source by an ordinary engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bandung.gateway.disclosure.keys import record_keys
from bandung.gateway.domain.errors import Refusal
from tests.support.attacking import (
    POLICIES,
    Analysts,
    Ground,
    Heard,
    an_ordinary_engine,
    dimension,
    measure,
    registered,
    reported,
)
from tests.support.sources import write_file

CANARY = "CANARY4711"
NUMBER = 471_108_150_815
COLUMNS = {"place": dimension(["N", "S"]), "income": measure(0, 1000)}
UNIT: dict[str, Any] = {"name": "person", "column": "person", "key": "k"}
QUESTIONS = [
    "SELECT place, COUNT(*) FROM {t} GROUP BY place",
    "SELECT SUM(income) FROM {t}",
    "SELECT place, AVG(income) FROM {t} GROUP BY place",
    "SELECT COUNT(*) FROM {t} WHERE place = 'N'",
]


def people() -> list[dict[str, Any]]:
    """Sixty people in two places."""
    keys = record_keys(b"k" * 32, [f"p{i}" for i in range(60)]).to_pylist()
    return [{"person": f"p{i}", "k": key, "place": "NS"[i % 2], "income": i % 50 + 100} for i, key in enumerate(keys)]


def changed(at: int, **values: Any) -> list[dict[str, Any]]:
    found = people()
    found[at] = {**found[at], **values}
    return found


SPOILED: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "a code that is not listed": lambda: changed(7, place=CANARY),
    "a value out of range": lambda: changed(7, income=NUMBER),
    "a negative value": lambda: changed(7, income=-NUMBER),
    "a missing value": lambda: changed(7, income=None),
    "a missing code": lambda: changed(7, place=None),
    "a missing key": lambda: changed(7, k=None),
    "a person more": lambda: [*people(), {**people()[7], "person": CANARY}],
    "a person less": lambda: people()[1:],
}


@dataclass(frozen=True)
class Case:
    """How the people are published."""

    policy: Mapping[str, Any]
    mode: str = "snapshot"

    def publish(self, ground: Ground, table: str, rows: pa.Table) -> str:
        """Publish rows; return the words of the refusal, or nothing."""
        try:
            ground.publish_now(table, rows, COLUMNS, self.policy, UNIT, mode=self.mode)
        except Refusal as refusal:
            return str(refusal)
        return ""


CASES = {
    "live table-builder": Case(POLICIES["table-builder"], "live"),
    "copied table-builder": Case(POLICIES["table-builder"]),
    "differential-privacy": Case(POLICIES["differential-privacy"]),
    "published-tables": Case(registered(["count", "sum(income)"], ("place",))),
}


def ask_all(analysts: Analysts, table: str) -> list[Heard]:
    """Every question's answer or refusal, whatever time it took."""
    return [replace(analysts.ask(question.format(t=table)), seconds=0) for question in QUESTIONS]


@pytest.mark.parametrize("name", CASES)
def test_whatever_is_wrong_with_the_data_the_text_is_one_and_the_canary_nowhere(
    ground: Ground, analysts: Analysts, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    case, sound = CASES[name], pa.Table.from_pylist(people())
    answers: list[Heard] = []
    unpublished: list[str] = []
    for number, spoiled in enumerate(SPOILED.values()):
        table = f"spoiled {name} {number} {len(analysts.names)}".replace(" ", "_").replace("-", "_")
        assert not case.publish(ground, table, sound)
        before = ask_all(analysts, table) if case.mode == "snapshot" else None
        rows = pa.Table.from_pylist(spoiled(), schema=sound.schema)
        write_file(rows, ground.gateway.directory / f"{table}.parquet")
        heard = ask_all(analysts, table)
        assert before in (None, heard)
        answers += heard
        unpublished.append(case.publish(ground, table, rows))
    failures = [answer.refusal for answer in answers if answer.refusal and not answer.planned]
    if case.mode == "live":
        assert len(failures) >= len(SPOILED) / 2
        assert {text[:4] for text in failures} == {"B401"}
        assert len(set(failures)) == 1
        assert "B401" in caplog.text
    else:
        assert not failures
    assert {text[:4] for text in unpublished} == {"", "B502"}
    assert unpublished.count("") < len(SPOILED) / 2
    seen = [*(str(entry.event) for entry in ground.gateway.entries()), caplog.text, str(answers), str(unpublished)]
    assert reported(float(any(canary in text for text in seen for canary in (CANARY, str(NUMBER))))) == 0
    caplog.clear()


@pytest.mark.parametrize("question", [question for question in QUESTIONS if "WHERE" in question])
def test_a_failure_beside_a_filter_does_not_say_on_which_side_the_row_is(
    ground: Ground, analysts: Analysts, question: str
) -> None:
    """The unlisted code belongs to nobody's cell; asking for one place or the other must not tell it apart."""
    table = f"spoiled_beside_a_filter_{len(analysts.names)}"
    assert not CASES["live table-builder"].publish(ground, table, pa.Table.from_pylist(people()))
    write_file(pa.Table.from_pylist(changed(7, place=CANARY)), ground.gateway.directory / f"{table}.parquet")
    north, south = (analysts.ask(question.format(t=table).replace("'N'", place)) for place in ("'N'", "'S'"))
    assert north.code == south.code


def test_control_an_ordinary_engine_quotes_the_canary(tmp_path: Path) -> None:
    with an_ordinary_engine("spoiled", pa.Table.from_pylist(changed(7, place=CANARY))) as ask:
        assert (
            CANARY
            in ask(
                "SELECT SUM(CAST(CASE WHEN place IN ('N', 'S') THEN '1' ELSE place END AS INT)) FROM spoiled"
            ).refusal
        )
        assert CANARY in str(ask("SELECT place, COUNT(*) FROM spoiled GROUP BY place").rows)
