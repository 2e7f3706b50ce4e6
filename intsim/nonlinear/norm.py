"""Normalisation on integers: I-LLM's DI-Norm and the L1 norm; the LayerNorms of I-ViT and I-BERT are in ``layernorm``.

The scale of the input cancels, so none of them has one as a parameter.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.exact import exact, run
from intsim.formats import Fixed, Format
from intsim.nonlinear.layernorm import IBertLayerNorm, IViTLayerNorm, from_gamma
from intsim.nonlinear.roots import integer_root, isqrt
from intsim.operators import Row, require_int, require_ints
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, Rounding, divide_round
from intsim.rows import row_sum, spread_rows
from intsim.unit import Hazard

__all__ = ["DINorm", "IBertLayerNorm", "IViTLayerNorm", "L1Norm", "from_gamma"]

RATIOS = ("aligned", "literal")


@dataclass(frozen=True)
class DINorm(Row):
    """I-LLM's DI-Norm: RMSNorm, or LayerNorm with `center`, on channels of different dyadic scales.

    ::

        a = x r;  with center: a -= round(sum a / n)            # TIES_TO_EVEN
        R = max(isqrt(floor((sum a**2 << 2F) / n)), 1)
        y = round((a << (F + G)) / R)                           # TIES_AWAY, scale 2**-G

    where r brings the channels' scales ``m_c / 2**k_c`` to one: ``aligned``, ``r = m << (max k - k)`` without the
    common divisor, which is exact; ``literal``, the figure's integer ratio ``m' // min m'`` with
    ``m' = m >> (k - min k)``, up to 29 % off and a division by zero where k spans 8 and more (refused).

    Source: I-LLM (arXiv 2405.17849), Algorithm 4, known from figure and transcriptions. **The paper's:** per-channel
    scales, the bit-wise square root. **Ours (reading R1):** the mean of the squares, F fraction bits of the root (0 is
    the literal reading; 8 keeps a small root accurate), the roundings, R at least 1 in place of eps. gamma is folded
    into the weights behind.

    Parameters
    ----------
    m, k : dyadic scale of each channel; one entry where all are alike
    F : fraction bits of the root
    G : fraction bits of the result
    center : subtract the mean first
    ratios : ``aligned`` or ``literal``
    """

    m: tuple[int, ...] = (1,)
    k: tuple[int, ...] = (0,)
    F: int = 8
    G: int = 10
    center: bool = False
    ratios: str = RATIOS[0]

    def __post_init__(self) -> None:
        self._check_row()
        require_ints(self, "m")
        require_ints(self, "k")
        require_int(self, "F", 0, 16, "8 is enough")
        require_int(self, "G", 0, 24, "10 suits 8-bit results")
        if self.ratios not in RATIOS:
            raise UnknownName("reading of the channel ratios", self.ratios, RATIOS)
        if not self.m or len(self.m) != len(self.k) or len(self.m) > self.max_row:
            raise IntsimError(
                f"m and k need one entry per channel, got {len(self.m)} and {len(self.k)}; at most max_row"
            )
        if not all(1 <= m < 1 << 16 and 0 <= k <= 255 for m, k in zip(self.m, self.k, strict=True)):
            raise IntsimError("every channel needs 1 <= m < 65536 and 0 <= k <= 255; round its scale")
        widest = max(self.factors).bit_length()
        if widest > 40:
            raise IntsimError(f"aligning the channels needs {widest} bits of 40; bring their scales closer together")

    @property
    def factors(self) -> tuple[int, ...]:
        """The integer ratio r of each channel."""
        if self.ratios == "aligned":
            last = max(self.k)
            aligned = [m << (last - k) for m, k in zip(self.m, self.k, strict=True)]
            common = math.gcd(*aligned)
            return tuple(a // common for a in aligned)
        first = min(self.k)
        shifted = [m >> (k - first) for m, k in zip(self.m, self.k, strict=True)]
        if min(shifted) == 0:
            channel = shifted.index(0)
            raise IntsimError(
                f"channel {channel}: m = {self.m[channel]} >> {self.k[channel] - first} is 0, a division by zero; "
                "use ratios='aligned', or scales whose k span less than 8"
            )
        return tuple(s // min(shifted) for s in shifted)

    @property
    def row_length(self) -> int | None:
        return len(self.m) if len(self.m) > 1 else None

    @property
    def longest(self) -> int:
        """Elements of the longest row the hardware sees."""
        return self.row_length or self.max_row

    @property
    def outputs(self) -> Mapping[str, Format]:
        most = 2 * (isqrt(self.longest) + 1) << self.G  # |a| <= sqrt(n) times the root, of which floor keeps half
        return {"y": Fixed(most.bit_length() + 1, self.G)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for the declared format: ``scaled`` signed, the others unsigned."""
        reach = (self.x.hi - self.x.lo if self.center else max(self.x.hi, -self.x.lo)) * max(self.factors)
        energy = self.longest * reach * reach
        return {
            "scaled": reach.bit_length() + 1,
            "energy": energy.bit_length(),
            "root": (((energy << (2 * self.F)) // self.longest).bit_length() + 1) // 2,
            "dividend": reach.bit_length() + self.F + self.G,
        }

    def real(self, *values: Any) -> Any:
        scales = np.array([math.ldexp(m, -k) for m, k in zip(self.m, self.k, strict=True)])
        x = np.asarray(values[0], dtype=np.float64) * scales
        if self.center:
            x = x - x.mean(axis=-1, keepdims=True)
        root = np.sqrt((x**2).mean(axis=-1, keepdims=True))
        return np.divide(x, root, out=np.zeros_like(x), where=root > 0)

    def corners(self) -> tuple[np.ndarray, ...]:
        width = len(self.m) if len(self.m) > 1 else min(self.max_row, 24)
        rows = spread_rows(self.x, width)
        # The largest elements that the sums can hold.
        room = 62 - 2 * self.F - 2 * max(self.factors).bit_length() - width.bit_length()
        limit = 1 << max(room // 2 - 1, 1)
        low, high = max(-limit, self.x.lo), min(limit, self.x.hi)
        return (np.concatenate([np.clip(rows, low, high), self._root_rows(width, low, high)]).astype(self.x.dtype),)

    def _root_rows(self, width: int, low: int, high: int) -> np.ndarray:
        """Rows whose result turns on the last fraction bit of the root: found among small random ones."""
        rng = random.Random(1)
        spreads = [min(high, 1 + i % 127) for i in range((1 << 16) // width)]
        pool = [[max(rng.randint(-spread, spread), low) for _ in range(width)] for spread in spreads]
        rows = np.array(pool, dtype=np.int64)
        found = [rows[:1]]
        for F in (self.F - 1, self.F + 1):
            if 0 <= F <= 16:
                differs = np.any(replace(self, F=F)(rows) != self(rows), axis=1)
                found.append(rows[np.nonzero(differs)[0][:4]])
        return np.concatenate(found)

    def hazards(self) -> tuple[Hazard, ...]:
        found = []
        bits = self.widths["energy"] + 2 * self.F
        if bits > 63:
            found.append(
                Hazard(f"the shifted sum of squares needs {bits} bits of 63", "declare a narrower x, or lower F")
            )
        if self.F < 4:
            found.append(Hazard(f"F = {self.F}: a root below 16 loses up to half of its value", "use F = 8"))
        if self.ratios == "literal":
            exactly = [Fraction(m, 1 << k) for m, k in zip(self.m, self.k, strict=True)]
            least = min(exactly)
            worst = max(
                abs(1 - f * least * (1 << 20) // e * Fraction(1, 1 << 20))
                for f, e in zip(self.factors, exactly, strict=True)
            )
            if worst > Fraction(1, 100):
                found.append(
                    Hazard(f"integer channel ratios are off by up to {worst * 100 // 1} %", "use ratios='aligned'")
                )
        return tuple(found)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        rows, n = x.shape
        factors = np.array(self.factors, dtype=np.int64)
        if factors.size > 1 and n != factors.size:
            raise IntsimError(f"rows of {n} do not fit {factors.size} channels; give (..., {factors.size})")
        self._check_values(x)
        mean, energy, root = np.empty((3, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=np.int64)
        run(di_norm_rows, x, factors, self.center, self.F, self.G, mean, energy, root, y)
        fmt = self.outputs["y"]
        if n > self.longest:
            fmt.check(y, "y")  # a row longer than the hardware's may need a wider result
        return {"mean": mean, "energy": energy, "root": root, "y": y.astype(fmt.dtype)}

    def _check_values(self, x: np.ndarray) -> None:
        """Sum of squares, shifted, and dividend must fit int64 for the values given."""
        factor = max(self.factors)
        reach = (int(x.max()) - int(x.min()) if self.center else max(int(x.max()), -int(x.min()))) * factor
        if (x.shape[1] * reach * reach << (2 * self.F)) >> 63 == 0 and (reach << (self.F + self.G)) >> 62 == 0:
            return
        a = x.astype(object) * np.array(self.factors, dtype=object)
        if self.center:
            a = a - np.array([[divide_round(int(t), x.shape[1], TIES_TO_EVEN)] for t in a.sum(axis=1)], dtype=object)
        energy, most = int((a * a).sum(axis=1).max()) << (2 * self.F), int(abs(a).max()) << (self.F + self.G)
        if energy >> 63 or most >> 62:
            bits = max(energy.bit_length(), most.bit_length() + 1)
            raise IntsimError(f"the shifted sum of squares needs {bits} bits of 63; use a narrower x, or lower F")


@dataclass(frozen=True)
class L1Norm(Row):
    """Normalisation by the mean absolute deviation: no square, no root.

    ::

        d = x - round(sum x / n)  (TIES_TO_EVEN);  A = sum |d|
        y = round((d n << G) / A)                                # scale 2**-G; 0 where A = 0

    For Gaussian rows the mean absolute deviation is sqrt(2/pi) = 0.798 of the standard deviation; the constant folds
    into gamma.

    Source: L1 normalisation as in ShiftQuant's integer training. **Ours:** the fraction bits and roundings.

    Parameters
    ----------
    G : fraction bits of the result
    center : subtract the mean first
    rounding : of the division
    """

    G: int = 10
    center: bool = True
    rounding: Rounding = TIES_AWAY

    def __post_init__(self) -> None:
        self._check_row()
        require_int(self, "G", 0, 24, "10 suits 8-bit results")

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed((self.max_row << self.G).bit_length() + 1, self.G)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for the declared format: ``centred`` signed, the others unsigned."""
        n = self.max_row.bit_length()
        return {"centred": self.x.bits + 1, "sum": self.x.bits + n, "dividend": self.x.bits + n + self.G}

    def real(self, *values: Any) -> Any:
        x = np.asarray(values[0], dtype=np.float64)
        d = x - x.mean(axis=-1, keepdims=True) if self.center else x
        mean = np.abs(d).mean(axis=-1, keepdims=True)
        return np.divide(d, mean, out=np.zeros_like(d), where=mean > 0)

    def corners(self) -> tuple[np.ndarray, ...]:
        width = min(self.max_row, 24)
        rows = [spread_rows(self.x, width)]
        # Rows of mean 0 whose deviations sum to a power of two: every kind of tie in the division.
        for j in range(4, self.x.bits + 1):
            for i in range(j - 3):
                q, half = 1 << i, 1 << (j - 1)
                row = [q, 3 * q, half - 4 * q, -5 * q, 5 * q - half, *[0] * width][:width]
                if width >= 5 and 5 * q < half and self.x.lo <= min(row) and max(row) <= self.x.hi:
                    rows.append(np.array([row], dtype=self.x.dtype))
        return (np.concatenate(rows),)

    def hazards(self) -> tuple[Hazard, ...]:
        bits = self.widths["dividend"]
        return (
            () if bits <= 61 else (Hazard(f"the dividend needs {bits} bits of 61", "declare a narrower x, or lower G"),)
        )

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        rows, n = x.shape
        self._check_values(x)
        mean, total = np.empty((2, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=np.int64)
        run(l1_norm_rows, x, self.center, self.G, int(self.rounding), mean, total, y)
        fmt = self.outputs["y"]
        if n > self.max_row:
            fmt.check(y, "y")
        return {"mean": mean, "sum": total, "y": y.astype(fmt.dtype)}

    def _check_values(self, x: np.ndarray) -> None:
        """The dividend must fit for the values given."""
        reach = max(int(x.max()) - int(x.min()), int(x.max()), -int(x.min()))
        dividend = reach * x.shape[1] << self.G
        if dividend >> 61:
            raise IntsimError(f"the dividend {dividend} leaves 61 bits; use a narrower x, or lower G")


# The arithmetic ------------------------------------------------------------------------------------------------


@exact
def di_norm_rows(x, factors, center, F, G, out_mean, out_energy, out_root, out):
    """I-LLM's norm of every row."""
    n = x.shape[1]
    step = 1 if factors.size > 1 else 0
    for i in range(x.shape[0]):
        mean = 0
        if center:
            for j in range(n):
                mean += x[i, j] * factors[step * j]
            mean = divide_round(mean, n, TIES_TO_EVEN)
        energy = 0
        for j in range(n):
            a = x[i, j] * factors[step * j] - mean
            energy += a * a
        root = max(integer_root((energy << (2 * F)) // n), 1)
        for j in range(n):
            out[i, j] = divide_round((x[i, j] * factors[step * j] - mean) << (F + G), root, TIES_AWAY)
        out_mean[i] = mean
        out_energy[i] = energy
        out_root[i] = root


@exact
def l1_norm_rows(x, center, G, rounding, out_mean, out_sum, out):
    """The L1 norm of every row."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        mean = divide_round(row_sum(x, i), n, TIES_TO_EVEN) if center else 0
        total = 0
        for j in range(n):
            total += abs(x[i, j] - mean)
        for j in range(n):
            out[i, j] = divide_round(((x[i, j] - mean) * n) << G, max(total, 1), rounding)
        out_mean[i] = mean
        out_sum[i] = total
