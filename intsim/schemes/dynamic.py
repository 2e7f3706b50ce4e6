"""Schemes that find their scales at run time: I-LLM. Every tensor carries a dyadic scale and a zero point per token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.exact import exact, run
from intsim.formats import Int
from intsim.formats.dyadic import illm
from intsim.formats.quantized import Quantized
from intsim.linear.illm import DIMatMul, DIResidualAdd, PackedQuantized, Sums, add_bias, requantize_rows
from intsim.linear.rope import RoPE
from intsim.nonlinear.constants import DI_K_MAX
from intsim.nonlinear.gated import DISwiGLU
from intsim.nonlinear.norm import DINorm
from intsim.nonlinear.softmax import DIClippedSoftmax
from intsim.schemes.causal import CausalAttention, CausalProduct
from intsim.schemes.gated import DynamicGated
from intsim.schemes.lookup import TokenTable
from intsim.schemes.rotary import DynamicRotary
from intsim.schemes.scheme import Scheme
from intsim.unit import Unit

__all__ = ["DynamicScheme"]

_FRACTION = 12  # fraction bits of gamma, beta and a linear layer's bias


@dataclass(frozen=True)
class DynamicScheme(Scheme):
    """A scheme with asymmetric codes and dynamic scales per token; weights symmetric per output channel.

    Scales passed at design time are ignored. **Ours**, where I-LLM says nothing (it is made for Llama): the bias is
    brought to each token's accumulator scale by a division; values get one scale per head before they meet the
    probabilities; GELU is ``x sigmoid(1.702 x)`` by DI-SwiGLU's sigmoid; gamma and beta are integers with 12 fraction
    bits behind DI-Norm.
    """

    @property
    def dynamic(self) -> bool:
        return True

    def encode(self, values: Any, scale: Any = None, bits: int | None = None) -> Quantized:
        return Quantized.from_real(values, bits or self.bits.activation, "token")

    def design_linear(self, weight: Any, bias: Any, scale_in: Any, scale_out: Any, bits: int | None = None) -> Linear:
        w = Quantized.from_real(weight, self.bits.weight, "channel", symmetric=True)
        b = np.zeros(w.shape[1]) if bias is None else np.asarray(bias, dtype=np.float64)
        codes = np.rint(np.ldexp(b, _FRACTION)).astype(np.int64)
        return Linear(PackedQuantized.of(w), codes, self._design_matmul(bits or self.bits.activation))

    def design_attention(self, scale_q: Any, scale_k: Any, scale_scores: Any, factor: float, max_row: int) -> Attention:
        m, k = (int(v) for v in illm()(factor))
        softmax = self.softmax.make(max_row=max_row, bits=self.bits.scores, m=1, k=0)  # type: ignore[union-attr]
        assert isinstance(softmax, DIClippedSoftmax)
        return Attention(self._design_matmul(self.bits.scores), m, k, softmax)

    def design_product(self, scale_a: Any, scale_b: Any, scale_out: Any) -> Product:
        return Product(self._design_matmul(self.bits.activation), self._design_matmul(self.bits.activation))

    def design_activation(self, scale_in: Any, scale_out: Any, max_row: int) -> Activation:
        alpha = tuple(int(v) for v in illm()(1.702))
        gate = self.gated.make(m=1, k=0, alpha=(alpha,), max_row=max_row)  # type: ignore[union-attr]
        assert isinstance(gate, DISwiGLU)
        return Activation(gate, self._design_matmul(self.bits.activation))

    def design_norm(self, gamma: Any, beta: Any, scale_in: Any, scale_out: Any, bits: int | None = None) -> Norm:
        norm = self.norm.make()  # type: ignore[union-attr]
        assert isinstance(norm, DINorm)
        g = np.rint(np.ldexp(np.asarray(gamma, dtype=np.float64), _FRACTION)).astype(np.int64)
        b = np.rint(np.ldexp(np.asarray(beta, dtype=np.float64), _FRACTION + norm.G)).astype(np.int64)
        return Norm(norm, g, b, self._design_matmul(bits or self.bits.activation))

    def design_narrow(self, scale_in: Any, scale_out: Any) -> Narrow:
        return Narrow(self._design_matmul(self.bits.activation))

    def design_residual(self, scale_branch: Any, scale_identity: Any, scale_out: Any) -> Residual:
        return Residual(DIResidualAdd(self.bits.residual))

    def design_embedding(self, table: Any, scale: Any) -> TokenTable:
        return TokenTable(Quantized.from_real(table, self.bits.embedded, "token"))

    def design_rms_norm(self, gamma: Any, scale_in: Any, scale_out: Any) -> Norm:
        norm = self.norm.make(center=False)  # type: ignore[union-attr]
        assert isinstance(norm, DINorm)
        g = np.rint(np.ldexp(np.asarray(gamma, dtype=np.float64), _FRACTION)).astype(np.int64)
        return Norm(norm, g, np.zeros_like(g), self._design_matmul(self.bits.activation))

    def design_rotary(self, channels: int, positions: int, base: float, scale_in: Any, scale_out: Any) -> DynamicRotary:
        wide = self.bits.residual + 1  # the codes without their zero point
        rope = RoPE.design(channels, positions, base, x=Int(wide), y=Int(wide + 1))
        return DynamicRotary(rope, self._design_matmul(self.bits.activation))

    def design_causal(
        self, scale_q: Any, scale_k: Any, scale_scores: Any, scale_v: Any, scale_out: Any, factor: float, max_row: int
    ) -> tuple[CausalAttention, CausalProduct]:
        plain = self.design_attention(scale_q, scale_k, scale_scores, factor, max_row)
        weights, wide, joined = (self._design_matmul(bits) for bits in (16, 16, self.bits.activation))
        return (
            CausalAttention(plain.matmul, plain.m, plain.k, plain.softmax),
            CausalProduct(weights, wide, joined),
        )

    def design_gated(self, scale_gate: Any, scale_up: Any, scale_out: Any, alpha: Any, max_row: int) -> DynamicGated:
        divisors = np.asarray(alpha, dtype=np.float64)
        pairs = (
            () if np.all(divisors == 1) else tuple((int(m), int(k)) for m, k in zip(*illm()(1 / divisors), strict=True))
        )
        unit = self.gated.make(m=1, k=0, alpha=pairs, max_row=max_row)  # type: ignore[union-attr]
        assert isinstance(unit, DISwiGLU)
        return DynamicGated(unit, self._design_matmul(self.bits.activation))

    def design_reach(self, bits: int) -> float:
        assert isinstance(self.requantize, DIMatMul)
        return float(((1 << self.requantize.mantissa_bits) - 1) * ((1 << bits) - 1))  # exponents begin at 0

    def _design_matmul(self, bits: int) -> DIMatMul:
        base = self.requantize
        assert isinstance(base, DIMatMul)
        return DIMatMul(bits, base.include_zero, base.mantissa_bits, base.rounding, 48)


# The layers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Linear:
    """``x W + b`` by DI-MatMul; the weights are kept in the machine's order only."""

    weight: PackedQuantized
    bias: np.ndarray
    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.matmul.stage(),)

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        return add_bias(self.matmul.stage(), self.matmul.multiply(x, self.weight), self.bias, _FRACTION)


@dataclass(frozen=True, eq=False)
class Attention:
    """Scores and clipped softmax; ``m / 2**k`` is the factor on the scores."""

    matmul: DIMatMul
    m: int
    k: int
    softmax: DIClippedSoftmax

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.softmax,)

    def __call__(self, *tensors: Any) -> Quantized:
        q, key, *mask = tensors
        acc, m, k = self.matmul.accumulate(q, _transposed(key))
        rows, scale_m, scale_k = _rows(acc, m * self.m, k + self.k)
        excess = np.maximum(scale_k - DI_K_MAX, 0)  # scales finer than the softmax takes lose bits of m
        valid = None
        if mask:
            keep = np.asarray(mask[0]).astype(np.uint8)
            valid = np.ascontiguousarray(np.broadcast_to(keep, acc.shape)).reshape(rows.shape)
        y = self.softmax.probabilities(rows, valid, np.maximum(scale_m >> excess, 1), scale_k - excess)
        return Quantized(y.reshape(acc.shape), 1, self.softmax.out_bits - 1)


@dataclass(frozen=True, eq=False)
class Product:
    """Probabilities times values, the values first brought to one scale per matrix."""

    matmul: DIMatMul
    align: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.align.stage(), self.matmul.stage()

    def __call__(self, *tensors: Quantized) -> Quantized:
        a, b = tensors
        return self.matmul(a, self._one_scale(b))

    def _one_scale(self, b: Quantized) -> Quantized:
        tokens = (*b.shape[:-1], 1)
        k = np.broadcast_to(b.k, tokens)
        least = k.min(axis=-2, keepdims=True)
        rows, m, drop = _rows(b.narrow_centred, np.broadcast_to(b.m, tokens), k - least)
        aligned = np.empty(rows.shape, dtype=np.int64)
        run(align_rows, rows, m, drop, aligned)
        matrices = aligned.reshape(*b.shape[:-2], -1)
        common = requantize_rows(self.align.stage(), matrices, np.ones((), np.int64), least[..., 0])
        scales = (v[..., None] for v in (common.m, common.k, common.zero_point))
        return Quantized(common.data.reshape(b.shape), *scales)


@dataclass(frozen=True, eq=False)
class Activation:
    """``x sigmoid(1.702 x)``: DI-SwiGLU with an up branch of ones."""

    unit: DISwiGLU
    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.unit, self.matmul.stage()

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        rows, m, k = _rows(x.narrow_centred, x.m, x.k)
        y = self.unit.gated(rows, np.ones(rows.shape, dtype=np.int8), m, k)
        return requantize_rows(self.matmul.stage(), y.reshape(x.shape), x.m, x.k + self.unit.out_bits - 1)


@dataclass(frozen=True, eq=False)
class Norm:
    """DI-Norm, then gamma and beta."""

    unit: DINorm
    gamma: np.ndarray
    beta: np.ndarray
    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.unit, self.matmul.stage()

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        fraction = self.unit.G + _FRACTION
        one, k = np.ones((), np.int64), np.array(fraction)
        scaled = Sums(np.asarray(self.unit(x.narrow_centred)), self.gamma, 0 * one, one, k)
        return add_bias(self.matmul.stage(), scaled, self.beta, fraction)


@dataclass(frozen=True, eq=False)
class Narrow:
    """A requantisation on its own."""

    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.matmul.stage(),)

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        return requantize_rows(self.matmul.stage(), x.centred, x.m, x.k)


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual add with dynamic scales."""

    add: DIResidualAdd

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.add.stage(),)

    def __call__(self, *tensors: Quantized) -> Quantized:
        branch, identity = tensors
        return self.add(branch, identity)


def _rows(values: np.ndarray, m: Any, k: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(..., n) as rows, with the scale of each."""
    tokens = (*values.shape[:-1], 1)
    scale_m, scale_k = (np.ascontiguousarray(np.broadcast_to(v, tokens)).reshape(-1) for v in (m, k))
    return np.ascontiguousarray(values).reshape(-1, values.shape[-1]), scale_m, scale_k


def _transposed(q: Quantized) -> Quantized:
    """The last two axes exchanged; scales per token become scales per column."""
    parts = (np.swapaxes(v, -1, -2) if v.ndim >= 2 else v for v in (q.data, q.m, q.k, q.zero_point))
    return Quantized(*parts)


@exact
def align_rows(x, m, drop, out):
    """Rows times their mantissa, shifted to the right."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] * m[i]) >> min(drop[i], 63)
