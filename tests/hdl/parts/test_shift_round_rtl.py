"""Rounding in gates against the operator, for every value and every shift."""

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from hdl.parts.shift_round import add_with_carry, drop_bits, shift_round, shift_round_by
from intsim.rounding import Rounding
from intsim.rounding import shift_round as golden

SHAPES = [signed(7), unsigned(6), signed(1)]


def values(shape):
    return range(-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else range(1 << shape.width)


def run(m, body):
    async def bench(ctx):
        await body(ctx)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mode", list(Rounding), ids=str)
def test_constant_shifts(shape, mode):
    m = Module()
    value = Signal(shape)
    rounded = [Signal(signed(10), name=f"by{bits}") for bits in range(11)]
    m.d.comb += [out.eq(shift_round(value, bits, mode)) for bits, out in enumerate(rounded)]

    async def body(ctx):
        for v in values(shape):
            ctx.set(value, v)
            assert [ctx.get(out) for out in rounded] == [golden(v, bits, mode) for bits in range(11)], v

    run(m, body)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mode", list(Rounding), ids=str)
def test_shifts_by_a_signal(shape, mode):
    m = Module()
    value, amount, rounded = Signal(shape), Signal(4), Signal(signed(10))
    floor, up = shift_round_by(value, amount, mode)
    m.d.comb += rounded.eq(floor + up)

    async def body(ctx):
        for v in values(shape):
            ctx.set(value, v)
            for bits in range(16):
                ctx.set(amount, bits)
                assert ctx.get(rounded) == golden(v, bits, mode), (v, bits)

    run(m, body)


def test_the_integer_below_is_narrower_by_what_is_dropped():
    for shape in SHAPES:
        floor, up = drop_bits(Signal(shape), 3, Rounding.TIES_TO_EVEN)
        assert len(floor) == max(shape.width - 3, 1)
        assert floor.shape().signed == shape.signed
        assert len(up) == 1


@pytest.mark.parametrize("a_shape", [signed(4), unsigned(3)], ids=str)
@pytest.mark.parametrize("b_shape", [signed(3), unsigned(4)], ids=str)
def test_one_carry_chain_adds_three_numbers(a_shape, b_shape):
    m = Module()
    a, b, carry, total = Signal(a_shape), Signal(b_shape), Signal(), Signal(signed(8))
    m.d.comb += total.eq(add_with_carry(a, b, carry))

    async def body(ctx):
        for x in values(a_shape):
            for y in values(b_shape):
                for c in (0, 1):
                    ctx.set(a, x)
                    ctx.set(b, y)
                    ctx.set(carry, c)
                    assert ctx.get(total) == x + y + c

    run(m, body)
