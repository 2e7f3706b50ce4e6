"""Softmax on integers: I-ViT's Shiftmax, I-BERT's and I-LLM's clipped softmax.

All work on rows (the last axis) of any leading shape and return integers. Each takes a mask as a second port when
``masked=True``: an element whose valid bit is 0 joins neither the maximum nor the sum and gives 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import run
from intsim.formats import Fixed, Format, Int
from intsim.formats.dyadic import RULES
from intsim.linear.scale import dynamic_scale, leading_one
from intsim.nonlinear.base import Row, from_scale, require_int
from intsim.nonlinear.constants import (
    DI_FORMS,
    DI_K_MAX,
    check_di_exp,
    check_ibert_exp,
    check_profile,
    check_shift_exp,
    design_di_scale,
    design_exact_scale,
    design_ibert,
    design_x0,
    di_exp_hazards,
    di_period,
    di_top,
    shift_limit,
)
from intsim.nonlinear.rows import row_corners
from intsim.nonlinear.softmax_rows import E16_MAX, INT32_MAX, di_softmax_rows, ibert_softmax_rows, shiftmax_rows
from intsim.rounding import TIES_TO_EVEN, TO_NEG, Rounding, shift_round
from intsim.unit import Hazard, takes_kernel

__all__ = ["DIClippedSoftmax", "IBertSoftmax", "RowSoftmax", "Shiftmax"]


@dataclass(frozen=True)
class RowSoftmax(Row):
    """What every integer softmax has: one port of scores and, if `masked`, one of valid bits.

    Parameters
    ----------
    masked : whether there is a port ``valid``; without an argument for it every element counts
    """

    _: KW_ONLY
    masked: bool = False

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x, "valid": Int(1, signed=False)} if self.masked else {"x": self.x}

    def __call__(  # type: ignore[override]
        self, x: Any, valid: Any = None, *, out: np.ndarray | None = None
    ) -> Any:
        """Probabilities of the rows of `x`.

        Parameters
        ----------
        x : integers (..., n)
        valid : 0 and 1 (or booleans), of a shape that broadcasts with `x`; all 1 by default
        out : see :class:`~intsim.unit.Unit`
        """
        return super().__call__(*self._columns(x, valid), out=out)

    def trace(self, x: Any, valid: Any = None) -> dict[str, np.ndarray]:
        return super().trace(*self._columns(x, valid))

    def real(self, *values: Any) -> Any:
        """The softmax of the real scores along the last axis; a row without a valid element gives zeros."""
        scores = self._from_port(values[0])
        keep = np.asarray(values[1]) > 0 if len(values) > 1 else np.ones(scores.shape, dtype=bool)
        scores, keep = np.broadcast_arrays(scores, keep)
        shifted = np.where(keep, scores - np.max(scores, axis=-1, keepdims=True, where=keep, initial=-np.inf), -np.inf)
        powers = np.exp(shifted)
        total = powers.sum(axis=-1, keepdims=True)
        return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)

    def _columns(self, x: Any, valid: Any) -> tuple[Any, ...]:
        if valid is None:
            return (x, np.uint8(1)) if self.masked else (x,)
        if not self.masked:
            raise IntsimError(f"{self.name} has no valid bits; build it with masked=True")
        try:
            mask = np.asarray(valid)
        except ValueError:
            return x, valid  # nested lists of unequal length: the port refuses them
        return (x, mask.astype(np.uint8) if mask.dtype.kind == "b" else mask)

    def _corner_ports(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The rows as they are; with a mask also a second time, under masks that hide the ends and every third."""
        if not self.masked:
            return (rows,)
        masks = np.ones((2 * len(rows), rows.shape[1]), dtype=np.uint8)
        place = np.arange(rows.shape[1])
        for i in range(len(rows)):
            masks[len(rows) + i] = (place != i % rows.shape[1]) & ((place + i) % 3 != 0)
        masks[-1] = 0
        return np.concatenate([rows, rows]), masks


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
        return self._corner_ports(row_corners(self.x, self.max_row, period, self.n))

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
        x, valid = _with_valid(columns)
        _check_sum(x.shape[1], self.top)
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
        x, valid = _with_valid(columns)
        rows = x.shape[0]
        e16 = np.empty(x.shape, dtype=np.int64)
        most, total, factor = np.empty((3, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        constants = (self.x0, self.b, self.c, self.e16_multiplier, self.e16_shift, 32 - self.out_bits)
        run(ibert_softmax_rows, x, valid, *constants, most, e16, total, factor, y)
        return {"max": most, "e16": e16, "sum": total, "factor": factor, "y": y}


@dataclass(frozen=True)
class DIClippedSoftmax(RowSoftmax):
    """I-LLM's DI-ClippedSoftmax on int32 scores of scale ``m / 2**k``, before their requantisation.

    ::

        top = max P;  low = max(min P, top - floor(clip 2**k / m));  D = max(top - low, 1)
        Y = round((max(P, low) - low) Q / D),  Q = 2**bits - 1             # a tie upwards
        my, ky = the dyadic scale D m / (Q 2**k), my in [128, 255], truncated; ky at most 40
        e = DIExp(Y - max Y; my, ky);  y = floor(e 2**(out_bits-1) / sum e)  # scale 2**-(out_bits-1)

    Source: I-LLM (arXiv 2405.17849), section 3.4 and Algorithm 2, known from figure and
    transcriptions. **The paper's:** the clip inside the requantisation of the scores, c = 15, the integer division.
    **Ours (reading R1):** the rounding of every step, the form of the exponential (:class:`DIExp`; the literal one
    keeps 3.6 bits here), 16-bit results by default (with 8 a row of 2048 loses a third of its mass), masks, ``ky``
    limited to 40 (the scores are then equal).

    Parameters
    ----------
    m, k : scale of the scores, ``m < 2**16`` (a product of two 8-bit mantissas), ``k <= 40``
    clip : how far below the maximum a score counts, in real units
    out_bits : 2 to 16; the largest result is ``2**(out_bits-1)``
    exp : form of the exponential: ``literal``, ``headroom`` or ``fixed16``
    bits : bits of the requantised scores, 2 to 16
    rounding : of the integer division; TIES_AWAY is another reading
    masked : on by default here
    """

    m: int
    k: int
    clip: int = 15
    out_bits: int = 16
    exp: str = "fixed16"
    bits: int = 8
    headroom: int = 15
    rounding: Rounding = TO_NEG
    _: KW_ONLY
    masked: bool = True

    def __post_init__(self) -> None:
        self._check_row()
        require_int(self, "out_bits", 2, 16, "16 suit rows of thousands")
        require_int(self, "bits", 2, 16, "8 is the paper's")
        require_int(self, "clip", 1, 1 << 10, "15 is the paper's")
        check_di_exp(self)
        if self.reach < 1:
            raise IntsimError(
                f"the clip {self.clip} is below one code of scale {self.m}/2**{self.k}; use a finer scale"
            )
        if self.bits + 7 - leading_one(self.clip) < 0:
            raise IntsimError(f"clip {self.clip} on {self.bits} bits gives a scale above 255; use more bits")
        worst = max(self.top << (self.out_bits - 1), self.top * self.max_row).bit_length()
        if worst > 62:
            raise IntsimError(f"the division needs {worst} bits of 62; use fewer bits of headroom, or shorter rows")

    @classmethod
    def design(cls, scale: float, clip: int = 15, out_bits: int = 16, **options: Any) -> DIClippedSoftmax:
        """The unit for scores of real step `scale` (a 16-bit mantissa, as a product of two scales has)."""
        m, k = design_di_scale(scale, 16)
        return cls(m, k, clip, out_bits, scale=from_scale(scale), **options)

    @property
    def form(self) -> str:
        return self.exp

    @property
    def reach(self) -> int:
        """The clip in codes of the scores."""
        return (self.clip << self.k) // self.m

    @property
    def top(self) -> int:
        """The largest value an exponential can take, over every row."""
        finest = min(self.k + self.bits + 7 - leading_one(self.m), DI_K_MAX)
        return di_top(di_period(128, max(finest, 0)), DI_FORMS.index(self.exp), self.headroom)

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed(self.out_bits, self.out_bits - 1, signed=False)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for rows up to `max_row`, all unsigned."""
        span = min(self.reach, self.x.hi - self.x.lo)
        return {
            "span": span.bit_length(),
            "code_numerator": (2 * span * ((1 << self.bits) - 1) + span).bit_length(),
            "code": self.bits,
            "scale_m": 8,
            "scale_k": 6,
            "e": self.top.bit_length(),
            "sum": (self.top * self.max_row).bit_length(),
            "dividend": self.top.bit_length() + self.out_bits - 1,
        }

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(self.m, 1 << self.k)

    def corners(self) -> tuple[np.ndarray, ...]:
        near_clip = [d for r in (self.reach, self.reach // 2) for d in range(r - 2, r + 3)]
        period = Fraction((1 << self.k) * 16, 23 * self.m)
        rows = row_corners(self.x, self.max_row, period, 24, near_clip)
        return self._corner_ports(np.concatenate([rows, self._ties(rows.shape[1])]))

    def _ties(self, width: int) -> np.ndarray:
        """Rows that reach beyond the clip, with scores on both sides of the ties between two codes."""
        full = (1 << self.bits) - 1
        span = min(self.reach, self.x.hi - self.x.lo)
        low = self.x.hi - span
        ties = [low + -(-span * (2 * j + 1) // (2 * full)) - d for j in range(full - 1, -1, -1) for d in (0, 1)]
        part = max(width - 2, 1)
        step = max(len(ties) // (24 * part), 1) | 1
        chosen = ties[::step] + ties[: 8 * part]
        rows = [chosen[i : i + part] for i in range(0, len(chosen), part)]
        ends = [self.x.hi, max(low - 5, self.x.lo)]
        return np.array([[*ends, *row, *ends * part][:width] for row in rows], dtype=self.x.dtype)

    def hazards(self) -> tuple[Hazard, ...]:
        found: list[Hazard] = []
        # The scale of a row that spans the clip; rows that span less have a finer one.
        m, k = dynamic_scale(self.reach * self.m, self.k, self.bits, 8, int(TO_NEG))
        found.extend(di_exp_hazards(m, min(k, DI_K_MAX), self.exp, self.headroom))
        if self.max_row > 1 << max(self.out_bits - 2, 0):
            found.append(
                Hazard(
                    f"out_bits = {self.out_bits}: an equal row of {self.max_row} loses more than half of its mass",
                    f"use out_bits >= {self.max_row.bit_length() + 3}, or rounding=TIES_AWAY",
                )
            )
        elif self.out_bits - 1 < self.max_row.bit_length() + 2:
            found.append(
                Hazard(
                    f"out_bits = {self.out_bits}: rows of {self.max_row} lose up to "
                    f"{100 * self.max_row // (1 << (self.out_bits - 1))} % of their mass",
                    f"use out_bits >= {self.max_row.bit_length() + 3}",
                )
            )
        return tuple(found)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, valid = _with_valid(columns)
        rows = x.shape[0]
        m, k = np.full(rows, self.m, dtype=np.int64), np.full(rows, self.k, dtype=np.int64)
        return self.rows(x, valid, m, k)

    def probabilities(self, x: np.ndarray, valid: np.ndarray | None, m: np.ndarray, k: np.ndarray) -> np.ndarray:
        """What :meth:`rows` gives as y, without its intermediates; None where every element is valid."""
        if takes_kernel(x.size):
            from intsim.kernels.illm import softmax_rows_of

            _check_sum(x.shape[1], self.top)
            y = softmax_rows_of(self, x, np.empty((len(x), 0), np.uint8) if valid is None else valid, m, k)
            if y is not None:
                return y
        return self.rows(x, np.ones(x.shape, dtype=np.uint8) if valid is None else valid, m, k)["y"]

    def rows(self, x: np.ndarray, valid: np.ndarray, m: np.ndarray, k: np.ndarray) -> dict[str, np.ndarray]:
        """The softmax with one scale ``m / 2**k`` per row, as dynamic requantisation leaves it.

        Parameters
        ----------
        x, valid : (rows, n)
        m, k : (rows,) within the bounds of the fields of the same name
        """
        _check_sum(x.shape[1], self.top)
        rows = x.shape[0]
        code, e = np.empty((2, *x.shape), dtype=np.int64)
        most, low, scale_m, scale_k, total = np.empty((5, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        constants = (self.clip, self.bits, DI_FORMS.index(self.exp), self.headroom, self.out_bits, int(self.rounding))
        run(di_softmax_rows, x, valid, m, k, *constants, most, low, scale_m, scale_k, code, e, total, y)
        nets = {"max": most, "low": low, "scale_m": scale_m, "scale_k": scale_k, "code": code, "e": e, "sum": total}
        return {**nets, "y": y}


def from_act_scale(act_scale: float) -> tuple[int, int]:
    """I-BERT's inner dyadic: HAWQ's frexp of ``1 / float32(act_scale)``, a 31-bit mantissa, its tie upwards."""
    multiplier, shift = RULES["ibert"](1 / float(np.float32(act_scale)))
    return int(multiplier), int(shift)


def _with_valid(columns: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    if len(columns) == 2:
        return columns[0], columns[1]
    return columns[0], np.ones(columns[0].shape, dtype=np.uint8)


def _check_sum(n: int, top: int) -> None:
    """The sum of a row of `n` exponentials must fit int64."""
    if (n * top) >> 63:
        raise IntsimError(f"a row of {n} exponentials up to {top} leaves int64; use rows up to {(1 << 63) // top - 1}")
