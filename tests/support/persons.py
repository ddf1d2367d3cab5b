"""The dataset `persons` that the grammar's tests and its page ask, under each policy, and rows of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bandung.gateway.domain.dataset import Epoch
from bandung.gateway.domain.plan import Statistic
from bandung.gateway.domain.policy import DifferentialPrivacy, PublishedTables, RegisteredTable, TrainingRules
from tests.support.builders import a_banded_dimension, a_dataset, a_dimension, a_measure, an_epoch

DISTRICTS = {"N1": "N", "N2": "N", "S1": "S"}

_DATASET = a_dataset(
    columns=(
        a_dimension(),
        a_dimension("district", tuple(DISTRICTS), parent="region"),
        a_dimension("sex", ("F", "M", "_U"), missing="_U"),
        a_banded_dimension(),
        a_measure(),
        a_measure("balance", -200, 200, decimals=1),
        a_measure("debt", 0, 50, optional=True),
    )
)
TABLES = an_epoch(_DATASET, rows=100_000)
PRIVATE = an_epoch(replace(_DATASET, policy=DifferentialPrivacy()), rows=100_000)
_TOLD = (Statistic("count"), Statistic("sum", "income"))
REGISTERED = PublishedTables(
    tables=(
        RegisteredTable(("district", "region", "sex"), _TOLD),
        RegisteredTable(("age_group", "region"), (*_TOLD, Statistic("sum", "balance"))),
    )
)
PUBLISHED = an_epoch(replace(_DATASET, policy=REGISTERED, training=TrainingRules()), rows=100_000)
"""Planned for only: nobody has decided what it withholds."""
EPOCHS = {"table-builder": TABLES, "differential-privacy": PRIVATE, "published-tables": PUBLISHED}


def find_in(epoch: Epoch) -> Any:
    """A catalogue with this one dataset."""
    return lambda name: epoch if name == "persons" else None


def persons(count: int = 400) -> list[dict[str, Any]]:
    """Persons in every cell, with measures in steps of their decimals; some debts are missing."""
    draw = np.random.default_rng(7)
    people: list[dict[str, Any]] = []
    for number in range(count):
        district = str(draw.choice(list(DISTRICTS), p=[0.6, 0.25, 0.15]))
        people.append(
            {
                "person_id": number,
                "person": number,
                "region": DISTRICTS[district],
                "district": district,
                "sex": str(draw.choice(["F", "M", "_U"], p=[0.5, 0.4, 0.1])),
                "age_group": str(draw.choice(["15-29", "30-49"])),
                "income": int(draw.integers(0, 1001)),
                "balance": int(draw.integers(-2000, 2001)),
                "debt": None if draw.random() < 0.3 else int(draw.integers(0, 51)),
            }
        )
    return people
