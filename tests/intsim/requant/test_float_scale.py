"""Conventions with a float32 scale: the projects' own outputs, the float32 arithmetic behind them, and the edges."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import DtypeError, IntsimError
from intsim.exact import compiled, plain
from intsim.parameters import from_plain, to_plain
from intsim.requant import CONVENTIONS, binary32
from intsim.requant.float_scale import FLOAT, codes_of, floats_of

VECTORS = Path(__file__).parents[2] / "vectors" / "requant"

COLUMNS = [
    ("xnnpack_fp32", "y_xnn_qs8_fp32"),
    ("xnnpack_fp32", "y_xnn_qu8_fp32"),
    ("xnnpack_rndnu", "y_xnn_qs8_rndnu"),
    ("xnnpack_rndnu", "y_xnn_qu8_rndnu"),
    ("xnnpack_rndnu16", "y_xnn_qu8_rndnu16"),
    ("qnnpack_q31", "y_qnnpack_q31__scalar"),
    ("qnnpack_precise", "y_qnnpack_precise__scalar_unsigned64"),
    ("qnnpack_precise", "y_qnnpack_precise__scalar_unsigned32"),
    ("qnnpack_precise", "y_qnnpack_precise__scalar_signed64"),
    ("qnnpack_fp32", "y_qnnpack_fp32__scalar_lrintf"),
    ("qnnpack_fp32", "y_qnnpack_fp32__scalar_magic"),
    ("qnnpack_gemmlowp", "y_qnnpack_gemmlowp__scalar"),
    ("fbgemm_float", "y_fbgemm_float_s8"),
    ("fbgemm_float", "y_fbgemm_float_u8"),
    ("fbgemm_fixed", "y_fbgemm_fixed_s8"),
    ("fbgemm_fixed", "y_fbgemm_fixed_u8"),
]
SCALES = st.floats(min_value=2.0**-32, max_value=1.0, exclude_max=True, width=32)
ACC = st.integers(-(1 << 31), (1 << 31) - 1)


@pytest.fixture(scope="module")
def rows():
    with np.load(VECTORS / "requant_float_scale_8bit.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_the_projects_own_outputs(rows, name, column):
    kind = "s8" if "s8" in column else "u8"
    limits = rows[f"min_{kind}"].astype(int), rows[f"max_{kind}"].astype(int)
    if "fbgemm" in name:  # run with the whole range
        limits = (-128, 127) if kind == "s8" else (0, 255)
    got = CONVENTIONS[name](rows["x"], rows["scale"], rows[f"zp_{kind}"].astype(int), *limits, strict=True)
    assert got.dtype == np.int32
    assert got.size == 15000
    np.testing.assert_array_equal(got, rows[column])


def test_compiled_equals_unbounded(rows):
    inputs = [rows[k][:400] for k in ("x", "scale")]
    for name, convention in FLOAT.items():
        fast = convention(*inputs, 5, -100, 120)
        with plain():
            np.testing.assert_array_equal(convention(*inputs, 5, -100, 120), fast, err_msg=name)


# float32 arithmetic on bit patterns -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs():
    """Random patterns (every exponent), finite, as codes and as float32."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 1 << 32, (2, 60000), dtype=np.uint64).astype(np.uint32)
    values = codes.view(np.float32)
    finite = np.isfinite(values).all(axis=0) & (values[1] != 0)
    return codes[:, finite], values[:, finite]


def _same(got, want: np.ndarray) -> None:
    """Equal patterns, but for the sign of zero."""
    got, want = np.asarray(got, dtype=np.int64), want.astype(np.float32).view(np.uint32).astype(np.int64)
    zero = (want & 0x7FFFFFFF) == 0
    np.testing.assert_array_equal(got[~zero], want[~zero])
    assert not np.any(got[zero] & 0x7FFFFFFF)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:underflow")
@pytest.mark.parametrize("name", ["multiply", "divide"])
def test_products_and_quotients_are_ieee(pairs, name):
    codes, (a, b) = pairs
    operation = compiled(getattr(binary32, name))
    _same([operation(int(x), int(y)) for x, y in codes.T], a * b if name == "multiply" else a / b)


@pytest.mark.filterwarnings("ignore:overflow")
def test_sums_are_ieee(pairs):
    codes, (a, b) = pairs
    subtract, add = compiled(binary32.subtract), compiled(binary32.add_integer)
    _same([subtract(int(x) & 0x7FFFFFFF, int(y) | 1 << 31) for x, y in codes.T], np.abs(a) + np.abs(b))
    integers = np.random.default_rng(8).integers(-(1 << 15), 1 << 16, a.size)
    small = (a * np.float32(0)).astype(np.float32) + np.ldexp(np.float32(1.37), integers % 60 - 45).astype(np.float32)
    for values in (a, small):
        patterns = values.view(np.uint32)
        sums = values + integers.astype(np.float32)
        _same([add(int(x), int(n)) for x, n in zip(patterns, integers, strict=True)], sums)


def test_conversions_are_ieee():
    rng = np.random.default_rng(9)
    whole = np.concatenate([rng.integers(-(1 << 62), 1 << 62, 20000) >> rng.integers(0, 62, 20000), [0, 1, -1]])
    from_integer, to_integer = compiled(binary32.from_integer), compiled(binary32.to_integer)
    _same([from_integer(int(n)) for n in whole], whole.astype(np.float32))
    real = np.ldexp(rng.normal(0, 1, 20000), rng.integers(-30, 24, 20000)).astype(np.float32)
    real = np.concatenate([real, np.arange(-20, 20, 0.5, dtype=np.float32)])
    np.testing.assert_array_equal([to_integer(int(c)) for c in real.view(np.uint32)], np.rint(real).astype(np.int64))
    wide = np.ldexp(rng.normal(0, 1, 20000), rng.integers(-160, 120, 20000))
    _same(codes_of(wide, "x"), wide.astype(np.float32))
    np.testing.assert_array_equal(floats_of(codes_of(real, "x")), real)


# What each convention says --------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(ACC, SCALES)
def test_fixed_point_conventions_are_one_rounding_of_the_exact_product(acc, scale):
    product = Fraction(acc) * Fraction(scale)
    below = product.numerator // product.denominator
    half_up = below + (product - below >= Fraction(1, 2))
    away = half_up if product >= 0 else -int(abs(product) + Fraction(1, 2))
    wide = (0, -(1 << 16), (1 << 16) - 1)
    limited = [min(max(v, wide[1]), wide[2]) for v in (half_up, away)]
    for name, want in (("xnnpack_rndnu", 0), ("fbgemm_fixed", 0), ("qnnpack_precise", 1)):
        assert CONVENTIONS[name](acc, np.float32(scale), *wide) == limited[want], name


@settings(max_examples=200, deadline=None)
@given(ACC, SCALES)
def test_float_conventions_are_numpys_float32(acc, scale):
    value = int(np.rint(np.float32(acc) * np.float32(scale)))
    want = min(max(value + 7, -128), 127)
    for name in ("xnnpack_fp32", "qnnpack_fp32", "fbgemm_float", "onnx"):
        assert CONVENTIONS[name](acc, np.float32(scale), 7) == want, name


def test_ties_tell_the_conventions_apart():
    acc = np.array([-5, -3, -1, 1, 3, 5])
    results = {name: CONVENTIONS[name](acc, np.float32(0.5)).tolist() for name in FLOAT}
    assert results["xnnpack_fp32"] == [-2, -2, 0, 0, 2, 2]
    assert results["xnnpack_rndnu"] == [-2, -1, 0, 1, 2, 3]
    assert results["qnnpack_precise"] == [-3, -2, -1, 1, 2, 3]
    # a power of two as a 24-bit significand: half a unit is lost at 31 bits already
    assert results["qnnpack_q31"] == results["qnnpack_gemmlowp"] == [-2, -1, 0, 1, 2, 3]


def test_an_added_zero_point_wraps_or_saturates_only_where_the_project_does():
    top, almost_one = (1 << 31) - 1, np.float32(1 - 2.0**-24)
    assert CONVENTIONS["qnnpack_q31"](top, almost_one, 255, 0, 255) == 255
    assert CONVENTIONS["qnnpack_gemmlowp"](top, almost_one, 255, 0, 255) == 0  # wraps at 32 bits
    assert CONVENTIONS["xnnpack_rndnu16"](top, np.float32(255), 255, 0, 255) == 255


@pytest.mark.parametrize("name", FLOAT)
def test_a_zero_point_outside_the_clamp(name):
    assert CONVENTIONS[name](10, np.float32(0.25), 300, -128, 127) == 127
    assert CONVENTIONS[name](10, np.float32(0.25), -300, 0, 255) == 0


def test_broadcasting_and_wider_scales():
    acc = np.arange(-6, 6, dtype=np.int16).reshape(2, 6)
    scale = np.linspace(0.1, 0.9, 6)
    whole = CONVENTIONS["onnx"](acc, scale, 1)
    assert whole.shape == (2, 6)
    np.testing.assert_array_equal(whole[:, 2], CONVENTIONS["onnx"](acc[:, 2], np.float32(scale[2]), 1))


@pytest.mark.parametrize("scale", [0.0, -0.5, np.inf])
def test_scales_that_are_none(scale):
    with pytest.raises(IntsimError, match="positive and finite"):
        CONVENTIONS["onnx"](1, scale)


def test_refusals():
    with pytest.raises(IntsimError, match="NaN"):
        CONVENTIONS["onnx"](1, np.nan)
    with pytest.raises(IntsimError, match="NaN"):
        CONVENTIONS["onnx"](1, np.float32(np.nan))
    with pytest.raises(DtypeError, match="acc"):
        CONVENTIONS["onnx"](1.0, 0.5)
    with pytest.raises(IntsimError, match="lo > hi"):
        CONVENTIONS["onnx"](1, 0.5, 0, 5, 4)
    with pytest.raises(IntsimError, match="do not fit together"):
        CONVENTIONS["onnx"]([1, 2], [0.5, 0.25, 0.125])


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("xnnpack_fp32", 256.0),
        ("xnnpack_rndnu", 2.0**-33),
        ("qnnpack_q31", 1.0),
        ("fbgemm_fixed", 2.0**30),
        ("onnx", 1e-40),
    ],
)
def test_strict_refuses_scales_that_are_not_documented(name, scale):
    CONVENTIONS[name](1, np.float32(scale))
    with pytest.raises(IntsimError, match="documents scales"):
        CONVENTIONS[name](1, np.float32(scale), strict=True)


def test_storage():
    for convention in FLOAT.values():
        assert from_plain(to_plain(convention)) == convention
