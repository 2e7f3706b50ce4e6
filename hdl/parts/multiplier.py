"""Wide multiplication cut to fit the small multipliers of an FPGA, with a register between every two additions."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.parts.pipeline import Pipeline

__all__ = ["PipelinedMultiplier", "multiplier_cuts", "multiply"]

LIMB = 17
"""Bits of a limb: with a sign it fills an 18 x 18 multiplier, the size of ECP5, iCE40 and older Xilinx parts."""


def multiplier_cuts(a_bits: int, b_bits: int) -> int:
    """Cuts that :func:`multiply` appends, for widths that count the sign (an unsigned operand: one bit more)."""
    terms = _limbs(a_bits) * _limbs(b_bits)
    return 1 + (terms - 1).bit_length()


def multiply(pipe: Pipeline, name: str, a: Sequence[Value], b: Sequence[Value]) -> None:
    """Append the products ``a[k] * b[k]`` to a pipeline as its value `name`, exact and signed as Amaranth's ``*``.

    Each operand is parted into limbs of 17 bits, the highest with the sign. The partial products take one cut,
    their sums one cut per level of a balanced tree.

    Parameters
    ----------
    a, b : values of the current stage, one per lane; all of `a` of one shape, all of `b` of one shape
    """
    s = pipe.values
    whole = [Value.cast(x) * Value.cast(y) for x, y in zip(a, b, strict=True)]
    shape = whole[0].shape()
    parts = [_partial_products(Value.cast(x), Value.cast(y)) for x, y in zip(a, b, strict=True)]
    setattr(s, f"{name}_terms", [[product for product, _ in lane] for lane in parts])
    places = [place for _, place in parts[0]]
    pipe.cut()
    terms, level = getattr(s, f"{name}_terms"), 0
    while len(places) > 1:
        sums = []
        for lane in terms:
            joined = [_shifted_sum(lane[i], lane[i + 1], places[i + 1] - places[i]) for i in range(0, len(lane) - 1, 2)]
            sums.append(joined + list(lane[len(joined) * 2 :]))
        places = places[0::2]
        setattr(s, f"{name}_sums{level}", sums)
        pipe.cut()
        terms = getattr(s, f"{name}_sums{level}")
        level += 1
    results = []
    for (term,) in terms:
        cut = term[: shape.width]
        results.append(cut.as_signed() if shape.signed else cut)
    setattr(s, name, results)


def _limbs(bits_with_sign: int) -> int:
    return max(-(-(bits_with_sign - 1) // LIMB), 1)


def _parted(value: Value) -> list[Value]:
    """Limbs of a value, low to high; only the highest can be signed."""
    is_signed = value.shape().signed
    count = _limbs(len(value) + (not is_signed))
    low = [value[LIMB * i : LIMB * (i + 1)] for i in range(count - 1)]
    high = value[LIMB * (count - 1) :]
    return [*low, high.as_signed() if is_signed else high]


def _partial_products(a: Value, b: Value) -> list[tuple[Value, int]]:
    """Products of limbs with their places, ordered so that neighbours in the list are near in place."""
    terms = [(x * y, LIMB * (i + j)) for i, x in enumerate(_parted(a)) for j, y in enumerate(_parted(b))]
    return sorted(terms, key=lambda term: term[1])


def _shifted_sum(low: Value, high: Value, places: int) -> Value:
    return low + (high << places)


class PipelinedMultiplier(wiring.Component):
    """:func:`multiply` as a component of its own.

    Parameters
    ----------
    a_shape, b_shape : widths or shapes of the operands

    Members
    -------
    i : In(stream of ``a``, ``b``)
    o : Out(stream of ``p``)

    Attributes
    ----------
    latency : :func:`multiplier_cuts`
    interval : 1
    """

    interval = 1

    def __init__(self, a_shape, b_shape):
        a, b = Shape.cast(a_shape), Shape.cast(b_shape)
        self.latency = multiplier_cuts(a.width + (not a.signed), b.width + (not b.signed))
        product = signed(a.width + b.width) if a.signed or b.signed else a.width + b.width
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"a": a, "b": b}))),
                "o": Out(stream.Signature(data.StructLayout({"p": product}))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        multiply(pipe, "p", [pipe.payload.a], [pipe.payload.b])
        pipe.end(p=pipe.values.p[0])
        return m
