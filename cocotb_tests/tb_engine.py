"""Inside the simulator: the engine programmed by its driver over AXI4-Lite, its rows over AXI4-Stream."""

from __future__ import annotations

import cocotb
import numpy as np
from axi_registers import Registers
from cocotb.task import bridge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from endless import send_without_ends

import hdl
from hdl.bench import Testbench, stalls
from intsim.demo import activations
from intsim.engine import Driver, Mode, stored_bank
from intsim.formats import Fixed


async def started(dut) -> tuple[Testbench, AxiLiteMaster]:
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start(stalls(0.2, seed=1))
    await tb.cycle(2)
    return tb, master


@bridge
def open_driver(master: AxiLiteMaster, engine) -> Driver:
    return Driver(Registers(master), engine)


@bridge
def program(driver: Driver, bank: int, fn: str, mode: Mode) -> None:
    driver.load(bank, stored_bank(fn))
    driver.select(mode, bank)


async def rows(tb: Testbench, codes: np.ndarray) -> int:
    await tb.send([codes], stalls(0.2, seed=2))
    return await tb.finish()


@cocotb.test()
async def illegal_accesses_are_answered_and_change_nothing(dut):
    tb, master = await started(dut)
    before = (await master.read(0x0C, 4)).data
    for address in (0x14, 0x7FC, 0x3000, 0x3FFC):
        assert (await master.read(address, 4)).resp == AxiResp.SLVERR
        assert (await master.write(address, b"\1\2\3\4")).resp == AxiResp.SLVERR
    assert (await master.write(0x00, b"\0\0\0\0")).resp == AxiResp.SLVERR  # ID is read-only
    assert (await master.write(0x1000, b"\0\0\0\0")).resp == AxiResp.SLVERR  # bank 0 is selected
    assert (await master.write(0x0C, b"\1")).resp == AxiResp.SLVERR  # less than a word
    assert (await master.read(0x0C, 4)).data == before
    codes = np.arange(-8, 8, dtype=np.int16)[None]
    assert await rows(tb, codes) == codes.size  # as configured


@cocotb.test()
async def gelu_then_softmax_on_a_transformers_rows(dut):
    """Load GELU and run an MLP row; load exp meanwhile, switch, run attention rows; switch back without loading."""
    tb, master = await started(dut)
    driver = await open_driver(master, tb.unit)
    fixed = Fixed(16, 11)
    mlp = fixed.encode(activations().mlp[0, :2], saturate=True)
    scores = fixed.encode(activations().scores[0, :3, 0], saturate=True)
    compared = 0
    for bank, fn, mode, codes in ((1, "gelu", Mode.TABLE, mlp), (0, "exp", Mode.SOFTMAX, scores)):
        await program(driver, bank, fn, mode)
        tb.expect(driver.engine)
        done = await rows(tb, codes)
        compared += codes.size
        assert done == compared
    await bridge(driver.select)(Mode.TABLE, 1)
    tb.expect(driver.engine)
    assert await rows(tb, mlp[:1]) == compared + mlp[0].size


@cocotb.test()
async def norms_with_the_reciprocal_root(dut):
    tb, master = await started(dut)
    driver = await open_driver(master, tb.unit)
    rng = np.random.default_rng(3)
    compared = 0
    for mode in (Mode.LAYERNORM, Mode.RMSNORM):
        await bridge(driver.select)(mode, 0)
        tb.expect(driver.engine)
        for n in (1, 7, 384):
            codes = rng.integers(-4000, 4000, (3, n)).astype(np.int16)
            compared += codes.size
            assert await rows(tb, codes) == compared


@cocotb.test()
async def a_reset_restores_the_mode_and_keeps_the_tables(dut):
    tb, master = await started(dut)
    driver = await open_driver(master, tb.unit)
    await program(driver, 1, "silu", Mode.TABLE)
    await tb.reset()
    assert (await master.read(0x0C, 4)).data == bytes(4)  # the bank of before, in table mode
    driver = await open_driver(master, driver.engine.select(Mode.TABLE, 0))
    await bridge(driver.select)(Mode.TABLE, 1)
    tb.expect(driver.engine)
    codes = np.arange(-3000, 3000, 7, dtype=np.int16)[None]
    assert await rows(tb, codes) == codes.size


@cocotb.test()
async def modes_and_banks_change_between_rows_at_full_rate(dut):
    """Every row in another mode or bank than the one before. The register is written while a row enters: that row keeps

    what it began with, and the next enters without a gap. Results wait once for the mode that takes longest.
    """
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start()
    await tb.cycle(2)
    driver = await open_driver(master, tb.unit)
    await program(driver, 1, "exp", Mode.TABLE)
    await program(driver, 0, "gelu", Mode.TABLE)
    words, lanes = 80, tb.inputs.lanes  # longer than any pace
    plan = [(mode, bank) for bank in (0, 1, 0) for mode in (*Mode, *reversed(Mode))]
    tb.expect(*(driver.engine.select(mode, bank) for mode, bank in plan))
    codes = np.random.default_rng(4).integers(-5000, 5000, (len(plan), words * lanes)).astype(np.int16)
    await bridge(driver.select)(*plan[0])
    sending = cocotb.start_soon(tb.send([codes]))
    for row, (mode, bank) in enumerate(plan[1:]):
        while len(tb.sent.beats) < row * words + 10 + row:
            await tb.cycle()
        await bridge(driver.select)(mode, bank)
        assert len(tb.sent.beats) < (row + 1) * words
        if bank != plan[row][1]:
            left = driver.registers.address("WORD", 0, 1 - bank)
            assert (await master.write(left, bytes(4))).resp == AxiResp.SLVERR  # the row that enters still uses it
    await sending
    assert await tb.finish() == codes.size
    assert tb.sent.last - tb.sent.first == len(plan) * words - 1
    part = hdl.create(driver.engine, lanes=lanes)
    waits = tb.received.last - tb.received.first - (len(plan) * words - 1)
    assert waits <= part.mode_overhead(Mode.LAYERNORM) - part.mode_overhead(Mode.TABLE) + part.mode_pace(Mode.LAYERNORM)


@cocotb.test()
async def a_bank_is_loaded_while_rows_of_the_other_pass(dut):
    """The words of a bank change while the other is used, and not a result of the other does."""
    tb, master = await started(dut)
    driver = await open_driver(master, tb.unit)
    await program(driver, 1, "tanh", Mode.TABLE)
    tb.expect(driver.engine)
    codes = np.random.default_rng(5).integers(-20_000, 20_000, (15 * tb.inputs.lanes, 200)).astype(np.int16)
    sending = cocotb.start_soon(tb.send([codes]))
    await bridge(driver.load)(0, stored_bank("sigmoid"))
    assert not sending.done(), "the bank was loaded after the rows, not while they passed"
    await sending
    assert await tb.finish() == codes.size
    await bridge(driver.select)(Mode.TABLE, 0)
    tb.expect(driver.engine)
    assert await rows(tb, codes[:2]) == codes.size + codes[:2].size


@cocotb.test()
async def a_row_without_an_end_is_cut(dut):
    """Its parts are answered as rows of the greatest length, and no bank stays busy."""
    tb = Testbench(dut)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    await tb.start()
    driver = await open_driver(master, tb.unit)
    await bridge(driver.select)(Mode.LAYERNORM, 0)
    tb.expect(driver.engine)
    rows = np.random.default_rng(6).integers(-4000, 4000, (5, tb.unit.max_row)).astype(np.int16)
    await send_without_ends(tb, rows)
    await bridge(driver.wait)(0)
