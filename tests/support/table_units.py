"""Table units with arbitrary contents, and Amaranth's own simulator as a third way to run their RTL."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from amaranth.sim import Simulator

import hdl
from intsim import Fixed
from intsim.rounding import TIES_TO_POS, Rounding
from intsim.tables import NLI, Uniform
from intsim.unit import Unit


def random_nli(
    seed: int,
    x: Fixed,
    y: Fixed,
    intervals: int,
    bins: int,
    *,
    t_bits: int = 7,
    mantissa_bits: int = 9,
    rounding: Rounding = TIES_TO_POS,
    reach: str = "inside",
) -> NLI:
    """Random cuts and random words: neighbours may be as far apart as the format allows.

    `reach` says where the outer cuts lie: ``"inside"`` (both ends clamp), ``"full"`` (neither does).
    """
    rng = np.random.default_rng([seed, intervals, bins])
    lo, hi = (x.lo, x.hi) if reach == "full" else (x.lo + 3, x.hi - 2)
    inner = rng.choice(np.arange(lo + 1, hi), size=intervals - 1, replace=False)
    cuts = [lo, *sorted(inner.tolist()), hi]
    segments = [1 if i in (0, intervals - 1) else bins for i in range(intervals)]
    scales = [_scale(b - a, n, t_bits, mantissa_bits) for a, b, n in zip(cuts, cuts[1:], segments, strict=False)]
    words = rng.integers(y.lo, y.hi, size=sum(segments) + 1, endpoint=True, dtype=np.int64)
    words[rng.integers(0, words.size, size=2)] = y.lo, y.hi
    return NLI(
        x=x,
        y=y,
        cuts=tuple(cuts),
        bins=bins,
        mantissas=tuple(mantissa for mantissa, _ in scales),
        shifts=tuple(shift for _, shift in scales),
        t_bits=t_bits,
        table=tuple(words.tolist()),
        rounding=rounding,
    )


def _scale(span: int, segments: int, t_bits: int, mantissa_bits: int) -> tuple[int, int]:
    """``segments * 2**t_bits / span`` rounded down to a mantissa and a shift, never reaching the last knot."""
    wanted = segments << t_bits
    shift = max(mantissa_bits - (wanted // span).bit_length(), 0)
    mantissa = (wanted << shift) // span
    while span * mantissa >> shift >= wanted:
        mantissa -= 1
    return mantissa, shift


def random_uniform(
    seed: int, x: Fixed, y: Fixed, first: int, step_bits: int, segments: int, rounding: Rounding = TIES_TO_POS
) -> Uniform:
    """An equal-step table with random words."""
    rng = np.random.default_rng([seed, step_bits, segments])
    words = rng.integers(y.lo, y.hi, size=segments + 1, endpoint=True, dtype=np.int64)
    return Uniform(x=x, y=y, first=first, step_bits=step_bits, table=tuple(words.tolist()), rounding=rounding)


def simulate(
    unit: Unit, codes: np.ndarray, *, stall: float = 0.0, gap: float = 0.0, **options: Any
) -> tuple[np.ndarray, int]:
    """`codes` through the RTL of a unit with one input ``x`` and one output ``y``, in Amaranth's simulator.

    Returns
    -------
    outputs, and the cycles from the first transfer to the first result

    Raises
    ------
    AssertionError
        The unit is stuck, or without stalls another latency is measured than stated.
    """
    top = hdl.create(unit, **options)
    got: list[int] = []
    begin = end = -1
    rng = random.Random(1)

    async def bench(ctx):
        nonlocal begin, end
        taken = cycle = 0
        valid = False
        while len(got) < codes.size:
            valid = valid or (taken < codes.size and rng.random() >= gap)
            ctx.set(top.i.valid, valid)
            ctx.set(top.i.payload.x, int(codes[min(taken, codes.size - 1)]))
            ctx.set(top.o.ready, rng.random() >= stall)
            if ctx.get(top.i.valid & top.i.ready):
                begin = cycle if begin < 0 else begin
                taken += 1
                valid = False
            if ctx.get(top.o.valid & top.o.ready):
                end = cycle if end < 0 else end
                got.append(ctx.get(top.o.payload.y))
            await ctx.tick()
            cycle += 1
            assert cycle < 100 * codes.size + 10_000, f"stuck after {len(got)} of {codes.size} results"

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    if stall == gap == 0:
        assert end - begin == top.latency
    return np.array(got, dtype=np.int64), end - begin


def assert_equal(unit: Unit, codes: np.ndarray, got: np.ndarray) -> None:
    """`got` is what the golden model says, or the first difference is shown."""
    expected = unit(codes)
    wrong = np.flatnonzero(expected != got)
    assert got.size == codes.size
    assert wrong.size == 0, (
        f"{wrong.size} of {codes.size} differ, first x={codes[wrong[0]]}: expected {expected[wrong[0]]}, "
        f"got {got[wrong[0]]}"
    )
