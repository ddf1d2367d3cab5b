"""What an attack needs: a real gateway, populations with planted secrets, analysts who pool answers, an advantage.

An attack is code that asks a gateway over Flight SQL and says yes or no about persons whose secrets the test planted.
Its *advantage* is |P(yes | secret 1) - P(yes | secret 0)|: 0 if it learned nothing, 1 if it learned everything. The
same code runs against each release policy as a custodian gets it, and against that policy weakened as far as a
declaration can go, where it must succeed: otherwise the attack, not the protection, was at fault.

The keys of the datasets that are attacked follow from their names, so what `table-builder` answers is the same in every
run; noise of `differential-privacy` is drawn anew.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.flight as fl
import pytest

from bandung.connectors.base import Stop
from bandung.gateway.cli.agreement_file import everything
from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.policy import DifferentialPrivacy
from bandung.gateway.server.door import Limits
from tests.support.clients import a_command, a_flight_client
from tests.support.gateway import OPERATOR, Gateway, a_gateway
from tests.support.pki import real_now
from tests.support.sources import write_file

POLICIES: dict[str, dict[str, Any]] = {
    "table-builder": {"kind": "table-builder"},
    "differential-privacy": {"kind": "differential-privacy"},
}
"""The policies that answer analysts' own questions, with their defaults."""


def registered(statistics: Sequence[str], *tables: tuple[str, ...]) -> dict[str, Any]:
    """`published-tables` with its defaults; statistics are `count` or `sum(x)`, a table is its dimensions."""
    forms = [{"group_by": list(group_by), "statistics": list(statistics)} for group_by in tables]
    return {"kind": "published-tables", "tables": forms}


WEAKENED: dict[str, dict[str, Any]] = {
    "table-builder": {
        "kind": "table-builder",
        "min_units": 3,
        "threshold_spread": 0,
        "p_percent": 0.001,
        "dominance_n": 1,
        "dominance_k_percent": 99.99,
        "variables_max": 6,
        "mean_cell_min": 1,
        "noise_max": 1,
        "noise_variance": 1e-9,
        "noise_js": 0,
        "sum_noise": 1e-9,
        "tables_per_analyst": 100_000,
        "tables_per_dataset": 100_000,
        "exposures_max": 1_000_000,
    },
    "differential-privacy": {"kind": "differential-privacy", "delta": 0.01},
}
"""The same policies, weakened as far as a declaration is allowed to."""

SPENT_FREELY = DifferentialPrivacy(
    nano_rho_per_dataset=9 * 10**15,
    nano_rho_per_agreement=9 * 10**15,
    nano_rho_per_analyst=9 * 10**15,
    nano_rho_per_table=3 * 10**13,
    nano_rho_per_table_max=3 * 10**13,
)
"""What `differential-privacy` is weakened to, one door inward: a declaration's budgets, of rho 1000 at most, leave
noise on sums that the controls must be without."""

BINARY_MAX = 0.25
"""Most advantage of an attack on one yes or no of one person."""
ORACLE_MAX = 0.45
"""Most advantage of a single one-bit oracle out of dozens; what is above 0 is the chance of noise."""
RECONSTRUCTION_MAX = 0.1
"""Most advantage in naming a secret of everybody, over guessing."""
CONTROL_MIN = 0.9
"""Least advantage of an attack on a weakened policy."""


CANNOT_PROMISE = {
    "table-builder": {
        "partitions": "Equivalent partitions average the noise away: a count, and the sums of finer tables over the"
        " same records, carry a noise of their own each.",
        "equality": "The same records always get the same noise, so two equal answers say that two groups are the"
        " same.",
        "threshold": "Every cell has a threshold of its own, by the records in it: whether one cell is shown tells"
        " little, but several that differ in people whom the attacker knows tell together whether somebody is in all"
        " of them.",
        "dominance": "Whether a sum is shown depends on its largest contributions: a withheld sum tells that one of"
        " its contributors is a giant.",
        "supersets": "Every sum carries a noise of its own, so a contributor who is in many sums can be estimated from"
        " them by whoever knows the others.",
        "copies": "A column that is declared several times is protected several times less, since each declaration"
        " gets a noise of its own.",
        "counts": "A measure that is the same for nearly everybody counts people once more, with a noise of its own: so"
        " a count and several such sums together count them better.",
        "periods": "Quotas of tables, exposures and steps belong to a dataset and its reference period: publishing the"
        " same records again for another period, which only the custodian can do, gives everybody new ones.",
        "names": "The same records published under another name are other records to the gateway: they get another"
        " key, another noise and other quotas.",
        "wide tables": "Few people with many published attributes are not hidden by noise: from more numbers than"
        " there are people, their secrets can be computed, and whether somebody is among them.",
        "time": "How long an answer takes depends on the data: a cell that needs a closer look is answered later than"
        " one that does not.",
    },
    "published-tables": {
        "others": "what two contributors of different cells, or somebody who knows single records, can add to the"
        " shown numbers",
    },
}
"""What the policies do not promise. `docs/trust-model.md` says it in these words, and the attacks that succeed because
of it are expected to."""

REPORTED: list[tuple[str, float]] = []
"""Every advantage that was measured in this run, with its test."""

_PLENTY = 9 * 10**18


@dataclass(frozen=True)
class Heard:
    """What a question brought.

    Attributes:
        rows: of the answer, empty if it was refused.
        refusal: the whole public text of the refusal, or nothing.
        planned: the refusal came from planning, before any data were touched.
        seconds: until the answer or the refusal had come.
    """

    rows: tuple[dict[str, Any], ...] = ()
    refusal: str = ""
    planned: bool = False
    seconds: float = 0.0

    @property
    def code(self) -> str:
        """Of the refusal, for instance `B202`; empty if there is an answer."""
        return self.refusal[:4]


class Analysts:
    """Analysts with certificates of their own who take turns and pool what they hear."""

    def __init__(self, gateway: Gateway, names: Sequence[str]) -> None:
        self.names = tuple(names)
        files = [gateway.identity(f"analyst/{name}") for name in names]
        self._clients = [a_flight_client(gateway.address, gateway.idn.ca, each) for each in files]
        self._turns = itertools.cycle(self._clients)

    def ask(self, sql: str) -> Heard:
        """Ask by Flight SQL; whoever's turn it is."""
        client = next(self._turns)
        descriptor = fl.FlightDescriptor.for_command(a_command("CommandStatementQuery", query=sql))
        planned, begun = True, time.monotonic()
        try:
            info = client.get_flight_info(descriptor)
            planned = False
            rows = tuple(client.do_get(info.endpoints[0].ticket).read_all().to_pylist())
            return Heard(rows, seconds=time.monotonic() - begun)
        except (pa.ArrowException, fl.FlightError, OSError, KeyError) as error:
            return Heard(refusal=public_text(error), planned=planned, seconds=time.monotonic() - begun)

    def table(self, sql: str) -> tuple[dict[str, Any], ...]:
        """Ask what must be answered.

        Raises:
            AssertionError: it was refused; then nothing about an attack was shown.
        """
        heard = self.ask(sql)
        assert not heard.refusal, f"{sql}: {heard.refusal}"
        return heard.rows

    def numbers(self, sql: str) -> dict[str, float]:
        """Ask for one number by at most one dimension; what is withheld or refused is not there."""
        beside = ("OBS_STATUS", "CONF_STATUS", "_ci95")
        cells = ([cell for name, cell in row.items() if not name.endswith(beside)] for row in self.ask(sql).rows)
        return {str(key[0]) if key else "": float(number) for *key, number in cells if number is not None}

    def close(self) -> None:
        for client in self._clients:
            client.close()


@dataclass
class Ground:
    """A running gateway on which populations are published and attacked."""

    gateway: Gateway
    _published: dict[str, Epoch] = field(default_factory=dict[str, Epoch])
    _analysts: dict[tuple[str, ...], Analysts] = field(default_factory=dict[tuple[str, ...], Analysts])

    def analysts(self, count: int) -> Analysts:
        """One analyst, or several who collude."""
        names = ("ani", "budi", "dewi", "eka")[:count]
        if names not in self._analysts:
            self._analysts[names] = Analysts(self.gateway, names)
        return self._analysts[names]

    def publish(
        self,
        name: str,
        rows: Callable[[], pa.Table] | pa.Table,
        columns: Mapping[str, Any],
        policy: Mapping[str, Any],
        unit: Mapping[str, Any] | None = None,
    ) -> str:
        """Publish rows under a policy, once for each name; return the dataset's SQL name.

        Args:
            unit: section of the declaration, by default the column `person` with one row for each.
        """
        sql_name = name.replace("differential-privacy", "private").replace("-", "_").replace(" ", "_")
        if sql_name not in self._published:
            self._published[sql_name] = self.publish_now(
                sql_name, rows() if callable(rows) else rows, columns, policy, unit
            )
        return sql_name

    def publish_now(
        self,
        name: str,
        rows: pa.Table,
        columns: Mapping[str, Any],
        policy: Mapping[str, Any],
        unit: Mapping[str, Any] | None = None,
        mode: str = "snapshot",
        period: str = "2026",
    ) -> Epoch:
        """Publish an epoch, and agree that analysts may put it to every use."""
        self._fix_key(name)
        write_file(rows, self.gateway.directory / f"{name}.parquet")
        dataset = parse_declaration(
            {
                "dataset": {
                    "name": name,
                    "title": name,
                    "description": "A population with planted secrets.",
                    "licence": "CC0-1.0",
                    "country": "IDN",
                    "period": period,
                    "mode": mode,
                },
                "source": {"connector": "files", "relation": f"{name}.parquet"},
                "unit": unit or {"name": "person", "column": "person"},
                "columns": columns,
                "policy": policy,
            },
            str(self.gateway.directory),
        )
        if policy is WEAKENED["differential-privacy"]:
            dataset = replace(dataset, policy=SPENT_FREELY)
        epoch, _ = self.gateway.publisher(dataset, OPERATOR, Stop(), lambda done, total: None)
        self._agree(epoch)
        return epoch

    def _agree(self, epoch: Epoch) -> None:
        gateway, name = self.gateway, epoch.dataset.name
        after = real_now().replace(year=real_now().year + 1, month=1, day=1)
        principals = (gateway.idn.uri("analyst/*"),)
        if epoch.number == 1:
            agreement = everything(f"attack-on-{name}".replace("_", "-"), "attacks", principals, [epoch.dataset], after)
            gateway.desk.put(OPERATOR, agreement, "tests", "ab" * 16)

    def _fix_key(self, name: str) -> None:
        secrets = self.gateway.directory / "secrets"
        path = secrets / f"dataset-{name}.key"
        if not path.exists():
            path.touch(0o600)
            path.write_bytes(hashlib.sha256(name.encode()).digest())

    def most(self, policy: str, names: str | list[str], truth: Sequence[bool] | np.ndarray) -> float:
        """The most advantage that a policy leaves to a binary attack on datasets, given what was spent of them.

        Under rho-zCDP the Gaussian mechanism's hypothesis test has advantage 2 Phi(sqrt(2 rho) / 2) - 1 (Dong, Roth,
        Su: Gaussian Differential Privacy, 2022, with mu = sqrt(2 rho)).
        """
        if policy != "differential-privacy":
            return BINARY_MAX
        spent = [self.spent(f"nano_rho/{name}") for name in ([names] if isinstance(names, str) else names)]
        rho = sum(spent) / 1e9
        return 2 * NormalDist().cdf(sqrt(2 * rho) / 2) - 1 + 3 * standard_error(truth)

    def spent(self, scope: str) -> int:
        """What was charged to a scope."""
        return _PLENTY - self.gateway.ledger.remaining(scope, _PLENTY)

    def close(self) -> None:
        for analysts in self._analysts.values():
            analysts.close()


@contextmanager
def a_ground(directory: Path) -> Iterator[Ground]:
    """Run a gateway that listens to any number of refused questions."""
    with a_gateway(directory, limits=Limits(deadline_max_s=60, refusals_per_minute_max=1_000_000)) as gateway:
        ground = Ground(gateway)
        try:
            yield ground
        finally:
            ground.close()


@contextmanager
def an_ordinary_engine(name: str, rows: pa.Table) -> Iterator[Callable[[str], Heard]]:
    """An engine without a policy that answers everything about the rows; its time is the processor's."""
    connection = duckdb.connect()
    connection.register("rows_given", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows_given")

    def ask(sql: str) -> Heard:
        begun = time.process_time()
        try:
            found = tuple(connection.sql(sql).to_arrow_table().to_pylist())
        except duckdb.Error as error:
            return Heard(refusal=str(error), seconds=time.process_time() - begun)
        return Heard(found, seconds=time.process_time() - begun)

    try:
        yield ask
    finally:
        connection.close()


def public_text(error: BaseException) -> str:
    """The gateway's own words in a client's exception, without what the client adds to them."""
    text = str(error)
    begin = min((at for at in (text.find(f"B{hundred}") for hundred in range(1, 6)) if at >= 0), default=0)
    return text[begin:].split(". gRPC client debug context", 1)[0].split(". Detail:", 1)[0].strip()


def advantage(said: Sequence[bool] | np.ndarray, truth: Sequence[bool] | np.ndarray) -> float:
    """|P(yes | 1) - P(yes | 0)| over persons of whom the attack said yes or no.

    Raises:
        AssertionError: nobody, or everybody, has the secret, so nothing is measured.
    """
    answers, secrets = np.asarray(said, dtype=bool), np.asarray(truth, dtype=bool)
    assert 0 < secrets.sum() < len(secrets)
    return reported(abs(float(answers[secrets].mean() - answers[~secrets].mean())))


def reported(found: float) -> float:
    """Note an advantage under the name of the test that measures it; `pytest -v` lists them."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rsplit("/", 1)[-1].removesuffix(" (call)")
    REPORTED.append((test, found))
    return found


def standard_error(truth: Sequence[bool] | np.ndarray) -> float:
    """The largest standard error of an advantage that was measured on these persons."""
    secrets = np.asarray(truth, dtype=bool)
    return sqrt(0.25 / secrets.sum() + 0.25 / (~secrets).sum())


def cannot_promise(request: pytest.FixtureRequest, policy: str, what: str) -> None:
    """Expect the attack of this test to succeed against a policy that does not promise this, and to fail otherwise."""
    if reason := CANNOT_PROMISE.get(policy, {}).get(what):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason, raises=AssertionError))


def codes(values: Sequence[str]) -> list[dict[str, str]]:
    """A code list."""
    return [{"code": value} for value in values]


def dimension(values: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A declared dimension whose codes are their own values."""
    return {"role": "dimension", "codes": codes(values), **changes}


def measure(least: float, greatest: float, **changes: Any) -> dict[str, Any]:
    """A declared measure."""
    return {"role": "measure", "range": [least, greatest], **changes}
