"""Operators that a scheme leaves in floating point: integers are decoded, the real function is applied, the result is
encoded again. A network that holds one of these is not integer-only, and its layers name no units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.formats.quantized import Quantized
from intsim.models.real.bert import gelu, layer_norm, softmax
from intsim.models.real.llama import rms_norm as real_rms_norm
from intsim.models.real.llama import sigmoid
from intsim.schemes import Scheme
from intsim.unit import Unit

__all__ = ["Float", "activation", "attention", "gated", "norm", "rms_norm"]


@dataclass(frozen=True, eq=False)
class Float:
    """A real function between ``decode`` and ``encode``."""

    function: Callable[..., np.ndarray]
    scheme: Scheme
    scale: Any
    bits: int

    @property
    def units(self) -> tuple[Unit, ...]:
        return ()

    def __call__(self, *tensors: Any) -> Quantized:
        real = (t.decode() if isinstance(t, Quantized) else t for t in tensors)
        return self.scheme.encode(self.function(*real), self.scale, self.bits)


def attention(scheme: Scheme, factor: float) -> Float:
    """Softmax of the scores, to unsigned probabilities in steps of 1/127 or what the activations' width gives."""
    bits = scheme.bits.activation

    def real(q: Any, k: Any, valid: Any = True) -> np.ndarray:
        return softmax(np.where(valid, q @ np.swapaxes(k, -1, -2) * factor, -np.inf))

    return Float(real, scheme, 1 / (2 ** (bits - 1) - 1), bits)


def activation(scheme: Scheme, scale: float) -> Float:
    """GELU."""
    return Float(gelu, scheme, scale, scheme.bits.activation)


def gated(scheme: Scheme, alpha: np.ndarray, scale: float) -> Float:
    """``gate sigmoid(gate / alpha) up``."""
    return Float(lambda gate, up: gate * sigmoid(gate / alpha) * up, scheme, scale, scheme.bits.activation)


def rms_norm(scheme: Scheme, gamma: np.ndarray, eps: float, scale: float) -> Float:
    """RMSNorm."""
    return Float(lambda x: real_rms_norm(x, gamma, eps), scheme, scale, scheme.bits.activation)


def norm(
    scheme: Scheme, gamma: np.ndarray, beta: np.ndarray, eps: float, scale: float, bits: int | None = None
) -> Float:
    """LayerNorm."""
    return Float(lambda x: layer_norm(x, gamma, beta, eps), scheme, scale, bits or scheme.bits.activation)
