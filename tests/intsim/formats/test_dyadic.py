"""Dyadic scales: the projects' own mantissas and exponents, error bounds, and every edge of the rules."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intsim import IntsimError
from intsim.formats import dyadic
from intsim.formats.dyadic import RULES, Carry, ScaleRule, decode, illm
from intsim.parameters import from_plain, to_plain
from intsim.rounding import TIES_TO_EVEN

VECTORS = Path(__file__).parents[2] / "vectors" / "requant"
positive = st.floats(min_value=2.0**-120, max_value=2.0**120)


def exactly(m, k) -> Fraction:
    return Fraction(int(m)) / Fraction(2) ** int(k)


@pytest.mark.parametrize("build", ["double", "single"])
def test_tflite_quantize_multiplier(build):
    with np.load(VECTORS / "quantize_multiplier.npz") as stored:
        m, k = RULES[f"tflite_{build}"](stored["real"])
        np.testing.assert_array_equal(m, stored[f"m_{build}"])
        np.testing.assert_array_equal(31 - k, stored[f"shift_{build}"])
    assert m.size == 12000


def test_hawq_frexp():
    with np.load(VECTORS / "dyadic_requant.npz") as stored:
        m, k = RULES["hawq"](stored["frexp_scale"])
        np.testing.assert_array_equal(m, stored["frexp_m"])
        np.testing.assert_array_equal(k, stored["frexp_e"])
    assert m.size == 3000


def test_fbgemm_multiplier():
    with np.load(VECTORS / "requant_float_scale_8bit.npz") as stored:
        m, k = RULES["fbgemm"](stored["scale"])
        np.testing.assert_array_equal(m, stored["fbgemm_mult"])
        np.testing.assert_array_equal(k, stored["fbgemm_right_shift"])
    assert m.size == 15000


def test_a_carry_out_of_the_mantissa_is_what_tells_the_rules_apart():
    almost_one = 1 - 2.0**-33
    assert RULES["hawq"](almost_one) == (1 << 31, 31)  # kept: 32 bits
    assert RULES["tflite_double"](almost_one) == (1 << 30, 30)  # halved
    assert illm()(0.999) == (128, 7)
    assert RULES["xnnpack_rndnu16"](1 - 2.0**-20) == ((1 << 15) - 1, 15)  # limited


def test_ties_of_the_mantissa():
    half = (2**31 - 1.5) / 2**31  # exactly between two 31-bit mantissas
    assert RULES["hawq"](half)[0] == (1 << 31) - 1
    assert RULES["tflite_double"](half)[0] == (1 << 31) - 1
    assert illm(4)(12.5)[0] == 13
    assert ScaleRule(4, TIES_TO_EVEN, Carry.HALVE)(12.5)[0] == 12


def test_tflite_flushes_and_limits():
    assert RULES["tflite_double"](2.0**-32) == (1 << 30, 62)  # shift -31
    assert RULES["tflite_double"](2.0**-33) == (0, 31)
    assert RULES["tflite_single"](2.0**29) == (1 << 30, 1)  # shift 30
    assert RULES["tflite_single"](2.0**30) == ((1 << 31) - 1, 1)
    assert RULES["tflite_double"](2.0**30) == (1 << 30, 0)


@pytest.mark.parametrize("name", RULES)
def test_zero(name):
    m, k = RULES[name](0.0)
    assert m == 0
    assert decode(m, k) == 0


@given(positive, st.integers(2, 31))
def test_illm_mantissas_are_normalised_and_close(scale, bits):
    m, k = illm(bits)(scale)
    assert 1 << (bits - 1) <= m <= (1 << bits) - 1
    assert abs(exactly(m, k) - Fraction(scale)) <= Fraction(scale) / (1 << bits)


@pytest.mark.parametrize("name", RULES)
def test_error_bound_holds_and_is_reached_within_a_factor_of_two(name):
    rule = RULES[name]
    rng = np.random.default_rng(3)
    scale = np.ldexp(rng.uniform(0.5, 1.0, 4000), rng.integers(-40, 40, 4000))
    m, k = rule(scale)
    error = np.array([abs(float(exactly(a, b) - Fraction(s))) for a, b, s in zip(m, k, scale, strict=True)])
    bound = rule.error_bound(scale)
    assert np.all(error <= bound)
    assert np.max(error / bound) > 0.45


@given(positive)
def test_a_float32_scale_is_taken_exactly(scale):
    single = np.float32(scale)
    for name in ("fbgemm", "qnnpack", "xnnpack"):
        assert exactly(*RULES[name](single)) == Fraction(float(single))
        assert RULES[name](scale) == RULES[name](single)  # a wider one is rounded to a float32 first


def test_subnormal_float32_scales_keep_their_bits():
    single = np.array([1, 3, 0x7FFFFF, 0x800000], dtype=np.uint32).view(np.float32)
    for k, s in zip(range(4), single, strict=True):
        assert exactly(*RULES["xnnpack"](s)) == Fraction(float(s)), k


@pytest.mark.parametrize("bad", [-1.0, np.inf, np.nan, [0.5, -2.0]])
def test_no_scale(bad):
    with pytest.raises(IntsimError, match="finite and not negative"):
        RULES["hawq"](bad)


def test_beyond_float32():
    with pytest.raises(IntsimError, match="beyond float32"):
        RULES["xnnpack"](2.0**128)


def test_widths():
    with pytest.raises(IntsimError, match="2 to 31 bits"):
        illm(32)


def test_shapes_and_storage():
    m, k = RULES["hawq"](np.full((2, 3), 0.3))
    assert m.shape == k.shape == (2, 3)
    assert m.dtype == k.dtype == np.int64
    for rule in RULES.values():
        assert from_plain(to_plain(rule)) == rule
    assert np.all(dyadic.decode([3, 5], [1, -1]) == [1.5, 10.0])
