"""The search for cut points: exact on small grids, coarse to fine on large ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.exact import compiled
from intsim.tables.design import kernels
from intsim.tables.design.problem import Problem

__all__ = ["EXACT_POINTS", "SOLVERS", "Found", "evaluate", "search"]

SOLVERS = ("auto", "exact", "multigrid", "equal")

EXACT_POINTS = 1 << 12  # up to this many grid points "auto" means "exact"
_SEED_POINTS = 384  # a grid on which the programme needs no bound to be quick
_WINDOW = 8  # choices on each side of a cut in a refinement
_CANDIDATES = 1 << 10  # equally spaced choices for every cut in the last search on a large grid
_BLOCK = 64  # grid points between two reports of progress

_FACTOR = 4  # between a grid and the next coarser one

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Found:
    """Cut points and what is known about them.

    Attributes
    ----------
    cuts : grid indices, ascending
    cost : the objective: mean over all grid points, or maximum
    floor : the same for a table whose every output is correctly rounded; no table can be better
    solver : which solver found it
    exact : whether no other cut points on this grid have a lower cost
    """

    cuts: tuple[int, ...]
    cost: float
    floor: float
    solver: str
    exact: bool

    def summary(self, problem: Problem) -> str:
        """One sentence: solver, grid, cost, and how far from the optimum it can be."""
        unit = "" if problem.objective == "mean_relative" else " LSB"
        reached = f"{problem.objective} {self.cost:.4g}{unit}"
        if self.solver == "equal":
            return f"equally spaced cut points, not optimised: {reached}"
        where = f"{problem.size} grid points"
        if problem.stride > 1:
            where += f" (every {ordinal(problem.stride)} code)"
        if self.exact:
            return f"{self.solver} solver on {where}: {reached}, the optimum on this grid"
        step = -(-problem.size // _CANDIDATES)
        ratio = f"at most {self.cost / self.floor:.3g} times the optimum, as " if self.floor > 0 else ""
        return (
            f"{self.solver} solver on {where}: {reached}, the optimum among cuts on every {ordinal(step)} point or "
            f"within {_WINDOW} points of those found; {ratio}correct rounding alone costs {self.floor:.4g}{unit}"
        )


class _Loops:
    """The compiled loops with the arguments that one problem fixes."""

    def __init__(self, problem: Problem):
        p = problem
        self.problem = p
        self.worst = p.objective == "max_absolute"
        self.data = (p.f, p.weight, p.least, p.knots)
        self.inner = np.stack([p.mantissas, p.shifts])
        self.outer = np.stack([p.outer_mantissas, p.outer_shifts])
        self.format = (p.stride, p.bins, p.t_bits, int(p.rounding), self.worst)
        self.order = scattered(p.bins)
        self.ordered = scattered(kernels.PIECES)
        wide = np.flatnonzero(p.mantissas >> p.mantissa_bits)
        self.short = int(wide[-1]) + 1 if wide.size else 1

    def evaluate(self, cuts: np.ndarray) -> float:
        scales = self.inner, self.outer
        return compiled(kernels.evaluate)(*self.data, *scales, *self.format, self.order, self.ordered, cuts)

    def window(self, choices: np.ndarray, bound: float) -> tuple[float, np.ndarray | None]:
        cuts = np.full(choices.shape[0], -1, dtype=np.int64)
        cost = compiled(kernels.window)(
            *self.data, self.inner, self.outer, *self.format, self.short, self.order, self.ordered, bound, choices, cuts
        )
        return cost, cuts if cost < bound else None

    def programme(
        self, points: np.ndarray, bound: float, progress: Progress | None = None
    ) -> tuple[float, np.ndarray | None]:
        """The least cost below `bound` with all cut points among `points` (ascending), and the cut points."""
        layers = self.problem.intervals
        best = np.full((layers, points.size), np.inf)
        back = np.full((layers, points.size), -1, dtype=np.int64)
        compiled(kernels.left_clamps)(*self.data, self.problem.bins, self.worst, bound, points, best[0])
        for begin in range(1, points.size, _BLOCK):
            end = min(begin + _BLOCK, points.size)
            compiled(kernels.advance)(
                *self.data, self.inner, self.outer, *self.format, self.short, self.order, self.ordered, bound,
                points, begin, end, best, back,
            )  # fmt: skip
            if progress:
                progress(end / points.size)
        ends = np.full(2, -1, dtype=np.int64)
        cost = compiled(kernels.best_end)(
            *self.data, self.outer, *self.format, self.ordered, bound, points, best[layers - 1], ends
        )
        if ends[0] < 0:
            return bound, None
        path = [int(ends[1]), int(ends[0])]
        for layer in range(layers - 1, 0, -1):
            path.append(int(back[layer, path[-1]]))
        return cost, points[path[::-1]]


def search(problem: Problem, solver: str = "auto", progress: Progress | None = None) -> Found:
    """The best cut points for `problem`.

    Parameters
    ----------
    solver :
        ``"exact"``: dynamic programme over all pairs of grid points; the optimum. Time grows with the square of
        the grid. ``"multigrid"``: exact on a coarser grid, then all cuts moved together, over ever finer grids,
        by the same programme within windows; at last the programme over 2**10 equally spaced points and these
        windows together. ``"equal"``: no search. ``"auto"``: exact up to 2**12 points.
    progress : called with the fraction done

    Raises
    ------
    IntsimError
        No table of this shape fits on the grid (bins shorter than an input code).
    """
    if solver not in SOLVERS:
        raise UnknownName("solver", str(solver), SOLVERS)
    if solver == "auto":
        solver = "exact" if problem.size <= EXACT_POINTS else "multigrid"
    loops = _Loops(problem)
    if solver == "equal":
        cuts = np.linspace(0, problem.size - 1, problem.intervals + 1).astype(np.int64)
        cost = loops.evaluate(cuts)
    else:
        cost, cuts = _solve(loops, solver == "exact", progress)
    share = 1 if loops.worst else problem.size
    floor = float(problem.least.max() if loops.worst else problem.least.sum())
    total = cost if loops.worst else cost + floor
    exact = solver == "exact" or (problem.size <= _SEED_POINTS and solver != "equal")
    return Found(tuple(cuts.tolist()), total / share, floor / share, solver, exact)


def evaluate(problem: Problem, cuts: np.ndarray) -> float:
    """The objective for given cut points: what the solver minimises."""
    loops = _Loops(problem)
    cost = loops.evaluate(np.asarray(cuts, dtype=np.int64))
    return cost if loops.worst else (cost + float(problem.least.sum())) / problem.size


def _solve(loops: _Loops, exact: bool, progress: Progress | None) -> tuple[float, np.ndarray]:
    problem = loops.problem
    everywhere = np.arange(problem.size)
    if problem.size <= _SEED_POINTS or (problem.size - 1) // _FACTOR < 2 * problem.intervals * problem.bins:
        cost, cuts = loops.programme(everywhere, np.inf, progress)
        if cuts is None:
            raise IntsimError(
                f"{problem.intervals} intervals of {problem.bins} bins do not fit on {problem.size} grid points; "
                "use fewer intervals or bins, or a finer input format"
            )
        return cost, cuts
    cost, cuts = _descend(loops, not exact, None if exact else _part(progress, 0.0, 0.5))
    if exact:
        return _improve(loops, everywhere, cost, cuts, progress)
    spaced = np.arange(0, problem.size, -(-problem.size // _CANDIDATES))
    while True:
        near = (cuts[:, None] + np.arange(-_WINDOW, _WINDOW + 1)).reshape(-1)
        points = np.unique(np.clip(np.concatenate([spaced, near]), 0, problem.size - 1))
        better, found = _improve(loops, points, cost, cuts, _part(progress, 0.5, 0.5))
        if better >= cost:
            return cost, cuts
        cost, cuts = _refine(loops, found)


def _descend(loops: _Loops, exact: bool, progress: Progress | None) -> tuple[float, np.ndarray]:
    """From a coarser grid to this one; with `exact` the optimum on the finest grid where that is quick."""
    problem = loops.problem
    if problem.size <= _SEED_POINTS or (problem.size - 1) // _FACTOR < 2 * problem.intervals * problem.bins:
        return _solve(loops, True, progress)
    coarse = _Loops(problem.coarser(_FACTOR))
    _, cuts = (_solve if exact and coarse.problem.size <= EXACT_POINTS else _descend)(coarse, exact, progress)
    return _refine(loops, cuts * _FACTOR)


def _improve(
    loops: _Loops, points: np.ndarray, cost: float, cuts: np.ndarray, progress: Progress | None
) -> tuple[float, np.ndarray]:
    """The programme over `points`, which is bounded by what is known."""
    above = np.nextafter(cost, np.inf) * (1 + 1e-12)  # keeps what was found among the candidates
    better, found = loops.programme(points, above, progress)
    return (cost, cuts) if found is None or better > cost else (better, found)


def _part(progress: Progress | None, start: float, share: float) -> Progress | None:
    return progress and (lambda done: progress(start + share * done))


def _refine(loops: _Loops, cuts: np.ndarray) -> tuple[float, np.ndarray]:
    """All cuts moved together within windows of falling step, until none of the moves helps."""
    cost = loops.evaluate(cuts)
    step = 8
    while step:
        choices = cuts[:, None] + step * np.arange(-_WINDOW, _WINDOW + 1)
        choices[(choices < 0) | (choices >= loops.problem.size)] = -1
        better, found = loops.window(np.ascontiguousarray(choices), cost)
        if found is None:
            step //= 2
        else:
            cost, cuts = better, found
    return cost, cuts


def scattered(count: int) -> np.ndarray:
    """``0 .. count - 1`` with neighbours far apart (bit-reversed order)."""
    bits = max((count - 1).bit_length(), 1)
    reversed_ = [int(f"{j:0{bits}b}"[::-1], 2) for j in range(1 << bits)]
    return np.array([j for j in reversed_ if j < count], dtype=np.int64)


def ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th ..."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n // 10 % 10 != 1 else "th"
    return f"{n}{ending}"
