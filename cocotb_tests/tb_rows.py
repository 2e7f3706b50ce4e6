"""Inside the simulator: the protocol tests of every row unit, with rows of all lengths behind each other."""

from __future__ import annotations

import cocotb
import numpy as np

from hdl.bench import Testbench, stalls

LENGTHS = (1, 2, 3, 5, 8, 16)
OUTPUTS = 10_000


def batches(unit, outputs: int, seed: int):
    """Rows of every length in turn, `outputs` elements in all or a few more; values of every magnitude."""
    rng = np.random.default_rng(seed)
    left = outputs
    fixed = getattr(unit, "row_length", None)
    lengths = [fixed] if fixed else [n for n in LENGTHS if n <= unit.max_row]
    while left > 0:
        for n in lengths:
            rows = 1 + int(rng.integers(0, 12))
            yield tuple(values(fmt, (rows, n), rng) for fmt in unit.inputs.values())
            left -= rows * n


def values(fmt, shape, rng):
    spread = rng.integers(0, fmt.bits, (shape[0], 1))
    wide = rng.integers(fmt.lo, fmt.hi, shape, endpoint=True) >> (spread if fmt.bits > 1 else 0)
    return wide.astype(fmt.dtype)


def answers(unit, columns) -> int:
    """Outputs that the golden model makes of rows: one per element, or one per row where no port has more."""
    result = unit(*columns)
    return max(column.size for column in (result if isinstance(result, tuple) else (result,)))


async def run(dut, sender: float, receiver: float, seed: int) -> tuple[int, int]:
    tb = Testbench(dut)
    await tb.start(stalls(receiver, seed=seed))
    sent = 0
    for number, columns in enumerate(batches(tb.unit, OUTPUTS, seed)):
        sent += answers(tb.unit, columns)
        await tb.send(columns, stalls(sender, seed=1000 * seed + number))
    return sent, await tb.finish()


@cocotb.test()
async def back_to_back(dut):
    sent, compared = await run(dut, 0.0, 0.0, 1)
    assert compared == sent > 0


@cocotb.test()
@cocotb.parametrize((("sender", "receiver"), [(0.0, 0.9), (0.1, 0.1), (0.5, 0.5), (0.9, 0.0)]))
async def under_stalls(dut, sender, receiver):
    sent, compared = await run(dut, sender, receiver, 2)
    assert compared == sent > 0


@cocotb.test()
async def resets_in_mid_row(dut):
    """What is inside is lost; what is left of a row that a reset cut is a row of its own."""
    tb = Testbench(dut)
    if getattr(tb.unit, "row_length", None):
        return await whole_rows_between_resets(tb)
    await tb.start(stalls(0.3, seed=8))
    rng = np.random.default_rng(9)
    for turn in range(6):
        rows = tuple(values(fmt, (40, min(16, tb.unit.max_row)), rng) for fmt in tb.unit.inputs.values())
        sending = cocotb.start_soon(tb.send(rows, stalls(0.1, seed=turn)))
        await tb.cycle(150 + 37 * turn)
        await tb.reset(1 + turn)
        await sending
    compared = await tb.finish()
    most = 6 * answers(tb.unit, rows)
    assert most // 4 < compared < most, f"{compared} outputs with {tb.inputs.lanes} lanes"


async def whole_rows_between_resets(tb):
    """Units with constants per channel take whole rows only: the reset comes while results are still inside."""
    await tb.start(stalls(0.3, seed=8))
    rng = np.random.default_rng(9)
    for turn in range(6):
        rows = tuple(values(fmt, (40, tb.unit.row_length), rng) for fmt in tb.unit.inputs.values())
        await tb.send(rows, stalls(0.1, seed=turn))
        await tb.reset(1 + turn)
    await tb.send(rows)
    assert await tb.finish() >= answers(tb.unit, rows)
