"""Resident memory of a gateway's process: idle, and while clients ask."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

from bandung.federation.sandbox.processes import Process
from benchmarks import nodes, survey
from benchmarks.clients import Load, ask_in_a_process
from benchmarks.protection import Population, Say
from benchmarks.report import Section
from benchmarks.wire import a_survey

TARGET_MIB = 250
_SETTLE_S = 2.0
_CLIENTS = 16
_EACH = 12
_CENSUS = [
    f"SELECT {keys}, {statistics} FROM census GROUP BY {keys}"
    for keys in ("region, sex, age_band", "region, sex", "region, age_band", "sex, age_band")
    for statistics in ("COUNT(*)", "SUM(income)", "AVG(income)", "SUM(wealth)")
]


def measure(directory: Path, census: Population | None, say: Say) -> list[Section]:
    """Measure a gateway with the survey, and one with the census if there is one."""
    fresh = survey.statements(seed=2)
    asked = [list(itertools.islice(fresh, _EACH)) for _ in range(_CLIENTS)]
    rows = [_row(f"survey, {survey.ROWS:,} rows", a_survey(directory, "memory"), asked, say)]
    if census is not None:
        rows.append(_row(f"census, {census.size:,} rows", census.published, [_CENSUS[::2], _CENSUS[1::2]], say))
    return [
        Section(
            "(d) Resident memory of a gateway, MiB",
            ["dataset", "clients", "idle", "after the load", "peak"],
            rows,
            [
                f"Target: idle at most {TARGET_MIB}. Idle is {_SETTLE_S:.0f} s after it is healthy; the peak is the "
                f"kernel's own (VmHWM). The engine may take {nodes.ENGINE_MEMORY_MIB_MAX} MiB, as by default."
            ],
        )
    ]


def _row(title: str, published: nodes.Published, asked: list[list[str]], say: Say) -> list[str]:
    say(f"memory: {title}")
    node, identity = published.node, published.identity
    load = Load(published.address, str(node.authority[0]), str(identity.certificate), str(identity.key), asked)
    with nodes.running(published) as process:
        time.sleep(_SETTLE_S)
        idle = _mib(process, "VmRSS")
        ask_in_a_process(load, node.root)
        time.sleep(_SETTLE_S)
        after, peak = _mib(process, "VmRSS"), _mib(process, "VmHWM")
    return [title, str(len(asked)), *(f"{mib:.0f}" for mib in (idle, after, peak))]


def _mib(process: Process, name: str) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError(f"the kernel does not tell {name}")
    return int(found[1]) / 1024
