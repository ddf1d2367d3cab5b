"""Structural zeros: cells that cannot exist, by the declared parents of codes; public, so they need no protection.

An empty cell that could have records is a sampling zero; it must stay like a cell of too few, so it is none of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandung.connectors.base import Among

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bandung.gateway.domain.dataset import Dataset
    from bandung.gateway.planning.check import CheckedPlan


def impossible(checked: CheckedPlan, dataset: Dataset) -> NDArray[np.bool_]:
    """Return where the padded table's cells cannot exist: a code that nests in none of the codes it stands beside.

    Filters count as the codes that they leave.
    """
    codes = dict(zip(checked.plan.group_by, checked.codes, strict=True))
    codes |= {held.column: held.codes for held in checked.plan.filters if isinstance(held, Among)}
    grouped = checked.plan.group_by
    cells = np.zeros([len(codes[name]) for name in grouped], dtype=np.bool_)
    for name in codes:
        for above in dataset.ancestors(name):
            if above in codes:
                cells |= _never_together(name, above, codes, dataset, grouped)
    return cells.reshape(-1)


def _never_together(
    name: str, above: str, codes: Mapping[str, Sequence[str]], dataset: Dataset, grouped: Sequence[str]
) -> NDArray[np.bool_]:
    """Return where codes of two dimensions exclude each other, in a shape that spreads over the table."""
    declared = dataset.codes_above(name, above)
    lies_in = np.array([declared.get(code, "") for code in codes[name]])[:, None]
    pairs = (lies_in != "") & (lies_in != np.array(codes[above])[None, :])
    if above not in grouped:
        pairs = pairs.all(axis=-1, keepdims=True)
    if name not in grouped:
        pairs = pairs.all(axis=0, keepdims=True)
    first, second = (name, above) if not {name, above} <= set(grouped) else sorted((name, above), key=grouped.index)
    spread = pairs if first == name else pairs.T
    return spread.reshape([len(codes[held]) if held in {first, second} else 1 for held in grouped])
