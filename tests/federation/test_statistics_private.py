"""Questions to a real gateway, most under `differential-privacy`: intervals stay beside their statistics."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from bandung.federation.cli import main
from bandung.federation.domain.member import Member
from bandung.federation.domain.study import Answered
from bandung.federation.statistics.combine import pool
from bandung.federation.statistics.fan_out import ask
from bandung.federation.statistics.show import wide
from bandung.gateway.domain.noise import standard_error
from tests.support.gateway import Gateway, a_gateway

POLICY = {"kind": "differential-privacy", "rho_per_table": 0.01, "rho_per_table_max": 0.05}
SQL = (
    "SELECT area, COUNT(*) AS farms, SUM(balance) AS total, AVG(balance) AS mean, MEDIAN(balance) AS middle"
    " FROM farms GROUP BY area"
)
Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def tell(gateway: Gateway, *words: str, **others: dict[str, str]) -> tuple[int, str, str]:
        """Run `bandung WORDS` as Ani of IDN, beside other members; exit code, output, messages."""
        files = gateway.identity("analyst/ani")
        ani = {"certificate": str(files.certificate), "key": str(files.key)}
        idn = {"address": gateway.address, "ca": str(gateway.idn.ca), "principals": {"ani": ani}}
        path = gateway.directory / "members.json"
        path.write_text(json.dumps({"members": {"IDN": idn, **others}}))
        code = main([*words, "--members", str(path), "--as", "IDN/ani"])
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return tell


def test_private_answers_pool_with_the_error_that_their_noise_implies(tmp_path: Path):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=POLICY, training={"allowed": False})
        gateway.agree()
        files = gateway.identity("analyst/ani")
        member = Member("IDN", gateway.address, gateway.idn.ca, files.certificate, files.key)
        (answer,) = ask([member], SQL, nano_rho=50_000_000)
    assert isinstance(answer, Answered), answer
    assert answer.statistics == ("farms", "total", "mean", "middle")
    assert answer.intervals == ("farms_ci95", "total_ci95", "mean_ci95", "middle_ci95")
    total = pool([answer]).total
    assert total["farms.se"][0].as_py() == pytest.approx(answer.noise_of("farms")["variance"] ** 0.5)
    assert total["total.se"][0].as_py() == pytest.approx(standard_error(answer.noise_of("total")))
    assert total["mean.se"].is_valid() == total["mean"].is_valid()
    assert total["mean.se"].null_count <= 1, "of the 78 farms without an area the mean may drown in noise"
    assert total["middle"].null_count == total.num_rows


def test_countries_under_different_policies_stand_beside_each_other_and_add_up(tmp_path: Path):
    sql = "SELECT area, COUNT(*) AS farms, SUM(balance) AS total FROM farms GROUP BY area"
    homes = {"IDN": {}, "BGD": {"policy": POLICY, "training": {"allowed": False}}}
    members: list[Member] = []
    with ExitStack() as stack:
        for country, changes in homes.items():
            (home := tmp_path / country).mkdir()
            gateway = stack.enter_context(a_gateway(home))
            gateway.publish(**changes)
            gateway.agree()
            files = gateway.identity("analyst/ani")
            members.append(Member(country, gateway.address, gateway.idn.ca, files.certificate, files.key))
        outcomes = ask(members, sql)
    together = pool(outcomes)
    idn, bgd = (outcome for outcome in outcomes if isinstance(outcome, Answered))
    for row, *counts in zip(together.total.to_pylist(), idn.table["farms"], bgd.table["farms"], strict=True):
        assert row["farms"] == sum(count.as_py() or 0 for count in counts)
        assert row["farms.se"] ** 2 == pytest.approx(idn.noise_variance("farms") + bgd.noise_variance("farms"))
    rows = together.countries.to_pylist()
    assert {(row["member"], row["farms_ci95"] is None) for row in rows} == {("IDN", True), ("BGD", False)}
    assert wide(outcomes, together).row_count == len(idn.table)


def test_every_number_is_shown_with_its_interval_and_a_blank_total_with_its_reason(tmp_path: Path, told: Told):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=POLICY, training={"allowed": False})
        gateway.agree()
        code, machine, _ = told(gateway, "query", SQL, "--rho", "0.04", "--pooled", "--json")
        assert code == 0
        _, shown, _ = told(gateway, "query", SQL, "--rho", "0.04", "--pooled")
        _, mean, _ = told(gateway, "query", "SELECT AVG(balance) AS mean FROM farms", "--pooled")
    document = json.loads(machine)
    rows = {row["area"]: row for row in document["members"]["IDN"]["rows"]}
    cells = {line.split()[0]: line for line in shown.splitlines() if line.split()[:1] and line.split()[0] in rows}
    assert cells.keys() == rows.keys()
    for area, row in rows.items():
        assert f" {row['farms']:,} ±{row['farms_ci95']:.0f} " in cells[area]
        numbers = [row[name] for name in ("farms", "total", "mean", "middle") if row[name] is not None]
        pooled = [row[name] for name in ("farms", "total", "mean") if row[name] is not None]
        assert cells[area].count("±") == len(numbers) + len(pooled)
    assert "±  half the 95 % interval" in shown
    assert document["unpooled"] == {"middle": "A quantile of all countries cannot be had from each country's own."}
    assert f"all middle is blank. {document['unpooled']['middle']}" in shown
    assert "all mean is blank. Means are weighted by counts: add COUNT(*) to the question." in mean


def test_a_dry_run_tells_the_error_of_every_statistic(tmp_path: Path, told: Told):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=POLICY, training={"allowed": False})
        gateway.agree()
        code, said, _ = told(gateway, "query", SQL, "--dry-run")
    assert code == 0
    assert re.search(r"count: 95 % of values within [\d.]+ of the truth", said)
    assert re.search(r"quantile\(balance,0\.5\): 95 % of values within [\d,]+ records of their true place", said)
    assert re.search(r"mean\(balance\): 95 % of values within [\d.e+]+ in a cell of 20", said)


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_country_that_keeps_no_privacy_budget_says_that_rho_means_nothing_there(
    tmp_path: Path, told: Told, dry_run: list[str]
):
    question = "SELECT area, COUNT(*) AS farms FROM farms GROUP BY area"
    with a_gateway(tmp_path) as gateway:
        gateway.publish()
        gateway.agree()
        code, _, messages = told(gateway, "query", question, "--rho", "0.01", *dry_run)
        _, _, without = told(gateway, "query", question, *dry_run)
    assert code == 0
    assert "IDN keeps no privacy budget (table-builder): --rho means nothing there." in messages
    assert "--rho" not in without


def test_a_country_that_is_away_is_told_in_words_and_does_not_fail_the_others(tmp_path: Path, told: Told):
    question = ["query", "SELECT area, COUNT(*) AS farms FROM farms GROUP BY area", "--pooled"]
    with a_gateway(tmp_path) as gateway, socket.socket() as taken:
        gateway.publish()
        gateway.agree()
        taken.bind(("localhost", 0))  # and does not listen
        away = {"address": f"localhost:{taken.getsockname()[1]}", "ca": str(gateway.bgd.ca)}
        stranger = {"address": gateway.address, "ca": str(gateway.bgd.ca)}
        code, out, messages = told(gateway, *question, BGD=away, PHL=stranger)
        dry_run = [*question, "--dry-run"]
        beside = [told(gateway, *words, BGD=away)[0] for words in (dry_run, ["budget", "show"])]
        alone = [told(gateway, *words, "--only", "BGD", BGD=away)[0] for words in (question, dry_run)]
        refused = [told(gateway, "query", "SELECT farm FROM farms", *dry)[0] for dry in ([], ["--dry-run"])]
    assert (code, *beside) == (0, 0, 0)
    assert alone == [4, 4]
    assert refused == [3, 3]
    assert f"{away['address']} does not answer. Check `address` in the members file" in messages
    assert f"What answers at {gateway.address} has no certificate under {stranger['ca']}." in messages
    assert "ipv4" not in messages + out
    assert "SSL" not in messages + out
    totals = [line.split() for line in out.splitlines() if "±" in line.partition(" ")[2] and "half" not in line]
    assert totals
    assert all(row[-2:] == ["BGD", "PHL"] for row in totals)


def test_what_a_table_over_open_texts_costs_is_told_as_delta_and_what_it_does_not_cost_is_not(
    tmp_path: Path, told: Told
):
    policy = {**POLICY, "open_delta_per_dataset": 1e-9, "open_delta_per_table": 1e-12}
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=policy, training={"allowed": False})
        gateway.agree()
        _, said, _ = told(gateway, "query", SQL, "--dry-run")
    assert "costs 0.01 of rho\n" in said
    assert re.search(r"leaves you [\d.]+ of rho\n", said)
