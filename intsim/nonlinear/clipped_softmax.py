"""I-LLM's clipped softmax on int32 scores: requantised within the clip, by a scale found at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import run
from intsim.formats import Fixed, Format
from intsim.linear.scale import dynamic_scale, leading_one
from intsim.nonlinear.constants import (
    DI_FORMS,
    DI_K_MAX,
    check_di_exp,
    design_di_scale,
    di_exp_hazards,
    di_period,
    di_top,
)
from intsim.nonlinear.softmax_base import RowSoftmax, check_sum, with_valid
from intsim.nonlinear.softmax_rows import di_softmax_rows
from intsim.operators import from_scale, require_int
from intsim.rounding import TO_NEG, Rounding
from intsim.rows import row_corners
from intsim.unit import Hazard, takes_kernel

__all__ = ["DIClippedSoftmax"]


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
        x, valid = with_valid(columns)
        rows = x.shape[0]
        m, k = np.full(rows, self.m, dtype=np.int64), np.full(rows, self.k, dtype=np.int64)
        return self.rows(x, valid, m, k)

    def probabilities(self, x: np.ndarray, valid: np.ndarray | None, m: np.ndarray, k: np.ndarray) -> np.ndarray:
        """What :meth:`rows` gives as y, without its intermediates; None where every element is valid."""
        if takes_kernel(x.size):
            from intsim.kernels.illm import softmax_rows_of

            check_sum(x.shape[1], self.top)
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
        check_sum(x.shape[1], self.top)
        rows = x.shape[0]
        code, e = np.empty((2, *x.shape), dtype=np.int64)
        most, low, scale_m, scale_k, total = np.empty((5, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        constants = (self.clip, self.bits, DI_FORMS.index(self.exp), self.headroom, self.out_bits, int(self.rounding))
        run(di_softmax_rows, x, valid, m, k, *constants, most, low, scale_m, scale_k, code, e, total, y)
        nets = {"max": most, "low": low, "scale_m": scale_m, "scale_k": scale_k, "code": code, "e": e, "sum": total}
        return {**nets, "y": y}
