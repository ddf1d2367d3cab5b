"""The perturbation table that users may see, and what was checked of it. The table is public; the keys are secret."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

import numpy as np

from bandung.gateway.disclosure import ons
from bandung.gateway.disclosure.ptable import PTable, maximum_entropy
from bandung.gateway.domain.policy import TableBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.ons import OnsNoise

_BIAS_MAX = 1e-7


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        rule: short, stable name.
        holds: None where the policy declares nothing of it, and it is only reported.
        found: what was found, in words.
    """

    rule: str
    holds: bool | None
    found: str


@dataclass(frozen=True, slots=True)
class PublishedPTable:
    """A policy's perturbation table.

    Attributes:
        columns: `count`, `change`, `probability`, the largest count standing for all larger ones; or `pcv`, `ckey`,
            `pvalue` in ONS's form.
        rows: what can happen; changes of probability 0 are left out.
    """

    columns: tuple[str, str, str]
    rows: tuple[tuple[int, int, float], ...]
    findings: tuple[Finding, ...]


def published_ptable(policy: TableBuilder) -> PublishedPTable:
    """Return the policy's table, generated as the gateway does, and checked."""
    if policy.ons is not None:
        return _ons(policy, policy.ons)
    table = maximum_entropy(policy.noise_max, policy.noise_variance, policy.noise_js)
    rows = tuple(
        (int(count), int(table.changes[place]), float(table.probabilities[count, place]))
        for count, place in np.argwhere(table.probabilities > 0)
    )
    return PublishedPTable(("count", "change", "probability"), rows, _findings(table, policy))


def _findings(table: PTable, policy: TableBuilder) -> tuple[Finding, ...]:
    bias = float(np.abs(table.probabilities @ table.changes).max())
    variances = table.probabilities @ table.changes.astype(np.float64) ** 2
    exact = [isclose(variance, policy.noise_variance, rel_tol=1e-6) for variance in variances]
    # Small counts leave no room for the declared variance, but from some count on every row must have it.
    first = next((count for count in range(len(exact)) if all(exact[count:])), None)
    results = (np.arange(len(table.probabilities))[:, None] + table.changes)[table.probabilities > 0]
    forbidden = int(((results < 0) | ((results > 0) & (results <= policy.noise_js))).sum())
    return (
        Finding("zero bias", bias <= _BIAS_MAX, f"largest mean change {bias:.1e}"),
        Finding(
            "declared variance",
            first is not None,
            f"{policy.noise_variance:g} from a count of {first} on"
            if first is not None
            else f"up to {variances.max()}",
        ),
        Finding("no result below 0 or in 1..js", forbidden == 0, f"{forbidden} such results, js = {policy.noise_js}"),
    )


def _ons(policy: TableBuilder, noise: OnsNoise) -> PublishedPTable:
    changes = ons.changes(noise)
    rows = tuple((int(count), int(key), int(changes[count, key])) for count, key in np.argwhere(changes))
    return PublishedPTable(("pcv", "ckey", "pvalue"), rows, _ons_findings(changes, policy))


def _ons_findings(changes: NDArray[np.int64], policy: TableBuilder) -> tuple[Finding, ...]:
    means = changes.mean(axis=1)
    biased = int(np.count_nonzero(means))
    largest = float(means[np.abs(means).argmax()])
    shown = changes[policy.min_units :]
    return (
        Finding("zero bias", None, f"{biased} of {len(means) - 1} counts are biased, at most by {largest:+.4f}"),
        Finding("mean square", None, f"at most {float((shown**2).mean(axis=1).max()):.4f} where counts are shown"),
        Finding("no result below 0", bool((np.arange(len(changes))[:, None] + changes >= 0).all()), "none"),
    )
