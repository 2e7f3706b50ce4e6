"""Activations on integers: the GELUs of I-ViT and I-BERT, squared ReLU, hardswish; I-LLM's are in ``gated``.

None of them requantises: each returns the integers its formula gives, with the scale that its text states.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format
from intsim.nonlinear.constants import check_shift_exp, design_exact_scale, design_x0, shift_limit
from intsim.nonlinear.exp import shift_exp
from intsim.nonlinear.gated import DISigmoid, DISwiGLU
from intsim.operators import Elementwise, Row, check_kinds, check_products, from_scale, require_int, signed_port
from intsim.rounding import TIES_TO_POS, Rounding, shift_round
from intsim.rows import row_corners
from intsim.tables.functions import gelu, hardswish
from intsim.unit import Hazard

__all__ = ["DISigmoid", "DISwiGLU", "HardSwish", "IBertGELU", "ShiftGELU", "SquaredReLU"]

INT32_MAX = (1 << 31) - 1
INT64_MAX = (1 << 63) - 1
GATE = Fraction(1702, 1000)  # gelu(x) ~ x sigmoid(1.702 x)


@dataclass(frozen=True)
class ShiftGELU(Row):
    """I-ViT's GELU, ``x sigmoid(1.702 x)``, by two exponentials and a reciprocal per element.

    ::

        M = max x;  e = ShiftExp(x - M);  em = ShiftExp(-M)
        S = min(e + em, 2**31 - 1);  F = floor((2**31 - 1) / S)
        sig = (e F) >> (32 - out_bits);  y = x sig              # scale s 2**-(out_bits - 1)

    Source: I-ViT (arXiv 2207.01405), Algorithm 2 and the authors' PyTorch code. **The paper's:** all of it but
    `limit`; the result of an element depends on its row's maximum. Only S is limited, not e: see :meth:`hazards`.
    **Ours:** ``em`` of very negative rows stops at 2**62, where S is limited all the same; and `limit`, with which
    ``M = min(max x, limit)`` and ``e = ShiftExp(min(x - M, 0))``. Without it rows whose maximum passes what `n` holds
    (6.1 in real units with n = 23) have ``em`` and the ``e`` of small elements both at their least, and negative
    elements come out as half of themselves. Rows whose maximum is at most `limit` do not change.

    Parameters
    ----------
    x0 : ``floor(-1/(1.702 s))``, at most -1
    n : headroom of the exponential
    out_bits : bits of the sigmoid, 2 to 16
    limit : the largest M; None for the paper's
    """

    x0: int
    n: int = 23
    out_bits: int = 8
    limit: int | None = None
    profile = "ivit"

    def __post_init__(self) -> None:
        self._check_row()
        check_shift_exp(self)
        require_int(self, "out_bits", 2, 16, "8 is the paper's")
        if self.limit is not None:
            require_int(self, "limit", 0, 1 << 60, "limited=True of design() takes what n holds")

    @classmethod
    def design(cls, scale: float, n: int = 23, out_bits: int = 8, limited: bool = False, **options: Any) -> ShiftGELU:
        """The unit for inputs of real step `scale`; with `limited` the row's maximum is limited to what `n` holds."""
        x0 = design_x0(scale, "ivit", GATE)
        limit = _held(x0, n, out_bits) if limited else None
        return cls(x0, n, out_bits, limit, scale=from_scale(scale), **options)

    @staticmethod
    def exact_scale(scale: float) -> float:
        """The least scale, at or above `scale`, whose x0 is exact; a calibrated scale may be moved there."""
        return design_exact_scale(scale, GATE)

    @property
    def sig_max(self) -> int:
        """The largest sigmoid: ``2**(out_bits-1) - 1``, or more where the sum saturates."""
        return max((1 << (self.out_bits - 1)) - 1, (-self.x0 << self.n) >> (32 - self.out_bits))

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": signed_port(self.x.lo * self.sig_max, self.x.hi * self.sig_max)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates, unsigned; the sum before it is limited."""
        e = (-self.x0 << self.n).bit_length()
        return {"q": self.n.bit_length(), "e": e, "sum": 32, "factor": 31, "sig": self.sig_max.bit_length()}

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(1000, 1702 * -self.x0)

    def real(self, *values: Any) -> Any:
        """The true GELU in codes of the output."""
        return gelu(self._from_port(values[0])) / float(self.step) * 2.0 ** (self.out_bits - 1)

    def corners(self) -> tuple[np.ndarray, ...]:
        period = Fraction(-self.x0 * 16, 23)
        rows = row_corners(self.x, self.max_row, period, self.n + 1)
        reach = min(int(period * (self.n + 2)), self.x.hi)
        # Rows whose maximum is close to zero, on both sides: the sigmoid's own range.
        tops = [max(min(reach * i // 32, self.x.hi), self.x.lo) for i in range(-24, 32)]
        if self.limit is not None:
            tops += [min(self.limit + d, self.x.hi) for d in (-1, 0, 1, 2, reach // 4, reach)]
        place = np.arange(rows.shape[1])
        near = [
            np.clip(top - place * (i % 7 + 1) * reach // (4 * len(place)), self.x.lo, top) for i, top in enumerate(tops)
        ]
        return (np.concatenate([rows, np.array(near, dtype=rows.dtype)]),)

    def hazards(self) -> tuple[Hazard, ...]:
        found = []
        if -self.x0 > 1 << (30 - self.n):
            found.append(
                Hazard(
                    f"|x0| = {-self.x0} > {1 << (30 - self.n)}: the sum passes 2**31 - 1 and the sigmoid reaches "
                    f"{self.sig_max}",
                    "use a larger scale, or a smaller n",
                )
            )
        levels = INT32_MAX // (-self.x0 << self.n)
        if levels < 16:
            found.append(
                Hazard(
                    f"the reciprocal of the largest sum is {levels}: its floor costs up to 1 in {levels + 1}",
                    "use a smaller n",
                )
            )
        held = _held(self.x0, self.n, self.out_bits)
        if min(self.x.hi, self.x.hi if self.limit is None else self.limit) > held:
            found.append(
                Hazard(
                    f"rows whose maximum is above {held} leave the exponential of small elements no bits: their "
                    "sigmoid comes out as large as 1/2",
                    f"use limit={held}, a larger n, or rows with a smaller maximum",
                )
            )
        worst = self._first_saturating_maximum()
        if worst is not None:
            found.append(
                Hazard(
                    f"rows whose maximum is {worst} or below saturate the sum: their sigmoid comes out too large",
                    "use a smaller n, or rows with a larger maximum",
                )
            )
        return tuple(found)

    def _first_saturating_maximum(self) -> int | None:
        """The largest negative row maximum at which ``e + em`` passes 2**31 - 1 (em grows as it falls)."""

        def saturates(top: int) -> bool:
            em = shift_exp(-top, self.x0, self.n, shift_limit(self.x0), False)[2]
            return em + (-self.x0 << self.n) > INT32_MAX

        if self.x.lo >= 0 or not saturates(self.x.lo):
            return None
        low, high = self.x.lo, 0  # saturates(low), and perhaps not at high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if saturates(middle) else (low, middle)
        return low

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        check_products("x * sigmoid", self.sig_max, x)
        e, factor, sig = np.empty((3, *x.shape), dtype=np.int64)
        most, minus = np.empty((2, x.shape[0]), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        limit, shift = shift_limit(self.x0), 32 - self.out_bits
        cap = INT64_MAX if self.limit is None else self.limit
        run(shift_gelu_rows, x, self.x0, self.n, limit, shift, cap, most, e, minus, factor, sig, y)
        return {"max": most, "e": e, "e_minus_max": minus, "factor": factor, "sig": sig, "y": y}


@dataclass(frozen=True)
class IBertGELU(Elementwise):
    """I-BERT's i-GELU: a second-order polynomial for erf.

    ::

        a = min(|x|, -b);  erf = (sign(x) ((a + b)**2 + c)) >> shift
        y = x (erf + one)                            # scale s se / 2

    with ``s' = s/1.4142``, ``b = floor(-1.769/s')``, ``c = floor((1/-0.2888)/s'**2)``,
    ``se = -0.2888 s'**2 2**shift`` and ``one = floor(1/se)``; se and one are negative.

    Source: I-BERT (arXiv 2101.01321), Algorithm 2 and the authors' code. **The paper's:** the polynomial; the shift
    is in the code only. It is made for 32-bit accumulators (s about 1e-4 to 1e-6): with 8-bit inputs ``one`` is
    -1 or -2 and little is left of the function.

    Parameters
    ----------
    b, c, one : as above, negative
    shift : bits dropped from the polynomial
    """

    b: int
    c: int
    one: int
    shift: int = 14

    def __post_init__(self) -> None:
        check_kinds(self)
        require_int(self, "shift", 0, 62, "14 is the project's")
        require_int(self, "b", -(1 << 31), -1, "use a larger scale")
        require_int(self, "c", -(1 << 62), 1 << 62, "use a larger scale")
        require_int(self, "one", -(1 << 62), 1 << 62, "use a larger scale")
        bits = max(self.b * self.b + self.c, -self.c).bit_length()
        if bits > 62:
            raise IntsimError(f"the polynomial needs {bits} bits of 62; use a scale above 1e-9")

    @classmethod
    def design(cls, scale: float, shift: int = 14, **options: Any) -> IBertGELU:
        """The unit for inputs of real step `scale`."""
        m, k = from_scale(scale)
        step = Fraction(m, 1 << k) / Fraction("1.4142")
        a = Fraction("-0.2888")
        b, c = math.floor(Fraction("-1.769") / step), math.floor(1 / a / step**2)
        return cls(b, c, math.floor(1 / (a * step**2 * 2**shift)), shift, scale=(m, k), **options)

    @property
    def factor_max(self) -> int:
        """The largest magnitude of ``erf + one``."""
        ends = (self.c, self.b * self.b + self.c)
        values = [(sign * end) >> self.shift for end in ends for sign in (-1, 1)]
        return max(max(abs(v + self.one) for v in values), abs(self.one), 1)

    @property
    def outputs(self) -> Mapping[str, Format]:
        most = max(-self.x.lo, self.x.hi) * self.factor_max
        return {"y": signed_port(-most, most)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates: ``a`` unsigned, the others two's complement."""
        polynomial = max(self.b * self.b + self.c, -self.c).bit_length() + 1
        return {
            "a": (-self.b).bit_length(),
            "polynomial": polynomial,
            "erf": max(polynomial - self.shift, 1) + 1,
            "factor": self.factor_max.bit_length() + 1,
        }

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(17690 * 14142, 10000 * 10000 * -self.b)

    def real(self, *values: Any) -> Any:
        """The true GELU in codes of the output (they are negative multiples of its scale)."""
        step = float(self.step)
        return gelu(self._from_port(values[0])) / (step * -0.1444 * (step / 1.4142) ** 2 * 2.0**self.shift)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Both ends of the polynomial, the ends of the port, and where the dropped bits roll over."""
        inside = min(-self.b, self.x.hi)
        points = {self.x.lo, self.x.lo + 1, self.x.hi, self.x.hi - 1, *range(-8, 9)}
        points.update(s * v for v in range(inside - 4, inside + 5) for s in (-1, 1))
        points.update(s * (inside * i // 512) for i in range(513) for s in (-1, 1))
        magnitude = np.arange(min(inside, 1 << 20) + 1, dtype=np.int64)
        rest = ((magnitude + self.b) ** 2 + self.c) & ((1 << self.shift) - 1)
        edge = magnitude[(rest <= 1) | (rest == (1 << self.shift) - 1)][:4096]
        points.update(s * int(v) for v in edge for s in (-1, 1))
        return (np.array(sorted(p for p in points if self.x.lo <= p <= self.x.hi), dtype=self.x.dtype),)

    def hazards(self) -> tuple[Hazard, ...]:
        if abs(self.one) >= 16:
            return ()
        return (
            Hazard(
                f"one = {self.one}: erf keeps {2 * abs(self.one) + 1} levels", "use finer inputs or a smaller shift"
            ),
        )

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        check_products("x * (erf + one)", self.factor_max, x)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(ibert_gelu_all, x, self.b, self.c, self.one, self.shift, y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        erf = np.empty(x.shape, dtype=np.int64)
        run(ibert_erf_all, x, self.b, self.c, self.shift, erf)
        return {"erf": erf, **self._evaluate(x)}


@dataclass(frozen=True)
class SquaredReLU(Elementwise):
    """``y = max(x, 0)**2 / 2**shift``, rounded; scale ``s**2 2**shift``.

    Parameters
    ----------
    shift : bits dropped, 0 to 62
    rounding : of the dropped bits
    """

    shift: int = 0
    rounding: Rounding = TIES_TO_POS

    def __post_init__(self) -> None:
        check_kinds(self)
        require_int(self, "shift", 0, 62, "drop at most all bits")

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": signed_port(0, shift_round(max(self.x.hi, 0) ** 2, self.shift, self.rounding))}

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(1)

    def real(self, *values: Any) -> Any:
        """In codes of the output."""
        codes = self._from_port(values[0]) / float(self.step)
        return np.maximum(codes, 0) ** 2 * 2.0**-self.shift

    def corners(self) -> tuple[np.ndarray, ...]:
        """Small numbers, powers of two, and numbers whose squares have all kinds of dropped bits."""
        points = {self.x.lo, -1, self.x.hi, self.x.hi - 1, *range(130)}
        points |= {(1 << i) + d for i in range(self.x.bits) for d in (-1, 0, 1)}
        points |= {(1 << i) * 3 + d for i in range(self.x.bits) for d in (-1, 0, 1)}
        return (np.array(sorted(p for p in points if self.x.lo <= p <= self.x.hi), dtype=self.x.dtype),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        positive = x[x > 0]
        if positive.size:
            check_products("the square", 1, positive.max(keepdims=True), positive.max(keepdims=True))
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(squared_relu_all, x, self.shift, int(self.rounding), y)
        return {"y": y}


@dataclass(frozen=True)
class HardSwish(Elementwise):
    """``y = x min(max(x + three, 0), six)``; scale ``s**2 / 6`` up to the rounding of the constants.

    Parameters
    ----------
    three, six : 3/s and 6/s, rounded; both positive
    """

    three: int
    six: int

    def __post_init__(self) -> None:
        check_kinds(self)
        require_int(self, "three", 1, 1 << 40, "use a scale of at most 3")
        require_int(self, "six", 1, 1 << 40, "use a scale of at most 6")

    @classmethod
    def design(cls, scale: float, **options: Any) -> HardSwish:
        """The unit for inputs of real step `scale`; constants rounded, a tie upwards."""
        m, k = from_scale(scale)
        three, six = (math.floor(Fraction(c << k, m) + Fraction(1, 2)) for c in (3, 6))
        return cls(three, six, scale=(m, k), **options)

    @property
    def outputs(self) -> Mapping[str, Format]:
        valley = -((self.three // 2) * (self.three - self.three // 2))
        return {"y": signed_port(max(valley, min(self.x.lo, 0) * self.six), self.x.hi * self.six)}

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(6, self.six)

    def real(self, *values: Any) -> Any:
        """In codes of the output, ``s**2/6``."""
        return 6 * hardswish(self._from_port(values[0])) / float(self.step) ** 2

    def corners(self) -> tuple[np.ndarray, ...]:
        """Both kinks, zero, the valley, the ends."""
        centres = (-self.three, 0, self.six - self.three, -(self.three // 2), self.x.lo, self.x.hi)
        points = {c + d for c in centres for d in range(-3, 4)} | {c + (1 << i) for c in centres for i in range(30)}
        return (np.array(sorted(p for p in points if self.x.lo <= p <= self.x.hi), dtype=self.x.dtype),)

    def hazards(self) -> tuple[Hazard, ...]:
        if self.three >= 16:
            return ()
        return (Hazard(f"3/s = {self.three}: the constants are coarse", "use a finer scale"),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        check_products("x * gate", self.six, x)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(hardswish_all, x, self.three, self.six, y)
        return {"y": y}


def _held(x0: int, n: int, out_bits: int) -> int:
    """The largest row maximum whose ``em`` keeps `out_bits` above the least exponential, ``|x0|``."""
    return max((n - out_bits) * -x0 * 16 // 23, 0)


# The arithmetic ------------------------------------------------------------------------------------------------


@exact
def shift_gelu_rows(x, x0, n, limit, shift, cap, out_max, out_e, out_minus, out_factor, out_sig, out):
    """I-ViT's GELU of every row, its maximum limited to `cap`."""
    for i in range(x.shape[0]):
        top = x[i, 0] * 1  # 64 bits and signed, also where the codes are not
        for j in range(1, x.shape[1]):
            top = max(top, x[i, j])
        top = min(top, cap)
        _, _, minus = shift_exp(-1 * top, x0, n, limit, False)
        for j in range(x.shape[1]):
            _, _, e = shift_exp(min(x[i, j] - top, 0), x0, n, limit, False)
            factor = INT32_MAX // min(e + minus, INT32_MAX)
            sig = (e * factor) >> shift
            out_e[i, j] = e
            out_factor[i, j] = factor
            out_sig[i, j] = sig
            out[i, j] = x[i, j] * sig
        out_max[i] = top
        out_minus[i] = minus


@exact
def ibert_erf(x, b, c, shift):
    """I-BERT's polynomial for erf; 0 at 0."""
    a = min(abs(x * 1), -b)
    polynomial = (a + b) * (a + b) + c
    return (polynomial * ((x > 0) * 1 - (x < 0) * 1)) >> shift


@exact
def ibert_gelu_all(x, b, c, one, shift, out):
    """I-BERT's GELU of every element."""
    for i in range(x.size):
        out[i] = x[i] * (ibert_erf(x[i], b, c, shift) + one)


@exact
def ibert_erf_all(x, b, c, shift, out):
    """:func:`ibert_erf` of every element."""
    for i in range(x.size):
        out[i] = ibert_erf(x[i], b, c, shift)


@exact
def squared_relu_all(x, shift, rounding, out):
    """The square of every positive element, shifted and rounded."""
    for i in range(x.size):
        positive = max(x[i], 0)
        out[i] = shift_round(positive * positive, shift, rounding)


@exact
def hardswish_all(x, three, six, out):
    """Hardswish of every element."""
    for i in range(x.size):
        out[i] = x[i] * min(max(x[i] + three, 0), six)
