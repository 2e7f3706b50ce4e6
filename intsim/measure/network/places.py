"""Where a network loses what it loses: place by place, against the twin and operator by operator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intsim.formats.base import Format
from intsim.formats.quantized import Quantized
from intsim.measure.network.operators import NARROW, format_of, kind_of, unclipped
from intsim.measure.network.record import Call, Recording, record
from intsim.models.heads import split_heads
from intsim.models.network import IntegerNetwork
from intsim.models.real.bert import merge, split

__all__ = ["by_place", "condensed"]


def by_place(model: Any, network: IntegerNetwork, batches: Sequence[np.ndarray]) -> dict[str, dict[str, Any]]:
    """Errors and saturation at every place that network and twin both have.

    Parameters
    ----------
    model : the twin, whose ``real`` gives its tensors by place
    batches : inputs of the network

    Returns
    -------
    dict
        place -> ``kind`` of operator, ``format``; ``decibels``: signal-to-noise against the twin, of everything up to
        here; ``worst_token``: of the token (row) with the least; ``alone``: of this operator alone, given the twin's
        inputs; ``values``; ``at_ends``: share of codes at the ends of the format; ``clipped``: share that the
        requantisation saturated (of a softmax: its scores), None where scales follow the data; ``hazards``.
        Decibels are None where there is no noise at all.
    """
    sums: dict[str, _Sums] = {}
    for inputs in batches:
        real, run = model.real(inputs), record(network, inputs)
        made = {call.place: call for call in run.calls}
        for place, tensor in run.tensors.items():
            twin = real.get(place.removesuffix(NARROW))
            if twin is not None and (place in network.layers or place == "embedding"):
                sums.setdefault(place, _Sums(format_of(network, place, tensor))).add(tensor, twin)
                if place in made:
                    sums[place].add_call(made[place], _Twin(network, run, real))
    hazards = network.hazards()
    return {
        place: {"kind": kind_of(place), **found.figures(), "hazards": condensed(map(str, hazards.get(place, ())))}
        for place, found in sums.items()
    }


def condensed(hazards: Iterable[str], others: str = "more like it") -> list[str]:
    """Hazards that differ in their numbers only, such as those of each channel, as the first of them with a count.

    Parameters
    ----------
    others : how those that are not shown are called
    """
    alike: dict[str, list[str]] = {}
    for hazard in hazards:
        alike.setdefault(re.sub(r"-?\d+", "#", hazard), []).append(hazard)
    return [same[0] + f" (and {len(same) - 1} {others})" * (len(same) > 1) for same in alike.values()]


@dataclass
class _Sums:
    """What one place adds up to over batches."""

    format: Format
    signal: float = 0.0
    noise: float = 0.0
    worst: float = float("inf")
    values: int = 0
    at_ends: int = 0
    clipped: int | None = None
    alone: list[tuple[float, float]] = field(default_factory=list)

    def add(self, tensor: Quantized, real: np.ndarray) -> None:
        signal, noise = _powers(tensor, real)
        self.signal, self.noise = self.signal + signal.sum(), self.noise + noise.sum()
        self.worst = min(self.worst, _decibels(signal, noise).min())
        self.values += tensor.data.size
        self.at_ends += int(((tensor.data == self.format.lo) | (tensor.data == self.format.hi)).sum())

    def add_call(self, call: Call, twin: _Twin) -> None:
        wide = unclipped(call.layer)
        if wide is not None:
            layer, fmt = wide
            codes = layer(*call.inputs).data
            self.clipped = (self.clipped or 0) + int(((codes < fmt.lo) | (codes > fmt.hi)).sum())
        inputs = [twin.encode(tensor) for tensor in call.inputs]
        if all(tensor is not None for tensor in inputs):
            output = call.layer(*inputs)
            signal, noise = _powers(output, _arranged(twin.real[call.place.removesuffix(NARROW)], output.shape))
            self.alone.append((signal.sum(), noise.sum()))

    def figures(self) -> dict[str, Any]:
        signal, noise = (sum(part) for part in zip(*self.alone, strict=True)) if self.alone else (0.0, 0.0)
        return {
            "format": str(self.format),
            "decibels": _finite(_decibels(self.signal, self.noise)),
            "worst_token": _finite(self.worst),
            "alone": _finite(_decibels(signal, noise)) if self.alone else None,
            "values": self.values,
            "at_ends": self.at_ends / self.values,
            "clipped": None if self.clipped is None else self.clipped / self.values,
        }


def _powers(tensor: Quantized, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signal and noise of each row."""
    exact = real.astype(np.float64)
    return np.square(exact).sum(axis=-1), np.square(tensor.decode() - exact).sum(axis=-1)


def _decibels(signal: Any, noise: Any) -> np.ndarray:
    """Infinite where there is no noise or no signal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 10 * np.log10(np.divide(signal, noise))
    return np.where(np.equal(noise, 0) | np.equal(signal, 0), np.inf, found)


def _finite(decibels: Any) -> float | None:
    return float(decibels) if np.isfinite(decibels) else None


@dataclass(frozen=True, eq=False)
class _Twin:
    """The twin's tensors beside those of one run."""

    network: IntegerNetwork
    run: Recording
    real: Mapping[str, np.ndarray]

    def encode(self, tensor: Any) -> Any:
        """What the twin has where a layer found `tensor`, in codes of the same scale; None where it has nothing."""
        if not isinstance(tensor, Quantized):
            return tensor  # a mask
        place = self.run.place_of(tensor)
        values = self.real.get((place or "").removesuffix(NARROW))
        if place is None or values is None:
            return None
        fmt = format_of(self.network, place, self.run.tensors[place])
        if not self.network.scheme.dynamic or tensor.m.size == 1:
            step = np.ldexp(tensor.m.astype(np.float64), -tensor.k)
            codes = np.rint(values.reshape(tensor.shape) / step) + tensor.zero_point
            codes = np.clip(codes, fmt.lo, fmt.hi).astype(tensor.data.dtype)
            return Quantized(codes, tensor.m, tensor.k, tensor.zero_point)
        if tensor.shape != values.shape:
            return None  # which values share a scale is not known
        if values.ndim == 4 and tensor.m.shape[1] == 1:  # the heads of one token share theirs
            return split_heads(Quantized.from_real(merge(values), fmt.bits, "token"), values.shape[1])
        return Quantized.from_real(values, fmt.bits, "token")


def _arranged(real: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of the twin as a layer returns it: heads side by side or split, heads of a group above each other."""
    if real.ndim > len(shape):
        return merge(real)
    if real.ndim < len(shape):
        return split(real, shape[1] * shape[2] // real.shape[1]).reshape(shape)
    return real.reshape(shape)
