"""Answers as they are printed: what is withheld and what cannot exist have signs of their own."""

from __future__ import annotations

import io

import pyarrow as pa
from rich.console import Console

from bandung.federation.domain.study import Answered
from bandung.federation.statistics.show import legend, wide


def an_answer(statuses: str) -> Answered:
    table = pa.table(
        {
            "district": [f"D{place}" for place in range(len(statuses))],
            "women": pa.array([41 if status == "A" else None for status in statuses], pa.int64()),
            "OBS_STATUS": list(statuses),
            "CONF_STATUS": ["C" if status == "Q" else "F" for status in statuses],
        }
    )
    return Answered(
        member="IDN",
        table=table,
        noise={"count": {"variance": 2.5}},
        columns={"district": "district", "women": "count"},
        epoch="persons@1",
        receipt="7:00",
        bytes=100,
        seconds=0.01,
    )


def test_a_cell_that_cannot_exist_is_not_shown_as_suppressed():
    answer = an_answer("AQM")
    text = io.StringIO()
    Console(file=text, width=80).print(wide((answer,)))
    rows = [line.split() for line in text.getvalue().splitlines() if line.strip().startswith("D")]
    assert rows == [["D0", "41"], ["D1", "c"], ["D2", "-"]]
    assert "the country has no such cell" in legend((answer,))
