"""tau-Argus, through the package `pytauargus`, in a process of its own: what it would withhold, table by table.

It reads one table with its margins from text files and knows nothing of what links tables, so its answer is a proposal:
the joint suppression completes it and the audit judges it. The files hold true values; they stand in a directory of
their own inside the gateway's, readable by its account alone, and are gone with the call.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.domain.errors import ErrorKind, Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.disclosure.published.links import Links
    from bandung.gateway.disclosure.published.suppress import Needs
    from bandung.gateway.domain.policy import RegisteredTable

SECONDS_MAX = 600
"""Most time for one table."""

TOTAL = "T"
_BATCH = """<OPENTABLEDATA> "table.tab"
<OPENMETADATA> "table.rda"
<SPECIFYTABLE> {dimensions}|"value"||
<SAFETYRULE>
<READTABLE>
<SUPPRESS> OPT(1)
<WRITETABLE> (1,5,SO+,"out.tab")
"""
_NUMBERS = """value
  <NUMERIC>
  <DECIMALS> 0
freq
  <FREQUENCY>
status
  <STATUS>
lower
  <NUMERIC> <LOWERPL>
upper
  <NUMERIC> <UPPERPL>
"""


class TauArgus:
    """Proposes secondary suppressions. Fills `ports.Suppressor`.

    Args:
        directory: where the files of a run may stand.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def propose(self, links: Links, needs: Needs, tables: tuple[RegisteredTable, ...]) -> NDArray[np.bool_]:
        """Return the numbers that it would withhold, sensitive ones included.

        Sums that may be negative, and totals without dimensions, are left to the joint suppression.

        Raises:
            Refusal: BAD_CONFIGURATION if it is not installed, fails, or takes too long.
        """
        if find_spec("pytauargus") is None:
            raise Refusal(ErrorKind.BAD_CONFIGURATION, "Install the extra tau-argus, or declare secondary = joint.")
        withheld = needs.sensitive & links.told
        for table in tables:
            for statistic in table.statistics:
                if table.group_by and links.quantities[statistic.name].least >= 0:
                    self._table(links, needs, _Cells(links, table.group_by, statistic.name), withheld)
        return withheld

    def _table(self, links: Links, needs: Needs, cells: _Cells, withheld: NDArray[np.bool_]) -> None:
        with TemporaryDirectory(prefix=".tau-argus-", dir=self._directory) as scratch:
            run = Path(scratch)
            names = [f"d{i}" for i in range(cells.width)]
            dimensions = "".join(f'{name} ""\n  <RECODEABLE>\n  <TOTCODE> "{TOTAL}"\n' for name in names)
            marks = '<SEPARATOR> ";"\n<SAFE> "S"\n<UNSAFE> "U"\n<PROTECT> "P"\n'
            (run / "table.rda").write_text(f"{marks}{dimensions}{_NUMBERS}", "ascii")
            (run / "table.tab").write_text("".join(cells.lines(needs)), "ascii")
            (run / "batch.arb").write_text(_BATCH.format(dimensions="".join(f'"{n}"' for n in names)), "ascii")
            _run(run)
            for line in (run / "out.tab").read_text("ascii").splitlines():
                fields = [field.strip().strip('"') for field in line.split(";")]
                if fields[-3] in {"U", "M"}:
                    withheld[cells.rows[tuple(fields[: cells.width])]] = True


class _Cells:
    """The cells of one table and of its margins, by codes that tau-Argus reads: `c` and the position, or the total.

    Attributes:
        rows: the row of each among the numbers of the set.
    """

    def __init__(self, links: Links, group_by: tuple[str, ...], statistic: str) -> None:
        self._links = links
        self.width = len(group_by)
        self.rows = {
            self._codes(group_by, held, number): row
            for size in range(self.width + 1)
            for held in combinations(group_by, size)
            for number, row in _block(links, held, statistic)
        }

    def lines(self, needs: Needs) -> Iterator[str]:
        """Yield each cell: codes, value, records, status, protection below and above, in steps."""
        links, values = self._links, np.rint(self._links.total(self._links.values) * self._links.scale)
        for codes, row in self.rows.items():
            fixed = needs.kept[row] or links.records[row] == 0
            status = "U" if needs.sensitive[row] else "P" if fixed else "S"
            down, up = (int(np.ceil(width[row] * links.scale[row])) for width in (needs.down, needs.up))
            yield (
                ";".join((*codes, f"{values[row]:.0f}", f"{links.records[row]:.0f}", status, f"{down}", f"{up}")) + "\n"
            )

    def _codes(self, group_by: tuple[str, ...], held: tuple[str, ...], places: tuple[int, ...]) -> tuple[str, ...]:
        at = dict(zip(held, places, strict=True))
        return tuple(f"c{at[name]:05}" if name in at else TOTAL for name in group_by)


def _block(links: Links, group_by: tuple[str, ...], statistic: str) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the positions of each cell's codes among those of its dimensions, and its row."""
    rows = links.blocks[group_by, statistic]
    keys = [number.key for number in links.numbers[rows]]
    lists = [{code: at for at, code in enumerate(dict.fromkeys(codes))} for codes in zip(*keys, strict=True)]
    for row, key in zip(range(rows.start, rows.stop), keys, strict=True):
        yield tuple(known[code] for known, code in zip(lists, key, strict=True)), row


def _run(directory: Path) -> None:
    command = [sys.executable, "-m", "pytauargus.cli", "run", "batch.arb"]
    try:
        ended = subprocess.run(  # noqa: S603  (the interpreter that runs us, and files of our own)
            command, cwd=directory, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Refusal(ErrorKind.BAD_CONFIGURATION, f"tau-Argus took over {SECONDS_MAX} s for one table.") from error
    if ended.returncode or not (directory / "out.tab").exists():
        raise Refusal(ErrorKind.BAD_CONFIGURATION, "tau-Argus failed.", private=ended.stderr[-2000:])
