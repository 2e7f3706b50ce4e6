"""The position of the leading one, by halving: depth ``log2(width)``, no priority chain."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LeadingOne", "leading_one"]


def leading_one(value: Value) -> tuple[Value, Value]:
    """Index of the highest set bit of an unsigned `value`, and whether there is one (index 0 where not).

    Combinational. Each level says for pairs of blocks which holds the one and passes that block's index up.
    """
    bits = max(len(value) - 1, 1).bit_length()
    blocks = [(C(0, 0), value[i] if i < len(value) else C(0, 1)) for i in range(1 << bits)]
    while len(blocks) > 1:
        pairs = zip(blocks[0::2], blocks[1::2], strict=True)
        blocks = [(Cat(Mux(high, above, below), high), low | high) for (below, low), (above, high) in pairs]
    return blocks[0]


class LeadingOne(wiring.Component):
    """:func:`leading_one` as a module of its own: combinational ``x`` to ``index`` and ``found``.

    Parameters
    ----------
    width : bits of `x`
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"x": In(width), "index": Out(max((width - 1).bit_length(), 1)), "found": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        index, found = leading_one(self.x)
        m.d.comb += [self.index.eq(index), self.found.eq(found)]
        return m
