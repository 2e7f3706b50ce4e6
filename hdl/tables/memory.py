"""Where a unit's table lives: in a block RAM, in gates, or in flip-flops; and how it is written at run time."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import Out

from intsim.errors import UnknownName

__all__ = ["KINDS", "LOADABLE", "Table", "check_kind"]

KINDS = ("block", "logic", "registers")
LOADABLE = "loadable"
"""The fourth kind, of units whose words are registers too: a block RAM with a write port."""


def check_kind(kind: str, *, loadable: bool = False) -> str:
    """`kind`, refused unless it is one of :data:`KINDS` or, where that exists, :data:`LOADABLE`."""
    known = (*KINDS, LOADABLE) if loadable else KINDS
    if kind not in known:
        raise UnknownName("kind of memory", kind, known)
    return kind


class Table(wiring.Component):
    """A read-only table with as many read ports as are asked for.

    Parameters
    ----------
    words : the table
    shape : of a word
    kind : ``"block"``: clocked read ports, made for block RAM; ``"logic"``: a ROM in gates, combinational read
        ports; ``"registers"``: flip-flops with combinational read ports, which a loader fills word by word after
        reset. Nothing is cheaper for it; it shows what a table costs that a system writes at run time;
        ``"loadable"``: as ``"block"``, and :meth:`write_port` changes words at run time. A reset keeps them

    Members
    -------
    ready : Out(1), the table may be read; constant 1 unless it must be loaded first
    """

    def __init__(self, words: Sequence[int], shape: Shape, kind: str):
        super().__init__({"ready": Out(1)})
        self.words = tuple(words)
        self.shape = shape
        self.kind = check_kind(kind, loadable=True)
        init = [] if kind == "registers" else self.words
        style = "block" if kind == LOADABLE else kind
        self._memory = Memory(shape=shape, depth=len(self.words), init=init, attrs={"ram_style": style})

    def read_port(self) -> ReadPort:
        """Another read port: clocked for ``"block"`` and ``"loadable"``, combinational otherwise."""
        return self._memory.read_port(domain="sync" if self.kind in ("block", LOADABLE) else "comb")

    def write_port(self) -> WritePort:
        """The port that changes words at run time."""
        return self._memory.write_port()

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
