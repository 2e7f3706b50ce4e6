"""Softmax on integers: I-ViT's Shiftmax and I-BERT's; I-LLM's clipped softmax is in ``clipped_softmax``.

All work on rows (the last axis) of any leading shape and return integers. Each takes a mask as a second port when
``masked=True``: an element whose valid bit is 0 joins neither the maximum nor the sum and gives 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import run
from intsim.formats import Fixed, Format
from intsim.formats.dyadic import RULES
from intsim.nonlinear.clipped_softmax import DIClippedSoftmax
from intsim.nonlinear.constants import (
    check_ibert_exp,
    check_profile,
    check_shift_exp,
    design_exact_scale,
    design_ibert,
    design_x0,
    shift_limit,
)
from intsim.nonlinear.softmax_base import RowSoftmax, check_sum, with_valid
from intsim.nonlinear.softmax_rows import E16_MAX, INT32_MAX, ibert_softmax_rows, shiftmax_rows
from intsim.operators import from_scale, require_int, signed_port
from intsim.rounding import TIES_TO_EVEN, shift_round
from intsim.rows import near_halvings, row_corners, step_rows
from intsim.unit import Hazard

__all__ = ["DIClippedSoftmax", "IBertSoftmax", "RowSoftmax", "Shiftmax"]


@dataclass(frozen=True)
class Shiftmax(RowSoftmax):
    """I-ViT's softmax: ShiftExp, a sum limited to 31 bits, one reciprocal per row.

    ::

        e = ShiftExp(x - max x);  S = min(sum e, 2**31 - 1)
        F = floor((2**31 - 1) / S);  y = (e F) >> (32 - out_bits)      # scale 2**-(out_bits - 1)

    Source: I-ViT (arXiv 2207.01405), Algorithm 1 and the authors' PyTorch code, of which the scales are exact (their
    code runs it on floats). **Profile** ``ivit_tvm``: the authors' TVM layer, another function: ShiftExp of that
    profile, n = 16, 8-bit result, the sum not limited (here a sum of 2**31 gives F = 0; there it wraps).
    **Ours:** the mask.

    Parameters
    ----------
    x0 : ``floor(-1/s)``, at most -1
    n : headroom of the exponential
    out_bits : 2 to 32; the largest result is ``2**(out_bits-1) - 1``
    profile : ``ivit`` or ``ivit_tvm``
    x, max_row, masked : as everywhere
    """

    x0: int
    n: int = 15
    out_bits: int = 16
    profile: str = "ivit"

    def __post_init__(self) -> None:
        self._check_row()
        check_shift_exp(self)
        require_int(self, "out_bits", 2, 32, "the result has at most 31 significant bits")
        if (self.top * self.max_row) >> 62:
            raise IntsimError(
                f"the sum of {self.max_row} exponentials up to {self.top} leaves 62 bits; use a larger scale or rows "
                f"up to {(1 << 62) // self.top}"
            )

    @classmethod
    def design(cls, scale: float, n: int = 15, out_bits: int = 16, profile: str = "ivit", **options: Any) -> Shiftmax:
        """The unit for scores of real step `scale`."""
        check_profile(profile)
        return cls(design_x0(scale, profile), n, out_bits, profile, scale=from_scale(scale), **options)

    @staticmethod
    def exact_scale(scale: float) -> float:
        """The least scale, at or above `scale`, whose x0 is exact; a calibrated scale may be moved there."""
        return design_exact_scale(scale)

    @classmethod
    def ivit_tvm(cls, x0: int, n: int = 16, out_bits: int = 8, **options: Any) -> Shiftmax:
        """The authors' TVM layer with its own defaults."""
        return cls(x0, n, out_bits, "ivit_tvm", **options)

    @property
    def top(self) -> int:
        """``exp(0)`` in codes of the exponential."""
        return -self.x0 << self.n

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed(self._y_bits(), self.out_bits - 1, signed=False)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for rows up to `max_row`, all unsigned; ``sum`` before it is limited."""
        return {
            "q": self.n.bit_length(),
            "e": self.top.bit_length(),
            "sum": (self.top * self.max_row).bit_length(),
            "factor": 31,
            "product": max(31, self.top.bit_length()),
        }

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(1, -self.x0)

    def corners(self) -> tuple[np.ndarray, ...]:
        period = Fraction(-self.x0 * 16, 23)
        rows = row_corners(self.x, self.max_row, period, self.n)
        distances = near_halvings(self.x, period, self.n)
        plain = replace(self, x=signed_port(-distances[-1], 0), masked=False)
        terms = plain.trace(np.array([[0, -d] for d in distances]))["e"][:, 1]

        def factor(total: np.ndarray) -> np.ndarray:
            return INT32_MAX // (total if self.profile == "ivit_tvm" else np.minimum(total, INT32_MAX))

        steps = step_rows(self.x, rows.shape[1], distances, terms, factor)
        return self._corner_ports(np.concatenate([rows, steps]))

    def hazards(self) -> tuple[Hazard, ...]:
        longest = INT32_MAX // self.top
        if longest >= self.max_row:
            return ()
        if 1 <= longest < 16:
            return (
                Hazard(
                    f"the reciprocal of a row's sum is at most {longest}: its floor loses up to half of the row's mass",
                    "use a larger scale, or a smaller n",
                ),
            )
        effect = "saturates" if self.profile == "ivit" else "makes the reciprocal 0"
        remedy = f"limit rows to {longest} or use a larger scale" if longest else "use a larger scale"
        return (
            Hazard(f"the sum of up to {self.max_row} exponentials of {self.top} passes 2**31 - 1 and {effect}", remedy),
        )

    def _y_bits(self) -> int:
        # Where S is not limited e F <= 2**31 - 1; where it is, F = 1 and y = e >> (32 - out_bits).
        return max(self.out_bits, (self.top >> (32 - self.out_bits)).bit_length())

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, valid = with_valid(columns)
        check_sum(x.shape[1], self.top)
        rows = x.shape[0]
        e = np.empty(x.shape, dtype=np.int64)
        most, total, factor = np.empty((3, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        limit, tvm, shift = shift_limit(self.x0), self.profile == "ivit_tvm", 32 - self.out_bits
        run(shiftmax_rows, x, valid, self.x0, self.n, limit, tvm, shift, most, e, total, factor, y)
        return {"max": most, "e": e, "sum": total, "factor": factor, "y": y}


@dataclass(frozen=True)
class IBertSoftmax(RowSoftmax):
    """I-BERT's softmax: i-exp, a requantisation to 16 bits, one reciprocal per row.

    ::

        e   = IBertExp(x - max x)                                       # n = 30
        e16 = min(round(e e16_multiplier / 2**e16_shift), 32767)        # TIES_TO_EVEN
        F   = floor(2**32 / sum e16);  y = (e16 F) >> (32 - out_bits)   # scale 2**-out_bits

    With ``e = z << (30 - q)`` the requantisation is computed as ``round(z e16_multiplier / 2**(e16_shift - 30 + q))``,
    which is the same number in 64 bits.

    Source: I-BERT (arXiv 2101.01321), Algorithm 3 and the authors' code. **The paper's:** the algorithm; the inner
    16-bit requantiser is in the code only. There its scale cancels, so that the multiplier is the dyadic of
    ``1 / act_scale`` with ``act_scale = max(e) / 32767``, and ``max(e) = c 2**30`` in every row. **Ours:** the mask.

    Parameters
    ----------
    x0, b, c : constants of :class:`IBertExp`
    e16_multiplier, e16_shift : the dyadic ``m 2**-e`` of the inner requantisation
    out_bits : 1 to 16
    """

    x0: int
    b: int
    c: int
    e16_multiplier: int
    e16_shift: int
    out_bits: int = 8

    def __post_init__(self) -> None:
        self._check_row()
        check_ibert_exp(self, 0)
        require_int(self, "e16_multiplier", 1, 1 << 31, "it is a 31-bit mantissa")
        require_int(self, "e16_shift", -63, 1 << 16, "it is 31 minus the exponent of the scale")
        require_int(self, "out_bits", 1, 16, "the exponentials have 15 bits")
        bits = (self.z_top * self.e16_multiplier).bit_length()
        if bits > 62 or (self.e16_shift < 30 and bits + 30 - self.e16_shift > 62):
            raise IntsimError(f"polynomial * e16_multiplier needs {bits} bits of 62; use a larger scale")
        if self.e16_top < 1:
            raise IntsimError("the row maximum's exponential requantises to 0; use a larger e16_multiplier")

    @classmethod
    def design(cls, scale: float, out_bits: int = 8, **options: Any) -> IBertSoftmax:
        """The unit for scores of real step `scale`, its inner requantiser calibrated as in the authors' code."""
        x0, b, c = design_ibert(scale)
        if c < 1:
            raise IntsimError(f"scale {scale!r}: the constant c becomes {c}; use a scale below 1.67")
        multiplier, shift = from_act_scale(float(Fraction(c << 30, E16_MAX)))
        return cls(x0, b, c, multiplier, shift, out_bits, scale=from_scale(scale), **options)

    @property
    def z_top(self) -> int:
        """The largest value of the polynomial."""
        return max(self.c, (self.x0 + 1 + self.b) * (self.x0 + 1) + self.c, 1)

    @property
    def e16_top(self) -> int:
        """The 16-bit exponential of the row maximum."""
        return min(shift_round(max(self.c, 0) * self.e16_multiplier, self.e16_shift - 30, TIES_TO_EVEN), E16_MAX)

    @property
    def outputs(self) -> Mapping[str, Format]:
        # A row whose only exponential is a power of two gives exactly 2**out_bits.
        full = self.e16_top & (self.e16_top - 1) == 0
        return {"y": Fixed(self.out_bits + full, self.out_bits, signed=False)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for rows up to `max_row`, all unsigned."""
        return {
            "q": 5,
            "polynomial": self.z_top.bit_length(),
            "scaled": (self.z_top * self.e16_multiplier).bit_length(),
            "e16": 15,
            "sum": (E16_MAX * self.max_row).bit_length(),
            "factor": ((1 << 32) // self.e16_top).bit_length(),
            "product": 33,
        }

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(6931, -10000 * self.x0)

    def corners(self) -> tuple[np.ndarray, ...]:
        return self._corner_ports(row_corners(self.x, self.max_row, Fraction(-self.x0), 30))

    def hazards(self) -> tuple[Hazard, ...]:
        if self.e16_top >= 1 << 14:
            return ()
        return (
            Hazard(f"exponentials reach {self.e16_top} of 32767", "take e16_multiplier, e16_shift from 1 / (c 2**30)"),
        )

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, valid = with_valid(columns)
        rows = x.shape[0]
        e16 = np.empty(x.shape, dtype=np.int64)
        most, total, factor = np.empty((3, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        constants = (self.x0, self.b, self.c, self.e16_multiplier, self.e16_shift, 32 - self.out_bits)
        run(ibert_softmax_rows, x, valid, *constants, most, e16, total, factor, y)
        return {"max": most, "e16": e16, "sum": total, "factor": factor, "y": y}


def from_act_scale(act_scale: float) -> tuple[int, int]:
    """I-BERT's inner dyadic: HAWQ's frexp of ``1 / float32(act_scale)``, a 31-bit mantissa, its tie upwards."""
    multiplier, shift = RULES["ibert"](1 / float(np.float32(act_scale)))
    return int(multiplier), int(shift)
