"""NLI on floating-point ports: bit patterns in and out, integers inside.

Source: "NLI: Non-uniform Linear Interpolation" (arXiv 2602.02988, ICLR 2026), whose unit works on FP16.

**The paper's:** 11 cut points, one segment in the outer two intervals and 32 in each of the other eight, 259 table
words and all words 16 bits wide, interval by comparators, ``y[g] + t * (y[g+1] - y[g])``, input clamped to the cut
points. **Ours**, where the paper is silent: what is kept between the steps. Rounding to FP16 after each of them
loses 4 bits on SiLU and 7 on tanh near zero, and an FP16 scale overflows for rsqrt and the reciprocal; so

* comparison is on an integer that orders codes as their values (-0 equals +0);
* both differences are exact, then cut to `width` significant bits (toward zero);
* a scale is a mantissa of `width` bits and an exponent, rounded down so that no position passes its interval;
* products are exact, and the sum is rounded once, to the output format, ties to even.

**Special values:** NaN gives the word `nan`; an infinity is clamped to the last cut point, as any other input
outside of them; -0 is 0; subnormal numbers are read and written exactly; a sum that is exactly zero gives +0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Minifloat
from intsim.formats.minifloat import bit_length, exponent_of, infinity, order, pack, significand
from intsim.parameters import note
from intsim.tables.one_variable import OneVariable, TwoLevel
from intsim.unit import Unit

__all__ = ["FloatNLI"]

WIDTHS = (11, 22)  # below, not even one input would survive; above, a product and the sum leave 62 bits


@dataclass(frozen=True)
class FloatNLI(OneVariable, TwoLevel, Unit):
    """A table with non-uniform cut points and linear interpolation, on floating-point ports.

    With the layout of :class:`~intsim.tables.nli.NLI` (``n[I]`` segments in interval ``I``, ``base[I]`` its first
    word), ``cut_w(v)`` the value `v` cut to `width` significant bits toward zero and everything else exact::

        xc    = min(max(x, cuts[0]), cuts[M])
        I     = number of i in 1 .. M-1 with xc >= cuts[i]
        dx    = cut_w(xc - cuts[I])
        u     = dx * mantissas[I] * 2**exponents[I]
        a, t  = floor(u), cut_w(u - floor(u))
        g     = base[I] + a
        y     = table[g] + t * cut_w(table[g+1] - table[g]),  rounded to `y`, ties to even

    Parameters
    ----------
    x, y : Minifloat
        Formats of the input and the output, such as ``Float16()``.
    cuts : M + 1 codes of `x`, finite, strictly ascending by value
    bins : segments in each inner interval
    mantissas, exponents : per interval, the scale ``mantissa * 2**exponent``
    width : significant bits kept of differences, scales and fractions: 16 to 18 serve every function but tanh,
        which gains up to 20 (18 fills one multiplier of most FPGAs)
    table : ``sum(n) + 1`` finite codes of `y`
    nan : the code given for NaN
    fn : name of the function (a note; not part of the unit's identity)
    origin : how the table was found (a note)

    Raises
    ------
    IntsimError
        Parameters that do not fit together, or whose intermediates would exceed 63 bits.
    """

    x: Minifloat
    y: Minifloat
    cuts: tuple[int, ...]
    bins: int
    mantissas: tuple[int, ...]
    exponents: tuple[int, ...]
    table: tuple[int, ...]
    width: int = 18
    nan: int = -1
    fn: str | None = note()
    origin: str | None = note()

    def __post_init__(self) -> None:
        if self.nan == -1:
            object.__setattr__(self, "nan", self.y.nan)
        self._check_layout()
        self._check_scales()

    def _check_layout(self) -> None:
        x, y = self.x, self.y
        if not WIDTHS[0] <= self.width <= WIDTHS[1]:
            raise IntsimError(f"width must be {WIDTHS[0]} to {WIDTHS[1]} bits, got {self.width}; 18 is usual")
        if min(self.cuts, default=-1) < 0 or max(self.cuts) > x.hi or not np.isfinite(x.decode(self.cuts)).all():
            raise IntsimError(f"cut points must be codes of finite {x} numbers, got {self.cuts}")
        ranks = [order(c, x.bits) for c in self.cuts]
        if self.intervals < 1 or any(a >= b for a, b in pairwise(ranks)):
            raise IntsimError(f"cut points must be at least two and ascend by value, got {x.decode(self.cuts)}")
        if not 1 <= self.bins <= 1 << 16:
            raise IntsimError(f"bins must be 1 to 65536, got {self.bins}")
        if len(self.table) != self.bases[-1] + 1:
            raise IntsimError(
                f"{self.intervals} intervals with {self.bins} bins need {self.bases[-1] + 1} table words, "
                f"got {len(self.table)}"
            )
        if min(self.table) < 0 or max(self.table) > y.hi or not np.isfinite(y.decode(self.table)).all():
            raise IntsimError(f"table words must be codes of finite {y} numbers; clamp the function's domain")
        if not 0 <= self.nan <= y.hi:
            raise IntsimError(f"nan must be a code of {y}, got {self.nan}")

    def _check_scales(self) -> None:
        counts = len(self.mantissas), len(self.exponents)
        if counts != (self.intervals, self.intervals):
            raise IntsimError(f"{self.intervals} intervals need as many mantissas and exponents, got {counts}")
        points = [exactly(self.x, c) for c in self.cuts]
        for I, (mantissa, exponent) in enumerate(zip(self.mantissas, self.exponents, strict=True)):
            if not 0 < mantissa < 1 << self.width:
                raise IntsimError(f"interval {I}: scale mantissa {mantissa} needs 1 to {self.width} bits")
            if (points[I + 1] - points[I]) * mantissa * Fraction(2) ** exponent >= self.segments[I]:
                raise IntsimError(
                    f"interval {I}: the scale {mantissa} * 2**{exponent} passes the last segment; round it down"
                )

    @property
    def name(self) -> str:
        return f"nli_{self.fn}_{self.x}" if self.fn and self.fn.isidentifier() else f"nli_{self.x}"

    @classmethod
    def design(
        cls,
        fn: str | Callable[[np.ndarray], Any],
        x: Minifloat,
        y: Minifloat,
        *,
        intervals: int = 10,
        bins: int = 32,
        width: int = 18,
        tau: float = 2.0**-14,
        domain: tuple[float, float] | None = None,
        solver: str = "auto",
        progress: Callable[[float], None] | None = None,
    ) -> FloatNLI:
        """The best table for a function, by its relative error summed over every code.

        Parameters
        ----------
        fn : name of a known function, or any callable on real numbers or float64 arrays
        x, y : formats of input and output
        intervals, bins : the layout; the paper's is 10 intervals of 32 bins
        width : significant bits inside, see the class
        tau : smallest magnitude that counts fully in a relative error; the paper's is 2**-14
        domain : real interval that matters. Default: where the function is defined; in both cases without the
            ends on which the rounded function is constant
        solver : ``"auto"``, ``"ideal"`` (for unrounded words and exact arithmetic) or ``"equal"`` (cut points at
            equal numbers of codes)
        progress : called with the fraction done

        Raises
        ------
        IntsimError
            The function is finite on no code or constant; more intervals than codes.
        """
        from intsim.tables.design.nli_float import design

        return design(
            fn,
            x,
            y,
            intervals=intervals,
            bins=bins,
            width=width,
            tau=tau,
            domain=domain,
            solver=solver,
            progress=progress,
        )

    @classmethod
    def from_cuts(
        cls, function: Any, cuts: Any, *, x: Minifloat, y: Minifloat, bins: int = 32, width: int = 18, **notes: Any
    ) -> FloatNLI:
        """The unit with given cut points: scales rounded down, table words rounded to `y`.

        The words are the function at the inputs where the unit's own scale passes a whole number, so that a
        rounded scale costs nothing but in the last segment of each interval.

        Parameters
        ----------
        function : real values in, real values out, float64
        cuts : real values; each is rounded to `x`
        """
        codes = tuple(int(c) for c in x.encode(cuts))
        points = [exactly(x, c) for c in codes]
        counts = [1, *[bins] * (len(codes) - 3), 1] if len(codes) > 2 else [1]
        scales = [_scale_down(n, b - a, width) for n, (a, b) in zip(counts, pairwise(points), strict=True)]
        mantissas, exponents = zip(*scales, strict=True)
        lefts = x.decode(codes)
        places = [
            left + np.arange(n) / np.ldexp(float(mantissa), exponent)
            for left, n, (mantissa, exponent) in zip(lefts, counts, scales, strict=False)
        ]
        words = y.encode(function(np.concatenate([*places, lefts[-1:]])), saturate=True)
        return cls(x, y, codes, bins, mantissas, exponents, tuple(words.tolist()), width, **notes)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Special and subnormal codes, both sides of every knot and middle, and where a changed scale shows."""
        x = self.x
        sign = 1 << (x.bits - 1)
        special = np.array([0, 1, 2, (1 << x.fraction) - 1, 1 << x.fraction, x.largest, x.infinity, x.nan, sign - 1])
        finite = x.finite_codes()
        address = self.trace(finite)["address"]
        knots = np.concatenate([[0], np.flatnonzero(np.diff(address)) + 1, [finite.size - 1]])
        middles = (knots[:-1] + knots[1:]) // 2  # where a changed word of a long segment shows most
        around = np.clip(np.concatenate([knots, middles])[:, None] + np.arange(-2, 3), 0, finite.size - 1)
        points = [special, special | sign, finite[around.reshape(-1)], *self._scale_witnesses(finite)]
        return (np.unique(np.concatenate(points)).astype(x.dtype),)

    def _scale_witnesses(self, codes: np.ndarray) -> list[np.ndarray]:
        """Some codes at which a smaller scale shows, for every interval and several sizes of the change."""
        y, found = self(codes), []
        for I, mantissa in enumerate(self.mantissas):
            for less in (1, 8, 64, 512):
                scales = [m - less * (k == I) for k, m in enumerate(self.mantissas)]
                if less < mantissa:
                    differs = np.flatnonzero(replace(self, mantissas=tuple(scales))(codes) != y)
                    found.append(codes[differs[:: max(1, differs.size // 4)]])
        return found

    def _parameters(self) -> tuple[Any, ...]:
        x, y = self.x, self.y
        return (
            np.array([order(c, x.bits) for c in self.cuts], dtype=np.int64),
            np.array([significand(c, x.bits, x.fraction) for c in self.cuts], dtype=np.int64),
            np.array([exponent_of(c, x.bits, x.fraction) for c in self.cuts], dtype=np.int64),
            np.array(self.mantissas, dtype=np.int64),
            np.array(self.exponents, dtype=np.int64),
            np.array(self.bases, dtype=np.int64),
            np.array(self.table, dtype=np.int64),
            self.width,
            self.nan,
            (x.bits, x.fraction, y.bits, y.fraction),
        )

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        y = np.empty(x.shape, dtype=self.y.dtype)
        run(interpolate_float, x, *self._parameters(), y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        nets = np.empty((len(NETS), x.size), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.y.dtype)
        run(interpolate_float_traced, x, *self._parameters(), nets, y)
        return {**dict(zip(NETS, nets, strict=True)), "y": y}


NETS = (
    "index",
    "dx_mantissa",
    "dx_exponent",
    "address",
    "t_mantissa",
    "t_exponent",
    "step_mantissa",
    "step_exponent",
)


def exactly(fmt: Minifloat, code: int) -> Fraction:
    """The value of a finite code."""
    return significand(code, fmt.bits, fmt.fraction) * Fraction(2) ** exponent_of(code, fmt.bits, fmt.fraction)


def _scale_down(count: int, span: Fraction, width: int) -> tuple[int, int]:
    """The largest scale of `width` bits strictly below ``count / span``, so that the last segment is not passed."""
    above, below = count * span.denominator, span.numerator
    exponent = above.bit_length() - below.bit_length() - width
    while True:
        mantissa = ((above << max(-exponent, 0)) - 1) // (below << max(exponent, 0))
        if mantissa >> width == 0:
            return mantissa, exponent
        exponent += 1


@exact
def scaled(m, shift):
    """``m * 2**shift``; going right, every bit lost is ORed into the last one kept, so later rounding is right."""
    right = min(max(-shift, 0), 63)
    kept = m >> right
    return (kept << min(max(shift, 0), 62)) | (kept << right != m)


@exact
def add_floats(m1, e1, m2, e2, room):
    """``m1 * 2**e1 + m2 * 2**e2`` as mantissa and exponent.

    Exact while the exponents are at most `room` apart; beyond, correct for any later rounding to fewer than
    `room` bits, given that the operand with the larger exponent is not zero.
    """
    e = max(min(e1, e2), max(e1, e2) - room)
    return scaled(m1, e1 - e) + scaled(m2, e2 - e), e


@exact
def cut_bits(m, e, width):
    """The value cut to `width` significant bits, toward zero."""
    drop = max(bit_length(abs(m)) - width, 0)
    magnitude = abs(m) >> drop
    return (magnitude if m >= 0 else -magnitude), e + drop


@exact
def locate_float(code, ranks, cut_m, cut_e, mantissas, exponents, bases, width, form):
    """Interval, ``dx``, table address and ``t`` of one input that is not NaN."""
    x_bits, x_fraction, _, _ = form
    last = ranks.size - 1
    rank = order(code, x_bits)
    index = 0
    for i in range(1, last):
        index += rank >= ranks[i]
    m, e = significand(code, x_bits, x_fraction), exponent_of(code, x_bits, x_fraction)
    if rank <= ranks[0]:
        m, e = cut_m[0], cut_e[0]
    if rank >= ranks[last]:
        m, e = cut_m[last], cut_e[last]
    difference, shared = add_floats(m, e, -cut_m[index], cut_e[index], 50)
    dx_m, dx_e = cut_bits(difference, shared, width)
    u, u_e = dx_m * mantissas[index], dx_e + exponents[index]
    u <<= min(max(u_e, 0), 16)  # a position has at most 16 whole bits: more only for dx = 0
    u_e = min(u_e, 0)
    whole = u >> min(-u_e, 62)
    t_m, t_e = cut_bits(u - (whole << min(-u_e, 62)), u_e, width)
    return index, dx_m, dx_e, bases[index] + whole, t_m, t_e


@exact
def blend_float(address, t_m, t_e, table, width, form):
    """The step between two table words cut to `width` bits, and the interpolated code."""
    _, _, y_bits, y_fraction = form
    left, right = table[address], table[address + 1]
    m, e = significand(left, y_bits, y_fraction), exponent_of(left, y_bits, y_fraction)
    difference, shared = add_floats(
        significand(right, y_bits, y_fraction), exponent_of(right, y_bits, y_fraction), -m, e, 50
    )
    step_m, step_e = cut_bits(difference, shared, width)
    product = t_m * step_m
    if product != 0:
        m, e = add_floats(m, e, product, t_e + step_e, 60 - 2 * width)
    return step_m, step_e, pack(m, e, y_bits, y_fraction)


@exact
def interpolate_float(x, ranks, cut_m, cut_e, mantissas, exponents, bases, table, width, nan, form, out):
    """The table function on every code of `x`, into `out`."""
    x_bits, x_fraction, _, _ = form
    limit = infinity(x_bits, x_fraction)
    for k in range(x.size):
        if x[k] & ((1 << (x_bits - 1)) - 1) > limit:
            out[k] = nan
        else:
            _, _, _, address, t_m, t_e = locate_float(
                x[k], ranks, cut_m, cut_e, mantissas, exponents, bases, width, form
            )
            _, _, out[k] = blend_float(address, t_m, t_e, table, width, form)


@exact
def interpolate_float_traced(
    x, ranks, cut_m, cut_e, mantissas, exponents, bases, table, width, nan, form, out_nets, out
):
    """As :func:`interpolate_float`, keeping every intermediate in a row of `out_nets` (zeros for NaN)."""
    interpolate_float(x, ranks, cut_m, cut_e, mantissas, exponents, bases, table, width, nan, form, out)
    x_bits, x_fraction, _, _ = form
    limit = infinity(x_bits, x_fraction)
    for k in range(x.size):
        for row in range(out_nets.shape[0]):
            out_nets[row, k] = 0
        if x[k] & ((1 << (x_bits - 1)) - 1) <= limit:
            index, dx_m, dx_e, address, t_m, t_e = locate_float(
                x[k], ranks, cut_m, cut_e, mantissas, exponents, bases, width, form
            )
            step_m, step_e, _ = blend_float(address, t_m, t_e, table, width, form)
            out_nets[0, k] = index
            out_nets[1, k] = dx_m
            out_nets[2, k] = dx_e
            out_nets[3, k] = address
            out_nets[4, k] = t_m
            out_nets[5, k] = t_e
            out_nets[6, k] = step_m
            out_nets[7, k] = step_e
