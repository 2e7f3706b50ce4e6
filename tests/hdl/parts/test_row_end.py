"""A row ends where its sender says, and after the longest row at the latest."""

import random

import pytest
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import data, stream
from amaranth.sim import Simulator

from hdl.parts.row_end import row_end


@pytest.mark.parametrize("words", [1, 2, 3, 8])
def test_rows_end_in_time(words):
    """Words with pauses on both sides; the sender ends a row seldom."""
    m, i = Module(), stream.Signature(data.StructLayout({"last": 1})).create()
    m.domains.sync = ClockDomain()
    ends = Signal()
    m.d.comb += ends.eq(row_end(m, i, words))
    rng = random.Random(words)
    seen = []

    async def bench(ctx):
        place = 0
        for _ in range(4000):
            valid, ready, last = (rng.random() < p for p in (0.7, 0.7, 0.1))
            for signal, value in ((i.valid, valid), (i.ready, ready), (i.payload.last, last)):
                ctx.set(signal, value)
            if valid:
                assert ctx.get(ends) == (last or place == words - 1)
            if valid and ready:
                seen.append(place)
                place = 0 if last or place == words - 1 else place + 1
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert max(seen) == words - 1
    assert len(seen) > 1500
