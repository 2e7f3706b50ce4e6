"""The row buffer: holds rows until what was computed from them is known, then replays them with it.

A row unit is a chain of passes. In each pass the row streams by, a reduction (maximum, sum) looks at it, and the
next pass needs the row again together with the finished reduction. The buffer between two passes is one circular
block RAM of twice the longest row: while one row is replayed the next is written, whatever their lengths (two
fixed halves would be the special case of rows that all have the greatest length; many short rows fit as well).
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from intsim.errors import IntsimError

__all__ = ["RowBuffer"]


class RowBuffer(wiring.Component):
    """A first-in first-out memory of words, whose rows leave once their token is there.

    Parameters
    ----------
    word : shape of a word (the elements of one transfer and which of them count)
    token : shape of the token, one per row
    depth : words; at least the longest row plus one, twice the longest row for full rate

    Members
    -------
    i : In(stream of ``word``, ``last``)
    token : In(stream), one per row, in order; sent only after the row's last word has been taken by whoever
        computes it (the buffer takes a whole row without its token)
    o : Out(stream of ``word``, ``token``, ``last``); ``token`` is constant over a row

    Attributes
    ----------
    latency : 3 cycles from a word on `i` to the same on `o`, 1 from a token; rows follow each other without
        a gap as long as tokens do
    interval : 1

    Notes
    -----
    Two registers behind the memory: the block RAM's own output is slow, and gets a cycle to itself.
    """

    latency = 3
    interval = 1

    def __init__(self, word, token, depth: int):
        if depth < 2:
            raise IntsimError(f"a row buffer needs a depth of at least 2 words, got {depth}")
        self.depth = depth
        self._stored = data.StructLayout({"word": word, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"word": word, "last": 1}))),
                "token": In(stream.Signature(token)),
                "o": Out(stream.Signature(data.StructLayout({"word": word, "token": token, "last": 1}))),
            }
        )
        self._token = token

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._stored, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        head = Signal(range(self.depth))
        tail = Signal(range(self.depth))
        level = Signal(range(self.depth + 1))  # words written and not yet read out of the memory

        put = Signal()
        take = Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            put.eq(self.i.valid & self.i.ready),
            write.en.eq(put),
            write.addr.eq(head),
            write.data.eq(self.i.payload),
            read.en.eq(take),
            read.addr.eq(tail),
        ]
        with m.If(put):
            m.d.sync += head.eq(Mux(head == self.depth - 1, 0, head + 1))
        with m.If(take):
            m.d.sync += tail.eq(Mux(tail == self.depth - 1, 0, tail + 1))
        m.d.sync += level.eq(level + put - take)

        # Two registers behind the memory: its own output, then `held`.
        fetched = Signal()
        ready_fetched = Signal()
        held = Signal(self._stored)
        holding = Signal()
        ready_held = Signal()
        token = Signal(self._token)
        has_token = Signal()
        following = Signal(self._token)
        has_following = Signal()
        sent = self.o.valid & self.o.ready
        m.d.comb += [
            self.o.valid.eq(holding & has_token),
            self.o.payload.word.eq(held.word),
            self.o.payload.last.eq(held.last),
            self.o.payload.token.eq(token),
            ready_held.eq(~holding | sent),
            ready_fetched.eq(~fetched | ready_held),
            take.eq((level != 0) & ready_fetched),
        ]
        with m.If(ready_fetched):
            m.d.sync += fetched.eq(take)
        with m.If(ready_held):
            m.d.sync += [holding.eq(fetched), held.eq(read.data)]

        # Two places for tokens, so that the next row starts in the cycle after the last word.
        m.d.comb += self.token.ready.eq(~has_following)
        arrived = self.token.valid & self.token.ready
        free = ~has_token | (sent & held.last)
        with m.If(free):
            m.d.sync += [
                token.eq(Mux(has_following, following, self.token.payload)),
                has_token.eq(has_following | arrived),
                has_following.eq(0),
            ]
        with m.Elif(arrived):
            m.d.sync += [following.eq(self.token.payload), has_following.eq(1)]
        return m
