"""The direct table, DH-LUT and the range-reduced functions: on every input, against fractions and real functions."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from intsim.errors import IntsimError, UnknownName
from intsim.exact import plain
from intsim.formats import BFloat16, Fixed, Float16, Int
from intsim.rounding import TIES_TO_POS, shift_round
from intsim.tables import DHLUT, Direct, NormalReciprocal, RangeReduced
from intsim.unit import Unit

F16, BF16 = Float16(), BFloat16()
ALL = np.arange(1 << 16, dtype=np.uint16)

DH = {
    "full": DHLUT.design(),
    "factored": DHLUT.design(low_bits=3),
    "narrow": DHLUT.design(5, -3, 2, frac=11, low_bits=2),
}


@pytest.mark.parametrize("name", DH)
def test_dh_lut_on_every_exponent_and_mantissa(name):
    unit = DH[name]
    exponent, q = unit.corners()
    assert q.size == (unit.hi - unit.lo + 1) << unit.bits
    y = unit(exponent, q)
    with plain():
        np.testing.assert_array_equal(unit(exponent, q), y)
    error = np.abs(unit.outputs["y"].decode(y) - unit.real(exponent, q)) * 2.0**unit.frac
    end = (exponent == unit.hi) & (q >= ((1 << unit.bits) - (1 << unit.low_bits)))
    # words rounded once; factored: two rounded words of up to 1 and one more rounding
    assert error[~end].max() <= (0.5 if unit.low_bits == 0 else 1.5)
    assert np.all(y[(exponent == unit.hi) & (q == (1 << unit.bits) - 1)] == 0)
    assert y.max() == 1 << unit.frac
    for e in range(unit.lo, unit.hi + 1):
        assert np.all(np.diff(y[exponent == e].astype(int)) <= 1)
    assert Unit.from_json(unit.to_json()) == unit


def test_dh_lut_sizes_are_those_planned():
    # 12 exponents (-8 .. 3) of 128 words, or of 16 and 8, of 16 bits
    assert DH["full"].table_bits == 12 * 128 * 16
    assert DH["factored"].table_bits == 12 * (16 + 8) * 16
    rows = np.array(DH["full"].high).reshape(12, 128)
    np.testing.assert_array_equal(rows[0], np.rint(np.exp(-np.arange(128) * 2.0**-14) * 32768))
    assert rows[-1, -1] == 0


def test_dh_lut_refusals():
    full = DH["full"]
    for change in ({"bits": 0}, {"low_bits": 7}, {"frac": 31}, {"lo": 4}, {"high": full.high[1:]}, {"frac": 14}):
        with pytest.raises(IntsimError):
            dataclasses.replace(full, **change)
    with pytest.raises(IntsimError, match="outside"):
        full(np.array([4]), np.array([0]))


@pytest.mark.parametrize("x", [Int(8), Fixed(8, 4, False), Fixed(10, 7)])
def test_direct_table_is_the_rounded_function(x):
    unit = Direct.design("tanh", x, Fixed(12, 10))
    codes = x.codes()
    y = unit(codes)
    np.testing.assert_array_equal(y, Fixed(12, 10).encode(np.tanh(x.decode(codes))))
    with plain():
        np.testing.assert_array_equal(unit(codes), y)
    np.testing.assert_array_equal(unit.corners()[0], codes)
    assert Unit.from_json(unit.to_json()) == unit
    assert unit.name == "direct_tanh"
    with pytest.raises(IntsimError, match="a word for each"):
        dataclasses.replace(unit, table=unit.table[1:])


# name: function, formats, index bits, bound of the mean relative error measured by an independent program
REDUCED = {
    "reciprocal": ("reciprocal", F16, F16, 5, 2.1e-4),
    "rsqrt": ("rsqrt", F16, F16, 5, 1.9e-4),
    "coarse": ("reciprocal", F16, F16, 3, 1.3e-3),
    "bfloat16": ("rsqrt", BF16, BF16, 4, 1.5e-3),
    "mixed": ("reciprocal", F16, BF16, 5, 1.5e-3),
}


def reduced(name):
    fn, x, y, index_bits, _ = REDUCED[name]
    return RangeReduced.design(fn, x, y, index_bits=index_bits)


@pytest.mark.parametrize("name", REDUCED)
def test_range_reduced_function_on_every_code(name):
    unit = reduced(name)
    y = unit(ALL)
    some = np.concatenate([unit.corners()[0], ALL[::37]])
    with plain():
        np.testing.assert_array_equal(unit(some), unit(some))
    x, found = unit.x.decode(ALL), unit.y.decode(y)
    negative = np.signbit(x)
    nan = np.isnan(x) | ((x < 0) & (unit.fn == "rsqrt"))
    assert np.all(y[nan] == unit.y.nan)
    assert np.all(np.isfinite(found[~nan]))
    zero = x == 0
    assert np.all(np.abs(found[zero]) == unit.y.max)
    assert np.all(found[np.isinf(x) & ~nan] == 0)
    if unit.fn == "reciprocal":
        np.testing.assert_array_equal(np.signbit(found[~nan]), negative[~nan])
    usual = np.isfinite(x) & ~zero & ~nan
    real = unit.real(x[usual])
    inside = np.abs(real) < unit.y.max
    assert np.all(np.abs(found[usual][~inside]) == unit.y.max)
    relative = np.abs(found[usual][inside] - real[inside]) / np.maximum(np.abs(real[inside]), 2.0**-14)
    assert relative.mean() <= REDUCED[name][4]


@pytest.mark.parametrize("name", REDUCED)
def test_corners_find_every_changed_word(name):
    unit = reduced(name)
    (corners,) = unit.corners()
    before, everywhere, killed = unit(corners), unit(ALL), 0
    for g in range(len(unit.table)):
        for change in (64, -64):
            words = [w + change * (k == g) for k, w in enumerate(unit.table)]
            try:
                other = dataclasses.replace(unit, table=tuple(words))
            except IntsimError:
                continue
            if np.any(other(ALL) != everywhere):
                assert np.any(other(corners) != before), g
                killed += 1
    assert killed > len(unit.table)


def test_range_reduced_refusals():
    unit = reduced("rsqrt")
    with pytest.raises(UnknownName, match="reciprocal"):
        RangeReduced.design("recip", F16, F16)
    for change in (
        {"index_bits": 0},
        {"index_bits": 11},
        {"frac": 3},
        {"table": unit.table[1:]},
        {"table": unit.table[::-1]},
    ):
        with pytest.raises(IntsimError):
            dataclasses.replace(unit, **change)
    assert Unit.from_json(unit.to_json()) == unit


RECIPROCALS = {
    "divider": NormalReciprocal(Int(30, False)),
    "table": NormalReciprocal.design(Int(30, False)),
    "small": NormalReciprocal.design(Int(46, False), 12, index_bits=4, t_bits=5),
}


@pytest.mark.parametrize("name", RECIPROCALS)
def test_normal_reciprocal_follows_its_equations(name):
    unit = RECIPROCALS[name]
    values = np.concatenate([unit.corners()[0], np.random.default_rng(1).integers(0, unit.x.hi, 3000)]).astype(np.int64)
    mantissa, exponent = unit(values)
    with plain():
        again = unit(values)
    np.testing.assert_array_equal(again[0], mantissa)
    np.testing.assert_array_equal(again[1], exponent)
    for value, m, e in zip(values.tolist(), mantissa.tolist(), exponent.tolist(), strict=True):
        if value == 0:
            assert (m, e) == (0, 0)
            continue
        assert e == value.bit_length() - 1 + unit.bits
        if unit.index_bits == 0:
            assert m == (1 << e) // value
        else:
            f = Fraction(value, 1 << (value.bit_length() - 1)) - 1
            place = int(f * (1 << (unit.index_bits + unit.t_bits)))
            i, t = place >> unit.t_bits, place % (1 << unit.t_bits)
            assert m == unit.table[i] - ((unit.table[i] - unit.table[i + 1]) * t >> unit.t_bits)
        assert 1 << (unit.bits - 1) <= m <= 1 << unit.bits
        limit = {"divider": Fraction(2, 1 << 16), "table": Fraction(1, 1 << 13), "small": Fraction(1, 1 << 8)}[name]
        assert abs(m * value * Fraction(2) ** -e - 1) < limit
    assert Unit.from_json(unit.to_json()) == unit


def test_normal_reciprocal_refusals():
    table = RECIPROCALS["table"]
    for change in ({"x": Int(47, False)}, {"x": Int(30)}, {"bits": 17}, {"index_bits": 6}, {"t_bits": 25}):
        with pytest.raises(IntsimError):
            dataclasses.replace(table, **change)
    with pytest.raises(IntsimError, match="descend"):
        dataclasses.replace(table, table=table.table[::-1])


def test_factored_word_is_the_rounded_product():
    unit = DH["factored"]
    high, low = np.array(unit.high).reshape(12, 16), np.array(unit.low).reshape(12, 8)
    exponent, q = unit.corners()
    row = exponent.astype(int) - unit.lo
    product = high[row, q >> 3] * low[row, q & 7]
    np.testing.assert_array_equal(unit(exponent, q), [shift_round(int(p), 15, TIES_TO_POS) for p in product])
