"""QANS: quantise a softmax's input after the row maximum is subtracted.

Source: FQ-PETR (arXiv 2502.15488, AAAI 2026). **The paper's:** ``d = x - max(x)`` first, then the quantiser, whose
range is ``[-beta, 0]``; what lies below is clipped to ``-beta``; `beta` is chosen from candidates by the deviation of
the resulting distribution from the exact one (20 is lossless there); the exponential is a DULUT. Without it attention
peaks shrink and move. **Ours**, since the paper's text was not at hand: unsigned codes of the distance, rounded
ties-to-positive; the last code, to which everything beyond is clipped, may have the word 0; the deviation is total
variation or Kullback-Leibler divergence; one normalised reciprocal per row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed, Format, Int
from intsim.nonlinear.softmax_base import NormalisedSum, RowSoftmax, with_valid
from intsim.operators import from_scale, require_int
from intsim.rounding import TIES_TO_POS, Rounding, shift_round
from intsim.rows import row_corners, row_range, sum_rows
from intsim.tables.direct import Direct
from intsim.tables.range_reduced import NormalReciprocal, normal_reciprocal
from intsim.unit import Unit

__all__ = ["BETAS", "QANSSoftmax", "design_beta"]

BETAS = tuple(range(8, 34, 2))  # candidates


@dataclass(frozen=True)
class QANSSoftmax(NormalisedSum, RowSoftmax):
    """Softmax with the quantiser behind the maximum, over any table of the exponential.

    ::

        q = min(round((max x - x) * multiplier / 2**shift), top)
        e = exp(q)                          # the table's output for code q, or -q where its input is signed
        f, s = reciprocal(sum e)
        y = round(e * f / 2**(s - out_bits + 1))                    # scale 2**-(out_bits - 1)

    Parameters
    ----------
    multiplier, shift : the real quantiser ``scale * top / beta`` as ``multiplier * 2**-shift``
    exp : Unit
        Any unit with one fixed-point input and output: a direct table, DULUT, NLI ... `top` is the largest distance
        its input holds; its output is not negative.
    reciprocal : NormalReciprocal
        Divider or table; None makes a divider with a 16-bit mantissa, wide enough for `max_row`.
    out_bits : of the result, unsigned; 1.0 is ``2**(out_bits - 1)``
    rounding : of the quantiser and of the result
    """

    multiplier: int
    shift: int
    exp: Unit
    reciprocal: NormalReciprocal | None = None
    out_bits: int = 16
    _: KW_ONLY
    rounding: Rounding = TIES_TO_POS

    def __post_init__(self) -> None:
        self._check_row()
        require_int(self, "multiplier", 1, (1 << 24) - 1, "a 16-bit multiplier resolves every 8-bit code")
        require_int(self, "shift", 0, 62, "a larger shift makes every distance 0; use a larger multiplier")
        require_int(self, "out_bits", 2, 24, "the table has some 16 bits")
        formats = [*self.exp.inputs.values(), *self.exp.outputs.values()]
        if len(formats) != 2 or not all(isinstance(f, Fixed) for f in formats) or self.exp.is_row:
            raise IntsimError(
                f"exp needs one fixed-point input and one output, got {self.exp.name}; use Direct or DULUT"
            )
        if formats[0].bits > 16 or formats[1].bits > 24:
            raise IntsimError(f"exp takes up to 16 bits and gives up to 24, got {formats[0]} and {formats[1]}")
        words = self.words
        if words.min() < 0 or words[0] < 1:
            raise IntsimError(f"exp must be positive at 0 and nowhere negative, got {words[0]} and {words.min()}")
        distance = (self.x.hi - self.x.lo) * self.multiplier
        if distance >> 62:
            raise IntsimError(f"distance * multiplier needs {distance.bit_length()} bits of 62; use a narrower input")
        largest = self.max_row * int(words.max())
        if self.reciprocal is None:
            fitting = NormalReciprocal(Int(max(largest.bit_length(), 1), False))
            object.__setattr__(self, "reciprocal", fitting)
        self._check_reciprocal(largest)

    @classmethod
    def design(
        cls,
        scale: float,
        beta: float = 20.0,
        bits: int = 8,
        *,
        exp: Unit | None = None,
        end_is_zero: bool = True,
        **options: Any,
    ) -> QANSSoftmax:
        """The unit for scores of real step `scale`.

        Parameters
        ----------
        beta : the quantiser's range; :func:`design_beta` gives the closed rule
        bits : of the code, where `exp` is not given: then a direct table with 15 fraction bits
        exp : a table of ``exp(-beta * q / top)``
        end_is_zero : of the direct table: the last code gives 0 instead of ``exp(-beta)``
        """
        if not beta > 0:
            raise IntsimError(f"beta must be above 0, got {beta}; 20 is usual")
        if exp is None:
            top = (1 << bits) - 1
            words = np.rint(np.exp(-beta * np.arange(top + 1) / top) * 2.0**15).astype(int)
            words[-1] *= not end_is_zero
            exp = Direct(Int(bits, False), Fixed(16, 15, False), tuple(words.tolist()), "qans_exp")
        ratio = scale * _reach(exp) / beta
        shift = min(16 - math.frexp(ratio)[1], 62)
        return cls(max(round(ratio * 2.0**shift), 1), shift, exp, scale=from_scale(scale), **options)

    @classmethod
    def from_rows(
        cls, rows: Any, scale: float, *, candidates: Iterable[float] = BETAS, distance: str = "tv", **options: Any
    ) -> QANSSoftmax:
        """The unit whose `beta`, of the candidates, makes the least mean distance from the exact softmax on `rows`.

        Parameters
        ----------
        rows : integer scores (..., n) of real step `scale`
        distance : ``"tv"`` or ``"kl"``, see :func:`intsim.measure.softmax.row_distance`
        """
        from intsim.measure.softmax import row_distance

        units = [cls.design(scale, beta, **options) for beta in candidates]
        if not units:
            raise IntsimError("there is no candidate for beta; give at least one")
        return min(units, key=lambda unit: float(row_distance(unit, rows, distance).mean()))

    @property
    def top(self) -> int:
        """The last code of the quantiser."""
        return _reach(self.exp)

    @cached_property
    def words(self) -> np.ndarray:
        """The exponential's output for every code of the quantiser."""
        (fmt,) = self.exp.inputs.values()
        codes = np.arange(_reach(self.exp) + 1)
        return self.exp((-codes if fmt.signed else codes).astype(fmt.dtype)).astype(np.int64)

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed(self.out_bits, self.out_bits - 1, signed=False)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for rows up to `max_row`, all unsigned."""
        words = self.words
        return {
            "distance": (self.x.hi - self.x.lo).bit_length(),
            "scaled": ((self.x.hi - self.x.lo) * self.multiplier).bit_length(),
            "q": self.top.bit_length(),
            "e": int(words.max()).bit_length(),
            "sum": (self.max_row * int(words.max())).bit_length(),
            "factor": self.factor.bits + 1,
            "product": int(words.max()).bit_length() + self.factor.bits + 1,
        }

    @property
    def halving(self) -> Fraction:
        """Distance, in codes of `x`, over which the exponential halves: read off the table."""
        words = self.words
        return Fraction(max(int(np.sum(2 * words > words[0])), 1) << self.shift, self.multiplier)

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(Fraction(6931, 10000), self.halving)

    def corners(self) -> tuple[np.ndarray, ...]:
        unit = Fraction(1 << self.shift, self.multiplier)  # codes of `x` per code of the quantiser
        edges = [int(unit * Fraction(2 * q + 1, 2)) + d for q in range(min(self.top, 1024)) for d in (0, 1)]
        told = np.unique(np.abs(self.exp.corners()[0].astype(np.int64)))  # codes that tell the exponential from others
        inside = [int(unit * int(q) + Fraction(1, 2)) for q in told if q <= self.top]
        halvings = min(int(unit * self.top // self.halving) + 1, 64)
        rows = row_corners(self.x, self.max_row, self.halving, halvings, [*edges, *inside])
        return self._corner_ports(np.concatenate([rows, sum_rows(self.x, rows.shape[1], self.halving)]))

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, valid = with_valid(columns)
        x = x.astype(np.int64)
        words = self.words
        self._check_row_sum(x.shape[1], int(words.max()))
        q, e = np.empty((2, *x.shape), dtype=np.int64)
        most, total, factor, exponent = np.empty((4, x.shape[0]), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        constants = (self.multiplier, self.shift, words, *self.factor.constants(), self.out_bits, int(self.rounding))
        run(qans_rows, x, valid, *constants, most, q, e, total, factor, exponent, y)
        return {"max": most, "q": q, "e": e, "sum": total, "factor": factor, "exponent": exponent, "y": y}


def _reach(exp: Unit) -> int:
    """The largest distance that the input of an exponential holds."""
    (fmt,) = exp.inputs.values()
    return -fmt.lo if fmt.signed else fmt.hi


def design_beta(n: int, epsilon: float = 1e-4) -> float:
    """The closed rule: with ``beta = ln n + ln(1/epsilon)`` a row of `n` loses at most about `epsilon` of its mass.

    Above it only the step ``beta / top`` grows: 16 for 1024 keys, 20 for 32 thousand.
    """
    if n < 1 or not 0 < epsilon < 1:
        raise IntsimError(f"a row has at least 1 element and epsilon lies in (0, 1), got {n} and {epsilon}")
    return math.log(n) - math.log(epsilon)


@exact
def qans_rows(
    x, valid, multiplier, shift, words, bits, table, index_bits, t_bits, out_bits, rounding,
    out_max, out_q, out_e, out_sum, out_factor, out_exponent, out,
):  # fmt: skip
    """The softmax of every row."""
    last = words.size - 1
    for i in range(x.shape[0]):
        top, _, _ = row_range(x, valid, i)
        total = 0
        for j in range(x.shape[1]):
            q, e = last, 0
            if valid[i, j] != 0:
                q = min(shift_round((top - x[i, j]) * multiplier, shift, rounding), last)
                e = words[q]
            out_q[i, j] = q
            out_e[i, j] = e
            total += e
        factor, exponent = normal_reciprocal(total, bits, table, index_bits, t_bits)
        for j in range(x.shape[1]):
            out[i, j] = shift_round(out_e[i, j] * factor, exponent - out_bits + 1, rounding)
        out_max[i] = top
        out_sum[i] = total
        out_factor[i] = factor
        out_exponent[i] = exponent
