"""The policy's rules that depend on the plan alone; passing them is what a source query needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

from bandung.connectors.base import Among, CellQuery
from bandung.connectors.base import Measure as SourceMeasure
from bandung.gateway.domain.dataset import Dimension, Epoch, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.plan import Plan, StatisticKind
from bandung.gateway.domain.policy import (
    DifferentialPrivacy,
    Policy,
    PublishedTables,
    RegisteredTable,
    TableBuilder,
    kind,
)
from bandung.gateway.planning.aggregates import spelled

CELLS_MAX = 200_000
"""Most rows of an answer; they are enumerated from the code lists, so this holds before any is made."""

_TABLE_BUILDER_KINDS = frozenset(
    offered.value for offered in (StatisticKind.COUNT, StatisticKind.SUM, StatisticKind.MEAN)
)


@dataclass(frozen=True)
class CheckedPlan:
    """Proof that a plan passed its epoch's rules. Only `check` makes one.

    Attributes:
        codes: for each dimension of `plan.group_by`, the codes of the padded table in code-list order; none for an
            open dimension.
    """

    plan: Plan
    codes: tuple[tuple[str, ...], ...]

    @property
    def cells(self) -> int:
        """Number of cells of the padded table; 0 if a dimension is open: the cells are then those of the release."""
        return prod(map(len, self.codes))

    @cached_property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """Every cell of the padded table: the product of `codes`, the last dimension running fastest."""
        return tuple(product(*self.codes))


def check(plan: Plan, epoch: Epoch) -> CheckedPlan:
    """Check the table against the rules of its dataset's policy that need no data.

    Under `table-builder` these are the number of variables, the form of the filters, and sparsity, which divides the
    epoch's rows by the cells of the table over all variables, filters counted: it looks at no filtered count, so it
    tells nothing about one. A dimension that another one of the table nests in multiplies no cells. Under
    `differential-privacy` they are the number of variables and of cells, and what the table may spend. Under
    `published-tables` the table must be a registered one or a margin of one, whole or for one code of a column.

    Raises:
        Refusal: TOO_MANY_VARIABLES, TOO_LARGE, TOO_SPARSE, NOT_UNDER_POLICY.
    """
    policy = epoch.dataset.policy
    if isinstance(policy, PublishedTables):
        _check_published(plan, policy)
    if len(plan.variables) > policy.variables_max:
        raise Refusal(
            ErrorKind.TOO_MANY_VARIABLES, f"It uses {', '.join(plan.variables)}; {policy.variables_max} are allowed."
        )
    match policy:
        case PublishedTables():
            pass
        case TableBuilder():
            _check_table_builder(plan, epoch, policy)
        case DifferentialPrivacy():
            _check_private(plan, policy)
    fixed = {held.column: held.codes for held in plan.filters if isinstance(held, Among)}
    codes = tuple(_codes(name, epoch, fixed.get(name)) for name in plan.group_by)
    cells_max = min(CELLS_MAX, policy.cells_max) if isinstance(policy, DifferentialPrivacy) else CELLS_MAX
    if prod(max(1, len(listed)) for listed in codes) > cells_max:
        raise Refusal(ErrorKind.TOO_LARGE, f"The table has more than {cells_max} cells.")
    return CheckedPlan(plan, codes)


def _check_table_builder(plan: Plan, epoch: Epoch, policy: TableBuilder) -> None:
    for held in plan.filters:
        if not isinstance(held, Among):
            raise _not_offered(policy, f"filters by {held.column}", "GROUP BY a banded dimension instead.")
        if len(held.codes) > 1:
            words = f"Filter by one code, {held.column} = '{held.codes[0]}', or GROUP BY {held.column}."
            raise _not_offered(policy, f"filters by several codes of {held.column}", words)
    unoffered = [statistic for statistic in plan.statistics if statistic.kind not in _TABLE_BUILDER_KINDS]
    if unoffered:
        words = ", ".join(spelled(statistic, epoch.dataset) for statistic in unoffered)
        raise _not_offered(policy, words, "Ask for COUNT(*), SUM(x) or AVG(x).")
    cells = _cell_count(plan.variables, epoch)
    if cells > 1 and epoch.facts.rows < policy.mean_cell_min * cells:
        raise Refusal(
            ErrorKind.TOO_SPARSE,
            f"{cells} cells; the policy wants {policy.mean_cell_min:g} records per cell on average.",
        )


def _check_private(plan: Plan, policy: DifferentialPrivacy) -> None:
    if not 0 < plan.nano_rho <= policy.nano_rho_per_table_max:
        raise Refusal(
            ErrorKind.NOT_UNDER_POLICY,
            f"A table spends more than 0 and at most {policy.nano_rho_per_table_max / 1e9:g} of rho.",
        )


def _not_offered(policy: Policy, what: str, nearest: str) -> Refusal:
    return Refusal(ErrorKind.NOT_UNDER_POLICY, f"{kind(policy)} does not offer {what}", remedy=nearest)


def _check_published(plan: Plan, policy: PublishedTables) -> None:
    for held in plan.filters:
        if not isinstance(held, Among) or (len(held.codes) > 1 and held.column not in plan.group_by):
            raise _not_offered(policy, f"this filter by {held.column}", f"GROUP BY {held.column}, or name one code.")
    table = policy.margins.get(plan.variables)
    if table is None or not set(plan.statistics) <= set(table.statistics):
        registered = "; ".join(_described(table) for table in policy.tables)
        raise _not_offered(policy, "this table", f"Published are, with all of their margins: {registered}.")


def _described(table: RegisteredTable) -> str:
    statistics = ", ".join(statistic.name for statistic in table.statistics)
    return f"{statistics} by {', '.join(table.group_by)}" if table.group_by else statistics


def source_query(checked: CheckedPlan, epoch: Epoch) -> CellQuery:
    """Return what the source is asked: the cells of the plan, over the epoch's view."""
    plan = checked.plan
    return CellQuery(
        view=epoch.view,
        group_by=plan.group_by,
        where=plan.filters,
        measures=source_measures(plan, epoch),
    )


def source_measures(plan: Plan, epoch: Epoch) -> tuple[SourceMeasure, ...]:
    """Return the measures that the plan aggregates, by name, as a source needs to know them."""
    names = sorted({statistic.measure for statistic in plan.statistics if statistic.measure})
    declared = [epoch.dataset.column(name) for name in names]
    nonzero = isinstance(epoch.dataset.policy, TableBuilder)
    return tuple(
        SourceMeasure(measure.name, signed=measure.minimum < 0, optional=measure.optional, nonzero=nonzero)
        for measure in declared
        if isinstance(measure, Measure)
    )


def _cell_count(names: tuple[str, ...], epoch: Epoch) -> int:
    dimensions = [dimension for dimension in epoch.dataset.dimensions if dimension.name in names]
    above = {ancestor for dimension in dimensions for ancestor in epoch.dataset.ancestors(dimension.name)}
    return prod(len(dimension.codes) for dimension in dimensions if dimension.name not in above)


def _codes(name: str, epoch: Epoch, kept: tuple[str, ...] | None) -> tuple[str, ...]:
    """The public code list, or what a filter keeps of it: which codes occur is for the data to hide."""
    column = epoch.dataset.column(name)
    declared = tuple(entry.code for entry in column.codes) if isinstance(column, Dimension) else ()
    return declared if kept is None else tuple(code for code in declared if code in set(kept))
