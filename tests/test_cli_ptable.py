"""`bandung ptable show`: the table behind the counts, for anybody to see and check."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bandung.federation.cli import main

DECLARATION = """
[dataset]
name = "people"
title = "People"
description = "People."
licence = "CC0-1.0"
country = "IDN"
period = "2026"
[source]
connector = "files"
relation = "people.csv"
[unit]
name = "person"
rows = true
[columns.sex]
role = "dimension"
codes = [{ code = "F" }, { code = "M" }]
[policy]
kind = "table-builder"
"""


def show(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["ptable", "show", *words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.toml"
    path.write_text(DECLARATION)
    return path


def test_the_table_and_its_check_are_shown(capsys, file):
    code, out, _ = show(capsys, str(file))
    assert code == 0
    assert out.startswith("count change probability\n0 0 1.0\n1 -1 ")
    assert "zero bias: holds" in out
    assert "declared variance: holds (3 from a count of" in out
    assert "no result below 0 or in 1..js: holds" in out


def test_the_csv_form_is_the_table_alone(capsys, file):
    code, out, err = show(capsys, str(file), "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert sum(float(row["probability"]) * int(row["change"]) for row in rows if row["count"] == "5") == pytest.approx(
        0
    )
    assert "zero bias: holds" in err


def test_an_ons_table_is_shown_as_it_was_given_with_its_bias(capsys, file):
    given = "pcv,ckey,pvalue\n12,0,-3\n12,255,1\n"
    (file.parent / "ptable.csv").write_text(given)
    file.write_text(DECLARATION + 'noise = "ons"\nptable = "ptable.csv"\n')
    assert show(capsys, str(file), "--format", "csv")[1] == given
    document = json.loads(show(capsys, str(file), "--format", "json")[1])
    assert document["rows"] == [[12, 0, -3], [12, 255, 1]]
    assert document["findings"][0] == {
        "rule": "zero bias",
        "holds": None,
        "found": "1 of 750 counts are biased, at most by -0.0078",
    }


def test_a_dataset_of_a_gateway_is_shown_too(capsys, file, tmp_path):
    (tmp_path / "people.csv").write_text("sex\n" + "F\nM\n" * 200)
    words = ["gateway", "init", str(tmp_path / "idn"), "--member", "IDN", "--trust-domain", "idn.example"]
    assert main(words) == 0
    assert main(["dataset", "publish", str(file), "--gateway", str(tmp_path / "idn")]) == 0
    capsys.readouterr()
    assert show(capsys, "people", "--gateway", str(tmp_path / "idn")) == show(capsys, str(file))
    assert show(capsys, "people")[0] == 3
    assert show(capsys, "nothing", "--gateway", str(tmp_path / "idn"))[0] == 3
