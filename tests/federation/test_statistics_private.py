"""A question to a country whose dataset is under `differential-privacy`: intervals stay beside their statistics."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bandung.federation.cli import main
from bandung.federation.domain.member import Member
from bandung.federation.domain.study import Answered
from bandung.federation.statistics.combine import pool
from bandung.federation.statistics.fan_out import ask
from bandung.gateway.domain.noise import standard_error
from tests.support.gateway import a_gateway

POLICY = {"kind": "differential-privacy", "rho_per_table": 0.01, "rho_per_table_max": 0.05}
SQL = (
    "SELECT area, COUNT(*) AS farms, SUM(balance) AS total, AVG(balance) AS mean, MEDIAN(balance) AS middle"
    " FROM farms GROUP BY area"
)


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


def test_a_dry_run_tells_the_error_of_every_statistic(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with a_gateway(tmp_path) as gateway:
        gateway.publish(policy=POLICY, training={"allowed": False})
        gateway.agree()
        files = gateway.identity("analyst/ani")
        members = {
            "members": {
                "IDN": {
                    "address": gateway.address,
                    "ca": str(gateway.idn.ca),
                    "principals": {"ani": {"certificate": str(files.certificate), "key": str(files.key)}},
                }
            }
        }
        (tmp_path / "members.json").write_text(json.dumps(members))
        assert main(["query", SQL, "--members", str(tmp_path / "members.json"), "--as", "ani", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"count: 95 % of values within [\d.]+ of the truth", said)
    assert re.search(r"quantile\(balance,0\.5\): 95 % of values within [\d,]+ records of their true place", said)
    assert re.search(r"mean\(balance\): 95 % of values within [\d.e+]+ in a cell of 20", said)
