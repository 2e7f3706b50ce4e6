"""Rotary positions inside a network: projections of many bits are turned, then brought to the width of activations.

No paper of the field has this in integers; all of it is ours, above :class:`intsim.linear.RoPE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.formats.quantized import Quantized
from intsim.linear.illm import DIMatMul, requantize_rows
from intsim.linear.rope import RoPE
from intsim.requant import Requantizer
from intsim.unit import Unit

__all__ = ["DynamicRotary", "StaticRotary"]


@dataclass(frozen=True, eq=False)
class DynamicRotary:
    """``layer(x, positions)`` of heads (batch, heads, n, channels): without their zero point the codes are turned,
    then requantised with a scale per token and head."""

    rope: RoPE
    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.rope.unit, self.matmul.stage()

    def __call__(self, *tensors: Any) -> Quantized:
        x, positions = tensors
        turned = self.rope(x.narrow_centred, positions)
        return requantize_rows(self.matmul.stage(), turned.astype(np.int64), x.m, x.k)


@dataclass(frozen=True, eq=False)
class StaticRotary:
    """``layer(x, positions)``, with calibrated scales."""

    rope: RoPE
    requantizer: Requantizer
    scale: tuple[int, int]

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.rope.unit, self.requantizer

    def __call__(self, *tensors: Any) -> Quantized:
        x, positions = tensors
        return Quantized(self.requantizer(self.rope(x.data, positions).astype(np.int32)), *self.scale)
