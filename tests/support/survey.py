"""A survey of people with many public attributes and one secret, and all of its tables by two attributes.

The attributes and the secret are drawn independently, so whatever is learned about a person's secret comes from that
person's own row, and nothing from how attributes go together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.attacking import Analysts, dimension


@dataclass(frozen=True)
class Survey:
    """How many people, how many attributes, and how many codes each has."""

    people: int
    attributes: int
    codes: int

    @cached_property
    def public(self) -> np.ndarray:
        """The people's codes, one row for each person."""
        return self._draw(1)

    @cached_property
    def strangers(self) -> np.ndarray:
        """As many people of the same population who were not asked."""
        return self._draw(2)

    @cached_property
    def secret(self) -> np.ndarray:
        """The people's secrets."""
        return np.random.default_rng([3, self.people]).random(self.people) < 0.5

    @property
    def columns(self) -> dict[str, Any]:
        names = dimension([str(code) for code in range(self.codes)])
        return {**{f"a{number}": names for number in range(self.attributes)}, "secret": dimension(["N", "Y"])}

    def rows(self) -> pa.Table:
        attributes = {f"a{number}": [str(code) for code in self.public[:, number]] for number in range(self.attributes)}
        secret = np.where(self.secret, "Y", "N").tolist()
        return pa.table({"person": [f"p{i}" for i in range(self.people)], **attributes, "secret": secret})

    def tables(self, analysts: Analysts, name: str) -> dict[tuple[int, int], np.ndarray]:
        """The answered tables by two attributes and the secret; NaN where a cell is withheld."""
        found: dict[tuple[int, int], np.ndarray] = {}
        for i, j in combinations(range(self.attributes), 2):
            heard = analysts.ask(f"SELECT a{i}, a{j}, secret, COUNT(*) AS n FROM {name} GROUP BY a{i}, a{j}, secret")
            if heard.rows:
                found[i, j] = np.full((self.codes, self.codes, 2), np.nan)
                for row in heard.rows:
                    place = int(row[f"a{i}"]), int(row[f"a{j}"]), "NY".index(row["secret"])
                    found[i, j][place] = np.nan if row["n"] is None else row["n"]
        return found

    def _draw(self, seed: int) -> np.ndarray:
        return np.random.default_rng([seed, self.people]).integers(0, self.codes, (self.people, self.attributes))


NATIONAL = Survey(people=8000, attributes=5, codes=4)
"""As many tables as such a survey publishes."""
WIDE = Survey(people=160, attributes=20, codes=2)
"""Few people, and more numbers about them than people."""
