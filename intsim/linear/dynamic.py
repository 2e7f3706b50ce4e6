"""Dynamic requantisation: a row's own minimum and maximum decide its scale (I-LLM, reading R1).

The arithmetic of scale and code, in ``scale``, is shared with the clipped softmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.linear.scale import dynamic_code, dynamic_scale
from intsim.operators import Row, require_int
from intsim.rounding import TIES_AWAY, TO_NEG, Rounding, divide_round
from intsim.unit import Hazard, takes_kernel

__all__ = ["DynamicRequantize"]


@dataclass(frozen=True)
class DynamicRequantize(Row):
    """The output stage of DI-MatMul: int32 rows of scale ``m / 2**k`` to unsigned codes with a scale of their own.

    ::

        top, low = max x, min x;  with include_zero: top = max(top, 0), low = min(low, 0)
        D  = max(top - low, 1);  Q = 2**bits - 1
        y  = round((x - low) Q / D)                            # TIES_TO_POS
        zp = round(-low Q / D)                                 # TIES_AWAY
        my = floor(D m 2**ky / (Q 2**k)), ky the largest with my < 2**mantissa_bits

    so that ``(y - zp) my / 2**ky`` stands for ``x m / 2**k``. my and ky take a leading-one detector, a shift and a
    division by the constant Q.

    Source: I-LLM (arXiv 2405.17849), section 3.3, known from its figure and from transcriptions. **The paper's:** the
    range of a row, the leading-one search, truncation. **Ours (reading R1):** m and Q stand inside the search (taken
    literally the drawn scale has 24 bits); zero belongs to the range; all ties. ``rounding=TIES_TO_POS`` takes the
    closest my, limited to its largest value: an error of 0.39 % in place of 0.78 % always downwards, at 8 bits.

    Parameters
    ----------
    m, k : scale of the input; for a product of two tensors ``m1 m2`` and ``k1 + k2``
    bits : of the codes, 2 to 16
    include_zero : the range includes zero, so that ``0 <= zp <= Q``
    mantissa_bits : of my, 2 to 16
    rounding : of my
    """

    m: int = 1
    k: int = 0
    bits: int = 8
    include_zero: bool = True
    mantissa_bits: int = 8
    rounding: Rounding = TO_NEG

    def __post_init__(self) -> None:
        self._check_row()
        require_int(self, "m", 1, (1 << 32) - 1, "it is the product of two mantissas")
        require_int(self, "k", 0, 200, "it is the sum of two exponents")
        require_int(self, "bits", 2, 16, "8 is the paper's, 16 on the residual stream")
        require_int(self, "mantissa_bits", 2, 16, "8 is the paper's")
        self._check_width(self._widest, self.m)

    @property
    def _widest(self) -> int:
        """The largest span of a row of the declared format."""
        top, low = (max(self.x.hi, 0), min(self.x.lo, 0)) if self.include_zero else (self.x.hi, self.x.lo)
        return max(top - low, 1)

    @property
    def exponents(self) -> tuple[int, int]:
        """The least and the largest ky of any row."""
        ends = (
            dynamic_scale(span * self.m, self.k, self.bits, self.mantissa_bits, self.rounding)[1]
            for span in (self._widest, 1)
        )
        return tuple(ends)

    def _check_width(self, span: int, m: int) -> None:
        bits = span.bit_length() + max(self.bits + 1, m.bit_length())
        if bits > 62:
            raise IntsimError(f"a span of {span} needs {bits} bits of 62; use a narrower x, or shift the rows right")

    @property
    def outputs(self) -> Mapping[str, Format]:
        full = (1 << self.bits) - 1
        reach = max(self.x.hi, -self.x.lo) * full
        zero = Int(self.bits, signed=False) if self.include_zero else Int(min(reach.bit_length() + 1, 64))
        return {
            "y": Int(self.bits, signed=False),
            "m": Int(self.mantissa_bits, signed=False),
            "k": _exponent_port(*self.exponents),
            "zero_point": zero,
        }

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for the declared format, unsigned."""
        span = self.x.hi - self.x.lo
        return {
            "span": span.bit_length(),
            "reach": (span * self.m).bit_length(),
            "numerator": (2 * span * ((1 << self.bits) - 1) + span).bit_length(),
        }

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(self.m, 1 << self.k)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Extreme rows, spans around every power of two and around the carry of my, elements at the ties."""
        from intsim.rows import spread_rows

        width = min(self.max_row, 24)
        rows = [spread_rows(self.x, width)]
        full = (1 << self.bits) - 1
        near = [(1 << i) + d for i in range(1, self.x.bits) for d in (-1, 0, 1)]
        near += [full << i for i in range(max(self.x.bits - self.bits, 1))]
        for i in range(self.x.bits):  # where the mantissa carries: reach = largest * Q * 2**i
            limit = (full << (self.mantissa_bits + i)) // self.m
            near += [limit >> s for s in range(0, 40, 3)] + [(limit >> s) + 1 for s in range(0, 40, 3)]
        for span in sorted({s for s in near if 0 < s <= self.x.hi}):
            ties = [-(-span * (2 * j + 1) // (2 * full)) - d for j in (0, 1, full // 2, full - 1) for d in (0, 1)]
            row = [0, span, *(min(max(t, 0), span) for t in ties)]
            rows.append(np.array([(row + [span // 2] * width)[:width]], dtype=self.x.dtype))
            if self.x.lo <= -span // 3:
                shifted = [v - span // 3 for v in row]
                rows.append(np.array([(shifted + [0] * width)[:width]], dtype=self.x.dtype))
        return (np.clip(np.concatenate(rows), self.x.lo, self.x.hi).astype(self.x.dtype),)

    def hazards(self) -> tuple[Hazard, ...]:
        least, largest = self.exponents
        if least >= 0 and largest <= 255:
            return ()
        what = f"ky of a row lies in {least}..{largest}, the paper's byte holds 0..255"
        return (Hazard(what, "use a k that keeps the scales between, or a narrower x; the port k is wide enough"),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        found = self._rows(x, np.full(len(x), self.m, dtype=np.int64), np.full(len(x), self.k, dtype=np.int64))
        return {**found, "k": found["k"].astype(self.outputs["k"].dtype)}

    def rows(self, x: np.ndarray, m: np.ndarray, k: np.ndarray) -> dict[str, np.ndarray]:
        """The stage with one scale ``m / 2**k`` per row.

        Parameters
        ----------
        x : (rows, n)
        m, k : (rows,)

        Raises
        ------
        IntsimError
            A product beyond 62 bits, or a scale above 255 (a negative ky).
        """
        if takes_kernel(x.size):
            from intsim.kernels.dynamic import requantize

            found = requantize(self, x, m, k, np.empty(x.shape, dtype=self.outputs["y"].dtype))
            if self.holds(found, m):
                return self.with_byte_exponents(found)
        low, top = x.min(axis=1).astype(object), x.max(axis=1).astype(object)
        if self.include_zero:
            low, top = np.minimum(low, 0), np.maximum(top, 0)
        worst = max(int((top - low).max()), int(top.max()), -int(low.min()), 1)
        self._check_width(worst, int(m.max()))
        return self.with_byte_exponents(self._rows(x, m, k))

    def holds(self, found: Mapping[str, np.ndarray], m: np.ndarray) -> bool:
        """Whether ranges that a kernel found, and all that it computed with them, fit 62 bits."""
        low, span = found["low"], found["span"]
        worst = max(int(span.max()), int((low + span).max()), -int(low.min()))
        return worst.bit_length() + max(self.bits + 1, int(m.max()).bit_length()) <= 62

    def with_byte_exponents(self, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Scales per row as the paper stores them.

        Raises
        ------
        IntsimError
            A scale above 255, or one too fine for a byte.
        """
        least, largest = int(found["k"].min()), int(found["k"].max())
        if least < 0 or largest > 255:
            raise IntsimError(f"k of a row becomes {least}..{largest}, 0..255 fit; rescale the input")
        formats = self.outputs
        scale = {port: found[port].astype(formats[port].dtype) for port in ("m", "zero_point")}
        return {**found, **scale, "k": found["k"].astype(np.uint8)}

    def _rows(self, x: np.ndarray, m: np.ndarray, k: np.ndarray) -> dict[str, np.ndarray]:
        if x.dtype == np.uint64:
            x = x.astype(np.int64)  # fewer than 63 bits are used
        low, span, out_m, out_k, zero = np.empty((5, len(x)), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        constants = (self.bits, self.include_zero, self.mantissa_bits, int(self.rounding))
        run(dynamic_rows, x, m, k, *constants, low, span, out_m, out_k, zero, y)
        formats = self.outputs
        return {
            "low": low,
            "span": span,
            "y": y,
            "m": out_m.astype(formats["m"].dtype),
            "k": out_k,
            "zero_point": zero.astype(formats["zero_point"].dtype),
        }


def _exponent_port(least: int, largest: int) -> Int:
    """The paper's byte where it is enough."""
    if least < 0:
        return Int(max(8, least.bit_length() + 1, largest.bit_length() + 1))
    return Int(max(8, largest.bit_length()), signed=False)


# The arithmetic ------------------------------------------------------------------------------------------------


@exact
def dynamic_rows(x, m, k, bits, include_zero, mantissa_bits, rounding, out_low, out_span, out_m, out_k, out_zero, out):
    """Codes, scale and zero point of every row."""
    for i in range(x.shape[0]):
        top = x[i, 0]
        low = x[i, 0]
        for j in range(1, x.shape[1]):
            top = max(top, x[i, j])
            low = min(low, x[i, j])
        if include_zero:
            top = max(top, 0)
            low = min(low, 0)
        span = max(top - low, 1)
        scale_m, scale_k = dynamic_scale(span * m[i], k[i], bits, mantissa_bits, rounding)
        for j in range(x.shape[1]):
            out[i, j] = dynamic_code(x[i, j], low, span, bits)
        out_low[i] = low
        out_span[i] = span
        out_m[i] = scale_m
        out_k[i] = scale_k
        out_zero[i] = divide_round(-1 * low * ((1 << bits) - 1), span, TIES_AWAY)
