"""`bandung dataset init`: the draft of anybody's file can be published once the custodian has completed it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bandung.federation.cli import main
from bandung.gateway.cli.console import ExitCode
from tests.support.sources import write_file

PEOPLE = "id,Region,age,income\n" + "".join(
    f"{n},{'north' if n % 3 else 'south'},{18 + n % 60},{n % 97 + 0.5}\n" for n in range(1, 601)
)


class Drafting:
    """Somebody with a file at a command line."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def file(self, content: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
        (self.directory / name).write_text(content, encoding=encoding)
        return self.directory / name

    def init(self, file: Path, *words: str, country: str = "IDN") -> str:
        code, out, err = self.run("dataset", "init", str(file), "--country", country, *words)
        assert (code, err) == (ExitCode.DONE, "")
        return out

    def refused(self, file: Path, *words: str, country: str = "IDN") -> tuple[int, str]:
        code, out, err = self.run("dataset", "init", str(file), "--country", country, *words)
        assert out == ""
        return code, err

    def check(self, draft: str) -> tuple[int, str]:
        (self.directory / "draft.toml").write_text(draft)
        code, out, err = self.run("dataset", "check", str(self.directory / "draft.toml"))
        assert err == ""
        return code, out

    def completed(self, draft: str) -> dict[str, Any]:
        """What the draft declares; its data hold it."""
        text = draft.replace("TO COMPLETE", "told")
        code, out = self.check(text)
        assert code == ExitCode.DONE, out
        return tomllib.loads(text)

    def run(self, *words: str) -> tuple[int, str, str]:
        code = main([*words])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def drafting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Drafting:
    return Drafting(tmp_path, capsys)


def table(**columns: list[object]) -> str:
    """A CSV text."""
    lines = zip(*columns.values(), strict=True)
    return "\n".join(",".join(map(str, line)) for line in [tuple(columns), *lines]) + "\n"


def test_a_draft_is_checked_and_names_what_is_to_complete(drafting: Drafting) -> None:
    draft = drafting.init(drafting.file(PEOPLE + "601,,77,\n", "People 2026.csv"), "--unit", "id")
    for expected in ('name = "people_2026"', 'source = "Region"', 'missing = "missing"', "decimals = 1"):
        assert expected in draft
    code, out = drafting.check(draft)
    assert code == ExitCode.NOT_WELL
    assert "dataset: to complete (4). Complete title, description, licence, period.\nage: to complete (1)." in out
    drafting.completed(draft)


def test_a_draft_allows_as_many_rows_of_a_unit_as_there_are_and_codes_without_spaces_at_their_ends(
    drafting: Drafting,
) -> None:
    rows = "".join(f"h{i // 3},{'east ' if i % 2 else 'west'}\n" for i in range(50))
    draft = drafting.init(drafting.file("household,region\n" + rows), "--unit", "household")
    assert "rows_max = 3\n" in draft
    assert '{ code = "east", label = "east", values = ["east "] }' in draft
    drafting.completed(draft)


def test_a_draft_of_a_column_that_is_not_there_names_those_that_are(drafting: Drafting) -> None:
    code, err = drafting.refused(drafting.file(PEOPLE), "--unit", "person")
    assert code == ExitCode.REFUSED
    assert "Region" in err


@pytest.mark.parametrize("country", ["Kenya", "ken", "KE", ""])
def test_a_country_is_told_by_its_code_of_three_letters(drafting: Drafting, country: str) -> None:
    code, err = drafting.refused(drafting.file(PEOPLE), country=country)
    assert code == ExitCode.USAGE
    assert err == "--country must be an ISO 3166-1 alpha-3 code: three capital letters, as KEN for Kenya.\n"


def test_a_file_that_cannot_be_read_is_told_from_those_that_can(drafting: Drafting) -> None:
    code, err = drafting.refused(drafting.file("PK", "people.xlsx"))
    assert code == ExitCode.REFUSED
    assert err.startswith("B501: ")
    for suffix in (".csv", ".parquet", ".arrow"):
        assert suffix in err


@pytest.mark.parametrize("name", ["nobody.csv", "."])
def test_a_file_that_is_not_there_is_wrong_usage(drafting: Drafting, name: str) -> None:
    code, err = drafting.refused(drafting.directory / name)
    assert code == ExitCode.USAGE
    assert "DATA" in err


@pytest.mark.parametrize("content", ["", "id,region\n"])
def test_there_is_nothing_to_draft_from_no_rows(drafting: Drafting, content: str) -> None:
    code, err = drafting.refused(drafting.file(content))
    assert code == ExitCode.REFUSED
    assert "has no rows" in err


def test_a_file_of_another_form_is_drafted_by_options_that_stand_in_the_draft(drafting: Drafting) -> None:
    file = drafting.file(PEOPLE.replace(",", ";").replace("north", "Île"), encoding="latin-1")
    code, err = drafting.refused(file)
    assert code == ExitCode.UNAVAILABLE
    assert "people.csv is no text in utf-8. Say the file's form in [source]: encoding, delimiter" in err
    code, err = drafting.refused(file, "--option", "encoding=latin-1")
    assert code == ExitCode.REFUSED
    assert "--option 'delimiter=\";\"'" in err
    words = ("--option", "encoding=latin-1", "--option", 'delimiter = ";"', "--option", 'null=["x", "y"]')
    declared = drafting.completed(drafting.init(file, *words))
    options = {"encoding": "latin-1", "delimiter": ";", "null": ["x", "y"]}
    assert declared["source"] == {"connector": "files", "relation": "people.csv", **options}
    assert declared["columns"]["region"]["codes"][1]["values"] == ["Île"]


def test_a_line_that_is_not_like_the_others_is_named_and_not_shown(drafting: Drafting) -> None:
    code, err = drafting.refused(drafting.file(PEOPLE + "601,s3cr3t,5\n"))
    assert code == ExitCode.UNAVAILABLE
    assert "line 602 of people.csv has another number of fields by the delimiter ',' (3, before 4)" in err
    assert "s3cr3t" not in err


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("delimiter", "--option takes NAME=VALUE"),
        ("relation=other.csv", "an option of the connector files"),
        ("colour=red", "files has no option colour"),
        ("null=.", "null must be a list of texts"),
        ("header.x=1", "source.header: must be a text, number, truth value or list of texts"),
    ],
)
def test_a_wrong_option_of_the_source_is_refused(drafting: Drafting, option: str, reason: str) -> None:
    code, err = drafting.refused(drafting.file(PEOPLE), "--option", option)
    assert code == ExitCode.REFUSED
    assert reason in err


def test_marks_for_no_value_are_found_and_drafting_again_with_them_gives_numbers(drafting: Drafting) -> None:
    n = range(200)
    file = drafting.file(table(income=[["n/a", "."][i % 2] if i < 9 else i / 2 for i in n], sex=["F", "M"] * 100))
    draft = drafting.init(file)
    assert '"income" are read as text: numbers, but for ".", "n/a".' in draft
    assert "income" not in drafting.completed(draft)["columns"]
    option = 'null=[".","n/a"]'
    assert f"--option '{option}'" in draft
    declared = drafting.completed(drafting.init(file, "--option", option))
    assert declared["source"]["null"] == [".", "n/a"]
    assert declared["columns"]["income"] == {
        "role": "measure",
        "label": "income",
        "range": [4, 100],
        "unit": "told",
        "decimals": 1,
        "missing": "allowed",
    }


def test_numbers_with_a_decimal_comma_are_found_and_drafting_again_gives_numbers(drafting: Drafting) -> None:
    file = drafting.file(table(income=[i / 2 for i in range(200)], sex=["F", "M"] * 100))
    file.write_text(file.read_text().replace(",", ";").replace(".", ","))
    draft = drafting.init(file, "--option", "delimiter=;")
    assert "its numbers have a decimal comma. Draft again with --option decimal=," in draft
    columns = drafting.completed(drafting.init(file, "--option", "delimiter=;", "--option", "decimal=,"))["columns"]
    assert columns["income"]["decimals"] == 1


def test_what_is_left_out_is_left_out_for_its_own_reason(drafting: Drafting) -> None:
    n = range(600)
    file = drafting.file(
        table(
            sex=["F", "M"] * 300,
            born=[f"19{i % 90 + 10}-0{i % 9 + 1}-11" for i in n],
            interview=[f"{i % 28 + 1}/{i % 12 + 1}/2026" for i in n],
            empty=[""] * 600,
            village=[f"village {i % 50}" for i in n],
            person=[f"P{i}" for i in n],
            remark=["x" * 70, "y"] * 300,
            ratio=["nan", *n[1:]],
            national_id=[10**17 + i * 7 for i in n],
            turnover=[9 * 10**15 - i % 50 for i in n],
        )
    )
    draft = drafting.init(file)
    for column, reason in {
        "born": "dates are read as texts",
        "interview": "dates are read as texts",
        "empty": "no row has a value.",
        "village": "too many different texts for a code list.",
        "person": "nearly every row has a value of its own.",
        "remark": "a code is not blank, on one line, and of at most 60 characters.",
        "ratio": "not all of its numbers are finite.",
        "national_id": "its numbers are too large to be added up exactly.",
        "turnover": "its numbers are too large to be added up exactly.",
    }.items():
        assert f'# "{column}" is left out: {reason}' in draft
    assert list(drafting.completed(draft)["columns"]) == ["sex"]


def test_names_that_sql_has_a_use_for_or_that_would_be_the_same_are_told_apart(drafting: Drafting) -> None:
    sources = ["a b", "a-b", "a.b", "rows", "key", "units", "bin", "count", "select", "date", "région", "日本", "2026"]
    file = drafting.file(table(**{source: ["x", "y"] * 20 for source in [*sources, "q" * 60, "q" * 61]}), "Order.csv")
    declared = drafting.completed(drafting.init(file))
    names = ["a_b", "a_b_2", "a_b_3", *(f"c_{name}" for name in sources[3:10]), "region", "c", "c_2026"]
    assert list(declared["columns"]) == [*names, "q" * 40, "q" * 35 + "_2"]
    assert declared["columns"]["c_rows"]["source"] == "rows"
    assert declared["dataset"]["name"] == "order"


def test_a_file_of_identifiers_alone_says_that_a_column_is_to_be_declared(drafting: Drafting) -> None:
    draft = drafting.init(drafting.file(table(id=list(range(100)))))
    assert "# TO COMPLETE: declare at least one column" in draft
    code, err = drafting.run("dataset", "check", str(drafting.file(draft, "draft.toml")))[::2]
    assert (code, err.split()[0]) == (ExitCode.REFUSED, "B501:")


def test_an_identifier_is_no_measure_and_a_survey_weight_is_a_weight(drafting: Drafting) -> None:
    n = range(200)
    file = drafting.file(
        table(
            id=[1000 + i for i in n],
            serial=[i * i for i in n],
            cows=[i % 50 for i in n],
            pond_2026=[1 + i / 8 for i in n],
            wgt=[1 + i % 3 for i in n],
        )
    )
    draft = drafting.init(file)
    assert "draft again: --unit id." in draft
    assert "# [columns.serial]\n# role = " in draft
    columns = drafting.completed(draft)["columns"]
    roles = {name: column["role"] for name, column in columns.items()}
    assert roles == {"cows": "measure", "pond_2026": "weight", "wgt": "weight"}
    assert drafting.completed(drafting.init(file, "--unit", "id"))["unit"]["column"] == "id"


def test_other_files_are_drafted_too_with_every_kind_of_value(drafting: Drafting) -> None:
    columns = pa.table(
        {
            "truth": [True, False] * 50,
            "day": pa.array(range(100), pa.date32()),
            "odd \x7f name": ["a", "b"] * 50,
            "two\nlines": ["a\nb", "c"] * 50,
            "blank": ["", "c"] * 50,
            "x" * 201: ["a", "b"] * 50,
        }
    )
    draft = drafting.init(write_file(columns, drafting.directory / "rows.parquet"))
    assert list(drafting.completed(draft)["columns"]) == ["truth", "odd_name"]
