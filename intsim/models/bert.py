"""BERT with integers only, under any scheme: from the sum of the embeddings to the pooled vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats.quantized import Quantized
from intsim.linear.illm import requantize_rows
from intsim.models import left_in_float
from intsim.models.real.bert import Bert
from intsim.prepare.calibrate import Calibration, calibrate
from intsim.schemes import Layer, Scheme

__all__ = ["IntegerBert"]

_GUARD = 8  # fraction bits kept while scales are brought to the coarsest
_LONGEST = 512  # tokens in a row of scores


@dataclass(frozen=True, eq=False)
class IntegerBert:
    """The layers of a BERT by place: ``embedded``, then ``0.q`` ... ``5.norm2``.

    Attributes
    ----------
    scheme : what designed the layers
    heads : attention heads
    blocks : number of blocks
    scale : real scale of the embeddings' sum (a dynamic scheme has one per token instead)
    layers : place -> layer

    Notes
    -----
    **Ours:** the embeddings are looked up and added as real numbers, then encoded once with the residual's width;
    the mean over tokens is a sum (the cosine does not see the factor). Integers only lie between the two. Texts of
    one call have the same length, so there is no padding and no mask.
    """

    scheme: Scheme
    heads: int
    blocks: int
    scale: float
    layers: Mapping[str, Layer]

    @classmethod
    def design(cls, model: Bert, scheme: Scheme, samples: Sequence[np.ndarray], percentile: float = 100) -> IntegerBert:
        """The integer network of a model, its scales calibrated.

        Parameters
        ----------
        samples : arrays of tokens (batch, n)
        percentile : share of the values that calibration keeps

        Raises
        ------
        IntsimError
            No samples, or a scheme without an operator that the paper does not leave in float.
        """
        ranges = calibrate(model.real, samples, percentile=percentile)
        scales = {place: _design_scale(scheme, place, found) for place, found in ranges.items()}
        design = _Design(scheme, model, scales)
        layers: dict[str, Layer] = {"embedded": design.design_norm(model.norm, "embedding", "embedded")}
        source = "embedded"
        for number in range(len(model.blocks)):
            layers |= design.design_block(number, source)
            source = f"{number}.norm2"
        return cls(scheme, model.heads, len(model.blocks), scales["embedding"], layers)

    def encode(self, embedding: Any) -> Quantized:
        """The real sum of the embeddings (batch, n, size) as the network's integers."""
        return self.scheme.encode(embedding, self.scale, self.scheme.bits.residual)

    def __call__(self, x: Quantized) -> np.ndarray:
        """The pooled vectors, int64 (batch, size), each of a scale of its own (for the cosine)."""
        return self.trace(x)["pooled"].data

    def trace(self, x: Quantized) -> dict[str, Quantized]:
        """Every tensor by the names of the real twin; what two operators do in one step has no tensor."""
        layers = self.layers
        found = {"embedding": x, "embedded": layers["embedded"](x)}
        x = found["embedded"]
        for number in range(self.blocks):
            at = f"{number}."
            inside = self._block({n[len(at) :]: layer for n, layer in layers.items() if n.startswith(at)}, x)
            found |= {at + name: tensor for name, tensor in inside.items()}
            x = inside["norm2"]
        found["pooled"] = _pool(x)
        return found

    def _block(self, layer: Mapping[str, Layer], x: Quantized) -> dict[str, Quantized]:
        t = {name: _split(layer[name](x), self.heads) for name in "qkv"}
        t["p"] = layer["p"](t["q"], t["k"])
        t["context"] = _merge(layer["context"](t["p"], t["v"]), layer["context"])
        t["proj"] = layer["proj"](t["context"])
        t["sum1"] = layer["sum1"](t["proj"], x)
        t["norm1"] = layer["norm1"](t["sum1"])
        t["up"] = layer["up"](t["norm1"])
        t["gelu"] = layer["gelu"](t["up"])
        t["down"] = layer["down"](t["gelu"])
        t["sum2"] = layer["sum2"](t["down"], t["norm1"])
        t["norm2"] = layer["norm2"](t["sum2"])
        return t


def _design_scale(scheme: Scheme, place: str, found: Calibration) -> float:
    bits = scheme.bits
    wide = {"embedding": bits.residual, "sum1": bits.residual, "sum2": bits.residual}
    wide |= {"scores": bits.scores, "up": bits.gelu}
    return float(found.scale(wide.get(place.rpartition(".")[2], bits.activation)))


@dataclass(frozen=True, eq=False)
class _Design:
    """Asks the scheme for the layers, or puts floating point where the scheme's paper does."""

    scheme: Scheme
    model: Bert
    scales: Mapping[str, float]

    def design_norm(self, pair: tuple[np.ndarray, np.ndarray], source: str, place: str) -> Layer:
        s = self.scales
        if self._is_float("norm"):
            return left_in_float.norm(self.scheme, *pair, self.model.eps, s[place])
        return self.scheme.design_norm(*pair, s[source], s[place])

    def design_block(self, number: int, source: str) -> dict[str, Layer]:
        scheme, block, at = self.scheme, self.model.blocks[number], f"{number}."
        s = {place[len(at) :]: scale for place, scale in self.scales.items() if place.startswith(at)}
        s["x"] = self.scales[source]
        size, inner = block.linear["up"][0].shape
        factor = (size // self.model.heads) ** -0.5
        layers = {n: scheme.design_linear(*block.linear[n], s["x"], s[n]) for n in "qkv"}
        if self._is_float("softmax"):
            layers["p"] = left_in_float.attention(scheme, factor)
            s["p"] = layers["p"].scale  # type: ignore[attr-defined]
        else:
            layers["p"] = scheme.design_attention(s["q"], s["k"], s["scores"], factor, _LONGEST)
            s["p"] = 2.0 ** -layers["p"].softmax.outputs["y"].frac  # type: ignore[attr-defined]
        layers["context"] = scheme.design_product(s["p"], s["v"], s["context"])
        layers["proj"] = scheme.design_linear(*block.linear["proj"], s["context"], s["proj"])
        layers["sum1"] = scheme.design_residual(s["proj"], s["x"], s["sum1"])
        layers["norm1"] = self.design_norm(block.norm["norm1"], at + "sum1", at + "norm1")
        layers["up"] = scheme.design_linear(*block.linear["up"], s["norm1"], s["up"], scheme.bits.gelu)
        layers["gelu"] = (
            left_in_float.activation(scheme, s["gelu"])
            if self._is_float("activation")
            else scheme.design_activation(s["up"], s["gelu"], inner)
        )
        layers["down"] = scheme.design_linear(*block.linear["down"], s["gelu"], s["down"])
        layers["sum2"] = scheme.design_residual(s["down"], s["norm1"], s["sum2"])
        layers["norm2"] = self.design_norm(block.norm["norm2"], at + "sum2", at + "norm2")
        return {at + name: layer for name, layer in layers.items()}

    def _is_float(self, part: str) -> bool:
        if getattr(self.scheme, part) is not None:
            return False
        if part not in self.scheme.left_in_float:
            raise IntsimError(f"{self.scheme.name} has no {part}; use scheme.replace({part}=...)")
        return True


def _split(x: Quantized, heads: int) -> Quantized:
    """(batch, n, size) as (batch, heads, n, size / heads); scales of tokens go along."""
    data = np.ascontiguousarray(np.swapaxes(x.data.reshape(*x.shape[:2], heads, -1), 1, 2))
    return Quantized(data, *(v[:, None] if v.ndim else v for v in (x.m, x.k, x.zero_point)))


def _merge(x: Quantized, product: Layer) -> Quantized:
    """The heads side by side again; where each had a scale of its own, requantised to one per token."""
    batch, heads, tokens, size = x.shape
    if x.m.size == 1:
        data = np.ascontiguousarray(np.swapaxes(x.data, 1, 2)).reshape(batch, tokens, heads * size)
        return Quantized(data, *(v.reshape(()) for v in (x.m, x.k, x.zero_point)))
    rows, k = _aligned(x, axis=1)
    data = np.ascontiguousarray(np.swapaxes(rows, 1, 2)).reshape(batch, tokens, heads * size)
    return requantize_rows(product.matmul.stage(), data, np.ones((), np.int64), k.reshape(batch, tokens, 1))  # type: ignore[attr-defined]


def _pool(x: Quantized) -> Quantized:
    """The sum over tokens."""
    rows, k = (x.data, np.zeros((x.shape[0], 1, 1), np.int64)) if x.m.size == 1 else _aligned(x, axis=1)
    if x.m.size == 1:
        return Quantized(rows.sum(axis=1, dtype=np.int64), x.m.reshape(()), x.k.reshape(()))
    return Quantized(rows.sum(axis=1), 1, k[:, 0])


def _aligned(x: Quantized, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """``centred * m`` of the whole tensor brought to the coarsest scale along `axis`, and that scale's k."""
    k = np.broadcast_to(x.k, (*x.shape[:-1], 1))
    least = k.min(axis=axis, keepdims=True)
    rows, m, drop = (
        np.ascontiguousarray(np.broadcast_to(v, shape)).reshape(-1, shape[-1])
        for v, shape in ((x.centred, x.shape), (x.m, k.shape), (k - least, k.shape))
    )
    out = np.empty(rows.shape, dtype=np.int64)
    run(to_coarsest, rows, m[:, 0].copy(), drop[:, 0].copy(), _GUARD, out)
    return out.reshape(x.shape), least + _GUARD


@exact
def to_coarsest(x, m, drop, guard, out):
    """Rows times their mantissa, `guard` fraction bits appended, shifted right by their distance to the coarsest."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = ((x[i, j] * m[i]) << guard) >> min(drop[i], 63)
