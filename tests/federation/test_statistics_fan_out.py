"""Asking many countries at once, from Python and from the command line."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from bandung.federation.cli import main
from bandung.federation.commands.query import datasets, query
from bandung.federation.domain.member import Member, MembersError, members_of, only
from bandung.federation.domain.study import Answered, Declined, Outcome, Unreachable
from bandung.federation.statistics import fan_out
from bandung.federation.statistics.fan_out import ask
from bandung.gateway.cli.console import ExitCode, run, subcommands
from bandung.gateway.client import GatewayError
from bandung.gateway.client.values import Column, Dataset, Policy, RegisteredTable, Result

SQL = "SELECT region, COUNT(*) AS women FROM persons GROUP BY region"
METADATA = {"bandung.columns": json.dumps({"region": "region", "women": "count"})}


def a_result(member: str, north: int | None, south: int | None) -> Result:
    table = pa.table(
        {
            "region": ["N", "S"],
            "women": pa.array([north, south], pa.int64()),
            "OBS_STATUS": ["A" if value is not None else "Q" for value in (north, south)],
            "CONF_STATUS": ["F" if value is not None else "C" for value in (north, south)],
        }
    )
    return Result(
        table=table.replace_schema_metadata(METADATA),
        member=member,
        epoch="persons@1",
        policy="table-builder",
        noise={"count": {"variance": 2.5}},
        cost={"tables": 1},
        left={"tables": 499},
        receipt=f"{member}-receipt",
        release="0:00",
        exchange="ab",
        bytes_received=700,
    )


class FakeGateway:
    """Answers, refuses, or cannot be reached."""

    def __init__(self, says: Result | GatewayError | OSError) -> None:
        self._says = says
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.closed = False

    def __enter__(self) -> FakeGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def query(self, sql: str, parameters: Sequence[str], nano_rho: int) -> Result:
        self.asked.append((sql, tuple(parameters)))
        if isinstance(self._says, Exception):
            raise self._says
        return self._says

    def datasets(self) -> tuple[Dataset, ...]:
        if isinstance(self._says, Exception):
            raise self._says
        tables = (RegisteredTable(("region", "sex"), ("count", "sum(income)")), RegisteredTable((), ("count",)))
        policy = Policy("published-tables", 10, 6, 0.0, 0.0, 0, False, 3, tables=tables)
        columns = (
            Column("town", "Town", "dimension", (), "", "", 0, 0, 0, "", open=True),
            Column("sex", "Sex", "dimension", (("F", "women"), ("M", "men")), "", "", 0, 0, 0, ""),
        )
        return (Dataset("persons", "Persons", "", "CC0-1.0", "IDN", "2026", "persons@1", "person", columns, policy),)


REFUSED = GatewayError("B210", "FAILED_PRECONDITION", "B210: The table would have too few records per cell.")
AWAY = GatewayError("", "UNAVAILABLE", "The gateway could not be reached: connection refused")


def a_member(id_: str) -> Member:
    return Member(id_, f"{id_.lower()}.example:8815", Path("ca.pem"), Path("me.pem"), Path("me.key"))


def outcomes(gateways: dict[str, FakeGateway], progress: list[Outcome] | None = None) -> tuple[Outcome, ...]:
    seen = progress if progress is not None else []
    return ask([a_member(id_) for id_ in gateways], SQL, ["Y"], seen.append, lambda member: gateways[member.id])


def test_a_country_that_refuses_and_one_that_is_away_leave_the_others_answers_whole() -> None:
    gateways = {
        "IDN": FakeGateway(REFUSED),
        "BGD": FakeGateway(a_result("BGD", 40, None)),
        "BWA": FakeGateway(AWAY),
    }
    idn, bgd, bwa = outcomes(gateways)
    assert idn == Declined("IDN", "B210", REFUSED.message)
    assert isinstance(bgd, Answered)
    assert bgd.table["women"].to_pylist() == [40, None]
    assert (bgd.receipt, bgd.bytes, bgd.epoch) == ("BGD-receipt", 700, "persons@1")
    assert isinstance(bwa, Unreachable)
    assert bwa.reason.startswith("bwa.example:8815 does not answer. Check ")
    assert all(gateway.closed for gateway in gateways.values())


def test_every_country_gets_the_same_question_with_its_parameters() -> None:
    gateways = {id_: FakeGateway(a_result(id_, 40, 30)) for id_ in ("IDN", "BGD")}
    outcomes(gateways)
    assert [gateway.asked for gateway in gateways.values()] == [[(SQL, ("Y",))]] * 2


def test_countries_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=5)

    class Waiting(FakeGateway):
        def query(self, sql: str, parameters: Sequence[str], nano_rho: int) -> Result:
            together.wait()  # breaks unless all three are asked before any has answered
            return super().query(sql, parameters, nano_rho)

    gateways: dict[str, FakeGateway] = {id_: Waiting(a_result(id_, 40, 30)) for id_ in ("IDN", "BGD", "BWA")}
    assert all(isinstance(outcome, Answered) for outcome in outcomes(gateways))


def test_progress_tells_each_country_once_as_it_comes() -> None:
    seen: list[Outcome] = []
    gateways = {"IDN": FakeGateway(REFUSED), "BGD": FakeGateway(a_result("BGD", 40, 30))}
    assert {o.member for o in outcomes(gateways, seen)} == {o.member for o in seen}
    assert len(seen) == 2


def test_an_identity_that_cannot_be_read_is_that_members_trouble_alone() -> None:
    def connect(member: Member) -> FakeGateway:
        if member.id == "IDN":
            raise FileNotFoundError("me.key")
        return FakeGateway(a_result(member.id, 40, 30))

    idn, bgd = ask([a_member("IDN"), a_member("BGD")], SQL, connect=connect)
    assert isinstance(idn, Unreachable)
    assert isinstance(bgd, Answered)


def test_an_answer_that_hides_its_noise_is_not_taken_for_exact() -> None:
    silent = a_result("IDN", 40, 30)
    gateway = FakeGateway(Result(**{**{f: getattr(silent, f) for f in Result.__slots__}, "noise": {}}))
    (idn,) = outcomes({"IDN": gateway})
    assert idn == Unreachable("IDN", "The answer does not state the noise on women.")


def test_an_alias_keeps_its_meaning() -> None:
    (answer,) = outcomes({"IDN": FakeGateway(a_result("IDN", 40, 30))})
    assert isinstance(answer, Answered)
    assert (answer.dimensions, answer.statistics) == (("region",), ("women",))
    assert answer.noise_variance("women") == 2.5


MEMBERS = {
    "members": {
        "IDN": {
            "address": "a:1",
            "ca": "idn/ca.pem",
            "principals": {"ani": {"certificate": "/etc/ani.pem", "key": "ani.key"}},
        },
        "BGD": {"address": "b:2", "ca": "bgd/ca.pem"},
    }
}


def test_paths_of_a_members_file_are_relative_to_it() -> None:
    idn, bgd = members_of(MEMBERS, "IDN/ani", Path("/box"))
    assert idn == Member("IDN", "a:1", Path("/box/idn/ca.pem"), Path("/etc/ani.pem"), Path("/box/ani.key"))
    assert (bgd.ca, bgd.key) == (Path("/box/bgd/ca.pem"), Path("/box/ani.key"))


@pytest.mark.parametrize(
    ("document", "principal", "words"),
    [
        ({}, "ani", "names no members"),
        ({"members": {"IDN": {"datasets": ["a.toml"]}}}, "ani", r"says where the gateways are.*configuration\.md"),
        (MEMBERS, "ani", "BGD has no principal 'ani'"),
        (MEMBERS, "IDN/budi", "IDN has no principal 'budi'"),
        (MEMBERS, "PHL/ani", "No such member: PHL"),
        ({"members": {"IDN": {"ca": "c", "principals": {"ani": {"certificate": "a"}}}}}, "ani", "`address` is missing"),
    ],
)
def test_a_members_file_that_cannot_be_used_says_why(document: dict[str, object], principal: str, words: str) -> None:
    with pytest.raises(MembersError, match=words):
        members_of(document, principal, Path())


def test_choosing_members_keeps_the_order_asked_for_and_refuses_unknown_ones() -> None:
    everybody = [a_member(id_) for id_ in ("IDN", "BGD", "BWA")]
    assert [member.id for member in only(everybody, ["BWA", "IDN"])] == ["BWA", "IDN"]
    with pytest.raises(MembersError, match="No such member: PHL"):
        only(everybody, ["PHL"])


@pytest.fixture
def members_file(tmp_path: Path) -> Path:
    members = {
        id_: {
            "address": f"{id_}:1",
            "ca": "ca.pem",
            "principals": {"analyst-1": {"certificate": "me.pem", "key": "me.key"}},
        }
        for id_ in ("IDN", "BGD", "BWA")
    }
    path = tmp_path / "sandbox.json"
    path.write_text(json.dumps({"members": members}))
    return path


def bandung(monkeypatch: pytest.MonkeyPatch, says: dict[str, Result | GatewayError], *arguments: str) -> int:
    """Run the commands with gateways that say these things."""
    by_address = {f"{id_}:1": FakeGateway(what) for id_, what in says.items()}
    monkeypatch.setattr(fan_out, "GatewayClient", lambda address, _: by_address[address])
    app = subcommands("test")
    app.command()(query)
    app.command()(datasets)
    return run(app, list(arguments))


SAYS: dict[str, Result | GatewayError] = {
    "IDN": REFUSED,
    "BGD": a_result("BGD", 40, None),
    "BWA": a_result("BWA", 25, 30),
}


def test_the_command_shows_suppressed_cells_by_a_sign_and_explains_it(
    monkeypatch: pytest.MonkeyPatch, members_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bandung(monkeypatch, SAYS, "query", SQL, "--members", str(members_file), "--pooled") == ExitCode.DONE
    shown = capsys.readouterr()
    assert ["S", "c", "30", "±3.1", "30", "±3.1", "IDN", "BGD"] in [line.split() for line in shown.out.splitlines()]
    assert "suppressed to keep it confidential" in shown.out
    assert "±  half the 95 % interval of the confidentiality noise" in shown.out
    assert "declined: B210" in shown.err


def test_a_table_is_shown_whole_on_a_narrow_screen(
    monkeypatch: pytest.MonkeyPatch, members_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert bandung(monkeypatch, SAYS, "query", SQL, "--members", str(members_file), "--pooled") == ExitCode.DONE
    shown = capsys.readouterr()
    assert "…" not in shown.out
    assert "too few records" in " ".join(shown.err.split())


def test_machine_output_holds_refusals_and_nulls(
    monkeypatch: pytest.MonkeyPatch, members_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bandung(monkeypatch, SAYS, "query", SQL, "--members", str(members_file), "--pooled", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["members"]["IDN"] == {"status": "declined", "code": "B210", "reason": REFUSED.message}
    assert document["members"]["BGD"]["rows"][1]["women"] is None
    assert [row["missing"] for row in document["pooled"]] == ["IDN", "IDN BGD"]


def test_csv_has_a_row_for_each_country_and_cell(
    monkeypatch: pytest.MonkeyPatch, members_file: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert bandung(monkeypatch, SAYS, "query", SQL, "--members", str(members_file), "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capfdbinary.readouterr().out.decode())))
    assert [(row["member"], row["region"], row["women"]) for row in rows] == [
        ("BGD", "N", "40"),
        ("BGD", "S", ""),
        ("BWA", "N", "25"),
        ("BWA", "S", "30"),
    ]


def test_arrow_and_plot_are_written(monkeypatch: pytest.MonkeyPatch, members_file: Path, tmp_path: Path) -> None:
    arrow, plot = tmp_path / "out.arrow", tmp_path / "out.svg"
    options = ["--members", str(members_file), "--only", "BWA,BGD", "--arrow", str(arrow), "--plot", str(plot)]
    assert bandung(monkeypatch, SAYS, "query", SQL, *options) == 0
    with pa.ipc.open_file(arrow) as reader:
        assert reader.read_all()["member"].to_pylist() == ["BWA", "BWA", "BGD", "BGD"]
    assert b"<svg" in plot.read_bytes()[:1000]


@pytest.mark.parametrize("command", [["query", SQL], ["datasets"]])
@pytest.mark.parametrize(("says", "code"), [(REFUSED, ExitCode.REFUSED), (AWAY, ExitCode.UNAVAILABLE)])
def test_the_command_fails_only_if_nobody_answered(
    monkeypatch: pytest.MonkeyPatch, members_file: Path, command: list[str], says: GatewayError, code: ExitCode
) -> None:
    nobody: dict[str, Result | GatewayError] = dict.fromkeys(("IDN", "BGD", "BWA"), says)
    assert bandung(monkeypatch, nobody, *command, "--members", str(members_file)) == code


def test_an_unknown_member_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, members_file: Path) -> None:
    members = ("--members", str(members_file))
    assert bandung(monkeypatch, SAYS, "query", SQL, *members, "--only", "PHL") == ExitCode.USAGE
    assert main(["job", "list", *members, "--member", "PHL", "--as", "analyst-1"]) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "--csv"], "give one of them"),
        (["--plot", "out.bmp"], "it may end in"),
        (["--plot", "nowhere/out.svg"], "no folder nowhere"),
        (["--arrow", "nowhere/out.arrow"], "no folder nowhere"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    members_file: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    never: dict[str, Result | GatewayError] = {}  # whoever is asked is not there
    assert bandung(monkeypatch, never, "query", SQL, "--members", str(members_file), *options) == ExitCode.USAGE
    assert words in " ".join(capsys.readouterr().err.split())


def test_datasets_lists_every_country_and_who_is_away(
    monkeypatch: pytest.MonkeyPatch, members_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    says: dict[str, Result | GatewayError] = {**SAYS, "IDN": AWAY}
    assert bandung(monkeypatch, says, "datasets", "--members", str(members_file)) == 0
    shown = capsys.readouterr().out
    assert "BGD  persons@1  Persons (2026)" in shown
    assert "town               dimension  any text that enough units have" in shown
    assert "sex                dimension  F, M" in shown
    assert "table region x sex: count, sum(income)" in shown
    assert "table in all: count" in shown
    assert "IDN  IDN:1 does not answer" in shown
