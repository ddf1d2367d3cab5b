"""Refusals that depend on data: make the gateway fail, or leave, in ways that differ with what stands in a row.

Error texts quote the value that failed to convert, name the row, or come at another time; whoever can make a question
fail for one person learns about that person (Haeberlen, Pierce, Narayan, USENIX Security 2011; Litchfield et al., The
Database Hacker's Handbook, 2005). A live source is spoiled in many ways behind a gateway's back, each with a canary in
the place of a value. Whatever went wrong, there is one code and one text; the canary is in no answer, no log at the
default level, and no entry of the ledger. The control reads the canary from the same source by an ordinary engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bandung.gateway.disclosure.keys import record_keys
from tests.support.attacking import (
    POLICIES,
    Ground,
    Heard,
    a_ground,
    an_ordinary_engine,
    dimension,
    measure,
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


@dataclass
class Heap:
    """Everything that an outsider, an operator or an auditor gets to see."""

    answers: list[Heard] = field(default_factory=list[Heard])
    texts: list[str] = field(default_factory=list[str])

    @property
    def failures(self) -> set[str]:
        return {answer.refusal for answer in self.answers if answer.refusal}


@pytest.fixture(scope="module")
def ground_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with a_ground(tmp_path_factory.mktemp("refusals")) as ground:
        yield ground


def spoil_and_ask(ground: Ground, name: str, rows: list[dict[str, Any]]) -> list[Heard]:
    """Publish what is sound, spoil the source, ask."""
    table = f"spoiled_{name.replace(' ', '_')}"
    sound = pa.Table.from_pylist(people())
    ground.publish_now(table, sound, COLUMNS, POLICIES["table-builder"], UNIT, mode="live")
    write_file(pa.Table.from_pylist(rows, schema=sound.schema), ground.gateway.directory / f"{table}.parquet")
    return [ground.analysts(1).ask(question.format(t=table)) for question in QUESTIONS]


def test_whatever_is_wrong_with_the_data_the_text_is_one_and_the_canary_nowhere(
    ground_of_its_own: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    heap, failed = Heap(), 0
    for name, spoiled in SPOILED.items():
        heard = spoil_and_ask(ground_of_its_own, name, spoiled())
        failed += any(answer.refusal for answer in heard)
        heap.answers += heard
    heap.texts = [str(entry.event) for entry in ground_of_its_own.gateway.entries()]
    heap.texts += [caplog.text, str(heap.answers)]
    assert failed >= len(SPOILED) / 2
    assert {text[:4] for text in heap.failures} == {"B401"}
    assert len(heap.failures) == 1
    assert "B401" in caplog.text
    shown = sum(canary in text for text in heap.texts for canary in (CANARY, str(NUMBER)))
    assert reported(float(shown > 0)) == 0
    caplog.clear()


@pytest.mark.parametrize("question", [question for question in QUESTIONS if "WHERE" in question])
def test_a_failure_beside_a_filter_does_not_say_on_which_side_the_row_is(
    ground_of_its_own: Ground, question: str
) -> None:
    """The unlisted code belongs to nobody's cell; asking for one place or the other must not tell it apart."""
    heard = spoil_and_ask(ground_of_its_own, "beside a filter", changed(7, place=CANARY))
    north = ground_of_its_own.analysts(1).ask(question.format(t="spoiled_beside_a_filter"))
    south = ground_of_its_own.analysts(1).ask(question.format(t="spoiled_beside_a_filter").replace("'N'", "'S'"))
    assert (north.code, heard[3].code) == (south.code, south.code)


def test_control_an_ordinary_engine_quotes_the_canary(tmp_path: Path) -> None:
    with an_ordinary_engine("spoiled", pa.Table.from_pylist(changed(7, place=CANARY))) as ask:
        assert (
            CANARY
            in ask(
                "SELECT SUM(CAST(CASE WHEN place IN ('N', 'S') THEN '1' ELSE place END AS INT)) FROM spoiled"
            ).refusal
        )
        assert CANARY in str(ask("SELECT place, COUNT(*) FROM spoiled GROUP BY place").rows)
