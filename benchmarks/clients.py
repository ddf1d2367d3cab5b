"""Clients of a gateway in a process of their own: `python -m benchmarks.clients ORDER.json`, answer on standard output.

Each client is a thread with an ADBC connection of its own, which asks its own statements one after another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import adbc_driver_flightsql.dbapi as adbc

_OPTION = "adbc.flight.sql.client_option."


@dataclass(frozen=True, slots=True)
class Load:
    """What clients are to do: each list of statements is one client's; each statement is asked once."""

    address: str
    ca: str
    certificate: str
    key: str
    statements: list[list[str]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What clients saw: seconds from the first question to the last answer, and the milliseconds of each answer."""

    seconds: float
    latencies_ms: list[float]

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies_ms) / self.seconds


def connect(address: str, ca: Path, certificate: Path, key: Path) -> adbc.Connection:
    """Open an ADBC connection."""
    options = {
        _OPTION + "mtls_cert_chain": certificate.read_text(),
        _OPTION + "mtls_private_key": key.read_text(),
        _OPTION + "tls_root_certs": ca.read_text(),
    }
    return adbc.connect(f"grpc+tls://{address}", db_kwargs=options, autocommit=True)


def ask(connection: adbc.Connection, sql: str) -> None:
    """Ask as an analyst would and take the whole answer."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        cursor.fetch_arrow_table()


def ask_in_a_process(load: Load, scratch: Path) -> Answered:
    """Let clients in a process of their own do the load."""
    order = scratch / "order.json"
    order.write_text(json.dumps(asdict(load)), "utf-8")
    command = [sys.executable, "-m", "benchmarks.clients", str(order)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Answered(**json.loads(done.stdout))


def _work(load: Load) -> Answered:
    latencies: list[list[float]] = [[] for _ in load.statements]
    failures: list[BaseException] = []
    together = threading.Barrier(len(load.statements) + 1)

    def client(statements: Sequence[str], seen: list[float]) -> None:
        try:
            with connect(load.address, Path(load.ca), Path(load.certificate), Path(load.key)) as connection:
                ask(connection, statements[0])
                together.wait()
                for sql in statements[1:]:
                    began = time.perf_counter()
                    ask(connection, sql)
                    seen.append((time.perf_counter() - began) * 1000)
        except adbc.Error as error:
            failures.append(error)
            together.abort()

    threads = [
        threading.Thread(target=client, args=pair, daemon=True) for pair in zip(load.statements, latencies, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        together.wait()
    except threading.BrokenBarrierError:
        raise RuntimeError(str(failures)) from None
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(str(failures))
    return Answered(time.perf_counter() - began, [one for seen in latencies for one in seen])


if __name__ == "__main__":
    asked = cast("dict[str, object]", json.loads(Path(sys.argv[1]).read_text("utf-8")))
    print(json.dumps(asdict(_work(Load(**asked)))))  # type: ignore[arg-type]
