"""Inside the simulator: the protocol tests on ``faults.v``, once for every fault."""

import cocotb

from hdl.bench import protocol

FAULTS = ["NONE", "WRONG", "STUCK_DATA", "STUCK_IDLE", "RETRACTS", "CHANGES", "LOSES", "REPEATS", "LEFTOVER", "DEAF"]
LIMIT = {"timeout_time": 100_000, "timeout_unit": "step"}


@cocotb.test(**LIMIT)
@cocotb.parametrize(fault=[fault for fault in FAULTS if fault != "LEFTOVER"])
async def under_stalls(dut, fault):
    dut.fault.value = FAULTS.index(fault)
    assert await protocol.under_stalls(dut, 1_000, 0.2, 0.5) == 1_000


@cocotb.test(**LIMIT)
@cocotb.parametrize(fault=["NONE", "WRONG", "LEFTOVER"])
async def resets(dut, fault):
    dut.fault.value = FAULTS.index(fault)
    assert 780 <= await protocol.resets(dut, 400, times=2) < 800
