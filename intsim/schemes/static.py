"""Schemes whose scales are calibrated: HAWQ-V3, I-BERT, I-ViT. Scales are real at design time and gone at run time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Int
from intsim.formats.dyadic import RULES
from intsim.formats.quantized import Quantized
from intsim.linear.embedding import Embedding
from intsim.linear.fused import linear
from intsim.linear.matmul import PackedWeights, matmul, pack
from intsim.linear.rope import RoPE
from intsim.nonlinear.norm import from_gamma
from intsim.operators import from_scale
from intsim.parameters import _lookup
from intsim.requant import Requantizer, ResidualAdd
from intsim.schemes.gated import PairGated, TableGated
from intsim.schemes.rms import MirroredNorm
from intsim.schemes.rotary import StaticRotary
from intsim.schemes.scheme import Operator, Scheme
from intsim.unit import Unit

__all__ = ["StaticScheme"]

Dyadic = tuple[Any, Any]  # m and k of a tensor, or one of each per channel


@dataclass(frozen=True)
class StaticScheme(Scheme):
    """A scheme with per-tensor activation scales, per-channel weight scales, and no zero points.

    Parameters
    ----------
    weight_limits : smallest and largest weight code, which differ between the projects
    """

    weight_limits: tuple[int, int] = (-128, 127)

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = self.weight_limits
        if not (isinstance(limits, tuple) and len(limits) == 2 and all(isinstance(v, int) for v in limits)):
            raise IntsimError(f"weight_limits are two integers such as (-128, 127), got {limits!r}")
        fmt = Int(self.bits.weight)
        if not fmt.lo <= limits[0] < 0 < limits[1] <= fmt.hi:
            raise IntsimError(
                f"weight_limits {limits} do not fit weights of {fmt.bits} bits; "
                f"use weight_limits=({fmt.lo}, {fmt.hi}) or bits of another weight width"
            )

    @property
    def dynamic(self) -> bool:
        return False

    def encode(self, values: Any, scale: Any = None, bits: int | None = None) -> Quantized:
        if scale is None:
            raise IntsimError(f"{self.name} needs the calibrated scale of its input; pass scale=")
        fmt = Int(bits or self.bits.activation)
        codes = np.clip(np.rint(np.asarray(values, dtype=np.float64) / scale), fmt.lo, fmt.hi)
        return Quantized(codes.astype(fmt.dtype), *from_scales(scale))

    def design_requantizer(self, scales: Any, scale_out: Any, bits: int) -> Requantizer:
        """The requantisation from one scale, or one per channel, to another: HAWQ's frexp of the ratio."""
        ratios = np.abs(np.atleast_1d(np.asarray(scales, dtype=np.float64))) / np.float32(scale_out).astype(np.float64)
        m, e = RULES["hawq"](ratios)
        channels = tuple((int(a), 31 - int(b)) for a, b in zip(m, e, strict=True))
        assert isinstance(self.requantize, Requantizer)
        return dataclasses.replace(self.requantize, channels=channels, y=Int(bits))

    def design_linear(self, weight: Any, bias: Any, scale_in: Any, scale_out: Any, bits: int | None = None) -> Linear:
        w = np.asarray(weight, dtype=np.float64)
        if np.ndim(scale_in):  # one scale per input channel: the weights take what differs
            common = float(np.max(scale_in))
            w, scale_in = w * (np.asarray(scale_in, dtype=np.float64) / common)[:, None], common
        lo, hi = self.weight_limits
        scales = np.maximum(np.abs(w).max(axis=0) / hi, 2.0**-23)
        codes = np.clip(np.rint(w / scales), lo, hi).astype(np.int8 if self.bits.weight <= 8 else np.int16)
        product = float(scale_in) * scales
        offset = np.zeros(w.shape[1]) if bias is None else np.rint(np.asarray(bias, dtype=np.float64) / product)
        requantizer = self.design_requantizer(product, scale_out, bits or self.bits.activation)
        return Linear(pack(codes), offset.astype(np.int64), self.bits.bias, requantizer, from_scale(scale_out))

    def design_attention(self, scale_q: Any, scale_k: Any, scale_scores: Any, factor: float, max_row: int) -> Attention:
        ratio = float(scale_q) * float(scale_k) * factor  # d**-1/2 is folded into the scale
        requantizer = self.design_requantizer(ratio, scale_scores, self.bits.scores)
        softmax = self._design_unit(
            "softmax", float(scale_scores), x=Int(self.bits.scores), max_row=max_row, masked=True
        )
        return Attention(requantizer, softmax, self.bits.bias)

    def design_product(self, scale_a: Any, scale_b: Any, scale_out: Any) -> Product:
        requantizer = self.design_requantizer(float(scale_a) * float(scale_b), scale_out, self.bits.activation)
        return Product(requantizer, self.bits.bias, from_scale(scale_out))

    def design_activation(self, scale_in: Any, scale_out: Any, max_row: int) -> Rescaled:
        unit = self._design_unit("activation", float(scale_in), x=Int(self.bits.gelu))
        # What one code of the result is worth, read off the real function at 1.
        one = np.asarray([1.0 / float(scale_in)])
        worth = 0.8413447460685429 / float(np.asarray(unit.real(one))[0])
        return self._design_behind(unit, np.asarray([worth]), scale_out)

    def _design_behind(self, unit: Unit, scales: np.ndarray, scale_out: Any, bits: int | None = None) -> Rescaled:
        """A unit whose results have real scales of either sign, and its requantisation."""
        drop = max(unit.outputs["y"].bits - 32, 0)
        requantizer = self.design_requantizer(scales * 2.0**drop, scale_out, bits or self.bits.activation)
        signs = tuple(int(s) for s in np.where(scales < 0, -1, 1))
        return Rescaled(unit, requantizer, signs, drop, from_scales(scale_out))

    def design_norm(self, gamma: Any, beta: Any, scale_in: Any, scale_out: Any, bits: int | None = None) -> Rescaled:
        unit = self._design_unit("norm", gamma, beta, x=Int(self.bits.residual))
        return self._design_behind(unit, from_gamma(gamma), scale_out, bits)

    def design_narrow(self, scale_in: Any, scale_out: Any) -> Narrow:
        return Narrow(self.design_requantizer(scale_in, scale_out, self.bits.activation), from_scales(scale_out))

    def fit_scale(self, part: str, scale: float) -> float:
        chosen = getattr(self, part)
        exact = getattr(_lookup(chosen.unit), "exact_scale", None) if isinstance(chosen, Operator) else None
        return scale if exact is None else exact(scale)

    def design_residual(self, scale_branch: Any, scale_identity: Any, scale_out: Any) -> Residual:
        if not isinstance(self.residual, Operator):
            raise IntsimError(f"{self.name} has no residual add; use scheme.replace(residual=Operator.of(ResidualAdd))")
        branch, identity = (self.design_requantizer(s, scale_out, 32) for s in (scale_branch, scale_identity))
        saturating = bool(dict(self.residual.options)["saturating"])
        y = Int(self.bits.residual) if saturating else Int(34)  # HAWQ's sum of two 32-bit terms
        return Residual(ResidualAdd(branch, identity, y, saturating), from_scale(scale_out))

    @property
    def has_gated(self) -> bool:
        return self._silu is not None or self.softmax is not None

    @property
    def _silu(self) -> Operator | None:
        """The table that holds the activation, which can hold SiLU as well."""
        chosen = self.activation
        return chosen if isinstance(chosen, Operator) and chosen.unit == "ScaledTable" else None

    def design_embedding(self, table: Any, scale: Any) -> Embedding:
        return Embedding.from_real(table, self.bits.embedded, scale)

    def design_rms_norm(self, gamma: Any, scale_in: Any, scale_out: Any) -> MirroredNorm:
        twice = np.tile(np.asarray(gamma, dtype=np.float64), 2)
        norm = self.design_norm(twice, np.zeros_like(twice), scale_in, scale_out)
        return MirroredNorm(norm, Int(self.bits.residual).hi)

    def design_rotary(self, channels: int, positions: int, base: float, scale_in: Any, scale_out: Any) -> StaticRotary:
        wide = self.bits.residual
        rope = RoPE.design(channels, positions, base, x=Int(wide), y=Int(wide + 1))
        requantizer = self.design_requantizer(scale_in, scale_out, self.bits.activation)
        return StaticRotary(rope, requantizer, from_scale(scale_out))

    def design_causal(
        self, scale_q: Any, scale_k: Any, scale_scores: Any, scale_v: Any, scale_out: Any, factor: float, max_row: int
    ) -> tuple[Attention, Product]:
        attention = self.design_attention(scale_q, scale_k, scale_scores, factor, max_row)
        scale_p = 2.0 ** -attention.softmax.outputs["y"].frac  # type: ignore[attr-defined]
        return attention, self.design_product(scale_p, scale_v, scale_out)

    def design_gated(
        self, scale_gate: Any, scale_up: Any, scale_out: Any, alpha: Any, max_row: int
    ) -> TableGated | PairGated:
        if np.any(np.asarray(alpha) != 1):
            raise IntsimError(f"{self.name} has no sigmoid with a divisor per channel; smooth without the gate")
        x, real_gate, bits = Int(self.bits.gelu), float(scale_gate), self.bits.activation
        if self._silu is not None:
            table = self._silu.design(real_gate, fn="silu", x=x)
            m, k = table.scale_out  # type: ignore[attr-defined]
            requantizer = self.design_requantizer(m * 2.0**-k * float(scale_up), scale_out, bits)
            return TableGated(table, requantizer, from_scale(scale_out))
        pair = self._design_unit("softmax", real_gate, x=x, max_row=2)
        step = real_gate * 2.0 ** -pair.outputs["y"].frac  # type: ignore[attr-defined]
        return PairGated(pair, self.design_requantizer(step * float(scale_up), scale_out, bits), from_scale(scale_out))


# The layers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Linear:
    """``x W + b`` and its requantisation per output channel; the weights are kept in the machine's order only."""

    weight: PackedWeights
    bias: np.ndarray
    acc_bits: int
    requantizer: Requantizer
    scale: tuple[int, int]

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.requantizer,)

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        codes = linear(x.data, self.weight, self.requantizer, self.bias, acc_bits=self.acc_bits)
        return Quantized(codes, *self.scale)


@dataclass(frozen=True, eq=False)
class Attention:
    """Scores, their requantisation, softmax."""

    requantizer: Requantizer
    softmax: Unit
    acc_bits: int

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.requantizer, self.softmax

    def __call__(self, *tensors: Any) -> Quantized:
        q, k, *valid = tensors
        acc = matmul(q.data, np.swapaxes(k.data, -1, -2), acc_bits=self.acc_bits)
        y = self.softmax(requantized(self.requantizer, acc), *valid)
        return Quantized(y, 1, self.softmax.outputs["y"].frac)  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Product:
    """The product of two activations and its requantisation."""

    requantizer: Requantizer
    acc_bits: int
    scale: tuple[int, int]

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.requantizer,)

    def __call__(self, *tensors: Quantized) -> Quantized:
        a, b = tensors
        return Quantized(requantized(self.requantizer, matmul(a.data, b.data, acc_bits=self.acc_bits)), *self.scale)


@dataclass(frozen=True, eq=False)
class Rescaled:
    """A nonlinear unit and the requantisation of its result.

    Where a channel's scale is negative (I-BERT's GELU, a negative gamma) the accumulator is turned; where the result
    has more than 32 bits (a large ``beta/gamma``) the lowest `drop` bits go.
    """

    unit: Unit
    requantizer: Requantizer
    signs: tuple[int, ...]
    drop: int
    scale: Dyadic

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.unit, self.requantizer

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        acc = prepared(np.asarray(self.unit(x.data)), self.signs, self.drop)
        return Quantized(requantized(self.requantizer, acc), *self.scale)


@dataclass(frozen=True, eq=False)
class Residual:
    """The sum of two branches, each requantised on its own."""

    unit: ResidualAdd
    scale: tuple[int, int]
    units: tuple[Unit, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", (self.unit,))

    def __call__(self, *tensors: Quantized) -> Quantized:
        branch, identity = tensors
        return Quantized(self.unit(branch.data, identity.data), *self.scale)


@dataclass(frozen=True, eq=False)
class Narrow:
    """A requantisation on its own."""

    requantizer: Requantizer
    scale: Dyadic

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.requantizer,)

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        return Quantized(requantized(self.requantizer, x.data), *self.scale)


def from_scales(scale: Any) -> Dyadic:
    """A real scale, or one per channel, exactly as m and k."""
    if not np.ndim(scale):
        return from_scale(scale)
    pairs = [from_scale(value) for value in np.asarray(scale, dtype=np.float64)]
    m, k = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    return m, k


def requantized(unit: Requantizer, acc: np.ndarray) -> np.ndarray:
    """The requantiser on (..., C), channel by channel where it has several."""
    return unit(acc, np.arange(acc.shape[-1])) if len(unit.channels) > 1 else unit(acc)


def prepared(values: np.ndarray, signs: tuple[int, ...], drop: int) -> np.ndarray:
    """(..., C) integers with the sign of their channel, without their lowest `drop` bits, saturated to 32 bits."""
    rows = np.ascontiguousarray(values).reshape(-1, values.shape[-1])
    out = np.empty(rows.shape, dtype=np.int32)
    run(turn_rows, rows, np.array(signs, dtype=np.int64), drop, out)
    return out.reshape(values.shape)


@exact
def turn_rows(x, signs, drop, out):
    """Sign and shift of every element, within 32 bits."""
    step = 1 if signs.size > 1 else 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = min(max((x[i, j] * signs[step * j]) >> drop, -(1 << 31)), (1 << 31) - 1)
