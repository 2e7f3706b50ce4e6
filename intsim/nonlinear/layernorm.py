"""LayerNorm on integers: I-ViT's and I-BERT's.

The scale of the input cancels, so neither has one as a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format
from intsim.nonlinear.constants import IVIT_PROFILES, check_profile
from intsim.nonlinear.roots import integer_root, newton10
from intsim.operators import Row, require_int, require_ints, signed_port
from intsim.rounding import TIES_TO_EVEN, TO_ZERO, Rounding, divide_round
from intsim.rows import row_sum, spread_rows
from intsim.unit import Hazard

__all__ = ["IBertLayerNorm", "IViTLayerNorm", "LayerNorm", "from_gamma"]

INT32_MAX = (1 << 31) - 1
NEWTON_EXACT, NEWTON_BITS = 34_596, 42  # between this and 2**42 ten Newton steps give isqrt(V) or one more


@dataclass(frozen=True)
class LayerNorm(Row):
    """What the LayerNorms of I-ViT and I-BERT share: ``y = core + bias``, core of scale ``sqrt(C) / 2**30``.

    Parameters
    ----------
    bias : integer bias of each channel, ``floor((beta/gamma) / (sqrt(C) / 2**30))``; none for rows of any length.
        With gamma, the output's scale is ``gamma sqrt(C) / 2**30`` per channel (:func:`from_gamma`), its sign included
    """

    bias: tuple[int, ...] = ()

    def _check(self) -> None:
        self._check_row()
        require_ints(self, "bias")
        worst = max((abs(b) for b in self.bias), default=0)
        if worst >> 60:
            raise IntsimError(f"a bias of {worst} leaves 60 bits; gamma is too small for this beta")
        if len(self.bias) > self.max_row:
            raise IntsimError(f"{len(self.bias)} channels pass max_row={self.max_row}; use max_row={len(self.bias)}")

    @classmethod
    def design(cls, gamma: Any, beta: Any, **options: Any) -> Any:
        """The unit for a trained scale and shift per channel; every gamma differs from 0."""
        g, b = np.broadcast_arrays(np.asarray(gamma, np.float64).reshape(-1), np.asarray(beta, np.float64).reshape(-1))
        if np.any(g == 0):
            raise IntsimError(f"gamma is 0 in channel {int(np.argmax(g == 0))}; prune it or use a small number")
        if not (np.all(np.isfinite(g)) and np.all(np.isfinite(b))):
            raise IntsimError("gamma and beta must be finite; remove NaN and infinity")
        codes = np.floor((b / g) / (math.sqrt(g.size) / 2.0**30))
        return cls(tuple(int(c) for c in codes), **options)

    @property
    def row_length(self) -> int | None:
        return len(self.bias) or None

    @property
    def longest(self) -> int:
        """Elements of the longest row the hardware sees."""
        return self.row_length or self.max_row

    def real(self, *values: Any) -> Any:
        """In codes of the output: ``(x - mean) / std * 2**30 / sqrt(C) + bias``; a constant row gives the bias."""
        x = np.asarray(values[0], dtype=np.float64)
        centred = x - x.mean(axis=-1, keepdims=True)
        length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
        core = np.divide(centred * 2.0**30, length, out=np.zeros_like(centred), where=length > 0)
        return core + (np.array(self.bias, dtype=np.float64) if self.bias else 0.0)

    def corners(self) -> tuple[np.ndarray, ...]:
        width = len(self.bias) or min(self.max_row, 24)
        room = self._energy_limit - width.bit_length() - 2
        limit = 1 << max(room // 2, 1)  # rows whose sum of squares fits
        return (np.clip(spread_rows(self.x, width), max(-limit, self.x.lo), min(limit, self.x.hi)),)

    @property
    def _energy_limit(self) -> int:
        """Bits that the sum of squares may have."""
        return 63

    def _port(self, core: int) -> Format:
        return signed_port(-core + min(self.bias, default=0), core + max(self.bias, default=0))

    def _channels(self, n: int) -> np.ndarray:
        if not self.bias:
            return np.zeros(n, dtype=np.int64)
        if n != len(self.bias):
            raise IntsimError(f"rows of {n} do not fit {len(self.bias)} channels of bias; give (..., {len(self.bias)})")
        return np.array(self.bias, dtype=np.int64)

    def _energy_bits(self, shift: int = 0) -> int:
        """Bits of the sum of squares for the declared format."""
        spread = (self.x.hi - self.x.lo + 1) >> shift
        return (self.longest * spread * spread).bit_length()


@dataclass(frozen=True)
class IViTLayerNorm(LayerNorm):
    """I-ViT's I-LayerNorm, with a square root of ten Newton steps.

    ::

        mu = round(sum x / C)  (TIES_TO_EVEN);  d = x - mu;  V = sum d**2
        k = 2**16, then ten times k = (k + floor(V / k)) >> 1
        F = floor((2**31 - 1) / k);  y = ((d F) >> 1) + bias

    Source: I-ViT (arXiv 2207.01405), Algorithm 3 and the authors' PyTorch code. **The paper's:** all of it; eps is
    not used, and V = 0 gives k = 64. **Profile** ``ivit_tvm``: the authors' TVM layer, where mean and final halving
    truncate toward zero and V is an unsigned 32-bit number that wraps; rows that would wrap are refused here.

    Parameters
    ----------
    bias : see :class:`LayerNorm`
    profile : ``ivit`` or ``ivit_tvm``
    """

    profile: str = IVIT_PROFILES[0]

    def __post_init__(self) -> None:
        self._check()
        check_profile(self.profile)

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": self._port(1 << 30)}  # k >= isqrt(V) >= |d|, so |d F| < 2**31

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for the declared format: ``mean`` and ``centred`` signed, the others unsigned."""
        return {
            "sum": self.x.bits + self.longest.bit_length(),
            "mean": self.x.bits,
            "centred": self.x.bits + 1,
            "energy": self._energy_bits(),
            "factor": 25,
        }

    @property
    def _energy_limit(self) -> int:
        return 32 if self.profile == "ivit_tvm" else 63

    def hazards(self) -> tuple[Hazard, ...]:
        found = [
            Hazard(f"rows whose sum of squares is below {NEWTON_EXACT} get a root too large", "use a finer input scale")
        ]
        bits = self._energy_bits()
        limit = 32 if self.profile == "ivit_tvm" else NEWTON_BITS
        if bits > limit:
            effect = "wraps" if limit == 32 else "is too large for ten Newton steps"
            found.append(Hazard(f"a sum of squares of {bits} bits {effect} (limit {limit})", "declare a narrower x"))
        return tuple(found)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        tvm = self.profile == "ivit_tvm"
        mode = TO_ZERO if tvm else TIES_TO_EVEN
        _check_energy(x, self._energy_limit, lambda d: d, mode)
        return _layer_norm(self, x, ivit_norm_rows, int(mode), tvm)


@dataclass(frozen=True)
class IBertLayerNorm(LayerNorm):
    """I-BERT's integer LayerNorm, with an exact square root and a pre-shift.

    ::

        mu = round(sum x / C)  (TIES_TO_EVEN);  d = x - mu;  V = sum (d >> shift)**2
        std = isqrt(V) << shift;  F = floor(2**31 / std);  y = ((d F) >> 1) + bias

    Source: I-BERT (arXiv 2101.01321), section 3.6 and the authors' code, which takes the floor of a float root where
    the paper has Newton's iteration to convergence: both are the exact integer root. The shift is calibrated there so
    that V fits 32 bits. **Ours:** std = 0 gives F = 0, so that a constant row returns the bias (there: not a number).

    Parameters
    ----------
    bias : see :class:`LayerNorm`
    shift : bits dropped before squaring, 0 to 32
    """

    shift: int = 0

    def __post_init__(self) -> None:
        self._check()
        require_int(self, "shift", 0, 32, "the project calibrates it to max ceil(log2 sqrt(V / 2**32))")

    @property
    def outputs(self) -> Mapping[str, Format]:
        # |d| <= (|d >> shift| + 1) 2**shift, so with a shift |d F| <= 2**31 (1 + 1 / isqrt(V)).
        return {"y": self._port(1 << (31 if self.shift else 30))}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for the declared format: ``mean`` and ``centred`` signed, the others unsigned."""
        energy = self._energy_bits(self.shift)
        return {
            "sum": self.x.bits + self.longest.bit_length(),
            "mean": self.x.bits,
            "centred": self.x.bits + 1,
            "energy": energy,
            "std": (energy + 1) // 2 + self.shift,
            "factor": 32 - self.shift,
        }

    def hazards(self) -> tuple[Hazard, ...]:
        bits = self._energy_bits(self.shift)
        if bits <= 63:
            return ()
        return (Hazard(f"a sum of squares of {bits} bits passes 63", f"use shift >= {self.shift + (bits - 62) // 2}"),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        _check_energy(x, self._energy_limit, lambda d: d >> self.shift, TIES_TO_EVEN, self.shift)
        return _layer_norm(self, x, ibert_norm_rows, self.shift)


def from_gamma(gamma: Any) -> np.ndarray:
    """The real scale of each output channel of :class:`IViTLayerNorm` and :class:`IBertLayerNorm`."""
    g = np.asarray(gamma, dtype=np.float64).reshape(-1)
    return g * math.sqrt(g.size) / 2.0**30


def _layer_norm(unit: LayerNorm, x: np.ndarray, rows: Callable[..., Any], *options: Any) -> dict[str, np.ndarray]:
    mean, energy, root, factor = np.empty((4, x.shape[0]), dtype=np.int64)
    y = np.empty(x.shape, dtype=unit.outputs["y"].dtype)
    run(rows, x, unit._channels(x.shape[1]), *options, mean, energy, root, factor, y)
    return {"mean": mean, "energy": energy, "root": root, "factor": factor, "y": y}


def _check_energy(x: np.ndarray, bits: int, drop: Any, mode: Rounding, shift: int = 0) -> None:
    """The sum of squares of every row must fit `bits`; rows that a coarse bound does not settle are computed."""
    n = x.shape[1]
    widest = max(int(x.max()), -int(x.min()))
    if (widest * n) >> 62:
        raise IntsimError(f"the sum of {n} elements up to {widest} leaves 62 bits; use a narrower x")
    spread = x.max(axis=1).astype(object) - x.min(axis=1).astype(object) + 1
    for i in np.nonzero((n * ((spread >> shift) + 1) ** 2) >> bits != 0)[0]:
        row = [int(v) for v in x[i]]
        mean = divide_round(sum(row), n, mode)
        energy = sum(drop(v - mean) ** 2 for v in row)
        if energy >> bits:
            raise IntsimError(
                f"row {i}: the sum of squares {energy} needs {energy.bit_length()} bits of {bits}; "
                "shift the input to the right"
            )


# The arithmetic ------------------------------------------------------------------------------------------------


@exact
def ivit_norm_rows(x, bias, mode, truncate, out_mean, out_energy, out_root, out_factor, out):
    """I-ViT's LayerNorm of every row."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        mean = divide_round(row_sum(x, i), n, mode)
        energy = 0
        for j in range(n):
            energy += (x[i, j] - mean) * (x[i, j] - mean)
        root = newton10(energy)
        factor = INT32_MAX // root
        for j in range(n):
            product = (x[i, j] - mean) * factor
            core = product >> 1
            if truncate and product < 0:
                core = -((-product) >> 1)
            out[i, j] = core + bias[j]
        out_mean[i] = mean
        out_energy[i] = energy
        out_root[i] = root
        out_factor[i] = factor


@exact
def ibert_norm_rows(x, bias, shift, out_mean, out_energy, out_root, out_factor, out):
    """I-BERT's LayerNorm of every row."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        mean = divide_round(row_sum(x, i), n, TIES_TO_EVEN)
        energy = 0
        for j in range(n):
            short = (x[i, j] - mean) >> shift
            energy += short * short
        root = integer_root(energy) << shift
        factor = (1 << 31) // root if root > 0 else 0
        for j in range(n):
            out[i, j] = (((x[i, j] - mean) * factor) >> 1) + bias[j]
        out_mean[i] = mean
        out_energy[i] = energy
        out_root[i] = root
        out_factor[i] = factor
