"""Suppressed tables: work withheld cells out of what their margins and the other tables of the set show.

Every shown number is an equation over the cells at the finest level, which are not negative; a linear program for the
least and one for the greatest value of a withheld cell bound it, and where both are equal the cell is known (Fischetti
and Salazar, 2-dimensional cell suppression, Mathematical Programming 84, 1999; Hundepool et al., Statistical Disclosure
Control, 2012, section 4.3). The attacker asks for every registered table over Flight SQL and has a solver of his own.
The control withholds the same sensitive cells and nothing else, as somebody would who stops at primary suppression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import highspy
import numpy as np
import pytest

from bandung.connectors.base import Stop
from bandung.gateway.disclosure.published.registered import cells_of
from bandung.gateway.domain.declaration import parse_declaration
from bandung.gateway.domain.ledger import Commit, Event, EventKind
from tests.gateway.test_published_tables import DISTRICTS, SECTORS, a_registration, firms, truth
from tests.support.attacking import Analysts
from tests.support.gateway import OPERATOR, Gateway, a_gateway
from tests.support.pki import real_now

TABLES = [(), ("sector",), ("district",), ("province",), ("district", "sector"), ("province", "sector")]
CELLS = [(district, sector) for district in DISTRICTS for sector in SECTORS]


@dataclass(frozen=True)
class Seen:
    """A published cell: which of `CELLS` it adds up, and its number, or None if it is withheld."""

    key: tuple[str, ...]
    parts: frozenset[int]
    number: float | None


def parts(dimensions: tuple[str, ...], key: tuple[str, ...]) -> frozenset[int]:
    held = dict(zip(dimensions, key, strict=True))

    def inside(district: str, sector: str) -> bool:
        cell = {"district": district, "province": district[0], "sector": sector}
        return all(cell[name] == code for name, code in held.items())

    return frozenset(i for i, cell in enumerate(CELLS) if inside(*cell))


def everything(analysts: Analysts, statistic: str) -> list[Seen]:
    """Ask for every table of the set."""
    seen: list[Seen] = []
    for dimensions in TABLES:
        by = f" GROUP BY {', '.join(dimensions)}" if dimensions else ""
        sql = f"SELECT {', '.join((*dimensions, statistic))} AS told FROM firms{by}"
        for record in analysts.table(sql):
            key = tuple(record[name] for name in dimensions)
            seen.append(Seen(key, parts(dimensions, key), record["told"]))
    return seen


def bounds(seen: list[Seen], target: Seen) -> tuple[float, float]:
    """The least and the greatest number that a cell can have."""
    ends: list[float] = []
    for sense in (highspy.ObjSense.kMinimize, highspy.ObjSense.kMaximize):
        solver = highspy.Highs()
        solver.silent()
        for _ in CELLS:
            solver.addVar(0, highspy.kHighsInf)
        for cell in seen:
            if cell.number is not None:
                at = sorted(cell.parts)
                solver.addRow(cell.number, cell.number, len(at), np.array(at), np.ones(len(at)))
        for part in target.parts:
            solver.changeColCost(part, 1)
        solver.changeObjectiveSense(sense)
        solver.run()
        assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        ends.append(solver.getInfo().objective_function_value)
    return ends[0], ends[1]


def recovered(seen: list[Seen]) -> list[tuple[Seen, float]]:
    """The withheld cells that are known exactly, and their numbers."""
    found: list[tuple[Seen, float]] = []
    for cell in seen:
        if cell.number is None:
            low, high = bounds(seen, cell)
            if high - low <= 1e-3:
                found.append((cell, low))
    return found


def actual(cell: Seen) -> tuple[int, float]:
    """A cell's true count and sum."""
    by_cell = truth("district", "sector")
    inside = [by_cell.get(CELLS[part], (0, 0.0)) for part in cell.parts]
    return sum(count for count, _ in inside), sum(total for _, total in inside)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with a_gateway(tmp_path_factory.mktemp("suppressed"), firms()) as gateway:
        gateway.publish_document(a_registration())
        gateway.agree()
        yield gateway


@pytest.mark.parametrize("statistic", ["COUNT(*)", "SUM(turnover)"])
@pytest.mark.parametrize("names", [("ani",), ("ani", "budi")], ids=["one analyst", "two colluding"])
def test_no_withheld_cell_is_recovered(gateway: Gateway, names: tuple[str, ...], statistic: str) -> None:
    analysts = Analysts(gateway, names)
    seen = everything(analysts, statistic)
    analysts.close()
    assert sum(cell.number is None for cell in seen) >= 5
    assert recovered(seen) == []


def test_every_small_count_may_be_a_large_one_for_all_that_is_shown(gateway: Gateway) -> None:
    analysts = Analysts(gateway, ("ani",))
    seen = everything(analysts, "COUNT(*)")
    analysts.close()
    small = {key for key, (count, _) in truth("district", "sector").items() if count < 10}
    hidden = [cell for cell in seen if cell.key in small]
    assert len(hidden) == len(small)
    assert all(bounds(seen, cell)[1] >= 10 - 1e-6 for cell in hidden)


def test_control_with_primary_suppression_alone_sums_are_recovered(tmp_path: Path) -> None:
    with a_gateway(tmp_path, firms()) as gateway:
        dataset = parse_declaration(a_registration(), str(tmp_path))
        found = gateway.publisher.tables(dataset, Stop(), lambda done, total: None)
        primary = replace(found.epoch, withheld=cells_of(found.links, found.needs.sensitive))
        event = Event(EventKind.DATASET_PUBLISHED, real_now().isoformat(), "ab" * 16, OPERATOR, {})
        gateway.catalogue.publish(primary, Commit(event))
        gateway.agree()
        analysts = Analysts(gateway, ("ani",))
        sums = recovered(everything(analysts, "SUM(turnover)"))
        counts = recovered(everything(analysts, "COUNT(*)"))
        analysts.close()
    assert sums
    for at, found_cells in ((0, counts), (1, sums)):
        assert all(number == pytest.approx(actual(cell)[at], abs=1e-3) for cell, number in found_cells)
