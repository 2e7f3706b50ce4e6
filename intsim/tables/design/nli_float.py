"""From a function to a :class:`~intsim.tables.nli_float.FloatNLI` unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.formats import Minifloat
from intsim.tables import functions
from intsim.tables.design.float_cuts import FloatProblem, equal_cuts, solve
from intsim.tables.design.target import function_and_name
from intsim.tables.nli_float import FloatNLI

__all__ = ["design", "measured_error", "polish"]

SOLVERS = ("auto", "ideal", "equal")


def design(
    fn: str | Callable[[np.ndarray], Any],
    x: Minifloat,
    y: Minifloat,
    *,
    intervals: int,
    bins: int,
    width: int,
    tau: float,
    domain: tuple[float, float] | None,
    solver: str,
    progress: Callable[[float], None] | None,
) -> FloatNLI:
    """The unit; parameters as :meth:`intsim.tables.nli_float.FloatNLI.design`."""
    for port, fmt in (("x", x), ("y", y)):
        if not isinstance(fmt, Minifloat):
            raise IntsimError(f"{port} must be floating point as the other port is, got {fmt}; use Float16()")
    if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in (intervals, bins)):
        raise IntsimError(f"a table has at least 1 interval and 1 bin, got {intervals!r} and {bins!r}")
    if solver not in SOLVERS:
        raise UnknownName("solver", str(solver), SOLVERS)
    function, name = function_and_name(fn)
    if domain is None and isinstance(fn, str):
        domain = functions.domain(fn)
    problem = FloatProblem.pose(function, x, y, tau, domain)
    if solver == "equal":
        cuts, how = equal_cuts(problem, intervals), "cut points at equal numbers of codes"
    else:
        cuts, how = solve(problem, intervals, bins, progress), "dynamic programme, descent on every code"
    if solver == "auto":
        cuts, how = polish(problem, cuts, bins, width), how + ", then on the unit's own output"
    unit = FloatNLI.from_cuts(function, problem.xs[cuts], x=x, y=y, bins=bins, width=width, fn=name)
    error = measured_error(problem, unit).mean()
    return FloatNLI.from_cuts(
        function,
        problem.xs[cuts],
        x=x,
        y=y,
        bins=bins,
        width=width,
        fn=name,
        origin=f"{how}; mean relative error {error:.3g} over {problem.codes.size} codes",
    )


def measured_error(problem: FloatProblem, unit: FloatNLI) -> np.ndarray:
    """Relative error of the finished unit at every code of the domain."""
    return np.abs(unit.y.decode(unit(problem.codes)) - problem.f) * problem.weight


def polish(problem: FloatProblem, cuts: np.ndarray, bins: int, width: int) -> np.ndarray:
    """Cut points moved one at a time, by up to 48 codes, while the finished unit's summed error falls.

    Rounded words and a rounded output add an error of the same size as the ideal table's; which cut points suit
    them is a matter of the last place, so it is tried.
    """

    def cost(choice: np.ndarray) -> float:
        ends = problem.xs[choice]
        unit = FloatNLI.from_cuts(problem.function, ends, x=problem.x, y=problem.y, bins=bins, width=width)
        return float(measured_error(problem, unit).sum())

    best = cost(cuts)
    for step in (16, 4, 1):
        moved = True
        while moved:
            moved = False
            for i in range(len(cuts)):
                for move in (-3, -2, -1, 1, 2, 3):
                    choice = cuts.copy()
                    choice[i] += move * step
                    inside = choice[0] >= 0 and choice[-1] < problem.codes.size
                    if inside and np.all(np.diff(choice) > 0) and (trial := cost(choice)) < best:
                        best, cuts, moved = trial, choice, True
    return cuts
