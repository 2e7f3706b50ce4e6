"""Where rows end: where their sender says, and after the longest row at the latest."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["row_end"]


def row_end(m: Module, i, words: int) -> Value:
    """Whether the word on a stream is the last of its row.

    A sender that forgets ``last`` would fill the row buffers of a unit, which then waits for ever. With this in front
    of it, its row ends after as many words as the longest row has, and what follows is another row.

    Parameters
    ----------
    m : the module that gets the counter
    i : the stream, with ``last`` in its payload
    words : of the longest row
    """
    full = Signal(init=words == 1)  # the word that comes is the last for which there is room
    ends = Signal(name="row_ends")
    m.d.comb += ends.eq(i.payload.last | full)
    if words > 1:
        place = Signal(range(words), name="place_in_row")
        with m.If(i.valid & i.ready):
            m.d.sync += [place.eq(Mux(ends, 0, place + 1)), full.eq(~ends & (place == words - 2))]
    return ends
