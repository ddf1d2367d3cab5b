"""What is published of a statistic's noise, and the error that it implies.

A policy publishes, for each statistic, one of these forms. Which one, and its number, depends on declarations and on
the plan alone, never on data:

- `variance`: of every cell's value (counts);
- `standard_error`, or `standard_error_max` where a cell's own may be smaller: of every cell's value (sums);
- `standard_error_max_times_count`: to be divided by the cell's count of records (means, variances);
- `standard_error_max_times_contributors`: to be divided by the number of records with a value, which is not published;
- `standard_error_max_times_root_count`, `standard_error_max_times_root_contributors`: to be divided by their root
  (standard deviations);
- `standard_error_max_of_rank`: of the rank of a quantile, in records; what that means for its value is for the data.

Beside it may stand `standard_errors_in_ci95`, how many standard errors are half a 95 % interval; else the noise is
taken to be normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Final

Noise = Mapping[str, Mapping[str, float]]
"""By the statistic's canonical name: the forms that are published of it."""

_POWERS: Final = {
    "standard_error": 0.0,
    "standard_error_max": 0.0,
    "standard_error_max_times_count": 1.0,
    "standard_error_max_times_contributors": 1.0,
    "standard_error_max_times_root_count": 0.5,
    "standard_error_max_times_root_contributors": 0.5,
}
"""By form, the power of the number of records that it is to be divided by."""

_OF_RANK: Final = "standard_error_max_of_rank"
FORMS: Final = ("variance", *_POWERS, _OF_RANK)
BY_CONTRIBUTORS: Final = frozenset(form for form in FORMS if form.endswith("contributors"))
"""Forms whose number of records is not published."""

CELL_SIZES: Final = (20, 100, 1_000, 10_000)
"""Records in a cell for which an expected error is told, where it depends on them."""
NORMAL_95: Final = 1.959963984540054
"""Half-width of the 95 % interval of the standard normal distribution."""
CI95: Final = "standard_errors_in_ci95"


def variance(published: Mapping[str, float], records: float | None = None) -> float | None:
    """Return the variance of the noise on a value, or the largest that it can have; None if it is not known.

    Args:
        records: in the cell, by the released count; None if that is not known. All of them are taken to have a value
            where a mean's contributors are not published.
    """
    if "variance" in published:
        return published["variance"]
    for form, power in _POWERS.items():
        if form in published and (not power or (records or 0) > 0):
            return (published[form] / (records or 1) ** power) ** 2
    return None


def standard_error(published: Mapping[str, float], records: float | None = None) -> float | None:
    """Return the root of `variance`; arguments as there."""
    of = variance(published, records)
    return None if of is None else sqrt(of)


def half_width(published: Mapping[str, float], records: float | None = None) -> float | None:
    """Return half the width of the 95 % interval, or the largest that it can have; else as `variance`."""
    error = standard_error(published, records)
    return None if error is None else published.get(CI95, NORMAL_95) * error


def half_width_of_rank(published: Mapping[str, float]) -> float | None:
    """Return half the width of the 95 % interval of a quantile's rank, in records; None of other statistics."""
    return published[_OF_RANK] * published.get(CI95, NORMAL_95) if _OF_RANK in published else None
