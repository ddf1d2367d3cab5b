"""From a job's terms and a country's rows to a design matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bandung.gateway.domain.dataset import Dataset, Dimension, Measure
from bandung.gateway.domain.errors import ErrorKind, Refusal
from bandung.gateway.domain.job import Family, Job, Term

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The usable records of a country. Never leaves the process.

    Attributes:
        x: records by `job.parameters`, float64. The intercepts of other members are zero.
        y: the target, float64; zeros and ones for a binomial job.
        units: for each record the index of its unit in `unit_ids`.
        unit_ids: distinct units, those without a usable record included.
        excluded: records left out, because a value is missing or has no logarithm.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    units: NDArray[np.int64]
    unit_ids: pa.Array
    excluded: int

    @property
    def unit_count(self) -> int:
        """Distinct units with at least one usable record."""
        return self.units_where(np.ones(len(self.units), dtype=np.bool_))

    def units_where(self, chosen: NDArray[np.bool_]) -> int:
        """Count the distinct units among the chosen records."""
        return int(np.count_nonzero(np.bincount(self.units[chosen], minlength=1)))

    def take(self, chosen: NDArray[np.bool_]) -> Design:
        """Return the chosen records as a design of their own."""
        return Design(self.x[chosen], self.y[chosen], self.units[chosen], self.unit_ids, self.excluded)


def columns_of(job: Job) -> tuple[str, ...]:
    """Return the declared columns that the job touches, sorted."""
    return tuple(sorted({term.column for term in (job.target, *job.features)}))


def check_terms(job: Job, dataset: Dataset) -> None:
    """Check that the dataset's declaration can supply every term.

    Raises:
        Refusal: UNKNOWN_COLUMN, WRONG_ROLE, UNKNOWN_CODE, or JOB_INVALID for a target that its family cannot have.
    """
    for term in (job.target, *job.features):
        column = dataset.column(term.column)
        if column is None:
            raise Refusal(ErrorKind.UNKNOWN_COLUMN, f"{dataset.name} declares no {term.column}.")
        if isinstance(column, Dimension) != (term.transform == "code"):
            need = (
                "is a dimension: name a code of it"
                if isinstance(column, Dimension)
                else "is a measure: it has no codes"
            )
            raise Refusal(ErrorKind.WRONG_ROLE, f"{term.name}: {term.column} {need}.")
        if isinstance(column, Dimension) and term.code not in {code.code for code in column.codes}:
            raise Refusal(ErrorKind.UNKNOWN_CODE, f"{term.column} has no code {term.code}.")
    target = dataset.column(job.target.column)
    if job.family is Family.BINOMIAL and isinstance(target, Measure) and not _is_binary(target):
        raise Refusal(ErrorKind.JOB_INVALID, f"{target.name} is not declared as zeros and ones.")


def design(job: Job, member: str, dataset: Dataset, rows: pa.Table) -> Design:
    """Build the design matrix from rows.

    Args:
        rows: what `RowQuery` of `columns_of(job)` gives: `unit`, then codes as utf8 and measures as int64 in units
            of 10^-decimals.

    A record is usable if every term has a value. A declared code for missing values counts as missing, unless the
    job makes an indicator of that very code: then it is a category like any other.
    """
    terms = (job.target, *job.features)
    modelled = frozenset(term for term in job.features if term.transform == "code")
    values, usable = zip(*(_term_values(term, dataset, rows, modelled) for term in terms), strict=True)
    chosen = np.logical_and.reduce(usable)
    own = np.array([1.0 if name in {"intercept", f"intercept[{member}]"} else 0.0 for name in job.intercepts])
    count = int(chosen.sum())
    x = np.column_stack([np.tile(own, (count, 1)), *(column[chosen] for column in values[1:])])
    units = rows["unit"].combine_chunks().dictionary_encode()
    codes = units.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Design(x, values[0][chosen], codes[chosen], units.dictionary, len(chosen) - count)


def _term_values(
    term: Term, dataset: Dataset, rows: pa.Table, modelled: frozenset[Term]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the term's values (anything where unusable) and which of them are usable."""
    declared = dataset.column(term.column)
    if isinstance(declared, Dimension):
        return _indicator(term, declared, rows[term.column], modelled)
    if declared is None:
        raise KeyError(term.column)
    number = pc.cast(rows[term.column], pa.float64()).to_numpy() / 10.0**declared.decimals
    usable = np.isfinite(number) & ((number > 0) | (term.transform != "log"))
    number = np.where(usable, number, 1.0)
    match term.transform:
        case "log":
            return np.log(number), usable
        case "square":
            return number * number, usable
        case _:
            return number, usable


def _indicator(
    term: Term, declared: Dimension, codes: pa.ChunkedArray, modelled: frozenset[Term]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    encoded = pc.cast(codes, pa.string()).combine_chunks().dictionary_encode()
    place = {code: index for index, code in enumerate(encoded.dictionary.to_pylist())}
    places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    usable = places >= 0
    if declared.missing is not None and Term(term.column, "code", declared.missing) not in modelled:
        usable &= places != place.get(declared.missing, -1)
    return (places == place.get(term.code, -2)).astype(np.float64), usable


def _is_binary(measure: Measure) -> bool:
    return (measure.minimum, measure.maximum, measure.decimals) == (0, 1, 0)
