"""Metadata: learn about the data from what is published beside an answer, such as the size of its noise.

What is published of the noise follows from the declaration alone. The control publishes from another declaration.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bandung.gateway.domain.dataset import Epoch
from tests.support.builders import an_epoch
from tests.support.protection import release_of, rows_of

SQL = "SELECT COUNT(*), SUM(income), AVG(income) FROM persons"


def published(epoch: Epoch, income: int = 10) -> Any:
    record = {"region": "N", "sex": "F", "age_group": "15-29", "income": income}
    return release_of(SQL, epoch, rows_of([{**record, "unit": f"u{i}"} for i in range(60)])).noise


def test_the_published_noise_depends_on_declarations_alone() -> None:
    epoch = an_epoch(rows_per_unit_max=6)
    facts = replace(epoch.facts, rows_per_unit_max=3, rows=99, units=50, measures={})
    assert published(epoch) == published(replace(epoch, facts=facts)) == published(epoch, income=900)


def test_control_another_declared_bound_publishes_another_noise() -> None:
    assert published(an_epoch(rows_per_unit_max=12)) != published(an_epoch(rows_per_unit_max=1))
