"""NLI: non-uniform linear interpolation, one table unit for every scalar function.

Source: "NLI: Non-uniform Linear Interpolation" (arXiv 2602.02988, ICLR 2026). The paper's two-level layout is
kept: cut points part the domain into intervals, the outer two hold one segment each, the others `bins` segments
of equal width; a table holds the function at all knots.

**The paper's:** the layout, comparators for the interval, one scale per interval, linear interpolation between
two table words. **Ours (fixed point):** the words are integers of the port formats; the scale is a mantissa and
a shift per interval, rounded down so that the position stays below the number of segments (no clamp is needed
behind the multiplier); the fraction has `t_bits` bits, derived from the table; the rounding is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed, Minifloat
from intsim.parameters import note
from intsim.rounding import TIES_TO_POS, Rounding, shift_round
from intsim.tables.one_variable import OneVariable, TwoLevel, as_signed, check_ports
from intsim.unit import Hazard, Unit

if TYPE_CHECKING:
    from intsim.tables.nli_float import FloatNLI

__all__ = ["NLI"]


@dataclass(frozen=True)
class NLI(OneVariable, TwoLevel, Unit):
    """A table with non-uniform cut points and linear interpolation, on fixed-point ports.

    With ``M`` intervals, ``n[I]`` segments in interval ``I`` (1 in the outer two, `bins` in the others) and
    ``base[I] = n[0] + ... + n[I-1]``::

        xc    = min(max(x, cuts[0]), cuts[M])
        I     = number of i in 1 .. M-1 with xc >= cuts[i]
        dx    = xc - cuts[I]
        u     = (dx * mantissas[I]) >> shifts[I]            # t_bits fraction bits
        a, t  = u >> t_bits, u mod 2**t_bits
        g     = base[I] + a
        y     = table[g] + round((table[g+1] - table[g]) * t / 2**t_bits)

    Parameters
    ----------
    x, y : Fixed
        Formats of the input and the output.
    cuts : M + 1 codes of `x`, strictly ascending
    bins : segments in each inner interval
    mantissas, shifts : per interval, the scale ``n[I] / (cuts[I+1] - cuts[I])`` as ``mantissa * 2**(t_bits - shift)``
    t_bits : fraction bits of the position inside a segment
    table : ``sum(n) + 1`` codes of `y`
    rounding : of the interpolated step
    fn : name of the function (a note; not part of the unit's identity)
    origin : how the table was found (a note)
    domain : first and last code of `x` for which the table was designed (a note); None: all of them

    Raises
    ------
    IntsimError
        Parameters that do not fit together, or whose intermediates would exceed 63 bits.
    """

    kind = "nli"

    x: Fixed
    y: Fixed
    cuts: tuple[int, ...]
    bins: int
    mantissas: tuple[int, ...]
    shifts: tuple[int, ...]
    t_bits: int
    table: tuple[int, ...]
    rounding: Rounding = TIES_TO_POS
    fn: str | None = note()
    origin: str | None = note()
    domain: tuple[int, int] | None = note()

    def __post_init__(self) -> None:
        self._check_layout()
        self._check_scales()
        if self.widths["product"] > 63:
            raise IntsimError(f"step * t needs {self.widths['product']} bits, 63 are available; use fewer t_bits")

    def _check_layout(self) -> None:
        x, intervals, words = self.x, self.intervals, len(self.table)
        check_ports(x, self.y, self.table)
        if intervals < 1 or any(a >= b for a, b in zip(self.cuts, self.cuts[1:], strict=False)):
            raise IntsimError(f"cut points must be at least two and strictly ascending, got {self.cuts}")
        if self.cuts[0] < x.lo or self.cuts[-1] > x.hi:
            raise IntsimError(f"cut points {self.cuts[0]}..{self.cuts[-1]} leave {x} = [{x.lo}, {x.hi}]")
        if self.bins < 1:
            raise IntsimError(f"bins must be at least 1, got {self.bins}")
        if words != self.bases[-1] + 1:
            raise IntsimError(
                f"{intervals} intervals with {self.bins} bins need {self.bases[-1] + 1} table words, got {words}"
            )

    def _check_scales(self) -> None:
        counts = len(self.mantissas), len(self.shifts)
        if counts != (self.intervals, self.intervals):
            raise IntsimError(f"{self.intervals} intervals need as many mantissas and shifts, got {counts}")
        for I, (mantissa, shift) in enumerate(zip(self.mantissas, self.shifts, strict=True)):
            top = (self.cuts[I + 1] - self.cuts[I]) * mantissa
            if mantissa < 1 or not 0 <= shift <= 62 or top >> 63:
                raise IntsimError(
                    f"interval {I}: mantissa {mantissa} and shift {shift} give a product of {top.bit_length()} bits; "
                    "63 bits and shifts 0..62 are available: use fewer t_bits"
                )
            if top >> shift >= self.segments[I] << self.t_bits:
                raise IntsimError(
                    f"interval {I}: the scale {mantissa} >> {shift} passes the last segment; round it down"
                )

    @classmethod
    def design(
        cls,
        fn: str | Callable[[np.ndarray], Any],
        x: Fixed | Minifloat,
        y: Fixed | Minifloat,
        *,
        intervals: int = 10,
        bins: int = 32,
        objective: str = "mean_relative",
        tau: float | None = None,
        saturate: bool = False,
        domain: tuple[float, float] | None = None,
        rounding: Rounding = TIES_TO_POS,
        solver: str = "auto",
        progress: Callable[[float], None] | None = None,
    ) -> NLI | FloatNLI:
        """The best table for a function: cut points by dynamic programming over the input grid.

        Floating-point ports (``Float16()``, ``BFloat16()``) give a :class:`~intsim.tables.nli_float.FloatNLI`.

        See :func:`intsim.tables.design.nli.design` for what is minimised and how.

        Parameters
        ----------
        fn : name of a known function, or any callable on real numbers or float64 arrays
        x, y : formats of input and output
        intervals, bins : the layout; the paper's is 10 intervals of 32 bins
        objective : ``"mean_relative"`` (error over ``max(|f|, tau)``), ``"mean_absolute"`` or ``"max_absolute"``
        tau : smallest magnitude that counts fully in a relative error; default one unit in the last place of `y`
        saturate : let values outside `y` become its ends instead of refusing them
        domain : real interval that matters; inputs outside it are clamped. Default: all of `x`
        rounding : of the interpolated step
        solver : ``"auto"``, ``"exact"``, ``"multigrid"`` or ``"equal"`` (equally spaced cuts)
        progress : called with the fraction done

        Raises
        ------
        IntsimError
            The function is not finite or does not fit `y` somewhere (the message names the first such input);
            more intervals than grid steps; intermediates above 63 bits.
        """
        if isinstance(x, Minifloat) or isinstance(y, Minifloat):
            return cls._design_float(fn, x, y, intervals, bins, objective, tau, domain, solver, progress)
        from intsim.tables.design.nli import design

        return design(
            fn,
            x,
            y,
            intervals=intervals,
            bins=bins,
            objective=objective,
            tau=tau,
            saturate=saturate,
            domain=domain,
            rounding=rounding,
            solver=solver,
            progress=progress,
        )

    @staticmethod
    def _design_float(fn, x, y, intervals, bins, objective, tau, domain, solver, progress) -> FloatNLI:
        """The floating-point table with the same layout; it knows one objective and rounds its output once."""
        from intsim.tables.nli_float import FloatNLI

        if objective != "mean_relative":
            raise IntsimError(f"on floating-point ports the objective is 'mean_relative', got {objective!r}")
        return FloatNLI.design(
            fn,
            x,
            y,
            intervals=intervals,
            bins=bins,
            tau=2.0**-14 if tau is None else tau,
            domain=domain,
            solver=solver,
            progress=progress,
        )

    @property
    def widths(self) -> dict[str, int]:
        """Bits of every intermediate, from the parameters: unsigned but for ``step`` and ``product``."""
        spans = [b - a for a, b in zip(self.cuts, self.cuts[1:], strict=False)]
        steps = [b - a for a, b in zip(self.table, self.table[1:], strict=False)]
        scaled = max(span * m for span, m in zip(spans, self.mantissas, strict=True))
        step = max(max(s.bit_length() for s in steps), 1) + 1
        return {
            "index": max((self.intervals - 1).bit_length(), 1),
            "dx": max(spans).bit_length(),
            "mantissa": max(self.mantissas).bit_length(),
            "scaled": scaled.bit_length(),
            "position": (max(self.segments) - 1).bit_length() + self.t_bits,
            "t": self.t_bits,
            "address": (len(self.table) - 1).bit_length(),
            "step": step,
            "product": step + self.t_bits,
        }

    def corners(self) -> tuple[np.ndarray, ...]:
        """Range ends, both sides of every cut and knot, and an input for every single change of a parameter."""
        from intsim.tables.corners import nli_corners

        return (nli_corners(self),)

    def hazards(self) -> tuple[Hazard, ...]:
        """Where cutting off scale and position may cost half a step of the output, and bins shorter than a code."""
        found = []
        for I, n in enumerate(self.segments):
            words = self.table[self.bases[I] : self.bases[I] + n + 1]
            steps = [abs(b - a) for a, b in itertools.pairwise(words)]
            # the scale is low by less than one part in `mantissa`, which shows most at the right end
            percent = 100 * sum(steps) // self.mantissas[I] + (100 * max(steps) >> self.t_bits)
            if percent >= 50:
                what = (
                    f"interval {I} rises by {sum(steps)}: cutting off scale and position may cost {percent} % of a step"
                )
                found.append(Hazard(what, f"use more than {self.widths['mantissa']} mantissa bits or more intervals"))
            span = self.cuts[I + 1] - self.cuts[I]
            if span < n:
                what = f"interval {I} has {n} segments on {span} input codes: some words are never read"
                found.append(Hazard(what, "use fewer bins or a finer input format"))
        return tuple(found)

    def _parameters(self) -> tuple[Any, ...]:
        return (
            np.array(self.cuts, dtype=np.int64),
            np.array(self.mantissas, dtype=np.int64),
            np.array(self.shifts, dtype=np.int64),
            np.array(self.bases, dtype=np.int64),
            np.array(self.table, dtype=np.int64),
            self.t_bits,
            int(self.rounding),
        )

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x = as_signed(columns[0])
        y = np.empty(x.shape, dtype=self.y.dtype)
        run(interpolate, x, *self._parameters(), y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x = as_signed(columns[0])
        nets = np.empty((len(NETS), x.size), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.y.dtype)
        run(interpolate_traced, x, *self._parameters(), nets, y)
        return {**dict(zip(NETS, nets, strict=True)), "y": y}


NETS = ("clamped", "index", "dx", "position", "t", "address", "left", "step")


@exact
def locate(x, cuts, mantissas, shifts):
    """Clamped input, interval, distance to its left cut and position in it (``t_bits`` fraction bits)."""
    last = cuts.size - 1
    clamped = min(max(x, cuts[0]), cuts[last])
    index = 0
    for i in range(1, last):
        index += clamped >= cuts[i]
    dx = clamped - cuts[index]
    return clamped, index, dx, (dx * mantissas[index]) >> shifts[index]


@exact
def interpolate(x, cuts, mantissas, shifts, bases, table, t_bits, rounding, out):
    """The table function on every element of `x`, into `out`."""
    for k in range(x.size):
        _, index, _, position = locate(x[k], cuts, mantissas, shifts)
        address = bases[index] + (position >> t_bits)
        t = position & ((1 << t_bits) - 1)
        left = table[address]
        out[k] = left + shift_round((table[address + 1] - left) * t, t_bits, rounding)


@exact
def interpolate_traced(x, cuts, mantissas, shifts, bases, table, t_bits, rounding, out_nets, out):
    """As :func:`interpolate`, keeping every intermediate in a row of `out_nets`."""
    interpolate(x, cuts, mantissas, shifts, bases, table, t_bits, rounding, out)
    for k in range(x.size):
        clamped, index, dx, position = locate(x[k], cuts, mantissas, shifts)
        address = bases[index] + (position >> t_bits)
        out_nets[0, k] = clamped
        out_nets[1, k] = index
        out_nets[2, k] = dx
        out_nets[3, k] = position
        out_nets[4, k] = position & ((1 << t_bits) - 1)
        out_nets[5, k] = address
        out_nets[6, k] = table[address]
        out_nets[7, k] = table[address + 1] - table[address]
