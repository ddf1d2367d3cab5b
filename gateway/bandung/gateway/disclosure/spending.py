"""How a table's budget is shared out over what it is made of, and the noise that each part gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bandung.gateway.disclosure.aggregates import Aggregate, AggregateKind, aggregates, sensitivity
from bandung.gateway.disclosure.estimates import Bins
from bandung.gateway.disclosure.noise import Noise, noise
from bandung.gateway.disclosure.privacy_budget import shares
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.policy import DifferentialPrivacy

if TYPE_CHECKING:
    from bandung.gateway.domain.dataset import Epoch, Measure
    from bandung.gateway.planning.check import CheckedPlan

_BINS_MIN = 16
"""Fewer bins than these (or than the policy's, if those are fewer) make no useful quantile."""


def allotment(checked: CheckedPlan, epoch: Epoch) -> Mapping[Aggregate, int]:
    """Return each aggregate's part of the plan's budget, in nano-rho: equal ones, to the last one.

    Raises:
        Refusal: NOT_UNDER_POLICY if there is too little to be shared out.
    """
    drawn = aggregates(checked.plan, epoch.dataset)
    return dict(zip(drawn, _parts(checked, epoch, len(drawn))[: len(drawn)], strict=True))


def share_of_keys(checked: CheckedPlan, epoch: Epoch) -> int:
    """Return the part that finding the keys of an open dimension spends, in nano-rho; as large as an aggregate's.

    Raises:
        Refusal: as `allotment` does.
    """
    return _parts(checked, epoch, len(aggregates(checked.plan, epoch.dataset)))[-1]


def _parts(checked: CheckedPlan, epoch: Epoch, drawn: int) -> tuple[int, ...]:
    parts = drawn + len(epoch.dataset.opened(checked.plan.group_by))
    if checked.plan.nano_rho < parts:
        raise Refusal(ErrorKind.NOT_UNDER_POLICY, f"This table spends at least {parts / 1e9:g} of rho.")
    return shares(checked.plan.nano_rho, parts)


def noises(checked: CheckedPlan, epoch: Epoch) -> Mapping[Aggregate, Noise]:
    """Return the noise of each aggregate, from declarations alone.

    The cells of a table over an open dimension are not known beforehand: they are taken to be more than a unit's rows.

    Raises:
        Refusal: as `allotment` does.
        Unconfirmed: OpenDP's account of a noise is above its part of the budget.
    """
    dataset, known = epoch.dataset, not epoch.dataset.opened(checked.plan.group_by)
    cells = checked.cells if known else dataset.unit_rows_max
    mechanism = dataset.policy_as(DifferentialPrivacy).mechanism
    return {
        found: noise(mechanism, sensitivity(found, dataset, cells), share)
        for found, share in allotment(checked, epoch).items()
    }


def binned(drawn: Iterable[Aggregate]) -> list[str]:
    """Return the measures whose values are counted in bins, in order."""
    return [found.measure for found in drawn if found.kind is AggregateKind.HISTOGRAM]


def bins(measure: Measure, checked: CheckedPlan, epoch: Epoch) -> Bins:
    """Return the policy's bins, or as many as its `cells_max` leaves to each cell of this table.

    Raises:
        Refusal: TOO_LARGE if those are too few.
    """
    policy = epoch.dataset.policy_as(DifferentialPrivacy)
    most = min(policy.quantile_bins, policy.cells_max // max(1, checked.cells))
    if most < min(_BINS_MIN, policy.quantile_bins):
        raise Refusal(
            ErrorKind.TOO_LARGE, f"Quantiles of so many cells need more than {policy.cells_max} bins; group by less."
        )
    return Bins.over(*measure.bounds_steps, most)
