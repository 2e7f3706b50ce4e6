"""What every layer of a network was given and what it made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.formats.quantized import Quantized
from intsim.models.network import IntegerNetwork
from intsim.schemes import Layer

__all__ = ["Call", "Recording", "record"]


@dataclass(frozen=True, eq=False)
class Call:
    """One use of one layer.

    Attributes
    ----------
    place : of the layer
    layer : the layer itself
    inputs : tensors, or plain integers such as a mask
    output : what it returned
    """

    place: str
    layer: Layer
    inputs: tuple[Any, ...]
    output: Quantized


@dataclass(frozen=True, eq=False)
class Recording:
    """One run of a network.

    Attributes
    ----------
    tensors : every tensor by its place
    calls : the layers in the order of the data
    """

    tensors: Mapping[str, Quantized]
    calls: tuple[Call, ...]

    def place_of(self, tensor: Any) -> str | None:
        """The place that holds a tensor's integers, perhaps in another shape; None for integers of no place."""
        same = (
            place
            for place, found in self.tensors.items()
            if found is tensor or (found.data.size == tensor.data.size and np.may_share_memory(found.data, tensor.data))
        )
        return next(same, None)


def record(network: IntegerNetwork, inputs: Any) -> Recording:
    """Run a network and keep what passed through each layer."""
    calls: list[Call] = []
    layers = {place: _Listening(place, layer, calls) for place, layer in network.layers.items()}
    tensors = dataclasses.replace(network, layers=layers).trace(inputs)
    return Recording(tensors, tuple(calls))


class _Listening:
    """A layer that notes its calls; everything else of it is as it was."""

    def __init__(self, place: str, layer: Layer, calls: list[Call]):
        self._place, self._layer, self._calls = place, layer, calls

    def __call__(self, *tensors: Any) -> Quantized:
        output = self._layer(*tensors)
        self._calls.append(Call(self._place, self._layer, tensors, output))
        return output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)
