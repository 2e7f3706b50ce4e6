"""The building blocks: gemmlowp's and CMSIS-NN's own outputs, and every value at the edges."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intsim import DtypeError, IntsimError
from intsim.exact import plain
from intsim.requant import (
    reduced_multiplier,
    rounding_divide_by_pot,
    saturating_left_shift,
    srdhm,
    srdhm_no_saturation,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "requant"
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
LO, HI = -(1 << 31), (1 << 31) - 1


def test_srdhm_of_gemmlowp_and_cmsis():
    with np.load(VECTORS / "srdhm_int32.npz") as stored:
        a, b = stored["a"], stored["b"]
        for column in ("y_gemmlowp", "y_cmsis_doubling_high_mult"):
            np.testing.assert_array_equal(srdhm(a, b), stored[column])
        corner = (a == LO) & (b == LO)
        np.testing.assert_array_equal(
            srdhm_no_saturation(a[~corner], b[~corner]), stored["y_cmsis_doubling_high_mult_no_sat"][~corner]
        )
    assert a.size == 12000


def test_rounding_divide_by_pot_of_gemmlowp_and_cmsis():
    with np.load(VECTORS / "rounding_divide_by_pot_int32.npz") as stored:
        got = rounding_divide_by_pot(stored["x"], stored["exponent"])
        np.testing.assert_array_equal(got, stored["y_gemmlowp"])
        np.testing.assert_array_equal(got, stored["y_cmsis"])
    assert got.size == 12000


def test_the_reduced_multiplier_of_tflite():
    with np.load(VECTORS / "requant_int64_reduced_multiplier.npz") as stored:
        np.testing.assert_array_equal(reduced_multiplier(stored["multiplier"]), stored["reduced_multiplier"])


def test_every_reduced_multiplier_around_its_steps():
    multiplier = (np.arange(0, 1 << 31, 1 << 16)[:, None] + [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]).reshape(-1)
    want = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
    np.testing.assert_array_equal(reduced_multiplier(multiplier), want)


def test_the_one_product_that_does_not_fit():
    assert srdhm(LO, LO) == HI
    assert srdhm(LO, HI) == -HI
    with pytest.raises(IntsimError, match="does not fit"):
        srdhm_no_saturation([1, LO], [1, LO])


@given(INT32, INT32)
def test_srdhm_is_its_definition(a, b):
    with plain():
        unbounded = srdhm(a, b)
    assert srdhm(a, b) == unbounded == min((a * b * 2 + (1 << 31)) >> 32, HI)


@given(INT32, st.integers(0, 200))
def test_division_is_its_definition(x, exponent):
    value = Fraction(x, 1 << exponent)
    want = int(abs(value) + Fraction(1, 2)) * (1 if x >= 0 else -1)
    assert rounding_divide_by_pot(x, exponent) == want


@given(INT32, st.integers(0, 200))
def test_saturating_left_shift(x, exponent):
    assert saturating_left_shift(x, exponent) == min(max(x << exponent, LO), HI)


def test_shapes_and_refusals():
    assert srdhm(np.ones((3, 1), dtype=np.int32), np.ones(4, dtype=np.int32)).shape == (3, 4)
    assert srdhm(1 << 30, 2).dtype == np.int32
    with pytest.raises(DtypeError, match="a: expected integer"):
        srdhm(0.5, 1)
    with pytest.raises(IntsimError, match="exponent: -1"):
        rounding_divide_by_pot(1, -1)
    with pytest.raises(IntsimError, match="do not fit together"):
        srdhm([1, 2], [1, 2, 3])
