"""Block floating point in hardware: encoder and dot product equal their golden models, in the cycles stated."""

import numpy as np
import pytest

import hdl
import hdl.flow
from intsim.errors import IntsimError
from intsim.formats import BFP, DBFP, Fixed, Int
from intsim.linear import BlockDot, BlockEncoder
from intsim.nonlinear import DBAttnSoftmax, QANSSoftmax
from intsim.rounding import TIES_TO_EVEN, TO_NEG
from intsim.tables import Direct, NormalReciprocal

UNITS = {
    "dot_signed": (BlockDot(DBFP(5, 4, 100, -6, 6, 2, signed=True), DBFP(4, 4, 75, -3, 5, 1, signed=True)), (1, 2)),
    "dot_mixed": (BlockDot(DBFP(7, 16), BFP(8, 16)), (1, 4, 3)),
    "encoder": (BlockEncoder(DBFP(7, 8), Fixed(14, 8, False)), (1, 3)),
    "encoder_signed": (
        BlockEncoder(DBFP(6, 8, 100, -3, 7, 1, signed=True, rounding=TIES_TO_EVEN), Fixed(12, 4)),
        (1, 4),
    ),
    "median": (BlockEncoder(DBFP(7, 8, 50, -8, 9, 0), Fixed(14, 8, False)), (1, 3)),
    "quarter_signed": (BlockEncoder(DBFP(5, 7, 25, -6, 1, 2, signed=True), Fixed(12, 4)), (1, 2)),
    "bfp": (BlockEncoder(BFP(8, 8, lo=-10, hi=4, rounding=TO_NEG), Fixed(12, 8)), (1, 2)),
}
CASES = [(name, lanes) for name, (_, some) in UNITS.items() for lanes in some]


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_blocks(name, lanes):
    unit, _ = UNITS[name]
    result = hdl.flow.verify(unit, vectors=20_000, lanes=lanes)
    assert result["inputs"] == result["equal"] > 1500, result["smallest"]


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_cycles_per_block(name, lanes):
    unit, _ = UNITS[name]
    device, part = hdl.flow.model(unit, lanes=lanes), hdl.create(unit, lanes=lanes)
    rng = np.random.default_rng(1)
    for n in (1, unit.max_row):
        rows = [rng.integers(fmt.lo, fmt.hi, (20, n), endpoint=True).astype(fmt.dtype) for fmt in unit.inputs.values()]
        device(*(column[:1] for column in rows))
        assert device.last_run.cycles - 1 == part.cycles(n)
        device(*rows)
        assert device.last_run.cycles - 1 <= part.cycles(n) + 19 * part.sustained(n)


def test_every_block_of_two_small_numbers():
    """The encoder's core depends on the element and on the block's largest: all pairs of 8 bits."""
    unit = BlockEncoder(DBFP(4, 2, 100, -3, 2, 1, signed=True), Fixed(8, 3))
    codes = np.arange(-128, 128)
    pairs = np.array(np.meshgrid(codes, codes)).reshape(2, -1).T.astype(np.int8)
    for got, expected in zip(hdl.flow.model(unit)(pairs), unit(pairs), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_normalised_reciprocal_of_every_16_bit_number():
    for unit in (
        NormalReciprocal.design(Int(16, False)),
        NormalReciprocal.design(Int(16, False), 9, index_bits=3, t_bits=14),
    ):
        result = hdl.flow.verify(unit)
        assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.parametrize(("width", "bits"), [(1, 4), (2, 5), (3, 16), (7, 8), (12, 4), (12, 11), (12, 16), (16, 13)])
def test_divided_reciprocal_of_every_number(width, bits):
    result = hdl.flow.verify(NormalReciprocal(Int(width, False), bits))
    assert result["inputs"] == result["equal"] == 1 << width, result["first"][:3]


@pytest.mark.parametrize("width", [23, 46])
def test_divided_reciprocal_of_wide_numbers(width):
    result = hdl.flow.verify(NormalReciprocal(Int(width, False)), vectors=20_000)
    assert result["inputs"] == result["equal"] >= 20_000, result["first"][:3]


@pytest.mark.parametrize("unit", [NormalReciprocal(Int(20, False), 9), NormalReciprocal.design(Int(20, False), 9)])
def test_time_of_a_reciprocal(unit):
    """A divider of 10 bits: three cuts, five digits, one cycle to hand over; one more before the next."""
    device, part = hdl.flow.model(unit), hdl.create(unit)
    assert (part.latency, part.interval) == ((6, 1) if unit.index_bits else (3 + 5 + 1, 5 + 2))
    codes = np.random.default_rng(2).integers(0, 1 << 20, 200).astype(np.uint32)
    for n in (1, 2, 200):
        for got, expected in zip(device(codes[:n]), unit(codes[:n]), strict=True):
            np.testing.assert_array_equal(got, expected)
        assert device.last_run.cycles - 1 == part.latency + (n - 1) * part.interval
    for got, expected in zip(device(codes, stalls=0.4), unit(codes), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_what_has_no_hardware_says_so():
    with pytest.raises(IntsimError, match="pivot=100"):
        hdl.create(DBAttnSoftmax.design(2.0**-6, pivot=50, x=Int(12)))
    codes = Fixed(13, 9, False)
    long = Direct.design(lambda distance: np.exp(-distance), codes, Fixed(16, 15, False))
    with pytest.raises(IntsimError, match=r"direct has no hardware.* 8192 words, 4096 are"):
        hdl.create(QANSSoftmax.design(2.0**-9, 16, exp=long, x=Int(16)))
