"""Piecewise-linear function with slopes and intercepts on floating-point ports: the NN-LUT kind of table.

An anchor beside NLI, with the same interface. Source of the form: NN-LUT (DAC 2022): a small network of ReLUs is
turned into a table of slope and intercept per segment; comparators against all breakpoints find the segment; one
multiply-add gives the result; inputs outside are extrapolated. **Ours:** the breakpoints come from the same solver as
NLI's instead of a trained network, so that the comparison is of the layouts; product and sum are exact and rounded
once, which is more than the original's FP16 multiply-add.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Minifloat
from intsim.formats.minifloat import exponent_of, infinity, order, pack, significand
from intsim.parameters import note
from intsim.tables.nli_float import add_floats
from intsim.tables.one_variable import OneVariable
from intsim.unit import Unit

__all__ = ["FloatPWL"]


@dataclass(frozen=True)
class FloatPWL(OneVariable, Unit):
    """``y = slopes[I] * x + intercepts[I]``, `I` the number of breakpoints not above `x`; rounded once, ties to even.

    **Special values:** NaN gives NaN; infinities and results beyond the largest number become the largest number.

    Parameters
    ----------
    x, y : Minifloat
        Formats of the input and the output, and of slopes and intercepts (as `y`).
    breaks : codes of `x`, strictly ascending by value, one fewer than segments
    slopes, intercepts : codes of `y`, finite, one per segment
    fn : name of the function (a note; not part of the unit's identity)
    """

    x: Minifloat
    y: Minifloat
    breaks: tuple[int, ...]
    slopes: tuple[int, ...]
    intercepts: tuple[int, ...]
    fn: str | None = note()

    def __post_init__(self) -> None:
        if not len(self.slopes) == len(self.intercepts) == len(self.breaks) + 1:
            raise IntsimError(
                f"{len(self.breaks)} breakpoints make {len(self.breaks) + 1} segments, got {len(self.slopes)} slopes "
                f"and {len(self.intercepts)} intercepts"
            )
        for codes, fmt in ((self.breaks, self.x), (self.slopes, self.y), (self.intercepts, self.y)):
            if codes and (min(codes) < 0 or max(codes) > fmt.hi or not np.isfinite(fmt.decode(codes)).all()):
                raise IntsimError(f"breakpoints, slopes and intercepts are codes of finite {fmt} numbers")
        if any(order(a, self.x.bits) >= order(b, self.x.bits) for a, b in pairwise(self.breaks)):
            raise IntsimError(f"breakpoints ascend by value, got {self.x.decode(self.breaks)}")

    @classmethod
    def design(
        cls,
        fn: str | Callable[[np.ndarray], Any],
        x: Minifloat,
        y: Minifloat,
        *,
        segments: int = 16,
        tau: float = 2.0**-14,
        domain: tuple[float, float] | None = None,
    ) -> FloatPWL:
        """Breakpoints that minimise the summed relative error of unrounded chords, over every code.

        Parameters
        ----------
        fn : name of a known function, or any callable on float64 arrays
        tau : smallest magnitude that counts fully in a relative error
        domain : real interval that matters; default where the function is defined
        """
        from intsim.tables import functions
        from intsim.tables.design.float_cuts import FloatProblem, solve
        from intsim.tables.design.target import function_and_name

        function, name = function_and_name(fn)
        if domain is None and isinstance(fn, str):
            domain = functions.domain(fn)
        problem = FloatProblem.pose(function, x, y, tau, domain)
        ends = problem.xs[solve(problem, segments, 1)]
        values = np.asarray(function(ends), dtype=np.float64)
        # the slope is rounded first; the intercept then makes the chord right in the middle of its segment
        slopes = y.encode(np.diff(values) / np.diff(ends), saturate=True)
        middles, heights = (ends[1:] + ends[:-1]) / 2, (values[1:] + values[:-1]) / 2
        intercepts = y.encode(heights - y.decode(slopes) * middles, saturate=True)
        breaks = x.encode(ends[1:-1])
        return cls(x, y, tuple(breaks.tolist()), tuple(slopes.tolist()), tuple(intercepts.tolist()), name)

    @property
    def segments(self) -> int:
        return len(self.slopes)

    @property
    def name(self) -> str:
        return f"pwl{self.segments}_{self.fn}_{self.x}" if self.fn and self.fn.isidentifier() else "pwl_float"

    def corners(self) -> tuple[np.ndarray, ...]:
        """Special codes, both sides of every breakpoint, the ends and the middle of every segment."""
        x = self.x
        finite = x.finite_codes()
        places = np.searchsorted(x.decode(finite), x.decode(np.array((*self.breaks, 0))))
        places = np.sort(np.concatenate([[0, finite.size - 1], places]))
        middles = (places[:-1] + places[1:]) // 2
        around = np.clip(np.concatenate([places, middles])[:, None] + np.arange(-2, 3), 0, finite.size - 1)
        sign = 1 << (x.bits - 1)
        special = np.array([x.infinity, x.nan, sign - 1])
        codes = np.unique(np.concatenate([special, special | sign, [sign], finite[around.reshape(-1)]]))
        return (codes.astype(x.dtype),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, y = self.x, self.y
        out = np.empty(columns[0].shape, dtype=y.dtype)
        ranks = np.array([order(c, x.bits) for c in self.breaks], dtype=np.int64)
        words = [np.array(w, dtype=np.int64) for w in (self.slopes, self.intercepts)]
        form = (x.bits, x.fraction, y.bits, y.fraction)
        run(piecewise_linear, columns[0].astype(np.int64), ranks, *words, y.nan, form, out)
        return {"y": out}


@exact
def piecewise_linear(x, ranks, slopes, intercepts, nan, form, out):
    """Slope times input plus intercept, for every code of `x`."""
    x_bits, x_fraction, y_bits, y_fraction = form
    limit, largest = infinity(x_bits, x_fraction), infinity(y_bits, y_fraction) - 1
    for k in range(x.size):
        magnitude = x[k] & ((1 << (x_bits - 1)) - 1)
        if magnitude > limit:
            out[k] = nan
        else:
            code = x[k] - (magnitude == limit)
            rank = order(code, x_bits)
            index = 0
            for i in range(ranks.size):
                index += rank >= ranks[i]
            slope, intercept = slopes[index], intercepts[index]
            m = significand(slope, y_bits, y_fraction) * significand(code, x_bits, x_fraction)
            e = exponent_of(slope, y_bits, y_fraction) + exponent_of(code, x_bits, x_fraction)
            b_m, b_e = significand(intercept, y_bits, y_fraction), exponent_of(intercept, y_bits, y_fraction)
            if m == 0:
                m, e = b_m, b_e
            elif b_m != 0:
                m, e = add_floats(m, e, b_m, b_e, 38)
            y = pack(m, e, y_bits, y_fraction)
            sign = y & (1 << (y_bits - 1))
            out[k] = min(y - sign, largest) + sign
