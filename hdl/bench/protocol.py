"""The protocol tests that every elementwise unit must pass, as coroutines: a test file decorates and counts.

Each returns the number of outputs compared with the golden model. The stimulus is the unit's corners and random
codes, never the same twice.
"""

from __future__ import annotations

from typing import Any

import cocotb

from hdl.bench.pauses import gaps, stalls
from hdl.bench.testbench import Testbench, given, stimulus

__all__ = ["PROBABILITIES", "back_to_back", "bursts", "resets", "under_stalls"]

PROBABILITIES = (0.0, 0.1, 0.5, 0.9)
"""Stall probabilities that each side is tried with."""


async def back_to_back(dut: Any, count: int) -> int:
    """`count` transfers at full rate: nothing pauses, and cycles are counted against latency and interval if known.

    A unit with an interval of several cycles may have registers in front, as many as its latency at most, which fill at
    a transfer per cycle: it may take its last one earlier by the difference, and gives all at the stated interval.
    """
    facts = given()
    tb = Testbench(dut)
    await tb.start()
    await tb.send(stimulus(tb.unit, count, seed=1))
    compared = await tb.finish()
    latency = tb.received.first - tb.sent.first
    if facts.latency is not None:
        assert latency == facts.latency, f"the first result comes after {latency} cycles, {facts.latency} are stated"
    if (interval := facts.interval) is not None:
        whole = (count - 1) * interval
        for monitor, least in ((tb.sent, whole - (interval - 1) * latency), (tb.received, whole)):
            duration = monitor.last - monitor.first
            assert least <= duration <= whole, f"{monitor.stream.prefix}: {count} beats in {duration} cycles"
    return compared


async def under_stalls(dut: Any, count: int, sender: float, receiver: float) -> int:
    """`count` transfers while both sides pause at random, each with its own probability."""
    tb = Testbench(dut)
    await tb.start(stalls(receiver, seed=2))
    await tb.send(stimulus(tb.unit, count, seed=3), stalls(sender, seed=4))
    return await tb.finish()


async def bursts(dut: Any, count: int) -> int:
    """`count` transfers in bursts with idle gaps that let the pipeline run empty, while the receiver does the same."""
    tb = Testbench(dut)
    latency = given().latency
    longest = 2 * (32 if latency is None else latency) + 2
    await tb.start(gaps(longest, longest, seed=5))
    await tb.send(stimulus(tb.unit, count, seed=6), gaps(longest, longest, seed=7))
    return await tb.finish()


async def resets(dut: Any, count: int, times: int) -> int:
    """`times` resets of different lengths in mid-stream, `count` transfers around each, both sides pausing.

    The sender goes on offering through a reset. What is inside is lost; nothing of it may come out later.
    """
    tb = Testbench(dut)
    await tb.start(stalls(0.3, seed=8))
    for turn in range(times):
        sending = cocotb.start_soon(tb.send(stimulus(tb.unit, count, seed=9 + turn), stalls(0.1, seed=turn)))
        target = count // (turn + 2)
        while tb.received.complete < target:
            await tb.cycle()
        assert tb.sent.complete > tb.received.complete, "nothing was in flight when the reset came"
        await tb.reset(1 + turn)
        await sending
    return await tb.finish()
