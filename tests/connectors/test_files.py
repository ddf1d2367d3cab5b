"""The files connector: what text means, what is refused, what cannot be reached."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from bandung.connectors.base import Column, Join, OptionError, Recode, RowQuery, SourceError, Stop, View
from bandung.connectors.files import FilesConnector
from tests.support.sources import write_file


def types(connector: FilesConnector, relation: str) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in connector.schema(relation)}


def test_a_csv_column_is_whole_else_real_else_text(tmp_path: Path):
    late = "\n".join(f"{row},{row}.5,N,true,1987-01-01" for row in range(30_000))
    (tmp_path / "rows.csv").write_text(f"a,b,c,d,e\n{late}\nx,y,Z,false,never\n")
    connector = FilesConnector.open({}, tmp_path, {})
    assert set(types(connector, "rows.csv").values()) == {pa.string()}
    (tmp_path / "clean.csv").write_text("a,b,c,d\n1,1.5,N,true\n2,2,Y,false\n")
    assert types(connector, "clean.csv") == {"a": pa.int64(), "b": pa.float64(), "c": pa.string(), "d": pa.string()}
    connector.close()


def test_null_is_what_the_declaration_says_and_none_is_a_word(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("a;b\nNone;1\nNA;NA\n;3\n")
    options = {"delimiter": ";", "null": json.dumps(["NA"])}
    connector = FilesConnector.open(options, tmp_path, {})
    view = View("rows.csv", (("a", Recode("a", (("none", ("None",)),), "_U")),), None)
    assert connector.rows(RowQuery(view, ("a",)), Stop()).read_all()["a"].to_pylist() == ["none", "_U", "_U"]
    assert connector.schema("rows.csv").field("b").type == pa.int64()
    connector.close()


def test_numbers_with_a_decimal_comma_are_numbers_where_it_is_declared(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("a;b\n1,5;1\n-2;2\n")
    connector = FilesConnector.open({"delimiter": ";", "decimal": ","}, tmp_path, {})
    assert types(connector, "rows.csv") == {"a": pa.float64(), "b": pa.int64()}
    view = View("rows.csv", (("a", Column("a")),), None)
    assert connector.rows(RowQuery(view, ("a",)), Stop()).read_all()["a"].to_pylist() == [1.5, -2.0]
    connector.close()


def test_files_without_a_header_and_with_other_lines_on_top(tmp_path: Path):
    (tmp_path / "rows.dat").write_text("@relation x\n@data\n007, 2\n008, 3\n")
    options = {"header": "false", "skip_lines": "2", "names": '["id", "n"]', "text": '["id"]'}
    connector = FilesConnector.open(options, tmp_path, {})
    assert types(connector, "rows.dat") == {"id": pa.string(), "n": pa.int64()}
    units = connector.rows(RowQuery(View("rows.dat", (), "id"), ()), Stop()).read_all()
    assert units["unit"].to_pylist() == ["007", "008"]
    connector.close()


def test_a_pattern_reads_several_files_as_one(tmp_path: Path):
    for part in range(3):
        write_file(pa.table({"id": [part]}), tmp_path / f"part-{part}.parquet")
    connector = FilesConnector.open({}, tmp_path, {})
    view = View("part-*.parquet", (), "id")
    assert connector.profile(view, (), Stop()).rows == 3
    connector.close()


def test_types_beyond_the_plain_ones_are_offered_as_text(tmp_path: Path):
    table = pa.table({"day": pa.array([0, 1], pa.date32()), "big": pa.array([1, 2], pa.decimal128(38, 0))})
    write_file(table, tmp_path / "rows.parquet")
    connector = FilesConnector.open({}, tmp_path, {})
    assert types(connector, "rows.parquet") == {"day": pa.string(), "big": pa.float64()}
    view = View("rows.parquet", (("day", Recode("day", (("first", ("1970-01-01",)),), "_U")),), None)
    assert connector.rows(RowQuery(view, ("day",)), Stop()).read_all()["day"].to_pylist() == ["first", None]
    connector.close()


@pytest.mark.parametrize(
    "options",
    [
        {"colour": "red"},
        {"threads": "many"},
        {"header": "yes"},
        {"names": "a,b"},
        {"memory_mb": "0"},
        {"null": "[1]"},
        {"encoding": "ebcdic"},
        {"decimal": ";"},
        {"format": "xlsx"},
    ],
)
def test_a_wrong_option_is_refused_when_the_connector_opens(options: dict[str, str], tmp_path: Path):
    with pytest.raises(OptionError):
        FilesConnector.open(options, tmp_path, {})


def test_a_file_of_unknown_format_is_refused(tmp_path: Path):
    (tmp_path / "rows.xyz").write_text("a\n1\n")
    with pytest.raises(OptionError, match=r"csv: \.csv .*parquet: \.parquet .*arrow: \.arrow"):
        FilesConnector.open({}, tmp_path, {}).schema("rows.xyz")
    forced = FilesConnector.open({"format": "csv"}, tmp_path, {})
    assert types(forced, "rows.xyz") == {"a": pa.int64()}
    forced.close()


@pytest.mark.parametrize(
    ("options", "where", "content"),
    [
        (
            {},
            "line 3 of rows.csv has another number of fields by the delimiter ',' (3, before 2)",
            "a,b\n1,2\n1,s3cr3t,5\n",
        ),
        (
            {},
            "line 3 of rows.csv has another number of fields by the delimiter ',' (1, before 2)",
            "a,b\n1,2\ns3cr3t\n",
        ),
        ({"skip_lines": "1"}, "line 4 of rows.csv has another number of fields", "top\na,b\n1,2\ns3cr3t\n"),
        ({}, "what follows line 2 of rows.csv cannot be told into fields by the quote", 'a,b\n1,2\n3,"s3cr3t\n4,5\n'),
        ({}, "rows.csv is no text in utf-8", "a,b\n1,s3cr3t\n2,Île\n"),
        ({}, "rows.csv is no text in utf-8", "a,région\n1,s3cr3t\n"),
        ({"delimiter": "::"}, "rows.csv cannot be read as CSV", "a::b\n1::2\ns3cr3t\n"),
    ],
)
def test_a_csv_file_of_another_form_is_told_by_its_line_and_never_by_its_rows(
    tmp_path: Path, options: dict[str, str], where: str, content: str
):
    (tmp_path / "rows.csv").write_text(content, encoding="latin-1")
    connector = FilesConnector.open(options, tmp_path, {})
    with pytest.raises(SourceError) as caught:
        connector.schema("rows.csv")
    assert str(caught.value).startswith(where)
    assert "encoding, delimiter, quote, header, skip_lines (docs/connectors.md)" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_csv_file_is_read_in_its_own_encoding(tmp_path: Path):
    for encoding in ("utf-8", "latin-1", "utf-16"):
        (tmp_path / "rows.csv").write_text("région\nÎle\n", encoding=encoding)
        connector = FilesConnector.open({"encoding": encoding}, tmp_path, {})
        view = View("rows.csv", (("region", Recode("région", (("I", ("Île",)),), "_U")),), None)
        assert connector.rows(RowQuery(view, ("region",)), Stop()).read_all()["region"].to_pylist() == ["I"]
        connector.close()


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.arrow"])
def test_a_damaged_file_is_a_source_error(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b'\xff\xfe\x00garbage,"\n1')
    with pytest.raises(SourceError):
        FilesConnector.open({}, tmp_path, {}).schema(name)


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.arrow"])
def test_the_engine_of_a_file_can_read_no_other_file(tmp_path: Path, name: str):
    write_file(pa.table({"a": [1]}), tmp_path / name)
    (tmp_path / "other.csv").write_text("secret\n1\n")
    connector = FilesConnector.open({}, tmp_path, {})
    engine = connector._file(name)._database.cursor()
    for attempt in (
        f"SELECT * FROM read_csv('{tmp_path / 'other.csv'}')",
        f"COPY (SELECT 1) TO '{tmp_path / 'new.csv'}'",
        "SET enable_external_access=true",
        "SET threads=64",
    ):
        with pytest.raises(duckdb.Error):
            engine.execute(attempt)
    connector.close()


@pytest.mark.parametrize("beside", ["homes.csv", "homes.parquet", "homes.arrow"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.arrow"])
def test_a_join_opens_its_own_file_beside_the_relations_and_no_other(tmp_path: Path, name: str, beside: str):
    write_file(pa.table({"home": [1, 2, None]}), tmp_path / name)
    write_file(pa.table({"id": [1, 2], "town": ["A", "B"]}), tmp_path / beside)
    (tmp_path / "other.csv").write_text("secret\n1\n")
    connector = FilesConnector.open({}, tmp_path, {})
    view = View(name, (("town", Column("home.town")),), None, joins=(Join(beside, "home", (("home", "id"),)),))
    rows = connector.rows(RowQuery(view, ("town",)), Stop()).read_all()
    assert rows.sort_by("unit")["town"].to_pylist() == ["A", "B", None]
    engine = connector._file(name, view.joins)._database.cursor()
    declared = {str(tmp_path / file) for file in (name, beside) if not file.endswith(".arrow")}
    ((allowed,),) = engine.execute("SELECT current_setting('allowed_paths')").fetchall()
    assert set(allowed) == declared
    for attempt in (f"SELECT * FROM read_csv('{tmp_path / 'other.csv'}')", "SET enable_external_access=true"):
        with pytest.raises(duckdb.Error):
            engine.execute(attempt)
    connector.close()


@pytest.mark.parametrize("outside", ["../secret.parquet", "sub/../../secret.parquet", "{base}/secret.parquet"])
def test_a_relation_outside_of_the_directory_is_refused(tmp_path: Path, outside: str):
    write_file(pa.table({"id": [1]}), tmp_path / "secret.parquet")
    directory = tmp_path / "data"
    directory.mkdir()
    write_file(pa.table({"id": [1]}), directory / "rows.parquet")
    connector = FilesConnector.open({}, directory, {})
    name = outside.format(base=tmp_path)
    join = Join(name, "secret", (("id", "id"),))
    with pytest.raises(OptionError):
        connector.schema(name)
    with pytest.raises(OptionError):
        connector.profile(View("rows.parquet", (), "id", joins=(join,)), (), Stop())
    connector.close()


def test_row_numbers_follow_the_file_whatever_is_joined(tmp_path: Path):
    write_file(pa.table({"a": range(100_000)}), tmp_path / "rows.parquet")
    write_file(pa.table({"id": range(299_999, -1, -1)}), tmp_path / "wide.parquet")
    connector = FilesConnector.open({}, tmp_path, {})
    join = Join("wide.parquet", "wide", (("a", "id"),))
    view = View("rows.parquet", (("a", Column("a")), ("id", Column("wide.id"))), None, joins=(join,))
    rows = connector.rows(RowQuery(view, ("a", "id")), Stop()).read_all()
    assert rows.num_rows == 100_000
    assert rows["unit"].equals(rows["a"])
    assert rows["unit"].equals(rows["id"])
    connector.close()


def test_row_numbers_follow_the_file(tmp_path: Path):
    write_file(pa.table({"a": range(100_000)}), tmp_path / "rows.parquet")
    connector = FilesConnector.open({}, tmp_path, {})
    view = View("rows.parquet", (("a", Recode("a", (("five", (5,)),))),), None)
    rows = connector.rows(RowQuery(view, ("a",)), Stop()).read_all()
    assert rows["unit"].to_pylist() == list(range(100_000))
    assert [row for row, code in enumerate(rows["a"].to_pylist()) if code == "five"] == [5]
    connector.close()
