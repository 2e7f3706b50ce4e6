"""Where a unit's table lives: in a block RAM, in gates, or in flip-flops."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort
from amaranth.lib.wiring import Out

from intsim.errors import UnknownName

__all__ = ["KINDS", "Table", "check_kind"]

KINDS = ("block", "logic", "registers")


def check_kind(kind: str) -> str:
    """`kind`, refused unless it is one of :data:`KINDS`."""
    if kind not in KINDS:
        raise UnknownName("kind of memory", kind, KINDS)
    return kind


class Table(wiring.Component):
    """A read-only table with as many read ports as are asked for.

    Parameters
    ----------
    words : the table
    shape : of a word
    kind : ``"block"``: clocked read ports, made for block RAM; ``"logic"``: a ROM in gates, combinational read
        ports; ``"registers"``: flip-flops with combinational read ports, which a loader fills word by word after
        reset. Nothing is cheaper for it; it shows what a table costs that a system writes at run time.

    Members
    -------
    ready : Out(1), the table may be read; constant 1 unless it must be loaded first
    """

    def __init__(self, words: Sequence[int], shape: Shape, kind: str):
        super().__init__({"ready": Out(1)})
        self.words = tuple(words)
        self.shape = shape
        self.kind = check_kind(kind)
        init = [] if kind == "registers" else self.words
        self._memory = Memory(shape=shape, depth=len(self.words), init=init, attrs={"ram_style": kind})

    def read_port(self) -> ReadPort:
        """Another read port: clocked for ``"block"``, combinational otherwise."""
        return self._memory.read_port(domain="sync" if self.kind == "block" else "comb")

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = self._memory
        if self.kind == "registers":
            self._load(m)
        else:
            m.d.comb += self.ready.eq(1)
        return m

    def _load(self, m: Module) -> None:
        """One word per cycle, from the first, until the table is full."""
        m.submodules.image = image = Memory(
            shape=self.shape, depth=len(self.words), init=self.words, attrs={"ram_style": "logic"}
        )
        source, port = image.read_port(domain="comb"), self._memory.write_port()
        count = Signal(range(len(self.words)))
        loaded = Signal()
        with m.If(~loaded):
            m.d.sync += [count.eq(count + 1), loaded.eq(count == len(self.words) - 1)]
        m.d.comb += [
            source.addr.eq(count),
            port.addr.eq(count),
            port.data.eq(source.data),
            port.en.eq(~loaded),
            self.ready.eq(loaded),
        ]
