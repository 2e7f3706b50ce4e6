"""Integers and fixed point: ranges, encode and decode, check, and formats as text."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intsim import DtypeError, Fixed, Int, IntsimError
from intsim.formats import parse
from intsim.formats.base import smallest_dtype
from intsim.formats.fixed import round_real
from intsim.rounding import Rounding, divide_round, saturate

MODES = list(Rounding)
SMALL = [Fixed(5, 2), Fixed(5, 0), Fixed(5, -1), Fixed(4, 6), Fixed(4, 2, signed=False), Fixed(1, 0), Int(1, False)]


@pytest.mark.parametrize(
    ("fmt", "lo", "hi", "dtype", "text"),
    [
        (Int(8), -128, 127, "int8", "s8"),
        (Int(8, signed=False), 0, 255, "uint8", "u8"),
        (Int(1), -1, 0, "int8", "s1"),
        (Int(1, signed=False), 0, 1, "uint8", "u1"),
        (Fixed(9, 4), -256, 255, "int16", "s9.4"),
        (Fixed(16, 12), -32768, 32767, "int16", "s16.12"),
        (Fixed(17, -3, signed=False), 0, 131071, "uint32", "u17.-3"),
        (Fixed(33, 40), -(1 << 32), (1 << 32) - 1, "int64", "s33.40"),
        (Fixed(64, 60), -(1 << 63), (1 << 63) - 1, "int64", "s64.60"),
        (Fixed(64, 0, signed=False), 0, (1 << 64) - 1, "uint64", "u64.0"),
    ],
)
def test_range_type_and_text(fmt, lo, hi, dtype, text):
    assert (fmt.lo, fmt.hi, fmt.dtype, str(fmt)) == (lo, hi, np.dtype(dtype), text)
    assert parse(text) == fmt
    assert type(parse(text)) is type(fmt)


def test_an_int_is_not_a_fixed_without_fraction_but_means_the_same():
    assert Int(8) != Fixed(8, 0)
    assert Int(8).encode(3.0) == Fixed(8, 0).encode(3.0)


@pytest.mark.parametrize("text", ["", "16.12", "s", "s16.", "x16.12", "s16.12.1", "s1.5e3", "s16,12", "S16.12", "s-3"])
def test_what_is_no_format_is_refused(text):
    with pytest.raises(IntsimError, match=r"cannot read the format .*; write s16.12"):
        parse(text)


def test_spaces_around_a_format_are_harmless():
    assert parse(" s16.12\n") == Fixed(16, 12)


@pytest.mark.parametrize("bits", [0, -1, 65, 8.0, "8", None, True])
def test_impossible_widths_are_refused(bits):
    with pytest.raises(IntsimError, match="a format has 1 to 64 bits, got"):
        Fixed(bits, 0)
    with pytest.raises(IntsimError, match="a format has 1 to 64 bits, got"):
        Int(bits)


@pytest.mark.parametrize("frac", [0.5, "4", None, 1001, -1001, True])
def test_impossible_fractions_are_refused(frac):
    with pytest.raises(IntsimError, match="frac must be an integer between -1000 and 1000"):
        Fixed(8, frac)


def test_an_int_with_fraction_bits_is_refused_with_the_remedy():
    with pytest.raises(IntsimError, match=r"use Fixed\(8, 2\)"):
        Int(8, frac=2)
    with pytest.raises(IntsimError, match="signed must be True or False, got 1"):
        Int(8, signed=1)


# Encode and decode ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", SMALL, ids=str)
def test_decode_gives_the_exact_value_and_encode_the_code_back(fmt):
    codes = fmt.codes()
    assert codes.size == 1 << fmt.bits
    values = fmt.decode(codes)
    assert [Fraction(v) for v in values.tolist()] == [int(c) * Fraction(2) ** -fmt.frac for c in codes]
    for mode in MODES:
        back = fmt.encode(values, mode)
        np.testing.assert_array_equal(back, codes)
        assert back.dtype == fmt.dtype


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("fmt", SMALL, ids=str)
def test_encode_rounds_and_saturates_as_named(fmt, mode):
    """Every multiple of 1/16 of a step, well beyond both ends."""
    sixteenths = np.arange(16 * (fmt.lo - 3), 16 * (fmt.hi + 3) + 1)
    values = np.ldexp(sixteenths.astype(float), -4 - fmt.frac)
    expected = [saturate(divide_round(int(n), 16, mode), fmt.lo, fmt.hi) for n in sixteenths]
    assert fmt.encode(values, mode, saturate=True).tolist() == expected


def test_encode_without_saturation_names_the_first_value_outside():
    with pytest.raises(IntsimError, match=r"8\.0 is outside s16\.12 = \[-8\.0, 7\.99.*\]; pass saturate=True"):
        Fixed(16, 12).encode([1.0, 8.0, -9.0])
    assert Fixed(16, 12).encode(7.9998).tolist() == 32767
    with pytest.raises(IntsimError, match=r"outside s16.12"):
        Fixed(16, 12).encode(7.9999)  # rounds to 8.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_encode_refuses_what_is_not_finite(bad):
    with pytest.raises(IntsimError, match="holds no NaN or infinity"):
        Fixed(8, 4).encode([0.0, bad], saturate=True)


@pytest.mark.parametrize("fmt", [Int(64), Int(64, signed=False), Int(60), Fixed(54, 0)], ids=str)
def test_the_widest_formats_saturate_to_their_exact_ends(fmt):
    got = fmt.encode([1e300, -1e300, 3.0], saturate=True)
    assert got.tolist() == [fmt.hi, fmt.lo, 3]
    assert got.dtype == fmt.dtype


@given(st.floats(-1e6, 1e6), st.sampled_from(MODES))
def test_round_real_is_divide_round(value, mode):
    exactly = Fraction(value)
    expected = divide_round(exactly.numerator, exactly.denominator, mode)
    assert round_real(np.array([value]), mode)[0] == expected


def test_shapes_are_kept():
    fmt = Fixed(8, 4)
    assert fmt.encode(1.5).shape == ()
    assert fmt.encode([[1.5, 2.0]]).shape == (1, 2)
    assert fmt.decode(np.int8(24)) == 1.5


# Check ----------------------------------------------------------------------------------------------------------


def test_check_accepts_every_code_in_any_integer_type():
    fmt = Fixed(8, 4)
    for dtype in ("int8", "int16", "int64"):
        np.testing.assert_array_equal(fmt.check(fmt.codes().astype(dtype)), fmt.codes())
    assert fmt.check([1, 2, -3]).tolist() == [1, 2, -3]
    assert Int(8, signed=False).check(np.arange(128, dtype=np.int8)).size == 128
    assert Fixed(64, 0, signed=False).check(np.array([2**64 - 1], dtype=np.uint64)).size == 1


@pytest.mark.parametrize(
    ("fmt", "codes", "message"),
    [
        (Int(7), [-65], r"x: -65 is outside s7 = \[-64, 63\]; saturate it or use a wider format"),
        (Int(7), [3, 64], r"x: 64 is outside s7 = \[-64, 63\]"),
        (Int(8, False), [-1], r"x: -1 is outside u8 = \[0, 255\]"),
        (Int(64), np.array([2**63], dtype=np.uint64), "x: 9223372036854775808 is outside s64"),
    ],
)
def test_check_refuses_codes_outside(fmt, codes, message):
    with pytest.raises(IntsimError, match=message):
        fmt.check(codes, "x")


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([1.0], "expected integer codes of s8.4, got dtype float64; encode real values first"),
        ([True], r"got dtype bool; convert with .astype\(np.uint8\)"),
        ([1 << 70], "got dtype object; integers must fit int64"),
        (["1"], "got dtype <U1"),
        ([1j], "got dtype complex128"),
    ],
)
def test_check_refuses_other_types(codes, message):
    with pytest.raises(DtypeError, match=message):
        Fixed(8, 4).check(codes)


@pytest.mark.parametrize("empty", [[], np.zeros((3, 0), dtype=np.int8)])
def test_check_refuses_empty_arrays(empty):
    with pytest.raises(IntsimError, match=r"x: empty array of shape .*; give at least one value"):
        Fixed(8, 4).check(empty, "x")


def test_codes_of_wide_formats_are_not_listed():
    assert Int(24).codes().size == 1 << 24
    with pytest.raises(IntsimError, match=r"s25 has 2\*\*25 codes"):
        Int(25).codes()


@pytest.mark.parametrize(
    ("lo", "hi", "dtype"),
    [(0, 255, "uint8"), (0, 256, "uint16"), (-1, 127, "int8"), (-1, 128, "int16"), (-(1 << 63), 0, "int64")],
)
def test_smallest_dtype(lo, hi, dtype):
    assert smallest_dtype(lo, hi) == np.dtype(dtype)


def test_no_type_holds_more_than_64_bits():
    with pytest.raises(IntsimError, match="does not fit 64 bits"):
        smallest_dtype(-1, 1 << 63)


def test_encode_takes_real_numbers_and_known_modes():
    for wrong in ("a", [[1.0, 2.0], [1.0]], [object()]):
        with pytest.raises(IntsimError, match="give real numbers"):
            Fixed(8, 4).encode(wrong)
    for mode in (9, "x"):
        with pytest.raises(IntsimError, match="give real numbers, and a mode"):
            Fixed(8, 4).encode(1.0, mode)
