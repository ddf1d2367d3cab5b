"""The measurements still run: on small sizes, every number there, nothing about how large it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.__main__ import main
from benchmarks.report import Spent, interleaved, quantile, ratio


@pytest.mark.slow
def test_every_part_but_training_measures_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "fragment.md"
    small = ["--persons", "40000", "--rounds", "1", "--questions", "4"]
    main(["--only", "protection,register,privacy,planning,wire,memory", *small, "--out", str(out)])

    fragment, shown = out.read_text("utf-8"), capsys.readouterr().out
    titles = (
        "(a) Protected ÷ raw: 40,000 persons",
        "establishments, 1,800 cells",
        "Differential privacy ÷ raw: 40,000 persons",
        "Planning per statement",
        "(b) Latency",
        "Answers per second",
        "(d) Resident memory",
    )
    for title in titles:
        assert title in fragment
        assert title in shown
    rows = [line for line in fragment.splitlines() if line.startswith("| census")]
    assert len(rows) == 1
    assert all(float(cell) > 0 for cell in rows[0].strip("| ").split(" | ")[1:])


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--only", "speed"])
    assert "no such part: speed" in capsys.readouterr().err


def test_acts_are_done_in_turn_and_the_first_round_is_not_counted():
    done: list[str] = []
    spent = interleaved(2, {"a": lambda: done.append("a"), "b": lambda: done.append("b")})

    assert "".join(done) == "ababab"
    assert [len(found.wall) for found in spent.values()] == [2, 2]


def test_a_ratio_is_the_median_of_the_rounds_and_a_quantile_is_a_value_that_was_seen():
    assert ratio(Spent([2.0, 9.0, 6.0], [1.0] * 3), Spent([1.0, 3.0, 2.0], [2.0] * 3)) == (3.0, 0.5)
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 1.0) == 3.0
