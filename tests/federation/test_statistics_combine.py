"""Totals over countries: what adds, what does not, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pyarrow as pa
import pytest

from bandung.federation.domain.study import Answered, Declined, Outcome, Unreachable
from bandung.federation.statistics.combine import CombineError, long_table, pool


def an_answer(member: str, cells: dict[str, tuple[float | None, ...]], **noise: dict[str, float]) -> Answered:
    """Statistics by code of `region`; `count` first, then one for each further keyword."""
    names = ["count", *(name for name in noise if name != "count")]
    types = [pa.int64(), *([pa.float64()] * (len(names) - 1))]
    columns = {"region": pa.array(list(cells))}
    for place, (name, kind) in enumerate(zip(names, types, strict=True)):
        columns[name] = pa.array([row[place] for row in cells.values()], kind)
    columns["OBS_STATUS"] = pa.array(["A" if row[0] is not None else "Q" for row in cells.values()])
    columns["CONF_STATUS"] = pa.array(["F" if row[0] is not None else "C" for row in cells.values()])
    return Answered(
        member=member,
        table=pa.table(columns),
        noise={_released(name): noise.get(name, {"variance": 2.5}) for name in names},
        columns={"region": "region", **{name: _released(name) for name in names}},
        epoch="persons@1",
        policy="table-builder",
        receipt="7:00",
        bytes=100,
        seconds=0.01,
    )


def _released(name: str) -> str:
    return {"total": "sum(income)", "average": "mean(income)"}.get(name, name)


def by_region(outcomes: list[Outcome]) -> dict[str, dict[str, object]]:
    return {str(row["region"]): row for row in pool(outcomes).total.to_pylist()}


def test_counts_and_their_noise_variances_add() -> None:
    total = by_region([an_answer("IDN", {"N": (40,)}), an_answer("BGD", {"N": (25,)}), an_answer("BWA", {"N": (15,)})])
    assert total["N"]["count"] == 80
    assert total["N"]["count.se"] == pytest.approx(sqrt(7.5))
    assert total["N"]["missing"] == ""


def test_a_suppressed_cell_leaves_a_total_that_names_the_country_without_a_value() -> None:
    total = by_region([an_answer("IDN", {"N": (40,), "S": (None,)}), an_answer("BGD", {"N": (25,), "S": (30,)})])
    assert total["S"] == {"region": "S", "count": 30.0, "count.se": pytest.approx(sqrt(2.5)), "missing": "IDN"}
    assert total["N"]["missing"] == ""


def test_a_cell_suppressed_everywhere_has_no_total_at_all() -> None:
    total = by_region([an_answer("IDN", {"S": (None,)}), an_answer("BGD", {"S": (None,)})])
    assert total["S"] == {"region": "S", "count": None, "count.se": None, "missing": "IDN BGD"}


def test_a_cell_that_only_some_countries_have_names_the_others() -> None:
    total = by_region([an_answer("IDN", {"N": (40,)}), an_answer("BWA", {"N": (15,), "_U": (12,)})])
    assert total["_U"]["count"] == 12
    assert total["_U"]["missing"] == "IDN"


def test_a_mean_is_pooled_by_released_counts_with_the_error_of_both() -> None:
    noise = {"average": {"standard_error_max_times_count": 24.0}}
    total = by_region([an_answer("IDN", {"N": (40, 10.0)}, **noise), an_answer("BGD", {"N": (60, 20.0)}, **noise)])
    assert total["N"]["average"] == pytest.approx(16.0)
    variance = (0.4 * 24 / 40) ** 2 + (0.6 * 24 / 60) ** 2 + 2.5 * ((10 - 16) / 100) ** 2 + 2.5 * ((20 - 16) / 100) ** 2
    assert total["N"]["average.se"] == pytest.approx(sqrt(variance))


def test_sums_add_with_the_largest_error_that_each_country_publishes() -> None:
    idn = an_answer("IDN", {"N": (40, 400.0)}, total={"standard_error_max": 3.0})
    bgd = an_answer("BGD", {"N": (60, 500.0)}, total={"standard_error_max": 4.0})
    assert by_region([idn, bgd])["N"]["total"] == 900
    assert by_region([idn, bgd])["N"]["total.se"] == pytest.approx(5.0)


def test_a_mean_without_a_count_is_not_pooled() -> None:
    answer = an_answer("IDN", {"N": (40, 10.0)}, average={"standard_error_max_times_count": 24.0})
    alone = pool([replace(answer, table=answer.table.drop_columns(["count"]))])
    assert alone.total["average"].to_pylist() == [None]
    assert alone.unpooled == {"average": "Means are weighted by counts: add COUNT(*) to the question."}
    assert pool([answer]).unpooled == {}


def test_the_error_of_a_mean_of_some_records_is_left_blank() -> None:
    noise = {"average": {"standard_error_max_times_contributors": 24.0}}
    total = by_region([an_answer("IDN", {"N": (40, 10.0)}, **noise), an_answer("BGD", {"N": (60, 20.0)}, **noise)])
    assert total["N"]["average"] == pytest.approx(16.0)
    assert total["N"]["average.se"] is None


def test_countries_that_did_not_answer_are_in_no_table_and_every_total_says_so() -> None:
    idn = an_answer("IDN", {"N": (40,), "S": (None,)})
    outcomes = [Declined("BGD", "B210", "too sparse"), idn, Unreachable("BWA", "no route")]
    assert pool(outcomes).countries["member"].to_pylist() == ["IDN", "IDN"]
    assert pool(outcomes).total["missing"].to_pylist() == ["BGD BWA", "BGD IDN BWA"]


def test_the_long_table_holds_every_answer_with_its_status() -> None:
    table = long_table([an_answer("IDN", {"N": (40,), "S": (None,)}), an_answer("BGD", {"N": (25,)})])
    assert table.column_names == ["member", "region", "count", "OBS_STATUS", "CONF_STATUS"]
    assert table["count"].to_pylist() == [40, None, 25]
    assert table["CONF_STATUS"].to_pylist() == ["F", "C", "F"]


def test_nothing_can_be_combined_when_nobody_answered() -> None:
    with pytest.raises(CombineError, match="No country answered"):
        pool([Unreachable("IDN", "no route")])


def test_answers_to_different_questions_are_not_put_together() -> None:
    other = an_answer("BGD", {"N": (25, 1.0)}, total={"standard_error_max": 1.0})
    with pytest.raises(CombineError, match="BGD answered with other columns than IDN"):
        pool([an_answer("IDN", {"N": (40,)}), other])
