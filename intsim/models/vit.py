"""A vision transformer with integers only, under any scheme: from pixels to logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.formats.quantized import Quantized
from intsim.models.designer import Designer
from intsim.models.junctions import Junctions
from intsim.models.network import IntegerNetwork, Record, attend
from intsim.models.patches import Patches
from intsim.models.real.vit import ViT
from intsim.prepare.calibrate import calibrate
from intsim.schemes import Scheme

__all__ = ["IntegerViT"]


@dataclass(frozen=True, eq=False)
class IntegerViT(IntegerNetwork):
    """The layers of a vision transformer by place: ``patches``, ``embedding``, ``0.norm1`` ... ``norm``, ``logits``.

    Attributes
    ----------
    heads : attention heads
    blocks : number of blocks
    cut : shape of the images and of their patches
    first : the class token (1, size)
    positions : the position table (tokens, size)

    Notes
    -----
    **I-ViT's:** residual stream, patch embedding and positions have the residual's width; positions are added by the
    residual add; what each block computes. **Ours:** pixels enter as they are, unsigned and unscaled, and the image
    processor's mean and deviation are folded into weights and bias of the patch embedding (I-ViT encodes the scaled
    image with 8 bits); the class token is stored at the scale of the embedded patches (I-ViT leaves it real); the
    final norm sees the class token alone; the logits have the residual's width (I-ViT's are accumulators).
    """

    heads: int
    blocks: int
    cut: Patches
    first: Quantized
    positions: Quantized

    @classmethod
    def design(cls, model: ViT, scheme: Scheme, samples: Sequence[np.ndarray], percentile: float = 100) -> IntegerViT:
        """The integer network of a model, its scales calibrated.

        Parameters
        ----------
        samples : arrays of pixels (batch, channels, height, width)
        percentile : share of the values that calibration keeps

        Raises
        ------
        IntsimError
            No samples, or a scheme without an operator that the paper does not leave in float.
        """
        ranges = calibrate(model.real, samples, percentile=percentile, range=scheme.range)
        junctions = Junctions(scheme, model.real, samples)
        design = Designer(scheme, ranges, len(model.positions), junctions=junctions)
        wide, scales = scheme.bits.residual, design.scales
        first, positions = (_design_scale(table, wide) for table in (model.first, model.positions))
        scales |= {place: float(ranges[place].scale(wide)) for place in ("patches", "logits")}
        scales |= {"pixels": 1.0, "patches": max(first, scales["patches"]), "positions": positions}
        design.linear("patches", model.pixel_patches, "pixels", wide)
        design.residual("embedding", "patches", "positions")
        x = "embedding"
        for number, block in enumerate(model.blocks):
            at = f"{number}."
            design.read_by(at + "norm1", [block.linear[name] for name in "qkv"])
            design.norm(at + "norm1", block.norm["norm1"], model.eps, x)
            design.attention(at, block.linear, at + "norm1", len(model.first) // model.heads)
            design.residual(at + "sum1", at + "proj", x)
            design.read_by(at + "norm2", [block.linear["up"]])
            design.norm(at + "norm2", block.norm["norm2"], model.eps, at + "sum1")
            design.mlp(at, block.linear, at + "norm2")
            design.residual(at + "sum2", at + "down", at + "sum1")
            x = at + "sum2"
        design.norm("norm", model.norm, model.eps, x)
        design.linear("logits", model.head, "norm", wide)
        tables = (
            scheme.encode(model.first[None], scales["patches"], wide),
            scheme.encode(model.positions, positions, wide),
        )
        return cls(scheme, design.layers, model.heads, len(model.blocks), model.cut, *tables)

    def forward(self, pixels: Any, record: Record) -> Quantized:
        """The logits (batch, classes) of pixels, integers (batch, channels, height, width)."""
        layer = self.layers
        x = _behind(self.first, record("patches", layer["patches"](Quantized(self.cut(pixels)))))
        x = record("embedding", layer["embedding"](x, _repeated(self.positions, len(x.data))))
        for number in range(self.blocks):
            at = f"{number}."
            norm1 = record(at + "norm1", layer[at + "norm1"](x))
            proj = attend(layer, at, norm1, self.heads, record)
            sum1 = record(at + "sum1", layer[at + "sum1"](proj, x))
            x = record(at + "norm2", layer[at + "norm2"](sum1))
            for name in ("up", "gelu", "down"):
                x = record(at + name, layer[at + name](x))
            x = record(at + "sum2", layer[at + "sum2"](x, sum1))
        norm = record("norm", layer["norm"](_first(x)))
        return record("logits", layer["logits"](norm))


def _design_scale(table: np.ndarray, bits: int) -> float:
    """``max|x|`` over the largest code."""
    return float(np.abs(table).max()) / (2 ** (bits - 1) - 1) or 1.0


def _repeated(table: Quantized, times: int) -> Quantized:
    """A table (tokens, size) for each image of a batch."""
    shape = (times, *table.shape)
    parts = (v if v.ndim == 0 else np.broadcast_to(v, (times, *v.shape)) for v in (table.m, table.k, table.zero_point))
    return Quantized(np.ascontiguousarray(np.broadcast_to(table.data, shape)), *parts)


def _behind(first: Quantized, x: Quantized) -> Quantized:
    """The token (1, size) before those of (batch, n, size); where tokens have scales of their own, these too."""
    first = _repeated(first, len(x.data))
    data = np.concatenate([first.data, x.data], axis=1)
    pairs = ((first.m, x.m), (first.k, x.k), (first.zero_point, x.zero_point))
    if x.m.size == 1:
        return Quantized(data, *(b for _, b in pairs))
    columns = (
        [np.broadcast_to(v, (*t.shape[:-1], 1)) for v, t in zip(pair, (first, x), strict=True)] for pair in pairs
    )
    return Quantized(data, *(np.concatenate(column, axis=1) for column in columns))


def _first(x: Quantized) -> Quantized:
    """The first token of every image, (batch, size)."""
    return Quantized(np.ascontiguousarray(x.data[:, 0]), *(v[:, 0] if v.ndim else v for v in (x.m, x.k, x.zero_point)))
