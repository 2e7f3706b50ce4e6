"""What a table has to approximate: a function on the codes of an input format, and what an error there costs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.rounding import Rounding
from intsim.tables.design.scales import position_bits, scales
from intsim.tables.design.target import Target

__all__ = ["OBJECTIVES", "Problem"]

OBJECTIVES = ("mean_relative", "mean_absolute", "max_absolute")

_GRID = 1 << 16  # points of the finest grid; wider inputs are sampled at equal steps
_WORDS = 1 << 23  # knots kept in memory: grid points times bins


@dataclass(frozen=True, eq=False)
class Problem:
    """A target sampled on a grid of input codes, with the weight of an error at each point.

    The cost of a table is, over all grid points, the sum (or the maximum) of ``weight * |y - f|``, where ``y`` is
    what the finished unit computes: rounded words, truncated scale, truncated position, rounded output. Nothing is
    idealised. On the finest grid the points are all codes of the domain unless the input has more than 2**16.

    Attributes
    ----------
    stride : codes between two grid points
    f : (N,) the function, in units of the last place of `y`
    weight : (N,) cost of an error of one such unit
    least : (N,) cost that rounding to `y` makes unavoidable
    knots : ((N - 1) * bins + 1,) table words at every position a knot can have, `bins` per grid step
    mantissas, shifts : (N,) scale of an inner interval, by its span in grid steps; ``outer_*`` of an outer one
    """

    target: Target
    intervals: int
    bins: int
    objective: str
    tau: float
    rounding: Rounding
    t_bits: int
    mantissa_bits: int
    stride: int
    f: np.ndarray
    weight: np.ndarray
    least: np.ndarray
    knots: np.ndarray
    mantissas: np.ndarray
    shifts: np.ndarray
    outer_mantissas: np.ndarray
    outer_shifts: np.ndarray

    @classmethod
    def pose(
        cls,
        target: Target,
        *,
        intervals: int,
        bins: int,
        objective: str,
        tau: float | None,
        rounding: Rounding,
        stride: int | None = None,
    ) -> Problem:
        """The problem on the grid of every `stride`-th code (default: the finest grid that is kept)."""
        if objective not in OBJECTIVES:
            raise UnknownName("objective", str(objective), OBJECTIVES)
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in (intervals, bins)):
            raise IntsimError(f"a table has at least 1 interval and 1 bin, got {intervals!r} and {bins!r}")
        span = target.last - target.first
        if span < intervals:
            raise IntsimError(
                f"{intervals} intervals need {intervals + 1} input codes, the domain has {span + 1}; "
                f"use intervals={max(span, 1)} or a finer input format"
            )
        if stride is None:
            stride = 1
            while span // stride + 1 > _GRID or (span // stride) * bins + 1 > _WORDS:
                stride *= 2
        if span // stride < intervals:
            raise IntsimError(f"{bins} bins leave fewer than {intervals} grid steps in memory; use fewer bins")
        target.sweep()
        points = target.first + stride * np.arange(span // stride + 1, dtype=np.int64)
        f = target.values(points)
        steps = np.arange((points.size - 1) * bins + 1, dtype=np.int64)
        knots = target.words(target.first + steps * (stride / bins))
        if tau is None:
            tau = 2.0**-target.y.frac
        if not (isinstance(tau, (int, float, np.number)) and tau > 0):
            raise IntsimError(f"tau must be above 0, got {tau!r}; the default is one unit in the last place of y")
        magnitude = np.maximum(np.abs(f), tau * 2.0**target.y.frac)
        weight = 1.0 / magnitude if objective == "mean_relative" else np.ones(f.size)
        rise = int(knots.max() - knots.min())
        t_bits, mantissa_bits = position_bits(rise, span.bit_length())
        if points.size < 4 * intervals * bins:  # grids so small that bins may be shorter than a code
            mantissa_bits = min(max(mantissa_bits, t_bits + bins.bit_length()), 63 - span.bit_length())
        spans = stride * np.arange(points.size, dtype=np.int64)
        inner, outer = (scales(spans, n, t_bits, mantissa_bits) for n in (bins, 1))
        return cls(
            target=target,
            intervals=intervals,
            bins=bins,
            objective=objective,
            tau=tau,
            rounding=rounding,
            t_bits=t_bits,
            mantissa_bits=mantissa_bits,
            stride=stride,
            f=f,
            weight=weight,
            least=weight * np.abs(np.clip(np.rint(f), target.y.lo, target.y.hi) - f),
            knots=knots,
            mantissas=inner[0],
            shifts=inner[1],
            outer_mantissas=outer[0],
            outer_shifts=outer[1],
        )

    @property
    def size(self) -> int:
        """Grid points."""
        return self.f.size

    def coarser(self, factor: int) -> Problem:
        """The same problem on every `factor`-th grid point."""
        span = (self.size - 1) // factor
        grid = slice(0, span * factor + 1, factor)
        spans = slice(0, span * factor + 1, factor)
        return dataclasses.replace(
            self,
            stride=self.stride * factor,
            f=self.f[grid],
            weight=self.weight[grid],
            least=self.least[grid],
            knots=self.knots[: span * factor * self.bins + 1 : factor],
            mantissas=self.mantissas[spans],
            shifts=self.shifts[spans],
            outer_mantissas=self.outer_mantissas[spans],
            outer_shifts=self.outer_shifts[spans],
        )
