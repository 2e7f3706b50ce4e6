# amaranth: UnusedElaboratable=no
"""Dividers, root, multiplier, leading one, trees and row buffer against arithmetic, exhaustively at small widths."""

from __future__ import annotations

import numpy as np
import pytest
from part_units import ByConstant, Leading, Product, Quotient, Root, RowExtremes, Tree

import hdl
from hdl.parts.divider import IterativeDivider, carries, steps
from intsim.errors import IntsimError
from intsim.formats import Int
from intsim.rounding import Rounding, divide_round

KINDS = ("radix2", "radix4", "nonrestoring", "pipelined2", "pipelined4", "floor2", "floor4")


def assert_equal(unit, **options) -> dict:
    report = hdl.flow.verify(unit, vectors=1 << 14, **options)
    assert report["mismatches"] == 0, report["first"]
    return report


@pytest.mark.parametrize("kind", KINDS)
def test_every_division_of_seven_bits(kind):
    report = assert_equal(Quotient(kind, 7, 6, 7))
    assert report["exhaustive"]
    assert report["inputs"] == 1 << 13


@pytest.mark.parametrize("kind", ["radix4", "pipelined2", "pipelined4"])
def test_a_promised_short_quotient_takes_fewer_steps(kind):
    assert_equal(Quotient(kind, 9, 7, 3))
    assert hdl.create(Quotient(kind, 9, 7, 3)).latency < hdl.create(Quotient(kind, 9, 7, 9)).latency


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_every_division_of_twelve_bits(kind):
    report = assert_equal(Quotient(kind, 12, 12, 12))
    assert report["inputs"] == 1 << 24


@pytest.mark.parametrize("kind", KINDS)
def test_latency_and_interval_are_as_stated(kind):
    unit = Quotient(kind, 8, 8, 8)
    device, part = hdl.flow.model(unit), hdl.create(unit)
    n = np.arange(100, dtype=device.unit.inputs["n"].dtype)
    device(n, np.full(100, 3, dtype=np.uint8))
    assert device.last_run.first_answer == part.latency
    assert device.last_run.cycles == part.latency + 99 * part.interval + 1


def test_divider_steps():
    assert steps(9, 2) == 9
    assert steps(9, 4) == 5
    with pytest.raises(IntsimError, match="radix"):
        steps(8, 8)
    with pytest.raises(IntsimError, match="restoring"):
        IterativeDivider(8, 8, radix=4, restoring=False)
    with pytest.raises(IntsimError, match="q_bits"):
        IterativeDivider(20, 8, q_bits=4)


@pytest.mark.parametrize("mode", list(Rounding))
def test_carries_round_a_floor_quotient_in_every_mode(mode):
    from amaranth.hdl import Module, Signal, signed
    from amaranth.sim import Simulator

    q, r, d, up = Signal(signed(4)), Signal(3), Signal(3), Signal()
    m = Module()
    m.d.comb += up.eq(carries(q, r, d, mode))
    sim = Simulator(m)
    seen = 0

    async def bench(ctx):
        nonlocal seen
        for divisor in range(1, 8):
            for n in range(-8 * divisor, 8 * divisor):
                ctx.set(q, n // divisor)
                ctx.set(r, n % divisor)
                ctx.set(d, divisor)
                assert n // divisor + ctx.get(up) == divide_round(n, divisor, mode)
                seen += 1

    sim.add_testbench(bench)
    sim.run()
    assert seen == 16 * 28


@pytest.mark.parametrize("bits", [1, 8, 13])
def test_every_root(bits):
    assert assert_equal(Root(bits))["exhaustive"]


@pytest.mark.parametrize("bits", [1, 2, 3, 12])
def test_every_leading_one(bits):
    assert assert_equal(Leading(bits))["exhaustive"]


def test_the_tree_takes_a_number_of_values_that_is_no_power_of_two():
    assert assert_equal(Tree(3))["inputs"] == 1 << 15


@pytest.mark.parametrize(("divisor", "q_bits"), [(1, 4), (7, 5), (20, 4), (1000, 3)])
def test_every_division_by_a_constant(divisor, q_bits):
    assert assert_equal(ByConstant(divisor, q_bits))["exhaustive"]


@pytest.mark.parametrize(
    ("a", "b"), [(Int(6), Int(7, False)), (Int(18), Int(18)), (Int(33), Int(20, False)), (Int(40, False), Int(24))]
)
def test_products_of_limbs(a, b):
    assert_equal(Product(a, b))


@pytest.mark.parametrize("lanes", [1, 3])
def test_row_buffer_replays_rows_of_any_length_with_their_token(lanes):
    unit = RowExtremes(max_row=16)
    assert_equal(unit, lanes=lanes)
    device, part = hdl.flow.model(unit, lanes=lanes), hdl.create(unit, lanes=lanes)
    rng = np.random.default_rng(0)
    for n in (1, 5, 16):
        rows = rng.integers(-128, 128, (50, n)).astype(np.int8)
        device(rows[:1])
        assert device.last_run.cycles - 1 == part.cycles(n)
        device(rows)
        assert device.last_run.cycles - 1 == part.cycles(n) + 49 * part.sustained(n)
