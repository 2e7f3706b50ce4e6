"""From a function to an :class:`~intsim.tables.nli.NLI` unit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from intsim.formats import Fixed
from intsim.rounding import Rounding
from intsim.tables.design.problem import Problem
from intsim.tables.design.scales import scale
from intsim.tables.design.search import search
from intsim.tables.design.target import function_and_name, target_for
from intsim.tables.nli import NLI

__all__ = ["design", "unit_from_cuts"]


def design(
    fn: str | Callable[[np.ndarray], Any],
    x: Fixed,
    y: Fixed,
    *,
    intervals: int,
    bins: int,
    objective: str,
    tau: float | None,
    saturate: bool,
    domain: tuple[float, float] | None,
    rounding: Rounding,
    solver: str,
    progress: Callable[[float], None] | None,
) -> NLI:
    """The unit; parameters as :meth:`intsim.tables.nli.NLI.design`."""
    function, name = function_and_name(fn)
    target = target_for(function, x, y, domain, saturate)
    problem = Problem.pose(target, intervals=intervals, bins=bins, objective=objective, tau=tau, rounding=rounding)
    found = search(problem, solver, progress)
    return unit_from_cuts(problem, found.cuts, name, found.summary(problem))


def unit_from_cuts(problem: Problem, cuts: Sequence[int], name: str, origin: str) -> NLI:
    """The unit whose cut points are the grid points `cuts` (indices, ascending).

    On a sampled grid the last point may lie short of the domain's end; a cut there is moved to the end.
    """
    target = problem.target
    codes = [target.first + problem.stride * int(c) for c in cuts]
    if int(cuts[-1]) == problem.size - 1:
        codes[-1] = target.last
    positions: list[float] = []
    mantissas, shifts = [], []
    last = problem.intervals - 1
    for I, (left, right) in enumerate(itertools.pairwise(codes)):
        n = 1 if I in (0, last) else problem.bins
        mantissa, shift = scale(right - left, n, problem.t_bits, problem.mantissa_bits)
        mantissas.append(mantissa)
        shifts.append(shift)
        positions += [left + (right - left) * k / n for k in range(n)]
    positions.append(codes[-1])
    return NLI(
        x=target.x,
        y=target.y,
        cuts=tuple(codes),
        bins=problem.bins,
        mantissas=tuple(mantissas),
        shifts=tuple(shifts),
        t_bits=problem.t_bits,
        table=tuple(target.words(np.array(positions)).tolist()),
        rounding=problem.rounding,
        fn=name,
        origin=origin,
        domain=target.domain,
    )
