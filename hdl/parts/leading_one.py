"""The position of the leading one, by halving: depth ``log2(width)``, no priority chain."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Mux, Value

__all__ = ["leading_one"]


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
