"""Llama with integers only, under any scheme: from tokens to logits, a text at once or token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Int
from intsim.formats.quantized import Quantized
from intsim.models.heads import merge_heads, split_heads
from intsim.models.llama_designer import HEAD_BITS, LOGIT_BITS, LlamaDesigner, at_least
from intsim.models.network import IntegerNetwork, Record
from intsim.models.real.llama import Llama, causal
from intsim.prepare.calibrate import Calibration, calibrate
from intsim.prepare.llama import prepare, within
from intsim.schemes import Scheme

__all__ = ["IntegerLlama"]

Cache = dict[str, Quantized]

HEADROOM = 64  # how much larger than in calibration a gated activation may become


@dataclass(frozen=True, eq=False)
class IntegerLlama(IntegerNetwork):
    """The layers of a Llama by place: ``0.norm1``, ``0.q`` ... ``3.sum2``, ``norm``, ``logits``.

    Attributes
    ----------
    heads, groups : heads of the queries, and of keys and values
    blocks : number of blocks
    positions : the longest text
    words : the embedding table

    Notes
    -----
    **I-LLM's:** the widths of a block (norm, softmax and SwiGLU 8 bits, residual stream 16 bits, the linear layers
    those asked for). **Ours:** what it leaves in floating point: an integer embedding table; queries and keys
    leave their projection with the residual's width, are turned (rotary tables of 16 bits) and then brought to the
    width of activations; final norm and head keep 8 bits however few the blocks have; logits have 16. What a branch
    adds to the residual stream has the stream's width. I-LLM's exponents begin at 0, so that four bits hold no more
    than 3825: where calibration finds more than a 64th of that behind the gate, a power of two goes from the up to the
    down projection, which changes no code.
    """

    heads: int
    groups: int
    blocks: int
    positions: int
    words: Callable[[Any], Quantized]

    @classmethod
    def design(
        cls, model: Llama, scheme: Scheme, samples: Sequence[np.ndarray], percentile: float = 100
    ) -> IntegerLlama:
        """The integer network of a model, the scheme's steps carried out and its scales calibrated.

        Parameters
        ----------
        samples : arrays of tokens (batch, n)
        percentile : share of the values that calibration keeps

        Raises
        ------
        IntsimError
            No samples, or a scheme without an operator that the paper does not leave in float.
        """
        model = prepare(model, scheme.steps, samples)
        ranges = calibrate(model.real, samples, percentile=percentile, range=scheme.range)
        model = within(
            model, _design_reaches(ranges, len(model.blocks)), scheme.design_reach(scheme.bits.activation) / HEADROOM
        )
        design = LlamaDesigner(scheme, ranges, model.positions)
        most = float(np.abs(model.words).max())
        design.scales["embedding"] = most / Int(scheme.bits.embedded).hi
        words = scheme.design_embedding(model.words, design.scales["embedding"])
        x = "embedding"
        for number, block in enumerate(model.blocks):
            x = design.block(f"{number}.", block, model, x)
        last = LlamaDesigner(at_least(scheme, HEAD_BITS), design.ranges, model.positions, {x: design.scale(x)})
        last.rms_norm("norm", model.norm, model.eps, x)
        last.linear("logits", (model.head, None), "norm", LOGIT_BITS)
        layers = {**design.layers, **last.layers}
        return cls(scheme, layers, model.heads, model.groups, len(model.blocks), model.positions, words)

    def __call__(self, tokens: Any, cache: Cache | None = None) -> Quantized:
        """The logits (batch, n, vocabulary) of tokens (batch, n).

        Parameters
        ----------
        cache : keys and values of the tokens before, as the integers that attention reads; empty at first. Those of
            `tokens` are added to it
        """
        return self.forward(tokens, lambda _, tensor: tensor, cache)

    def forward(self, tokens: Any, record: Record, cache: Cache | None = None) -> Quantized:
        """The logits; every tensor on the way passes `record`.

        Raises
        ------
        IntsimError
            More tokens than positions.
        """
        codes = np.asarray(tokens)
        past = cache["0.v"].shape[2] if cache else 0
        if past + codes.shape[-1] > self.positions:
            raise IntsimError(f"{past + codes.shape[-1]} tokens, the model has {self.positions}; cut the text")
        x = record("embedding", self.words(codes))
        for number in range(self.blocks):
            at, layer = f"{number}.", self.layers
            inner = record(at + "norm1", layer[at + "norm1"](x))
            x = record(at + "sum1", layer[at + "sum1"](self._attend(at, inner, past, record, cache), x))
            inner = record(at + "norm2", layer[at + "norm2"](x))
            gate, up = (record(at + name, layer[at + name](inner)) for name in ("gate", "up"))
            act = record(at + "act", layer[at + "act"](gate, up))
            x = record(at + "sum2", layer[at + "sum2"](record(at + "down", layer[at + "down"](act)), x))
        x = record("norm", self.layers["norm"](x))
        return record("logits", self.layers["logits"](x))

    def _attend(self, at: str, x: Quantized, past: int, record: Record, cache: Cache | None) -> Quantized:
        layer, n = self.layers, x.shape[1]
        q, k, v = (
            record(at + name, split_heads(layer[at + name](x), heads))
            for name, heads in (("q", self.heads), ("k", self.groups), ("v", self.groups))
        )
        place = np.arange(past, past + n)
        q, k = (record(f"{at}{name}_rope", layer[f"{at}{name}_rope"](t, place)) for name, t in (("q", q), ("k", k)))
        if cache is not None:
            k, v = (_extend(cache, at + name, t) for name, t in (("k", k), ("v", v)))
        shape, above = q.shape, self.heads // self.groups
        p = layer[at + "p"](_reshaped(q, self.groups), k, np.tile(causal(n, past), (above, 1)))
        record(at + "p", Quantized(p.data.reshape(*shape[:-1], -1), p.m, p.k, p.zero_point))
        mixed = _reshaped(layer[at + "context"](p, v), self.heads)
        context = record(at + "context", merge_heads(mixed, layer[at + "context"]))
        return record(at + "proj", layer[at + "proj"](context))


def _design_reaches(ranges: Mapping[str, Calibration], blocks: int) -> list[float]:
    """The largest magnitude behind each block's gate."""
    seen = (ranges[f"{number}.act"] for number in range(blocks))
    return [float(max(np.abs(found.low).max(), np.abs(found.high).max())) for found in seen]


def _reshaped(x: Quantized, heads: int) -> Quantized:
    """(batch, heads, n, size) as (batch, other heads, more or fewer rows, size): the heads of a group above each
    other, or apart again."""
    parts = (v.reshape(v.shape[0], heads, -1, v.shape[-1]) if v.ndim else v for v in (x.data, x.m, x.k, x.zero_point))
    return Quantized(*parts)


def _extend(cache: Cache, place: str, new: Quantized) -> Quantized:
    """All keys or values so far, the new ones behind the old; scales of tokens go along."""
    old = cache.get(place)
    if old is not None:
        pairs = [(getattr(old, name), getattr(new, name)) for name in ("data", "m", "k", "zero_point")]
        new = Quantized(*(np.concatenate([a, b], axis=2) if b.ndim else b for a, b in pairs))
    cache[place] = new
    return new
