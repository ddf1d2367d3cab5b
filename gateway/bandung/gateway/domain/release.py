"""Raw and released results are different types: only a Release can be stored as an answer or sent.

`Raw` is made by executors, `Release` only by `disclosure` and `training` (import contracts and a test guard both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from bandung.gateway.domain.noise import Noise


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Unprotected aggregates of a plan's cells. Never leaves the process.

    Attributes:
        cells: as `CellQuery` describes.
        contributions: as `ContributionQuery` describes, for the cells that needed an exact look.
        histograms: as `HistogramQuery` describes, one for each that was asked for, in order.
        keys: as `ContributionQuery` describes, the units of each key of an open dimension.
    """

    cells: pa.Table
    contributions: pa.Table | None
    histograms: tuple[pa.Table, ...] = ()
    keys: pa.Table | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A protected table.

    Attributes:
        table: the plan's dimensions (utf8), its statistics (int64 for counts, float64 else; null where
            suppressed), then `OBS_STATUS` and `CONF_STATUS` (utf8, SDMX codes). All cells of the public code
            lists, in code-list order.
        noise: what is published of each statistic's noise; see `domain.noise`.
    """

    table: pa.Table
    noise: Noise


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedVector:
    """A protected vector of a training step.

    Attributes:
        values: uint64, masked fixed-point sums modulo 2^192, three words (lowest first) for each name of the
            schema; or float64, rounded evaluation metrics, one for each.
        schema: what each element is, in order.
    """

    values: NDArray[np.uint64] | NDArray[np.float64]
    schema: tuple[str, ...]
