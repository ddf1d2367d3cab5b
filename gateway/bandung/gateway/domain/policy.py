"""Release policies: what must hold before anything leaves, as frozen values.

A policy belongs to a dataset's epoch. There is one policy for SQL, statistics and training alike.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableBuilder:
    """The `table-builder` policy: threshold, p %-rule, dominance, sparsity, cell-key noise, quotas.

    `noise_js` must be below `min_units`, or cells at the threshold could only be shown as 0, and below `noise_max`,
    or no unbiased noise exists for some counts; anything else is a ValueError.

    Attributes:
        min_units: fewest units in a released cell; fewest steps of a sum from the least and the greatest that its
            contributors could have by the declared range.
        p_percent: a cell's sum is sensitive if total - x1 - x2 < p/100 x1.
        dominance_n, dominance_k_percent: a cell's sum is sensitive if its n largest contributors hold more
            than k % of it.
        variables_max: most variables in one table, filters counted.
        mean_cell_min: fewest rows per cell of the padded table on average.
        noise_max: D, the largest change of a count.
        noise_variance: V, the variance of the change of a count.
        noise_js: no released count lies in 1..js.
        sum_noise: half-width of the sticky noise on a sum, as a share of the cell's largest contribution; it is at
            least sqrt(3 V) steps of the last carried digit, so that a sum of ones is protected as a count is.
        tables_per_analyst, tables_per_dataset: quotas of distinct tables per epoch.
    """

    min_units: int = 10
    p_percent: float = 15.0
    dominance_n: int = 2
    dominance_k_percent: float = 85.0
    variables_max: int = 3
    mean_cell_min: float = 20.0
    noise_max: int = 5
    noise_variance: float = 2.5
    noise_js: int = 2
    sum_noise: float = 0.5
    tables_per_analyst: int = 500
    tables_per_dataset: int = 5000

    def __post_init__(self) -> None:
        if not self.noise_js < min(self.min_units, self.noise_max):
            raise ValueError("noise_js must be below min_units and below noise_max")


@dataclass(frozen=True, slots=True)
class TrainingRules:
    """What a dataset's custodian lets training jobs do. `allowed = False` is the default: no training.

    Attributes:
        cohort_min: fewest countries whose masked sums are added before anybody can read them.
        units_min: fewest units of this country in a sum.
        units_per_parameter_min: fewest units per model coefficient.
        rounds_max: most rounds of one job.
        steps_per_analyst, steps_per_dataset: quotas of answered steps per epoch.
    """

    allowed: bool = False
    cohort_min: int = 3
    units_min: int = 10
    units_per_parameter_min: float = 1.0
    rounds_max: int = 50
    steps_per_analyst: int = 500
    steps_per_dataset: int = 5000
