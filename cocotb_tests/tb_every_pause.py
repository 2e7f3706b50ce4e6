"""Inside the simulator: the protocol tests of an elementwise unit, with every pair of pauses."""

import cocotb

from hdl.bench import given, protocol


@cocotb.test()
async def back_to_back(dut):
    assert await protocol.back_to_back(dut, 10_000) == 10_000


@cocotb.test()
@cocotb.parametrize(sender=protocol.PROBABILITIES, receiver=protocol.PROBABILITIES)
async def under_stalls(dut, sender, receiver):
    assert await protocol.under_stalls(dut, 10_000, sender, receiver) == 10_000


@cocotb.test()
async def bursts(dut):
    assert await protocol.bursts(dut, 10_000) == 10_000


@cocotb.test()
async def resets(dut):
    inside = given().latency + 1  # what a reset may lose at most: a full pipeline and its spare register
    assert 10_000 - 5 * inside <= await protocol.resets(dut, 2_000, times=5) < 10_000
