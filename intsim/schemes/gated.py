"""The gated activation ``gate sigmoid(gate / alpha) up`` of Llama's MLP, by what each scheme has for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intsim.exact import exact, run
from intsim.formats.quantized import Quantized
from intsim.linear.illm import DIMatMul, requantize_rows
from intsim.nonlinear.constants import DI_K_MAX
from intsim.nonlinear.gated import DISwiGLU
from intsim.requant import Requantizer
from intsim.unit import Unit

__all__ = ["DynamicGated", "PairGated", "TableGated"]


@dataclass(frozen=True, eq=False)
class DynamicGated:
    """I-LLM's DI-SwiGLU of ``layer(gate, up)``, requantised token by token."""

    unit: DISwiGLU
    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.unit, self.matmul.stage()

    def __call__(self, *tensors: Quantized) -> Quantized:
        gate, up = tensors
        rows = (*gate.shape[:-1], 1)
        m, k = (np.ascontiguousarray(np.broadcast_to(v, rows)).reshape(-1) for v in (gate.m, gate.k))
        excess = np.maximum(k - DI_K_MAX, 0)  # a finer scale than the exponential takes: the gate is all but 0
        left, right = (np.ascontiguousarray(t.narrow_centred).reshape(-1, t.shape[-1]) for t in (gate, up))
        y = self.unit.gated(left, right, np.maximum(m >> excess, 1), k - excess)
        scale_k = gate.k + up.k + self.unit.out_bits - 1
        return requantize_rows(self.matmul.stage(), y.reshape(gate.shape), gate.m * up.m, scale_k)


@dataclass(frozen=True, eq=False)
class TableGated:
    """A table of SiLU, times `up`."""

    unit: Unit
    requantizer: Requantizer
    scale: tuple[int, int]

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.unit, self.requantizer

    def __call__(self, *tensors: Quantized) -> Quantized:
        gate, up = tensors
        ones = np.ones(1, dtype=np.int64)
        return Quantized(self.requantizer(_products(np.asarray(self.unit(gate.data)), up.data, ones)), *self.scale)


@dataclass(frozen=True, eq=False)
class PairGated:
    """The scheme's own softmax of the pair (gate, 0), which is the sigmoid of the gate, times gate and `up`."""

    softmax: Unit
    requantizer: Requantizer
    scale: tuple[int, int]

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.softmax, self.requantizer

    def __call__(self, *tensors: Quantized) -> Quantized:
        gate, up = tensors
        pairs = np.stack([gate.data, np.zeros_like(gate.data)], axis=-1)
        share = np.ascontiguousarray(np.asarray(self.softmax(pairs))[..., 0])
        return Quantized(self.requantizer(_products(gate.data, up.data, share)), *self.scale)


def _products(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The product of three, int32, saturated."""
    out = np.empty(a.shape, dtype=np.int32)
    flat = (np.ascontiguousarray(np.broadcast_to(v, a.shape)).reshape(-1) for v in (a, b, c))
    run(multiply_three, *flat, out.reshape(-1))
    return out


@exact
def multiply_three(a, b, c, out):
    """The product of three integers, within 32 bits."""
    for i in range(a.size):
        product = int(a[i]) * int(b[i]) * int(c[i])
        out[i] = min(max(product, -(1 << 31)), (1 << 31) - 1)
