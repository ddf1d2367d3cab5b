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
        policy="table-builder",
        receipt="7:00",
        bytes=100,
        seconds=0.01,
    )


def test_what_is_suppressed_too_noisy_or_cannot_exist_has_signs_of_its_own():
    answer = an_answer("AQMO")
    text = io.StringIO()
    Console(file=text, width=80).print(wide((answer,)))
    rows = [line.split() for line in text.getvalue().splitlines() if line.strip().startswith("D")]
    assert rows == [["D0", "41", "±3.1"], ["D1", "c"], ["D2", "-"], ["D3", "u"]]
    assert legend((answer,)).splitlines()[0].split("    ") == [
        "c  suppressed to keep it confidential",
        "u  too few records for the noise on it",
        "-  the country has no such cell",
    ]


def test_only_the_signs_that_are_used_are_explained():
    assert "suppressed" not in legend((an_answer("AO"),))
    assert legend((an_answer("AA"),)).startswith("±  half the 95 % interval")
