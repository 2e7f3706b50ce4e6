"""binary16 and bfloat16: every code, against NumPy's float16 and the upper half of float32."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intsim.errors import IntsimError
from intsim.exact import exact, plain, run
from intsim.formats import BFloat16, Float16, Minifloat, parse
from intsim.formats.minifloat import bit_length, exponent_of, order, pack, significand
from intsim.parameters import from_plain, to_plain
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, TO_NEG, TO_ZERO

FORMATS = [Float16(), BFloat16(), Minifloat(8, 4)]
ALL = np.arange(1 << 16, dtype=np.uint16)


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """Upper half of float32, ties to even: the textbook conversion, for finite numbers."""
    word = np.asarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((word + 0x7FFF + ((word >> 16) & 1)) >> 16).astype(np.uint16)


def test_every_float16_code_means_what_numpy_says():
    np.testing.assert_array_equal(Float16().decode(ALL), ALL.view(np.float16).astype(np.float64))


def test_every_bfloat16_code_is_the_upper_half_of_a_float32():
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(
            BFloat16().decode(ALL), (ALL.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        )


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_encode_inverts_decode_and_every_nan_becomes_the_quiet_one(fmt):
    codes = np.arange(fmt.hi + 1)
    values = fmt.decode(codes)
    expected = np.where(np.isnan(values), fmt.nan, codes)
    np.testing.assert_array_equal(fmt.encode(values), expected)


def near_ties(fmt) -> np.ndarray:
    """Middles between neighbours and one float64 step to each side, with both signs."""
    grid = fmt.decode(np.arange(0, fmt.infinity))
    middle = np.append((grid[1:] + grid[:-1]) / 2, grid[-1] + (grid[-1] - grid[-2]) / 2)
    near = np.concatenate([np.nextafter(middle, 0), middle, np.nextafter(middle, np.inf)])
    return np.concatenate([near, -near])


def test_float16_encoding_rounds_as_numpy_at_every_tie():
    values = near_ties(Float16())
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(Float16().encode(values), values.astype(np.float16).view(np.uint16))


def test_bfloat16_encoding_rounds_as_the_float32_rule_at_every_tie():
    values = near_ties(BFloat16())
    values = values[np.abs(values) < np.finfo(np.float32).max]
    exactly = values[values.astype(np.float32) == values]  # the middles; their neighbours need float64
    assert exactly.size >= 65_000
    np.testing.assert_array_equal(BFloat16().encode(exactly), bfloat16_bits(exactly))


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
@pytest.mark.parametrize("mode", [TO_NEG, TO_ZERO, TIES_TO_POS, TIES_AWAY, TIES_TO_EVEN], ids=str)
def test_directed_and_tie_rules_choose_the_right_neighbour(fmt, mode):
    values = near_ties(fmt)
    result = fmt.decode(fmt.encode(values, mode))
    below, above = fmt.decode(fmt.encode(values, TO_NEG)), -fmt.decode(fmt.encode(-values, TO_NEG))
    assert np.all(below <= values)
    assert np.all(values <= above)
    assert np.all((result == below) | (result == above))
    if mode == TO_ZERO:
        np.testing.assert_array_equal(result, np.where(values > 0, below, above))
    if mode in (TIES_TO_POS, TIES_AWAY):
        tie = np.isfinite(below) & np.isfinite(above) & (values - below == above - values)
        assert tie.sum() >= 2 * fmt.infinity - 4
        up = above if mode == TIES_TO_POS else np.where(values > 0, above, below)
        np.testing.assert_array_equal(result[tie], up[tie])


def test_out_of_range_goes_to_infinity_or_saturates_on_request():
    fmt = Float16()
    assert fmt.decode(fmt.encode(65519.99)) == 65504
    assert fmt.encode(65520.0) == fmt.infinity
    assert fmt.encode([1e300, -np.inf], saturate=True).tolist() == [fmt.largest, fmt.largest | 0x8000]
    assert fmt.encode(1e300, TO_ZERO) == fmt.largest


def test_codes_are_listed_in_the_order_of_their_values():
    for fmt in FORMATS:
        codes = fmt.codes()
        assert sorted(codes.tolist()) == list(range(1 << fmt.bits))
        values = fmt.decode(codes)
        values = values[~np.isnan(values)]
        assert np.all(np.diff(values[np.isfinite(values)]) >= 0)
        finite = fmt.decode(fmt.finite_codes())
        assert np.all(np.diff(finite) > 0)
    assert Float16().finite_codes().size == 63_488 - 1  # -0 is left out


def test_text_and_json_name_the_formats():
    for fmt in (Float16(), BFloat16()):
        assert parse(str(fmt)) == fmt
        assert from_plain(to_plain(fmt)) == fmt


@pytest.mark.parametrize("bad", [(16, 1), (16, 9), (5, 4), (17, 5), (16, True), (16.0, 5)])
def test_impossible_shapes_are_refused(bad):
    with pytest.raises(IntsimError):
        Minifloat(*bad)
    with pytest.raises(IntsimError, match="use Minifloat"):
        Float16(16, 6)


# The integer operators ------------------------------------------------------------------------------------------


@exact
def over_codes(codes, bits, fraction, out_order, out_m, out_e, out_back):
    for k in range(codes.size):
        out_order[k] = order(codes[k], bits)
        out_m[k] = significand(codes[k], bits, fraction)
        out_e[k] = exponent_of(codes[k], bits, fraction)
        out_back[k] = pack(out_m[k], out_e[k], bits, fraction)


@exact
def over_pairs(m, e, bits, fraction, out, out_length):
    for k in range(m.size):
        out[k] = pack(m[k], e[k], bits, fraction)
        out_length[k] = bit_length(abs(m[k]))


def split(fmt, codes):
    outs = [np.empty(codes.size, dtype=np.int64) for _ in range(4)]
    run(over_codes, codes, fmt.bits, fmt.fraction, *outs)
    return outs


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_integer_parts_of_every_finite_code(fmt):
    codes = fmt.finite_codes()
    ranks, m, e, back = split(fmt, codes)
    assert np.all(np.diff(ranks) > 0)
    np.testing.assert_array_equal(np.ldexp(m.astype(np.float64), e), fmt.decode(codes))
    np.testing.assert_array_equal(back, codes)
    with plain():
        for compiled, reference in zip((ranks, m, e, back), split(fmt, codes), strict=True):
            np.testing.assert_array_equal(compiled, reference)


def test_both_zeros_have_one_rank():
    ranks, m, _, back = split(Float16(), np.array([0x0000, 0x8000], dtype=np.uint16))
    assert ranks.tolist() == m.tolist() == back.tolist() == [0, 0]


def nearest_code(fmt, value: Fraction) -> int:
    """Nearest, ties to even, from the definition: scan by exact fractions."""
    sign = (1 << (fmt.bits - 1)) if value < 0 else 0
    value = abs(value)
    lo, hi = 0, fmt.infinity
    as_if = {hi: Fraction(2) ** (fmt.bias + 1)}  # infinity stands where the next number would

    def of(code):
        return as_if.get(code) or Fraction(float(fmt.decode(code)))

    if value >= of(hi):
        return hi | sign
    while hi - lo > 1:
        mid = (lo + hi) // 2
        lo, hi = (mid, hi) if of(mid) <= value else (lo, mid)
    below, above = value - of(lo), of(hi) - value
    return (lo if below < above or (below == above and lo % 2 == 0) else hi) | sign


@given(st.integers(-(2**62) + 1, 2**62 - 1), st.integers(-200, 80), st.sampled_from(FORMATS))
def test_pack_is_correct_rounding(m, exponent, fmt):
    results = []
    for context in (None, plain()):
        out, length = np.empty(1, dtype=np.int64), np.empty(1, dtype=np.int64)
        arguments = (over_pairs, np.array([m]), np.array([exponent]), fmt.bits, fmt.fraction, out, length)
        if context is None:
            run(*arguments)
        else:
            with context:
                run(*arguments)
        results.append((int(out[0]), int(length[0])))
    assert results[0] == results[1] == (nearest_code(fmt, m * Fraction(2) ** exponent), abs(m).bit_length())
