"""BERT with integers only, under any scheme: from tokens to the pooled vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.formats import Int
from intsim.formats.quantized import Quantized
from intsim.linear import Embedding
from intsim.models.designer import Designer
from intsim.models.heads import sum_tokens
from intsim.models.junctions import Junctions
from intsim.models.network import IntegerNetwork, Record, attend, narrowed
from intsim.models.real.bert import Bert
from intsim.prepare.calibrate import calibrate
from intsim.schemes import Scheme

__all__ = ["IntegerBert"]


@dataclass(frozen=True, eq=False)
class IntegerBert(IntegerNetwork):
    """The layers of a BERT by place: ``embedded``, then ``0.q`` ... ``5.norm2``.

    Attributes
    ----------
    heads : attention heads
    blocks : number of blocks
    words, places : tables of one scale; the type embedding is part of `places`

    Notes
    -----
    **Ours:** both embedding tables have the one scale at which no sum of two rows saturates;
    the mean over tokens is a sum (the cosine does not see the factor). The norms' results are the residual stream here:
    they go into the adds with the scheme's `identity` width and into linear layers narrowed to that of activations.
    Texts of one call have the same length, so there is no padding and no mask.
    """

    heads: int
    blocks: int
    words: Embedding
    places: Embedding

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
        ranges = calibrate(model.real, samples, percentile=percentile, range=scheme.range)
        junctions = Junctions(scheme, model.real, samples)
        design = Designer(scheme, ranges, len(model.positions), junctions=junctions)
        words, places = model.words, model.positions + model.types[0]
        most = (np.abs(words).max(axis=0) + np.abs(places).max(axis=0)).max()
        bits = scheme.bits.embedded
        design.scales["embedding"] = float(most) / (Int(bits).hi - 1)  # both roundings stay inside
        attentions = [[block.linear[name] for name in "qkv"] for block in model.blocks] + [[]]
        narrow = design.stream_norm("embedded", model.norm, model.eps, "embedding", attentions[0])
        x = "embedded"
        for number, block in enumerate(model.blocks):
            at = f"{number}."
            design.attention(at, block.linear, narrow, words.shape[1] // model.heads)
            design.residual(at + "sum1", at + "proj", x)
            narrow = design.stream_norm(at + "norm1", block.norm["norm1"], model.eps, at + "sum1", [block.linear["up"]])
            design.mlp(at, block.linear, narrow)
            design.residual(at + "sum2", at + "down", at + "norm1")
            readers = attentions[number + 1]
            narrow = design.stream_norm(at + "norm2", block.norm["norm2"], model.eps, at + "sum2", readers)
            x = at + "norm2"
        tables = (Embedding.from_real(table, bits, design.scales["embedding"]) for table in (words, places))
        return cls(scheme, design.layers, model.heads, len(model.blocks), *tables)

    def embed(self, tokens: Any) -> Quantized:
        """The sum of the embeddings of tokens (batch, n)."""
        codes = np.asarray(tokens)
        total = self.words(codes, (self.places, np.arange(codes.shape[-1])))
        return Quantized(total.data.astype(Int(self.words.bits).dtype), total.m, total.k)

    def forward(self, tokens: Any, record: Record) -> Quantized:
        """The pooled vectors (batch, size), each of a scale of its own where the scheme is dynamic."""
        layer = self.layers
        x = record("embedding", self.embed(tokens))
        x = record("embedded", layer["embedded"](x))
        narrow = narrowed(layer, "embedded", x, record)
        for number in range(self.blocks):
            at = f"{number}."
            proj = attend(layer, at, narrow, self.heads, record)
            x = record(at + "sum1", layer[at + "sum1"](proj, x))
            norm1 = record(at + "norm1", layer[at + "norm1"](x))
            x = narrowed(layer, at + "norm1", norm1, record)
            for name in ("up", "gelu", "down"):
                x = record(at + name, layer[at + name](x))
            x = record(at + "sum2", layer[at + "sum2"](x, norm1))
            x = record(at + "norm2", layer[at + "norm2"](x))
            narrow = narrowed(layer, at + "norm2", x, record)
        return record("pooled", sum_tokens(x))
