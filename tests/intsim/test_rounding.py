"""The five modes, saturate, shift_round and divide_round: against fractions and against apytypes."""

from fractions import Fraction

import apytypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intsim.errors import UnknownName
from intsim.exact import exact, plain, run
from intsim.rounding import Rounding, divide_round, saturate, shift_round
from intsim.rounding_names import EXAMPLES, FAMILIES, from_name, names, table

INT64 = np.iinfo(np.int64)
MODES = list(Rounding)


def by_definition(value: Fraction, mode: Rounding) -> int:
    """The definitions of the module's table, on exact fractions."""
    below = value.numerator // value.denominator
    if value == below:
        return below
    above = below + 1
    to_zero, from_zero = sorted((below, above), key=abs)
    if mode == Rounding.TO_NEG:
        return below
    if mode == Rounding.TO_ZERO:
        return to_zero
    if value - below != above - value:
        return below if value - below < above - value else above
    tie = {
        Rounding.TIES_TO_POS: above,
        Rounding.TIES_AWAY: from_zero,
        Rounding.TIES_TO_EVEN: below if below % 2 == 0 else above,
    }
    return tie[mode]


@exact
def shift_all(values, shifts, mode, out):
    for i in range(values.size):
        for j in range(shifts.size):
            out[i, j] = shift_round(values[i], shifts[j], mode)


@exact
def divide_all(numerators, denominators, mode, out):
    for i in range(numerators.size):
        for j in range(denominators.size):
            out[i, j] = divide_round(numerators[i], denominators[j], mode)


def both(fn, left, right, mode):
    """The operator on all pairs, compiled; asserted equal to the un-compiled one."""
    left, right = np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)
    compiled_out = np.empty((left.size, right.size), dtype=np.int64)
    plain_out = np.zeros_like(compiled_out)
    run(fn, left, right, int(mode), compiled_out)
    with plain():
        run(fn, left, right, int(mode), plain_out)
    np.testing.assert_array_equal(compiled_out, plain_out)
    return compiled_out


def corners() -> list[int]:
    """Ends of int64, powers of two and ties of every size, each with its neighbours."""
    found = set()
    for k in range(64):
        for base in (1 << k, 3 << k, 5 << k, (1 << k) + (1 << max(k - 1, 0))):
            for delta in (-1, 0, 1):
                found |= {base + delta, -base + delta}
    found |= {INT64.min, INT64.min + 1, INT64.max - 1, INT64.max, 0}
    return sorted(v for v in found if INT64.min <= v <= INT64.max)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_shift_round_on_every_10_bit_value(mode):
    values, shifts = range(-512, 512), range(14)
    got = both(shift_all, values, shifts, mode)
    expected = [[by_definition(Fraction(v, 1 << s), mode) for s in shifts] for v in values]
    np.testing.assert_array_equal(got, expected)
    assert got.size == 1024 * 14


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_shift_round_on_corners_of_int64_and_every_shift(mode):
    values, shifts = corners(), [*range(71), 127, 1 << 40]
    assert len(values) > 800
    got = both(shift_all, values, shifts, mode)
    expected = [[by_definition(Fraction(v, 1 << min(s, 200)), mode) for s in shifts] for v in values]
    np.testing.assert_array_equal(got, expected)


def test_a_negative_shift_multiplies():
    for mode in MODES:
        got = both(shift_all, [-3, -1, 0, 1, 5], [-1, -7, -60], mode)
        assert got.tolist() == [[v << 1, v << 7, v << 60] for v in (-3, -1, 0, 1, 5)]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_divide_round_on_every_small_quotient(mode):
    numerators, denominators = range(-300, 301), range(1, 65)
    got = both(divide_all, numerators, denominators, mode)
    expected = [[by_definition(Fraction(n, d), mode) for d in denominators] for n in numerators]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_divide_round_on_corners_of_int64(mode):
    denominators = sorted(
        {d for k in range(62) for d in ((1 << k) - 1, 1 << k, (1 << k) + 1, 3 << k) if 0 < d < 1 << 62}
    )
    denominators.append((1 << 62) - 1)
    got = both(divide_all, corners(), denominators, mode)
    expected = [[by_definition(Fraction(n, d), mode) for d in denominators] for n in corners()]
    np.testing.assert_array_equal(got, expected)


@given(st.integers(INT64.min, INT64.max), st.integers(0, 90), st.sampled_from(MODES))
def test_shift_round_anywhere(value, shift, mode):
    expected = by_definition(Fraction(value, 1 << shift), mode)
    assert run(shift_round, value, shift, int(mode)) == expected
    assert shift_round(value, shift, mode) == expected


@given(st.integers(INT64.min, INT64.max), st.integers(1, (1 << 62) - 1), st.sampled_from(MODES))
def test_divide_round_anywhere(numerator, denominator, mode):
    expected = by_definition(Fraction(numerator, denominator), mode)
    assert run(divide_round, numerator, denominator, int(mode)) == expected
    assert divide_round(numerator, denominator, mode) == expected


@given(st.integers(-(1 << 70), 1 << 70), st.integers(1, 200), st.sampled_from(MODES))
def test_shift_round_uncompiled_knows_no_width_below_its_clamp(value, shift, mode):
    """Un-compiled, values beyond 64 bits are rounded right too, as long as the shift is not clamped."""
    if shift <= 64:
        assert shift_round(value, shift, mode) == by_definition(Fraction(value, 1 << shift), mode)


def test_saturate_everywhere_on_small_ranges():
    for lo in range(-4, 4):
        for hi in range(lo, 5):
            for value in range(-6, 7):
                expected = lo if value < lo else hi if value > hi else value
                assert saturate(value, lo, hi) == expected
                assert run(saturate, value, lo, hi) == expected


def test_the_modes_are_five_and_their_numbers_are_part_of_the_file_format():
    assert {mode.name: int(mode) for mode in Rounding} == {
        "TO_NEG": 0,
        "TO_ZERO": 1,
        "TIES_TO_POS": 2,
        "TIES_AWAY": 3,
        "TIES_TO_EVEN": 4,
    }


# An independent oracle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("shift", [1, 2, 5, 8, 31])
def test_apytypes_rounds_alike(mode, shift):
    near = np.arange(-1200, 1200, dtype=np.int64)
    ties = (np.arange(-50, 50, dtype=np.int64) << shift) + (1 << (shift - 1))
    values = np.concatenate([near, ties - 1, ties, ties + 1, np.array([-(1 << 62), (1 << 62) - 1])])
    for name in names(mode, "apytypes"):
        fixed = apytypes.APyFixedArray([int(v) for v in values], bits=70, frac_bits=shift)
        rounded = fixed.cast(bits=72, frac_bits=0, quantization=getattr(apytypes.QuantizationMode, name))
        oracle = [int(b) - (1 << 72) if int(b) >> 71 else int(b) for b in rounded.to_bits()]
        assert both(shift_all, values, [shift], mode)[:, 0].tolist() == oracle


# The table of names ---------------------------------------------------------------------------------------------

# The rows and columns QONNX documents for IntQuant's rounding_mode; 1.6 and 1.1 are no ties.
QONNX = {
    "HALF_EVEN": {5.5: 6, 2.5: 2, 1.6: 2, 1.1: 1, 1.0: 1, -1.0: -1, -1.1: -1, -1.6: -2, -2.5: -2, -5.5: -6},
    "FLOOR": {5.5: 5, 2.5: 2, 1.6: 1, 1.1: 1, 1.0: 1, -1.0: -1, -1.1: -2, -1.6: -2, -2.5: -3, -5.5: -6},
    "DOWN": {5.5: 5, 2.5: 2, 1.6: 1, 1.1: 1, 1.0: 1, -1.0: -1, -1.1: -1, -1.6: -1, -2.5: -2, -5.5: -5},
    "HALF_UP": {5.5: 6, 2.5: 3, 1.6: 2, 1.1: 1, 1.0: 1, -1.0: -1, -1.1: -1, -1.6: -2, -2.5: -3, -5.5: -6},
}


@pytest.mark.parametrize("name", QONNX)
def test_qonnx_names_mean_what_qonnx_documents(name):
    mode = from_name(name, "qonnx")
    for value, expected in QONNX[name].items():
        exactly = Fraction(str(value))
        assert divide_round(exactly.numerator, exactly.denominator, mode) == expected


def test_every_name_is_translated_back_and_is_unique_in_its_project():
    count = 0
    for family, modes in FAMILIES.items():
        aliases = [alias for mode in modes for alias in names(mode, family)]
        assert len(aliases) == len(set(aliases))
        for mode in modes:
            for alias in names(mode, family):
                assert from_name(alias, family) is mode
                count += 1
    assert count == 5 + 5 + 4 + 10 + 4


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'AP_RND_CONV'"):
        from_name("AP_RND_CON", "ap_fixed")
    with pytest.raises(UnknownName, match="did you mean 'apytypes'"):
        names(Rounding.TO_NEG, "apytype")


def test_the_table_states_each_mode_on_ties_negatives_and_both_ends():
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table().splitlines() if line]
    rows = {row[0]: row[1:] for row in cells}
    for value in EXAMPLES:
        for cell, mode in zip(rows[f"{float(value):g}"], MODES, strict=True):
            rounded = by_definition(value, mode)
            assert cell == (f"{rounded} -> 31" if rounded == 32 else str(rounded))
    ties = [v for v in EXAMPLES if v.denominator == 2]
    assert {(v > 0, int(v - Fraction(1, 2)) % 2) for v in ties} == {(True, 0), (True, 1), (False, 0), (False, 1)}
    assert min(EXAMPLES) == Fraction(-128, 4)
    assert max(EXAMPLES) == Fraction(127, 4)
    # the examples tell all five modes apart
    assert len({tuple(by_definition(v, mode) for v in EXAMPLES) for mode in MODES}) == 5
    assert rows["`TIES_AWAY`"] == [
        "`AP_RND_INF`",
        "`HALF_UP`",
        "`RoundingDivideByPOT`, `TfLiteRound`",
        "`TIES_AWAY`, `RND_INF`",
        "`RNA`",
    ]
