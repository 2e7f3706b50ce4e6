"""Real numbers to integers: ONNX Runtime as a live oracle, FBGEMM's and XNNPACK's own outputs, and the edges."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from onnx_model import run_node

from intsim import DtypeError, IntsimError
from intsim.exact import plain
from intsim.requant import CONVENTIONS, QUANTIZERS, dynamic_quantize

VECTORS = Path(__file__).parents[2] / "vectors" / "requant"
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(1 << 15), (1 << 15) - 1), "uint16": (0, (1 << 16) - 1)}


def real_numbers(scale: np.float32, count: int = 40000) -> np.ndarray:
    """Reals around every tie of the quotient, and far beyond the range."""
    rng = np.random.default_rng(4)
    ties = (np.arange(-700, 700) + 0.5).astype(np.float32) * scale
    near = np.concatenate([ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))])
    spread = (rng.normal(0, 1, count) * 2.0 ** rng.integers(-30, 20, count)).astype(np.float32) * scale
    return np.concatenate([near, spread, np.float32([0.0, -0.0, 3e38, -3e38, np.inf, -np.inf, 1e-45])])


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("scale", [0.1, 1 / 3, 0.0078125, 7.3, 1e-4])
def test_onnx_runtime_quantizes_so(kind, scale):
    scale = np.float32(scale)
    x = real_numbers(scale)
    lo, hi = LIMITS[kind]
    zero_point = np.array((lo + 3 * hi) // 4, dtype=kind)
    (want,) = run_node("QuantizeLinear", {"x": x, "scale": np.array(scale), "zero": zero_point}, {"y": kind})
    got = QUANTIZERS["onnx"](x, scale, int(zero_point), lo, hi)
    np.testing.assert_array_equal(got, want)
    assert got.size > 44000


@pytest.mark.parametrize("seed", range(12))
def test_onnx_runtime_quantizes_dynamically_so(seed):
    rng = np.random.default_rng(seed)
    x = (rng.normal(rng.normal(), 1, 3000) * 2.0 ** rng.integers(-20, 20)).astype(np.float32)
    x = np.abs(x) if seed % 4 == 1 else -np.abs(x) if seed % 4 == 2 else x
    want = run_node("DynamicQuantizeLinear", {"x": x}, {"y": "uint8", "scale": "float32", "zero": "uint8"})
    y, scale, zero_point = dynamic_quantize(x)
    assert (scale, zero_point) == (want[1], want[2])
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y, want[0])


def test_nothing_but_zeros():
    want = run_node(
        "DynamicQuantizeLinear", {"x": np.zeros(4, np.float32)}, {"y": "uint8", "s": "float32", "z": "uint8"}
    )
    y, scale, zero_point = dynamic_quantize(np.zeros(4, np.float32))
    np.testing.assert_array_equal(y, want[0])
    assert (scale, zero_point) == (want[1], want[2]) == (1, 0)


@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
def test_onnx_runtime_requantizes_a_matrix_product_so(zero_point):
    """QLinearMatMul: its accumulators, computed here, requantised by the convention."""
    rng = np.random.default_rng(5)
    a = rng.integers(-128, 128, (4000, 24)).astype(np.int8)
    b = rng.integers(-128, 128, (24, 3)).astype(np.int8)
    scales = [np.float32(s) for s in (0.02, 0.013, 0.31)]
    zero = np.array(0, dtype=np.int8)
    inputs = {
        "a": a, "a_scale": np.array(scales[0]), "a_zero": zero, "b": b, "b_scale": np.array(scales[1]), "b_zero": zero,
        "y_scale": np.array(scales[2]), "y_zero": np.array(zero_point, dtype=np.int8),
    }  # fmt: skip
    (want,) = run_node("QLinearMatMul", inputs, {"y": "int8"})
    acc = a.astype(np.int32) @ b.astype(np.int32)
    scale = np.float32(scales[0] * scales[1]) / scales[2]
    np.testing.assert_array_equal(CONVENTIONS["onnx"](acc, scale, zero_point), want)
    assert np.unique(want).size > 60


@pytest.mark.parametrize(("name", "column"), [("fbgemm", "y_fbgemm"), ("xnnpack", "y_xnn")])
@pytest.mark.parametrize("kind", ["s8", "u8"])
def test_the_projects_own_outputs(name, column, kind):
    with np.load(VECTORS / "quantize_float_to_8bit.npz") as stored:
        lo, hi = LIMITS["int8" if kind == "s8" else "uint8"]
        got = QUANTIZERS[name](stored["x"], stored["scale"], stored[f"zp_{kind}"], lo, hi)
        np.testing.assert_array_equal(got, stored[f"{column}_{kind}"])
    assert got.size == 8000


def test_the_three_differ_on_ties():
    with np.load(VECTORS / "quantize_float_to_8bit.npz") as stored:
        arguments = stored["x"], stored["scale"], stored["zp_s8"]
        results = {name: quantize(*arguments) for name, quantize in QUANTIZERS.items()}
    assert np.sum(results["fbgemm"] != results["onnx"]) > 100
    assert np.sum(results["xnnpack"] != results["onnx"]) > 100


@settings(max_examples=200, deadline=None)
@given(
    st.floats(width=32, allow_nan=False),
    st.floats(min_value=2.0**-100, max_value=2.0**100, width=32),
    st.integers(-128, 127),
)
def test_numpys_float32_agrees(x, scale, zero_point):
    with np.errstate(all="ignore"):
        x, scale = np.float32(x), np.float32(scale)
        big = np.float32(2.0**40)
        onnx = np.rint(np.clip(x / scale, -big, big)).astype(np.int64) + zero_point
        fbgemm = np.rint(np.clip(x * (np.float32(1) / scale), -big, big)).astype(np.int64) + zero_point
        xnnpack = np.rint(np.clip(x / scale + np.float32(zero_point), -big, big)).astype(np.int64)
    for name, want in (("onnx", onnx), ("fbgemm", fbgemm), ("xnnpack", xnnpack)):
        assert QUANTIZERS[name](x, scale, zero_point) == min(max(int(want), -128), 127), name


def test_compiled_equals_unbounded():
    x = real_numbers(np.float32(0.1), 200)[::17]
    for quantize in QUANTIZERS.values():
        fast = quantize(x, np.float32(0.1), 3)
        with plain():
            np.testing.assert_array_equal(quantize(x, np.float32(0.1), 3), fast)
    fast_dynamic = dynamic_quantize(x[np.isfinite(x)])
    with plain():
        slow = dynamic_quantize(x[np.isfinite(x)])
    for a, b in zip(fast_dynamic, slow, strict=True):
        np.testing.assert_array_equal(a, b)


def test_refusals():
    with pytest.raises(IntsimError, match="NaN"):
        QUANTIZERS["onnx"]([1.0, np.nan], 0.1)
    with pytest.raises(IntsimError, match="positive and finite"):
        QUANTIZERS["onnx"](1.0, 0.0)
    with pytest.raises(IntsimError, match="reciprocal"):
        QUANTIZERS["fbgemm"](1.0, 1e-39)
    with pytest.raises(IntsimError, match="infinity"):
        dynamic_quantize([1.0, np.inf])
    with pytest.raises(IntsimError, match="empty"):
        dynamic_quantize(np.array([], dtype=np.float32))
    with pytest.raises(DtypeError, match="real numbers"):
        QUANTIZERS["onnx"](["1"], 0.5)
