"""Release policies: what must hold before anything leaves, as frozen values.

A policy belongs to a dataset's epoch. There is one policy for SQL, statistics and training alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import combinations

from bandung.gateway.domain.ons import OnsNoise
from bandung.gateway.domain.plan import Statistic


@dataclass(frozen=True, slots=True)
class CellRules:
    """Which cells are sensitive, whatever is done about them then.

    Attributes:
        min_units: fewest units in a released cell; fewest steps of a sum from the least and the greatest that its
            contributors could have by the declared range.
        p_percent: a cell's sum is sensitive if total - x1 - x2 < p/100 x1.
        dominance_n, dominance_k_percent: a cell's sum is sensitive if its n largest contributors hold more
            than k % of it.
    """

    min_units: int = 10
    p_percent: float = 15.0
    dominance_n: int = 2
    dominance_k_percent: float = 85.0


@dataclass(frozen=True, slots=True)
class TableBuilder(CellRules):
    """The `table-builder` policy: threshold, p %-rule, dominance, sparsity, cell-key noise, quotas.

    `noise_js` must be below `min_units`, or cells at the threshold could only be shown as 0, and below `noise_max`,
    or no unbiased noise exists for some counts; anything else is a ValueError.

    Attributes:
        threshold_spread: a cell needs `min_units` units, and a sum as many steps, and up to this many more, by the
            dataset's key and the cell's records, so that being shown does not tell who is in it; 0 for no more.
        variables_max: most variables in one table, filters counted.
        mean_cell_min: fewest rows per cell of the padded table on average.
        noise_max: D, the largest change of a count.
        noise_variance: V, the variance of the change of a count.
        noise_js: no released count lies in 1..js.
        sum_noise: half-width of the sticky noise on a sum, as a share of the cell's largest contribution; it is at
            least sqrt(3 V) means of the values that are not zero, so that a sum does not tell how many have a value.
        tables_per_analyst, tables_per_dataset: quotas of distinct tables of a reference period.
        exposures_max: most released numbers that any one record may have taken part in, of a reference
            period.
        ons: counts change by this published table instead, which `noise_max`, `noise_variance` (but for sums) and
            `noise_js` then say nothing of; None for the table of greatest entropy.
    """

    threshold_spread: int = 4
    variables_max: int = 3
    mean_cell_min: float = 20.0
    noise_max: int = 5
    noise_variance: float = 3.0
    noise_js: int = 2
    sum_noise: float = 0.5
    tables_per_analyst: int = 500
    tables_per_dataset: int = 5000
    exposures_max: int = 20_000
    ons: OnsNoise | None = None

    def __post_init__(self) -> None:
        if not self.noise_js < min(self.min_units, self.noise_max):
            raise ValueError("noise_js must be below min_units and below noise_max")


class Mechanism(Enum):
    """What noise the `differential-privacy` policy adds: integer-valued, from a cryptographic source."""

    GAUSSIAN = "gaussian"
    LAPLACE = "laplace"


@dataclass(frozen=True, slots=True)
class DifferentialPrivacy:
    """The `differential-privacy` policy: every answer is noisy, and spends of one budget in zCDP's rho.

    The promise is to the unit of privacy with all of its rows, of which publication verified that there are no more
    than declared. Budgets are whole numbers of nano-rho (10^-9 of rho) and are never refunded. They belong to the
    dataset, not to the epoch: publishing the same records again gives nobody a new budget.

    Attributes:
        nano_rho_per_dataset: most that all tables of all analysts may spend; the promise to respondents.
        nano_rho_per_agreement, nano_rho_per_analyst: how that is shared out.
        nano_rho_per_table: what a table spends unless its request says otherwise.
        nano_rho_per_table_max: most that a request may say.
        delta: the chance of failure at which budgets are also shown as (epsilon, delta).
        atto_delta_per_dataset: most that tables over open code lists may spend of delta, in 10^-18; 0 allows none.
        atto_delta_per_table: what such a table spends.
        mechanism: noise of every statistic.
        variables_max: most variables in one table, filters counted.
        cells_max: most cells of one table.
        quantile_bins: bins of equal width over a measure's bounds in which values are counted for quantiles.
    """

    nano_rho_per_dataset: int = 500_000_000
    nano_rho_per_agreement: int = 200_000_000
    nano_rho_per_analyst: int = 50_000_000
    nano_rho_per_table: int = 1_000_000
    nano_rho_per_table_max: int = 5_000_000
    delta: float = 1e-10
    atto_delta_per_dataset: int = 0
    atto_delta_per_table: int = 0
    mechanism: Mechanism = Mechanism.GAUSSIAN
    variables_max: int = 6
    cells_max: int = 100_000
    quantile_bins: int = 256


@dataclass(frozen=True, slots=True)
class RegisteredTable:
    """One table of a set that is published as it is, except for what is withheld.

    Attributes:
        group_by: its dimensions, sorted; none for the total.
        statistics: counts and sums that it tells, sorted.
        complete: no cell of it may be withheld.
    """

    group_by: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    complete: bool = False


class Secondary(Enum):
    """Who says first what is withheld for the sake of other numbers; the joint suppression has the last word."""

    JOINT = "joint"
    TAU_ARGUS = "tau-argus"


@dataclass(frozen=True, slots=True)
class PublishedTables(CellRules):
    """The `published-tables` policy: exact numbers of a registered set of tables, protected together by suppression.

    Attributes:
        tables: the registered set; each table comes with all of its margins.
        secondary: where secondary suppression begins.
    """

    tables: tuple[RegisteredTable, ...] = ()
    secondary: Secondary = Secondary.JOINT

    @property
    def margins(self) -> Mapping[tuple[str, ...], RegisteredTable]:
        """Every table that can be asked for, by its dimensions: the registered ones and their margins."""
        found: dict[tuple[str, ...], RegisteredTable] = {}
        for table in self.tables:
            for size in range(len(table.group_by) + 1):
                for group_by in combinations(table.group_by, size):
                    known = found.get(group_by, RegisteredTable(group_by, ()))
                    found[group_by] = replace(
                        known,
                        statistics=tuple(sorted({*known.statistics, *table.statistics})),
                        complete=known.complete or (table.complete and group_by == table.group_by),
                    )
        return found

    @property
    def variables_max(self) -> int:
        """Most variables in one table, filters counted."""
        return max(len(table.group_by) for table in self.tables)


Policy = TableBuilder | DifferentialPrivacy | PublishedTables
"""The release policy of a dataset."""


def kind(policy: Policy) -> str:
    """Return the policy's public name, as in a declaration's `[policy] kind`."""
    match policy:
        case TableBuilder():
            return "table-builder"
        case DifferentialPrivacy():
            return "differential-privacy"
        case PublishedTables():
            return "published-tables"


@dataclass(frozen=True, slots=True)
class TrainingRules:
    """What a dataset's custodian lets training jobs do. `allowed = False` is the default: no training.

    Attributes:
        cohort_min: fewest countries whose masked sums are added before anybody can read them.
        units_min: fewest units of this country in a sum.
        units_per_parameter_min: fewest units per model coefficient.
        rounds_max: most rounds of one job.
        steps_per_analyst, steps_per_dataset: quotas of answered steps of a reference period.
    """

    allowed: bool = False
    cohort_min: int = 3
    units_min: int = 10
    units_per_parameter_min: float = 1.0
    rounds_max: int = 50
    steps_per_analyst: int = 500
    steps_per_dataset: int = 5000
