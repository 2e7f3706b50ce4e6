"""What integer-only networks share: layers by place, a trace of every tensor, the attention."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from intsim.formats.quantized import Quantized
from intsim.models import left_in_float
from intsim.models.designer import NARROW
from intsim.models.heads import merge_heads, split_heads
from intsim.schemes import Layer, Scheme
from intsim.unit import Hazard, Unit

__all__ = ["IntegerNetwork", "Record", "attend", "narrowed"]

Record = Callable[[str, Quantized], Quantized]
"""Takes a place and its tensor, returns the tensor."""


@dataclass(frozen=True, eq=False)
class IntegerNetwork(abc.ABC):
    """A network of layers by place, such as ``0.q`` or ``5.norm2``.

    Attributes
    ----------
    scheme : what designed the layers
    layers : place -> layer, in the order of the data
    """

    scheme: Scheme
    layers: Mapping[str, Layer]

    @abc.abstractmethod
    def forward(self, inputs: Any, record: Record) -> Quantized:
        """The result for tokens or pixels; every tensor on the way passes `record`."""

    def __call__(self, inputs: Any) -> Quantized:
        """The result alone; what lies between is dropped as soon as it is used."""
        return self.forward(inputs, lambda _, tensor: tensor)

    def trace(self, inputs: Any) -> dict[str, Quantized]:
        """Every tensor by the names of the real twin, the result last; two operators in one step share a tensor."""
        found: dict[str, Quantized] = {}

        def record(place: str, tensor: Quantized) -> Quantized:
            found[place] = tensor
            return tensor

        self.forward(inputs, record)
        return found

    @property
    def units(self) -> dict[str, tuple[Unit, ...]]:
        """The hardware of every place; none where the scheme's paper leaves floating point."""
        return {place: layer.units for place, layer in self.layers.items()}

    @property
    def is_integer_only(self) -> bool:
        """Whether no layer computes in floating point."""
        return not any(isinstance(layer, left_in_float.Float) for layer in self.layers.values())

    def hazards(self) -> dict[str, tuple[Hazard, ...]]:
        """What can overflow or lose precision, by place.

        None where scales are found at run time: the units' fields hold no row's own scale then, and a row that an
        operator cannot hold is refused when it comes.
        """
        if self.scheme.dynamic:
            return {}
        found = {place: tuple(h for unit in units for h in unit.hazards()) for place, units in self.units.items()}
        return {place: hazards for place, hazards in found.items() if hazards}


def narrowed(layers: Mapping[str, Layer], place: str, x: Quantized, record: Record) -> Quantized:
    """What linear layers read of the norm at `place`, whose result is the residual stream as well."""
    narrow = place + NARROW
    return record(narrow, layers[narrow](x)) if narrow in layers else x


def attend(layers: Mapping[str, Layer], at: str, x: Quantized, heads: int, record: Record) -> Quantized:
    """What :meth:`~intsim.models.designer.Designer.attention` designed, from its source to ``proj``."""
    q, k, v = (record(at + name, split_heads(layers[at + name](x), heads)) for name in "qkv")
    p = record(at + "p", layers[at + "p"](q, k))
    mixed = layers[at + "context"](p, v)
    context = record(at + "context", merge_heads(mixed, layers[at + "context"]))
    return record(at + "proj", layers[at + "proj"](context))
