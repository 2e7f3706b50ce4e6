"""The linear layer in one step against its two steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import Int, IntsimError
from intsim.exact import plain
from intsim.kernels import fused, gemm
from intsim.linear import linear, matmul, pack
from intsim.requant.conventions import INTEGER, from_scales

CONVENTIONS = [name for name, unit in INTEGER.items() if unit.acc.bits <= 32 and name != "pulp_rqs"]


@settings(max_examples=80)
@given(
    st.sampled_from([1, 2, 3, 9, 16, 33, 70]),
    st.sampled_from([1, 5, 64, 130, 2200]),
    st.sampled_from([7, 16, 17, 32, 48, 64, 65, 96, 100]),
    st.sampled_from(["int8", "uint8"]),
    st.sampled_from(["int8", "uint8"]),
    st.sampled_from(CONVENTIONS),
    st.booleans(),
    st.integers(0, 1 << 30),
)
def test_equals_product_and_requantisation(rows, depth, columns, left, right, name, each, seed):
    rng = np.random.default_rng(seed)
    (x, w) = (
        rng.integers(np.iinfo(d).min, np.iinfo(d).max, s, dtype=d, endpoint=True)
        for d, s in ((left, (rows, depth)), (right, (depth, columns)))
    )
    scales = rng.uniform(0.2, 1.9, columns if each else 1) / (128 * np.sqrt(depth))
    unit = from_scales(name, scales, y=Int(8), zero_point=int(rng.integers(-9, 9)))
    bias = rng.integers(-5000, 5000, columns)
    acc = matmul(x, w, bias)
    expected = unit(*(np.broadcast_arrays(acc, np.arange(columns)) if each and columns > 1 else (acc,)))
    got = linear(x, pack(w), unit, bias)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(linear(x[None], w, unit, bias)[0], expected)
    with plain():
        np.testing.assert_array_equal(linear(x[:2], pack(w), unit, bias), expected[:2])


@pytest.mark.parametrize("depth", [3, 64, 1000, 2200])  # fewer steps than rows of a block, and more
@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("left", ["int8", "uint8"])
def test_whole_blocks_beside_each_other(left, name, depth):
    rng = np.random.default_rng(depth)
    info = np.iinfo(left)
    x = rng.integers(info.min, info.max, (96, depth), dtype=left, endpoint=True)
    w = rng.integers(-128, 127, (depth, 64), dtype=np.int8, endpoint=True)
    for scales in (rng.uniform(0.2, 1.9, 64), 0.7):
        unit = from_scales(name, np.multiply(scales, 2.0**-6 / np.sqrt(depth)), y=Int(8), zero_point=-3)
        acc = matmul(x, w)
        expected = unit(*(np.broadcast_arrays(acc, np.arange(64)) if np.ndim(scales) else (acc,)))
        np.testing.assert_array_equal(linear(x, pack(w), unit), expected)
        assert np.unique(expected).size > 100


def test_in_blocks_and_threads_and_into_out(monkeypatch):
    rng = np.random.default_rng(1)
    monkeypatch.setattr(fused, "_BLOCK", 1 << 12)
    monkeypatch.setattr(gemm, "_PARALLEL", 1)
    x = rng.integers(-128, 128, (3, 101, 40), dtype=np.int8)
    w = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    unit = from_scales("tflite_double", rng.uniform(1e-4, 1e-3, 50), y=Int(8))
    out = np.empty((3, 101, 50), dtype=np.int8)
    assert linear(x, pack(w), unit, out=out) is out
    np.testing.assert_array_equal(out, unit(matmul(x, w), np.arange(50)))


def test_refused():
    x, w = np.full((2, 1 << 17), 127, dtype=np.int8), pack(np.full((1 << 17, 16), 127, dtype=np.int8))
    unit = from_scales("ibert", 0.001, y=Int(8))
    with pytest.raises(IntsimError, match=r"accumulator needs 3\d bits"):
        linear(x, w, unit, acc_bits=31)
    with pytest.raises(IntsimError, match="2 channels for 16 columns"):
        linear(x, w, from_scales("ibert", [0.1, 0.2], y=Int(8)))
    with pytest.raises(IntsimError, match="do not multiply"):
        linear(x[:, 1:], w, unit)
    with pytest.raises(IntsimError, match="out holds int8"):
        linear(x[:, :8], pack(np.ones((8, 16), dtype=np.int8)), unit, out=np.empty((2, 16), dtype=np.int16))
    with pytest.raises(IntsimError, match="bias"):
        linear(x[:, :8], pack(np.ones((8, 16), dtype=np.int8)), unit, np.ones(3, dtype=np.int64))
