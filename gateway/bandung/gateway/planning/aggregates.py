"""Aggregates of a statement to statistics, and what their columns are called."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from bandung.gateway.domain.dataset import Dataset
from bandung.gateway.domain.plan import Statistic, StatisticKind
from bandung.gateway.planning import resolve
from bandung.gateway.planning.scope import Scope

_OF_A_MEASURE: Final[dict[type[exp.Expr], StatisticKind]] = {
    exp.Sum: StatisticKind.SUM,
    exp.Avg: StatisticKind.MEAN,
    exp.Variance: StatisticKind.VARIANCE,
    exp.Stddev: StatisticKind.STDDEV,
    exp.StddevSamp: StatisticKind.STDDEV,
}
_HEADINGS: Final = {
    StatisticKind.COUNT: "count(*)",
    StatisticKind.UNITS: "count(distinct {unit})",
    StatisticKind.SUM: "sum({measure})",
    StatisticKind.MEAN: "avg({measure})",
    StatisticKind.VARIANCE: "var_samp({measure})",
    StatisticKind.STDDEV: "stddev_samp({measure})",
    StatisticKind.QUANTILE: "quantile_cont({measure}, {share})",
}
_QUANTILES: Final = (exp.PercentileCont, exp.ApproxQuantile, exp.Quantile)
_AGGREGATES: Final = (exp.Count, exp.Median, exp.WithinGroup, *_OF_A_MEASURE, *_QUANTILES)
_MEDIAN: Final = "0.5"
_QUANTILE: Final = "Write QUANTILE_CONT(measure, 0.5)."


def is_aggregate(node: exp.Expr) -> bool:
    """Tell whether a node, an alias aside, is an aggregate function."""
    return isinstance(node.unalias(), _AGGREGATES)


def heading(statistic: Statistic, of: Dataset) -> str:
    """Return what a statistic's column is called where the statement gives it no name."""
    form = _HEADINGS[StatisticKind(statistic.kind)]
    return form.format(unit=of.unit_name, measure=statistic.measure, share=statistic.share)


def spelled(statistic: Statistic, of: Dataset) -> str:
    """Return how a statistic is asked for: by its heading, and the median by its own name."""
    return f"median({statistic.measure})" if statistic.share == _MEDIAN else heading(statistic, of)


def statistic(node: exp.Expr, scope: Scope) -> Statistic:
    """Return the statistic that an aggregate means.

    Raises:
        Refusal: NOT_IN_GRAMMAR for another form; UNKNOWN_COLUMN, WRONG_ROLE; BAD_REQUEST for a share of a quantile.
    """
    if isinstance(node, exp.Count):
        return _counted(node, scope)
    if kind := _OF_A_MEASURE.get(type(node)):
        return Statistic(kind.value, scope.measure(node.this))
    if isinstance(node, exp.Median):
        return Statistic(StatisticKind.QUANTILE.value, scope.measure(node.this), _MEDIAN)
    measure, share = _quantile(node, scope)
    if not isinstance(share, exp.Literal) or share.is_string:
        scope.refuse(node, _QUANTILE)
    canonical = resolve.share(share.this, scope.place(node))
    return Statistic(StatisticKind.QUANTILE.value, scope.measure(measure), canonical)


def _counted(node: exp.Count, scope: Scope) -> Statistic:
    if isinstance(node.this, exp.Star):
        return Statistic(StatisticKind.COUNT.value)
    declared = scope.epoch.dataset
    units = {name.lower() for name in (declared.unit_name, declared.unit_column) if name}
    named = node.this.expressions if isinstance(node.this, exp.Distinct) else []
    if len(named) != 1 or scope.name(named[0]).lower() not in units:
        scope.refuse(node, f"Write COUNT(*), or COUNT(DISTINCT {declared.unit_name}).")
    return Statistic(StatisticKind.UNITS.value)


def _quantile(node: exp.Expr, scope: Scope) -> tuple[exp.Expr, exp.Expr | None]:
    """The measure and the share, from FUNCTION(x, q) or PERCENTILE_CONT(q) WITHIN GROUP (ORDER BY x)."""
    if not isinstance(node, exp.WithinGroup):
        return node.this, node.args.get("expression") or node.args.get("quantile")
    ordered = node.expression.expressions if isinstance(node.expression, exp.Order) else []
    inner = node.this
    ascending = len(ordered) == 1 and not ordered[0].args.get("desc")
    if not ascending or not isinstance(inner, exp.PercentileCont) or inner.args.get("expression"):
        scope.refuse(node, _QUANTILE)
    return ordered[0].this, inner.this
