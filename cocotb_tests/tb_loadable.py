"""Inside the simulator: a table whose words are written while the unit is there."""

from __future__ import annotations

from dataclasses import replace

import cocotb
import numpy as np
from axi_registers import Registers, pause_at_random
from cocotb.task import bridge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from hdl.bench import Testbench, stalls, stimulus
from intsim.tables.loading import load_words, stored_words, word_map


@cocotb.test()
async def nothing_else_is_there(dut):
    """Before any word is written: what is no word is refused, and changes none."""
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start()
    registers, count = word_map(tb.unit), len(stored_words(tb.unit))
    assert (await master.read(0, 4)).resp == AxiResp.SLVERR
    for index in range(count, 1 << (registers.address_bits - 2)):
        assert (await master.write(4 * index, b"\7\7\7\7")).resp == AxiResp.SLVERR
    await tb.send(stimulus(tb.unit, 1000, seed=7))
    assert await tb.finish() == 1000


@cocotb.test()
async def words_change_at_run_time(dut):
    """The unit as it is, then with words at the ends of the format side by side, then as it was, over a reset."""
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start(stalls(0.2, seed=1))
    pause_at_random(master, 0.3, seed=2)
    first = tb.unit
    y = first.y
    words = tuple(y.lo if k % 2 else y.hi for k in range(len(first.table)))
    rng = np.random.default_rng(3)
    free = tuple(int(word) for word in rng.integers(y.lo, y.hi, len(first.table), endpoint=True))
    now = first
    for table in (first.table, words, free, first.table):
        following = replace(first, table=table)
        if table is not first.table or now is not first:
            await bridge(load_words)(Registers(master), now, following)
        now = following
        tb.expect(now)
        await tb.send(stimulus(now, 3000, seed=4), stalls(0.2, seed=5))
        before = tb.compared
        assert await tb.finish() == before + 3000
    await bridge(load_words)(Registers(master), now, replace(first, table=words))
    await tb.reset()
    tb.expect(replace(first, table=words))  # a reset keeps the words
    await tb.send(stimulus(first, 100, seed=6))
    assert await tb.finish() == 12_100
