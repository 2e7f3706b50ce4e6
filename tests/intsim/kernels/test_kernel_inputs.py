"""Kernels on every way an array may lie in memory: read-only, turned, with strides, one row, odd sizes, nothing."""

import dataclasses
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import Int, IntsimError, catalogue
from intsim import unit as unit_module
from intsim.formats.blockfp import BFP
from intsim.kernels import units
from intsim.linear import BlockMatmul, DynamicRequantize, block_dot, linear, matmul, pack
from intsim.nonlinear import (
    DIClippedSoftmax,
    DINorm,
    DISwiGLU,
    IBertLayerNorm,
    IBertSoftmax,
    IViTLayerNorm,
    L1Norm,
    QANSSoftmax,
    Shiftmax,
)
from intsim.requant.conventions import from_scales

UNITS = [
    from_scales("tflite_double", 0.001, y=Int(8)),
    from_scales("ibert", 0.004, y=Int(8)),
    Shiftmax.design(0.05),
    IBertSoftmax.design(0.05),
    QANSSoftmax.design(0.05, x=Int(16)),
    DIClippedSoftmax(200, 12, masked=False),
    IViTLayerNorm(),
    IBertLayerNorm(),
    DINorm(),
    L1Norm(),
    DISwiGLU(200, 10),
    DynamicRequantize(),
    catalogue.get("nli_gelu"),
]

LAYOUTS = {
    "read-only": lambda x: x,
    "turned": lambda x: x[::-1, ::-1],
    "every other": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, 1::2],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "within another": lambda x: np.pad(x, 3)[3:-3, 3:-3],
    "one row": lambda x: x[:1],
    "three axes": lambda x: x.reshape(1, *x.shape),
    "off the cache line": lambda x: shifted(x),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
}


def shifted(x):
    """The same at an address that is a multiple of nothing but the element."""
    memory = np.empty(x.nbytes + x.itemsize, dtype=np.uint8)[x.itemsize :]
    held = memory.view(x.dtype).reshape(x.shape)
    held[...] = x
    return held


def laid(layout, x):
    found = LAYOUTS[layout](x)
    found.flags.writeable = False
    return found


def random(fmt, shape, rng):
    bits = min(fmt.bits, 16)
    lo = max(fmt.lo, -(1 << (bits - 1)))
    return rng.integers(lo, min(fmt.hi, lo + (1 << bits) - 1) + 1, shape).astype(fmt.dtype)


def same(got, expected):
    got, expected = (v if isinstance(v, tuple) else (v,) for v in (got, expected))
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_every_kernel_of_a_unit_is_tried_and_its_class_is_where_it_says():
    kinds = {f"{type(unit).__module__}.{type(unit).__qualname__}" for unit in UNITS}
    assert set(units._KERNELS) <= kinds
    for place in units._KERNELS.values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))


@settings(max_examples=120)
@given(
    st.sampled_from(range(len(UNITS))),
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from([1, 2, 3, 9]),
    st.sampled_from([1, 7, 16, 33, 100]),
    st.integers(0, 1 << 30),
)
def test_units_take_arrays_however_they_lie(number, layout, rows, columns, seed):
    unit, rng = UNITS[number], np.random.default_rng(seed)
    columns = min(columns, getattr(unit, "max_row", columns))
    ports = [laid(layout, random(fmt, (rows, columns), rng)) for fmt in unit.inputs.values()]
    plainly = [np.array(port, dtype=port.dtype.newbyteorder("=")) for port in ports]
    held = unit_module._KERNEL_SIZE
    try:
        unit_module._KERNEL_SIZE = 1 << 62
        expected = unit(*plainly)
        unit_module._KERNEL_SIZE = 0
        same(unit(*ports), expected)
    finally:
        unit_module._KERNEL_SIZE = held


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: type(unit).__name__)
def test_nothing_is_refused(unit):
    for shape in ((0,), (0, 5), (3, 0)):
        with pytest.raises(IntsimError, match="empty"):
            unit(*(np.empty(shape, dtype=fmt.dtype) for fmt in unit.inputs.values()))


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from(["one row", "read-only", "turned", "transposed", "every other", "off the cache line"]),
    st.sampled_from([1, 2, 17, 40]),
    st.sampled_from([1, 3, 64, 65]),
    st.sampled_from([16, 17, 50]),
    st.integers(0, 1 << 30),
)
def test_products_take_arrays_however_they_lie(left, right, rows, depth, columns, seed):
    rng = np.random.default_rng(seed)
    x = laid(left, rng.integers(-128, 128, (rows, depth), dtype=np.int8))
    w = laid("read-only" if right == "one row" else right, rng.integers(-128, 128, (depth, columns), dtype=np.int8))
    expected = x.astype(np.int64) @ w.astype(np.int64)
    np.testing.assert_array_equal(matmul(x[0] if x.ndim > 2 else x, w), expected[0] if x.ndim > 2 else expected)
    np.testing.assert_array_equal(matmul(x, pack(w)), expected)
    unit = from_scales("ibert", 0.004, y=Int(8))
    np.testing.assert_array_equal(linear(x, pack(w), unit), unit(expected.astype(np.int32)))
    for empty in (np.empty((0, depth), np.int8), np.empty((rows, 0), np.int8)):
        with pytest.raises(IntsimError, match="empty"):
            matmul(empty, w)


@pytest.mark.parametrize("layout", [name for name in sorted(LAYOUTS) if name not in ("three axes",)])
def test_block_products_take_arrays_however_they_lie(layout, monkeypatch):
    fmt, rng = BFP(8, 16), np.random.default_rng(2)
    unit = BlockMatmul(fmt, fmt, max_k=256)
    a, b = (fmt.quantize(rng.integers(-9999, 9999, (n, 80)).astype(np.int32), 8) for n in (19, 35))

    def lay(blocks):
        names = "mantissas", "tags", "exponents"
        return dataclasses.replace(blocks, **{name: laid(layout, getattr(blocks, name)) for name in names})

    left, right = lay(a), lay(b)
    monkeypatch.setattr(block_dot, "_KERNEL_SIZE", 1 << 62)
    expected = unit(left, right)
    monkeypatch.setattr(block_dot, "_KERNEL_SIZE", 0)
    same(unit(left, right), expected)
    same(unit(left, unit.pack(right)), expected)
