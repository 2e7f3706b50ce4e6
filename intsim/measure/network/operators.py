"""What stands at a place of a network: the kind of operator, and the format of its codes."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import numpy as np

from intsim.formats import Int
from intsim.formats.base import Format
from intsim.formats.quantized import Quantized
from intsim.linear.dynamic import DynamicRequantize
from intsim.models.left_in_float import Float
from intsim.models.network import IntegerNetwork
from intsim.requant import Requantizer, ResidualAdd
from intsim.schemes import Layer, static
from intsim.unit import Unit

__all__ = ["KINDS", "NARROW", "fitted", "format_of", "kind_of", "nonlinear_unit", "unclipped"]

KINDS = MappingProxyType(
    {
        "embedding": ("embedding", "patches", "pixels"),
        "linear": ("q", "k", "v", "proj", "up", "gate", "down", "head", "logits", "patch"),
        "softmax": ("p", "scores"),
        "product": ("context",),
        "activation": ("gelu", "silu", "swiglu", "act", "gated"),
        "norm": ("norm", "norm1", "norm2", "embedded", "final"),
        "residual": ("sum1", "sum2", "sum"),
        "rotary": ("q_rope", "k_rope"),
        "narrowing": (),
    }
)
"""Kinds of operators, and the last part of the places where they stand."""

NARROW = "_narrow"
"""Behind the name of a place: what linear layers read of a wider tensor, which the twin has under that name alone."""

_KIND = {name: kind for kind, names in KINDS.items() for name in names}


def kind_of(place: str) -> str:
    """The kind of operator at a place such as ``3.norm1``: a key of :data:`KINDS`, or ``other``."""
    return "narrowing" if place.endswith(NARROW) else _KIND.get(place.rpartition(".")[2], "other")


def format_of(network: IntegerNetwork, place: str, tensor: Quantized) -> Format:
    """The format of the codes of a tensor at a place; of one that no layer made, that of its integer type."""
    layer = network.layers.get(place)
    if isinstance(layer, Float):
        return Int(layer.bits, signed=not layer.scheme.dynamic)
    if layer is not None and layer.units:
        return next(iter(layer.units[-1].outputs.values()))
    if place == "embedding":  # rows of a table: with a scale per token the codes are unsigned
        return Int(network.scheme.bits.embedded, signed=tensor.data.dtype.kind == "i")
    return fitted(tensor.data)


def fitted(codes: np.ndarray) -> Int:
    """The integer format of an array's type."""
    return Int(codes.dtype.itemsize * 8, codes.dtype.kind == "i")


def nonlinear_unit(layer: Layer) -> Unit | None:
    """The unit of a layer that is no requantisation and no sum, if it has one."""
    return next((u for u in layer.units if not isinstance(u, (Requantizer, DynamicRequantize, ResidualAdd))), None)


def unclipped(layer: Layer) -> tuple[Layer, Format] | None:
    """The layer with so wide a last requantisation that nothing saturates, and the format it saturates to.

    For a softmax, its scores instead of its result. None where scales follow the data, or in floating point.
    """
    match layer:
        case static.Attention(requantizer=requantizer, acc_bits=acc_bits):
            return _Scores(static.Product(_wide(requantizer), acc_bits, (1, 0))), requantizer.y
        case static.Residual(unit=unit) if unit.output is None:
            return dataclasses.replace(layer, unit=dataclasses.replace(unit, y=Int(34))), unit.y
    last = getattr(layer, "requantizer", None)
    if not isinstance(last, Requantizer) or layer.units[-1] is not last:
        return None
    return dataclasses.replace(layer, requantizer=_wide(last)), last.y  # type: ignore[type-var]


def _wide(requantizer: Requantizer) -> Requantizer:
    return dataclasses.replace(requantizer, y=Int(32), lo=None, hi=None)


@dataclasses.dataclass(frozen=True, eq=False)
class _Scores:
    """The scores of an attention."""

    product: static.Product

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.product.units

    def __call__(self, *tensors: Any) -> Quantized:
        q, k, *_ = tensors
        return self.product(q, Quantized(np.swapaxes(k.data, -1, -2), k.m, k.k))
