"""The demonstration's own microdata: 1,473 Indonesian women, as `make demo` publishes them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import nodes

_FETCH = Path(__file__).resolve().parent.parent / "examples" / "demo" / "fetch.py"
_DATASET = "family_planning"
_CODES = {
    "age_group": ["15-19", "20-24", "25-29", "30-34", "35-39", "40-44", "45-49"],
    "children": ["0", "1", "2", "3+"],
    "education": ["1", "2", "3", "4"],
    "living_standard": ["1", "2", "3", "4"],
    "method": ["none", "long", "short"],
    "uses": ["Y", "N"],
    "working": ["Y", "N"],
}


def publish(directory: Path) -> nodes.Published:
    """Write the demonstration's files and publish the Indonesian women at a gateway of its own."""
    subprocess.run([sys.executable, str(_FETCH), str(directory)], check=True, stdout=subprocess.DEVNULL)
    return nodes.publish(directory / "node", _DATASET, directory / _DATASET / "idn.toml")


def statements() -> Iterator[str]:
    """Yield different tables, some three hundred: by a column for one code of another; half of them with a mean."""
    for statistics in ("COUNT(*) AS women", "COUNT(*) AS women, AVG(children_ever) AS children_ever"):
        for by, (column, codes) in itertools.product(_CODES, _CODES.items()):
            for code in codes if column != by else ():
                yield f"SELECT {by}, {statistics} FROM {_DATASET} WHERE {column} = '{code}' GROUP BY {by}"
