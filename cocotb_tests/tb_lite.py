"""Inside the simulator: a unit in the shell ``lite``, used through its registers alone."""

from __future__ import annotations

import cocotb
import numpy as np
from axi_registers import Registers, pause_at_random
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from hdl.bench import given, report
from intsim.shell import UnitDriver, shell_map
from intsim.unit import Unit

OUTPUTS = 300


async def started(dut, pauses: float = 0.0) -> AxiLiteMaster:
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="step").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    if pauses:
        pause_at_random(master, pauses, seed=1)
    return master


def inputs(unit: Unit, seed: int):
    """Columns of the unit's corners, and random codes behind them; a few rows of every length."""
    rng = np.random.default_rng(seed)
    if not unit.is_row:
        corners = unit.corners()
        take = rng.permutation(corners[0].size)[: OUTPUTS // 2]
        random = [rng.integers(f.lo, f.hi, OUTPUTS - take.size, f.dtype, endpoint=True) for f in unit.inputs.values()]
        yield tuple(np.concatenate([c[take].astype(r.dtype), r]) for c, r in zip(corners, random, strict=True))
        return
    fixed = getattr(unit, "row_length", None)
    for n in [fixed] * 3 if fixed else (1, 2, unit.max_row, 3):
        yield tuple(rng.integers(f.lo, f.hi, (2, n), f.dtype, endpoint=True) for f in unit.inputs.values())


@bridge
def use(master: AxiLiteMaster, unit: Unit, seed: int) -> int:
    """Elements in, results out, all through the driver; how many were compared."""
    driver = UnitDriver(Registers(master), unit)
    compared = 0
    for columns in inputs(unit, seed):
        want, got = unit(*columns), driver(*columns)
        for wanted, found in zip(*(r if isinstance(r, tuple) else (r,) for r in (want, got)), strict=True):
            assert np.array_equal(wanted, found)
            compared += wanted.size
    status = driver.registers["STATUS"]
    said = driver.read("STATUS")
    assert (status.part(said, "BUSY"), status.part(said, "ROOM"), status.part(said, "RESULT")) == (0, 1, 0)
    assert driver.read("TAKEN") > 0
    return compared


@cocotb.test()
@cocotb.parametrize(pauses=(0.0, 0.5))
async def elements_through_registers(dut, pauses):
    master = await started(dut, pauses)
    report(await use(master, given().unit, seed=3))


@cocotb.test()
async def illegal_accesses_are_answered_and_change_nothing(dut):
    master = await started(dut, 0.3)
    unit = given().unit
    registers = shell_map(unit, data=True)
    before = (await master.read(0, 0x40)).data
    known = {registers.address(r.name, k) for r in registers.registers for k in range(r.count)}
    readable = {registers.address(r.name, k) for r in registers.registers for k in range(r.count) if r.access != "wo"}
    for address in range(0, 1 << registers.address_bits, 4):
        if address not in known or not readable & {address}:
            assert (await master.read(address, 4)).resp == AxiResp.SLVERR
        if address not in known or registers_at(registers, address).access == "ro":
            assert (await master.write(address, b"\1\2\3\4")).resp == AxiResp.SLVERR
    assert (await master.read(registers.address("OUTPUT"), 4)).resp == AxiResp.SLVERR  # there is no result
    assert (await master.write(registers.address("NEXT"), bytes(4))).resp == AxiResp.SLVERR
    assert (await master.write(registers.address("INPUT"), b"\1")).resp == AxiResp.SLVERR  # less than a word
    if unit.is_row:
        for length in (0, unit.max_row + 1, 0x8000_0000 | unit.max_row):
            answer = await master.write(registers.address("LENGTH"), length.to_bytes(4, "little"))
            assert answer.resp == AxiResp.SLVERR
    assert (await master.read(0, 0x40)).data == before
    report(await use(master, unit, seed=4))


@cocotb.test()
async def a_full_unit_refuses_elements_and_loses_none(dut):
    """Elements are written until the unit has no room, and beyond; then all results of those taken come out."""
    master = await started(dut)
    unit = given().unit
    registers = shell_map(unit, data=True)
    words = registers["INPUT"].count
    taken, refused = 0, 0
    while refused < 3 and taken < 2000:
        answers = [
            (await master.write(registers.address("INPUT", k), (taken + k).to_bytes(4, "little"))).resp
            for k in range(words)
        ]
        taken += answers[-1] == AxiResp.OKAY
        refused += answers[-1] == AxiResp.SLVERR
    given_back = 0
    while (await master.write(registers.address("NEXT"), bytes(4))).resp == AxiResp.OKAY:
        given_back += 1
    count = int.from_bytes((await master.read(registers.address("TAKEN"), 4)).data, "little")
    assert count == taken
    if not unit.is_row:
        assert refused == 3
        assert given_back == taken
    report(given_back)


def registers_at(registers, address):
    """The register that has an address."""
    return next(r for r in registers.registers if address in range(r.offset, r.offset + 4 * r.count, 4))
