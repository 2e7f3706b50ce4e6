"""The engine's lanes: the NLI engine with cuts, scales and words that are registers and RAM.

Per lane ten comparators, two multipliers and a RAM for both banks' words; the registers of cuts and scales are
shared. The multiplier of the scale squares distances in the norms' modes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth.hdl import Array, C, Cat, Module, Mux, Value, signed
from amaranth.lib.memory import Memory

from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import add_with_carry, drop_bits
from hdl.parts.thermometer import count_thermometer
from intsim.engine import Engine, Mode
from intsim.rounding import TIES_TO_POS

__all__ = ["LANE_CUTS", "WordMemory", "lanes"]

LANE_CUTS = 15
"""Cuts that :func:`lanes` appends."""


class WordMemory:
    """Table words of both banks for one lane; bank and address are side by side."""

    def __init__(self, unit: Engine):
        self.address_bits = (unit.words - 1).bit_length()
        depth = 2 << self.address_bits
        init = [0] * depth
        for b, bank in enumerate(unit.banks):
            for k, word in enumerate(bank.table.table):
                init[(b << self.address_bits) + k] = word
        self.memory = Memory(shape=signed(unit.bits), depth=depth, init=init, attrs={"ram_style": "block"})


def lanes(m: Module, pipe: Pipeline, unit: Engine, memories: Sequence[WordMemory], stored: Mapping[str, Sequence]):
    """Append the lanes to a pipeline whose words hold ``x`` and whose token holds ``tag`` and ``pivot``.

    Parameters
    ----------
    m : the unit's module
    memories : one per lane
    stored : ``cut``, ``mantissa``, ``shift``: for each bank the registers

    Returns
    -------
    dict
        Fields of the new words: ``v``, ``energy`` and, in the first lane only, ``tag``.
    """
    s, bits, last = pipe.values, unit.bits, unit.intervals
    hi = (1 << (bits - 1)) - 1
    bases = unit.banks[0].table.bases
    count = len(memories)

    def each(values) -> list[Value]:
        return list(values)

    def registers(kind: str) -> list[Value]:
        return [Mux(s.tag[2], second, first) for first, second in zip(*stored[kind], strict=True)]

    s.tag = pipe.payload.token.tag
    s.d = each(x - pipe.payload.token.pivot for x in pipe.payload.word.x)
    pipe.cut()
    s.norm = s.tag[1]
    s.x = each(Mux(d > hi, hi, Mux(d < -hi - 1, -hi - 1, d))[:bits].as_signed() for d in s.d)
    s.compared = registers("cut")[1:]
    pipe.cut()
    s.reached = each(Cat(x >= cut for cut in s.compared) for x in s.x)
    pipe.cut()
    s.index = each(count_thermometer(reached[: last - 1]) for reached in s.reached)
    s.beyond = each(reached[-1] for reached in s.reached)
    s.lefts = registers("cut")
    pipe.cut()
    s.left_cut = each(Array(s.lefts[:-1])[index] for index in s.index)
    s.span = (s.lefts[-1] - s.lefts[-2])[:bits]
    pipe.cut()
    s.offset = each(x - cut for x, cut in zip(s.x, s.left_cut, strict=True))
    s.scales = registers("mantissa")
    pipe.cut()
    s.size = each(Mux(d < 0, -d, d)[:bits] for d in s.d)
    s.dx = each(
        Mux(offset < 0, 0, Mux(beyond, s.span, offset[:bits]))
        for offset, beyond in zip(s.offset, s.beyond, strict=True)
    )
    s.scale = each(Array(s.scales)[index] for index in s.index)
    pipe.cut()
    s.a = each(Mux(s.norm, size, dx) for size, dx in zip(s.size, s.dx, strict=True))
    s.b = each(Mux(s.norm, size, scale) for size, scale in zip(s.size, s.scale, strict=True))
    s.downs = registers("shift")
    pipe.cut()
    s.scaled = each(a * b for a, b in zip(s.a, s.b, strict=True))
    s.down = each(Array(s.downs)[index] for index in s.index)
    pipe.cut()
    bins_bits = (unit.bins - 1).bit_length()
    s.position = each(
        (scaled >> down)[: unit.t_bits + bins_bits] for scaled, down in zip(s.scaled, s.down, strict=True)
    )
    s.square = each(scaled[: 2 * bits] for scaled in s.scaled)
    pipe.cut()
    width = memories[0].address_bits
    s.t = each(position[: unit.t_bits] for position in s.position)
    s.address = each(
        Cat((Array(C(base, width) for base in bases[:-1])[index] + position[unit.t_bits :])[:width], s.tag[2])
        for index, position in zip(s.index, s.position, strict=True)
    )
    pipe.cut()
    for k, (memory, address) in enumerate(zip(memories, s.address, strict=True)):
        following = Cat((address[:width] + 1)[:width], address[width])
        pipe.read(f"left{k}", memory.memory.read_port(), address)
        pipe.read(f"right{k}", memory.memory.read_port(), following)
    pipe.cut()
    s.left = [getattr(s, f"left{k}") for k in range(count)]
    s.right = [getattr(s, f"right{k}") for k in range(count)]
    pipe.cut()  # a block RAM's own output is slow, and gets a cycle to itself
    s.step = [right - left for left, right in zip(s.left, s.right, strict=True)]
    pipe.cut()
    s.product = each(step * t for step, t in zip(s.step, s.t, strict=True))
    pipe.cut()
    rounded = [drop_bits(product, unit.t_bits, TIES_TO_POS) for product in s.product]
    results = [
        add_with_carry(left, whole, up)[:bits].as_signed() for left, (whole, up) in zip(s.left, rounded, strict=True)
    ]
    softmax = s.tag[:2] == Mode.SOFTMAX
    s.word = [Mux(softmax & (y < 0), 0, y) for y in results]
    pipe.cut()
    s.v = [Mux(s.norm, d, word) for d, word in zip(s.d, s.word, strict=True)]
    energies = [
        Mux(s.norm, square, Mux(s.tag[0], word[: bits - 1], 0)) for square, word in zip(s.square, s.word, strict=True)
    ]
    return {"v": list(s.v), "energy": energies, "tag": [s.tag, *[C(0, 3)] * (count - 1)]}
