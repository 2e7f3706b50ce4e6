"""The integer exponentials: bounds, both ways of computing them, the projects' outputs, errors over whole domains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, assert_exact, surviving_mutants
from vectors import cases, load_case

from intsim import Int, IntsimError, Unit, UnknownName
from intsim.nonlinear.exp import DIExp, IBertExp, ShiftExp
from intsim.operators import non_positive

UNITS = [
    ShiftExp(-16, 15),
    ShiftExp(-1, 15),
    ShiftExp(-10, 23, x=non_positive(16)),
    ShiftExp(-17, 16, "ivit_tvm", x=non_positive(16)),
    IBertExp.design(0.05),
    IBertExp.design(0.001, x=non_positive(16)),
    DIExp(241, 12),
    DIExp(241, 12, "literal", x=Int(8)),
    DIExp(241, 12, "headroom"),
    DIExp(130, 5, "fixed16"),
    DIExp(255, 20, "literal"),
    DIExp(200, 14, "headroom", 12, x=Int(16)),
]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda u: f"{u.name}-{getattr(u, 'form', '')}-{u.sha256[:4]}")


@each_unit
def test_corners_are_exact_and_json_is_lossless(unit):
    assert_corners(unit)


@each_unit
def test_corners_kill_every_constant_mutant(unit):
    skip = ("headroom",) if getattr(unit, "form", "headroom") != "headroom" else ()
    fmt = unit.inputs["x"]
    assert surviving_mutants(unit, skip, (np.arange(max(fmt.lo, -(1 << 18)), 1),)) == []


@settings(deadline=None)
@given(st.sampled_from(UNITS), st.lists(st.integers(-(1 << 31), 0), min_size=1, max_size=20), st.integers(0, 30))
def test_compiled_equals_unbounded(unit, values, shift):
    fmt = unit.inputs["x"]
    assert_exact(unit, np.array([max(v >> shift, fmt.lo) for v in values]))


@pytest.mark.parametrize("case", cases("ivit_nonlinear", "softmax"))
def test_shift_exp_is_ivits(case):
    constants, arrays = load_case("ivit_nonlinear", case)
    distances = arrays["x"] - arrays["x"].max(axis=-1, keepdims=True)
    unit = ShiftExp(constants["x0"], 15)
    np.testing.assert_array_equal(unit(distances), arrays["exp"])
    assert ShiftExp.design(constants["scale"], 15) == unit


@pytest.mark.parametrize("case", cases("ivit_nonlinear", "gelu"))
def test_shift_exp_of_positive_arguments_is_ivits(case):
    constants, arrays = load_case("ivit_nonlinear", case)
    unit = ShiftExp(constants["x0"], 23)
    most = arrays["x"].max(axis=-1, keepdims=True)
    np.testing.assert_array_equal(unit(-most), arrays["expmax"])
    np.testing.assert_array_equal(unit(arrays["x"] - most), arrays["exp"])


@pytest.mark.parametrize("case", cases("ibert_nonlinear", "softmax"))
def test_ibert_exp_is_iberts(case):
    constants, arrays = load_case("ibert_nonlinear", case)
    unit = IBertExp(constants["x0"], constants["b"], constants["c"])
    distances = arrays["x"] - arrays["x"].max(axis=-1, keepdims=True)
    np.testing.assert_array_equal(unit(distances), arrays["exp"].astype(np.int64))
    assert IBertExp.design(constants["scale"]) == unit


def test_the_tvm_layer_is_another_function():
    x = np.arange(-400, 1)
    assert ShiftExp.design(1 / 16, 15, "ivit_tvm").x0 == ShiftExp.design(1 / 16, 15).x0 - 1 == -17
    papers, layers = ShiftExp(-16, 16)(x).astype(int), ShiftExp(-16, 16, "ivit_tvm")(x).astype(int)
    assert np.count_nonzero(papers != layers) == 89
    # e = ((r >> 1) - x0) << (n - q), written out
    v = np.maximum(x + (x >> 1) - (x >> 4), -256)
    q = v // -16
    np.testing.assert_array_equal(layers, (((v + 16 * q) >> 1) + 16) << (16 - q))


FIGURES = [
    (ShiftExp.design(1 / 64), 0.0, 0.0498),
    (ShiftExp.design(1 / 16), -0.0028, 0.0649),
    (IBertExp.design(1 / 512), -0.0019, 0.0019),
    (IBertExp.design(1 / 16), -0.0011, 0.0271),
    (DIExp(128, 13), -0.0, 0.0432),
    (DIExp(128, 20, "literal"), -0.0002, 0.0439),
    (DIExp(128, 20, "headroom"), 0.0, 0.0439),
]


@pytest.mark.parametrize(("unit", "low", "high"), FIGURES, ids=lambda v: v.name if isinstance(v, Unit) else str(v))
def test_error_over_the_domain(unit, low, high):
    """``1 - f/2`` for ``2**-f`` is high by 6.15 % at most, where it counts for 4 %; I-BERT's polynomial by 0.2 %."""
    x = -np.arange(0, int(12 / float(unit.step)), max(1, int(1 / float(unit.step)) >> 10))
    y = unit(x)
    error = y / unit.real(0) - unit.real(x) / unit.real(0)
    assert (round(error.min(), 4), round(error.max(), 4)) == (low, high)
    assert np.all(np.diff(y.astype(np.int64)) <= 0), "monotone"


def test_literal_di_exp_keeps_few_levels():
    unit = DIExp(241, 12, "literal")
    assert unit.t == 12
    assert set(unit(-np.arange(256)).tolist()) <= set(range(13))
    assert int(unit(np.array([-48]))[0]) == 0  # exp(-2.8) is lost
    assert any("12 levels" in str(h) for h in unit.hazards())
    assert any("normalise" in str(h) for h in DIExp(1, 4).hazards())
    assert DIExp(241, 12).hazards() == ()


REFUSED = {
    "x0 is positive": lambda: ShiftExp(0, 15),
    "x0 too large": lambda: ShiftExp(-(1 << 50), 15),
    "x0 a float": lambda: ShiftExp(-16.0, 15),
    "profile": lambda: ShiftExp(-16, 15, "tvm"),
    "ibert scale": lambda: IBertExp.design(1e-5),
    "ibert smaller scale": lambda: IBertExp.design(1e-9),
    "k above 40": lambda: DIExp(200, 41),
    "negative k": lambda: DIExp(200, -1),
    "m is 0": lambda: DIExp(0, 8),
    "m too wide": lambda: DIExp(1 << 16, 8),
    "headroom too wide for the period": lambda: DIExp(1, 40, "headroom", 20),
    "scale 0": lambda: ShiftExp.design(0.0),
    "scale not finite": lambda: IBertExp.design(float("nan")),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(IntsimError, match=r"\d|finite|did you mean"):
        make()


def test_the_form_is_named():
    with pytest.raises(UnknownName, match="fixed16"):
        DIExp(200, 8, "fixed")


def test_positive_codes():
    with pytest.raises(IntsimError, match=r"s32\[-2147483648\.\.0\]"):
        DIExp(200, 8)(np.array([1]))
    with pytest.raises(IntsimError, match="subtract the maximum"):
        ShiftExp(-1, 15)(np.array([60]))
    with pytest.raises(IntsimError, match="subtract the maximum"):
        IBertExp.design(0.5)(np.array([80]))
    x = np.arange(0, 24)
    assert ShiftExp(-2, 15)(x).tolist() == [shift_exp_by_definition(int(v), -2, 15) for v in x]
    assert "positive" in str(ShiftExp(-2, 15).hazards()[0])
    assert ShiftExp(-2, 15, x=non_positive(8)).hazards() == ()


def shift_exp_by_definition(x: int, x0: int, n: int) -> int:
    """I-ViT's exponential over rationals: ``floor((r/2 - x0) * 2**(n - q))``."""
    from fractions import Fraction
    from math import floor

    v = max(x + floor(Fraction(x, 2)) - floor(Fraction(x, 16)), n * x0)
    q = floor(Fraction(v, x0))
    r = v - q * x0
    return max(floor((Fraction(r, 2) - x0) * Fraction(2) ** (n - q)), 0)


@settings(deadline=None)
@given(st.integers(-300, 40), st.integers(-40, -1), st.sampled_from([1, 8, 15, 23]))
def test_shift_exp_by_its_definition(x, x0, n):
    unit = ShiftExp(x0, n)
    try:
        assert int(unit(np.array([x]))[0]) == shift_exp_by_definition(x, x0, n)
    except IntsimError:
        assert shift_exp_by_definition(x, x0, n).bit_length() > 55
