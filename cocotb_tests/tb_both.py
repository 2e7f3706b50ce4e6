"""Inside the simulator: a unit with streams and registers beside them, whose counters follow the streams."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from endless import send_without_ends

from hdl.bench import Testbench, stalls
from intsim.shell import IDENTITY, shell_map


@cocotb.test()
async def registers_say_what_passes(dut):
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start(stalls(0.5, seed=1))
    registers = shell_map(tb.unit, data=False)

    async def read(name: str, index: int = 0) -> int:
        answer = await master.read(registers.address(name, index), 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    assert await read("ID") == IDENTITY
    assert await read("MAX_ROW") == tb.unit.max_row
    assert [await read("SHA256", k) for k in range(8)] == [int(tb.unit.sha256[8 * k : 8 * k + 8], 16) for k in range(8)]
    assert (await read("TAKEN"), await read("GIVEN"), await read("STATUS")) == (0, 0, 0)
    rng = np.random.default_rng(2)
    fmt = next(iter(tb.unit.inputs.values()))
    rows = rng.integers(fmt.lo, fmt.hi, (20, tb.unit.max_row), fmt.dtype, endpoint=True)
    sending = cocotb.start_soon(tb.send([rows], stalls(0.5, seed=3)))
    while len(tb.sent.beats) < 30:
        await tb.cycle()
    assert await read("STATUS") == 1  # rows are inside
    await sending
    assert await tb.finish() == rows.size
    beats = len(rows) * -(-tb.unit.max_row // tb.inputs.lanes)
    assert (await read("TAKEN"), await read("GIVEN"), await read("STATUS")) == (beats, beats, 0)


@cocotb.test()
async def a_row_without_an_end_is_cut(dut):
    """The unit goes on, the rows behind are right, and software can see what happened."""
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start()
    registers = shell_map(tb.unit, data=False)
    fmt = next(iter(tb.unit.inputs.values()))
    rows = np.random.default_rng(4).integers(fmt.lo, fmt.hi, (30, tb.unit.max_row), fmt.dtype, endpoint=True)
    await send_without_ends(tb, rows)
    assert int.from_bytes((await master.read(registers.address("CUT_ROWS"), 4)).data, "little") == len(rows) - 1
    assert int.from_bytes((await master.read(registers.address("STATUS"), 4)).data, "little") == 0
