"""What is published of a statistic's noise, and the error that it implies.

A policy publishes, for each statistic, one of four forms. Which one, and its number, depends on declarations and on
the plan alone, never on data:

- `variance`: of every cell's value (counts);
- `standard_error`, or `standard_error_max` where a cell's own may be smaller: of every cell's value (sums);
- `standard_error_max_times_count`: to be divided by the cell's count of records (means);
- `standard_error_max_times_contributors`: to be divided by the number of records with a value, which is not published.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Final

Noise = Mapping[str, Mapping[str, float]]
"""By the statistic's canonical name: the forms that are published of it."""

FORMS: Final = (
    "variance",
    "standard_error",
    "standard_error_max",
    "standard_error_max_times_count",
    "standard_error_max_times_contributors",
)
NORMAL_95: Final = 1.959963984540054
"""Half-width of the 95 % interval of the standard normal distribution."""


def variance(published: Mapping[str, float], records: float | None = None) -> float | None:
    """Return the variance of the noise on a value, or the largest that it can have; None if it is not known.

    Args:
        records: in the cell, by the released count; None if that is not known. All of them are taken to have a value
            where a mean's contributors are not published.
    """
    if "variance" in published:
        return published["variance"]
    for form in FORMS[1:3]:
        if form in published:
            return published[form] ** 2
    for form in FORMS[3:]:
        if form in published and records:
            return (published[form] / records) ** 2
    return None


def standard_error(published: Mapping[str, float], records: float | None = None) -> float | None:
    """Return the root of `variance`; arguments as there."""
    of = variance(published, records)
    return None if of is None else sqrt(of)
