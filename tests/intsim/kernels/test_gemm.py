"""The fast matrix product against NumPy's unbounded integers and against its plain twin, by every route there is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import IntsimError
from intsim.exact import plain
from intsim.kernels import gemm
from intsim.kernels.machine import Route, has, route
from intsim.linear import matmul, pack

SIZES = [1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100, 130, 200]
KINDS = ["int8", "uint8", "int16", "uint16", "int32"]


def drawn(rng, dtype, shape):
    """Random values with the ends of the type among them."""
    bound = np.iinfo(dtype)
    values = rng.integers(bound.min, bound.max, shape, dtype=dtype, endpoint=True)
    ends = rng.random(shape)
    return np.where(ends < 0.1, bound.min, np.where(ends > 0.9, bound.max, values)).astype(dtype)


def exactly(x, w, bias):
    return np.matmul(x.astype(object), w.astype(object)) + bias


def multiplied(x, w, bias, fits):
    """The kernel itself, whatever the size."""
    matrices, weights = (v if v.ndim == 3 else v[None] for v in (x, w))
    out = np.empty((*matrices.shape[:2], w.shape[-1]), dtype=np.int32 if fits else np.int64)
    gemm.multiply(gemm.split(matrices, fits), gemm.split(weights, fits), bias.astype(np.int64), fits, out)
    return out


def wrapped(values, bits):
    half = 1 << (bits - 1)
    return ((values + half) % (1 << bits) - half).astype(np.int64)


@settings(max_examples=50)
@given(
    st.sampled_from(SIZES),
    st.sampled_from(SIZES),
    st.sampled_from(SIZES),
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.sampled_from(["rows", "columns", "strided"]),
    st.sampled_from([0, 1, 3]),
    st.integers(0, 1 << 30),
)
def test_equals_unbounded_integers_modulo_the_width(rows, depth, columns, left, right, order, batch, seed):
    rng = np.random.default_rng(seed)
    lead = (batch,) if batch else ()
    x = drawn(rng, left, (*lead, rows, depth))
    w = drawn(rng, right, (*lead, depth, columns))
    if order == "columns":
        w = np.swapaxes(np.ascontiguousarray(np.swapaxes(w, -1, -2)), -1, -2)
    if order == "strided":
        wide = drawn(rng, right, (*lead, 2 * depth, 3 * columns))
        w = wide[..., ::2, ::3]
        x = drawn(rng, left, (*lead, rows, 2 * depth))[..., ::-2]
    x.flags.writeable = w.flags.writeable = False
    bias = rng.integers(-1000, 1000, columns)
    expected = exactly(x, w, bias)
    for fits in (True, False):
        got = multiplied(x, w, bias, fits)
        np.testing.assert_array_equal(got.reshape(expected.shape), wrapped(expected, 32 if fits else 64))


@settings(max_examples=40)
@given(
    st.sampled_from(SIZES),
    st.sampled_from(SIZES),
    st.sampled_from(SIZES),
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.integers(0, 1 << 30),
)
def test_packed_weights_multiply_as_the_matrix_they_hold(rows, depth, columns, left, right, seed):
    rng = np.random.default_rng(seed)
    x, w = drawn(rng, left, (rows, depth)) >> 1, drawn(rng, right, (depth, columns)) >> 1
    weights = pack(w)
    np.testing.assert_array_equal(weights.values(), w)
    expected = exactly(x, w, 7)
    got = matmul(x, weights, np.full(columns, 7), acc_bits=64)
    np.testing.assert_array_equal(got, expected)
    with plain():
        np.testing.assert_array_equal(matmul(x[:2], weights, np.full(columns, 7), acc_bits=64), got[:2])


@settings(max_examples=40)
@given(
    st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 20]),
    st.sampled_from(SIZES),
    st.sampled_from(SIZES),
    st.sampled_from(["int8", "uint8"]),
    st.integers(0, 1 << 30),
)
def test_weights_of_four_bits_are_packed_two_in_a_byte(rows, depth, columns, left, seed):
    rng = np.random.default_rng(seed)
    x, w = drawn(rng, left, (rows, depth)), rng.integers(-8, 8, (depth, columns))
    w[0, 0] = -8
    weights, wide = pack(w), pack(w * 16)
    if route() not in (Route.PAIRS, Route.BLAS):
        assert 2 * weights.limbs[0].panels.nbytes == wide.limbs[0].panels.nbytes
    np.testing.assert_array_equal(weights.values(), w)
    np.testing.assert_array_equal(matmul(x, weights), x.astype(np.int64) @ w)
    np.testing.assert_array_equal(
        matmul(x, weights, np.arange(columns), acc_bits=40), x.astype(np.int64) @ w + np.arange(columns)
    )


@pytest.mark.parametrize(("low", "high"), [(-255, 0), (-37, 218), (-128, 128), (0, 256), (-3, 40000)])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_ranges_of_any_place_and_type(low, high, dtype):
    rng = np.random.default_rng(low & 0xFF)
    x, w = rng.integers(low, high + 1, (20, 70)).astype(dtype), rng.integers(low, high + 1, (70, 33)).astype(dtype)
    x.flat[:2] = w.flat[:2] = low, high
    np.testing.assert_array_equal(matmul(x, w, acc_bits=64), exactly(x, w, 0))
    with plain():
        np.testing.assert_array_equal(matmul(x[:2], w, acc_bits=64), exactly(x[:2], w, 0))


@pytest.mark.parametrize("packed", [False, True])
def test_sums_longer_than_an_int32_holds(packed):
    depth = 140_000  # 2 * 10^5 products of 255 * 255 pass 2**32
    x, w = np.full((3, depth), 255, dtype=np.uint8), np.full((depth, 2), 255, dtype=np.uint8)
    w[1::2, 1] = 1
    weights = pack(w) if packed else w
    assert matmul(x, weights, acc_bits=40).tolist() == [[depth * 255 * 255, depth // 2 * 255 * 256]] * 3
    with pytest.raises(IntsimError, match="needs 35 bits"):
        matmul(x, weights, acc_bits=32)


def test_large_products_are_split_over_threads_without_a_difference(monkeypatch):
    rng = np.random.default_rng(5)
    monkeypatch.setattr(gemm, "_PARALLEL", 1)
    for shape in ((700, 65, 90), (30, 65, 900), (2, 300, 1000)):
        x, w = drawn(rng, "int8", shape[:2]), drawn(rng, "uint8", shape[1:])
        expected = x.astype(np.int64) @ w.astype(np.int64)
        np.testing.assert_array_equal(matmul(x, w), expected)
        np.testing.assert_array_equal(matmul(x, pack(w)), expected)
    x, w = drawn(rng, "uint8", (9, 30, 40)), drawn(rng, "int8", (9, 40, 50))
    np.testing.assert_array_equal(matmul(x, w), x.astype(np.int64) @ w.astype(np.int64))


def test_out_is_written_and_returned():
    rng = np.random.default_rng(6)
    x, w = drawn(rng, "int8", (2, 40, 64)), drawn(rng, "int8", (64, 50))
    out = np.empty((2, 40, 50), dtype=np.int32)
    assert matmul(x, w, out=out) is out
    np.testing.assert_array_equal(out, matmul(x, w))
    for bad in (out.astype(np.int64), out[:, ::2], out[0], None.__class__):
        with pytest.raises(IntsimError, match=r"out holds int32 \(2, 40, 50\), C-contiguous; got"):
            matmul(x, w, out=bad)
    out.flags.writeable = False
    with pytest.raises(IntsimError, match="read-only"):
        matmul(x, w, out=out)


def test_weights_that_cannot_be_packed_are_refused():
    with pytest.raises(IntsimError, match="at most 32 bits"):
        pack(np.array([[1 << 31]]))
    with pytest.raises(IntsimError, match="as a matrix"):
        pack(np.ones((2, 2, 2), dtype=np.int8))
    with pytest.raises(IntsimError, match="do not multiply"):
        matmul(np.ones((2, 3), dtype=np.int8), pack(np.ones((2, 3), dtype=np.int8)))
    assert matmul(np.array([1, 2]), pack(np.array([[1], [3]]))).tolist() == [7]


# Every route of this processor ------------------------------------------------------------------------------------

HERE = Path(__file__)


def available():
    """Besides the route that this process takes: those it could be told to take."""
    found = [Route.PAIRS, Route.BLAS]
    if has("avx512vnni"):
        found.append(Route.VNNI)
    return sorted({r.value for r in found} - {route().value})


@pytest.mark.parametrize("name", available())
def test_every_other_route_passes_these_tests_too(name):
    tests = [t for t in globals() if t.startswith("test_") and "route" not in t]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"{HERE}::{t}" for t in tests)],
        env={**os.environ, "INTSIM_KERNELS": name},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_an_unknown_route_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "from intsim.kernels.machine import route; route()"],
        env={**os.environ, "INTSIM_KERNELS": "pair"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "unknown kernel route 'pair'; did you mean 'pairs'?" in done.stderr


def test_code_cached_for_one_route_is_not_loaded_for_another(tmp_path):
    """Code compiled for another route holds traps in place of instructions that this one may use."""
    code = """
import numpy as np
from intsim.linear import matmul
x = np.ones((40, 40), dtype=np.int8)
print(int(matmul(x, x).sum()))
"""
    for name in [*available(), ""]:
        env = {**os.environ, "INTSIM_KERNELS": name, "INTSIM_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.stdout.strip() == str(40**3), (name, done.returncode, done.stderr)
