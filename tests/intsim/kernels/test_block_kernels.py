"""Products of block floating-point matrices by kernel against the plain operator."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim.errors import IntsimError
from intsim.exact import plain
from intsim.formats import blockfp
from intsim.formats.blockfp import BFP, DBFP, Blocks
from intsim.kernels import blocks as block_kernels
from intsim.kernels.machine import Route, route
from intsim.kernels.quantise_blocks import quantise
from intsim.linear import block_dot
from intsim.linear.block_dot import BlockMatmul
from intsim.rounding import Rounding

FORMATS = [
    (BFP(8, 8), BFP(8, 8)),
    (BFP(8, 32), BFP(6, 32)),
    (DBFP(5, 16, 75, -20, 20, 2, signed=True), DBFP(4, 16, 75, -3, 5, 1, signed=True)),
    (DBFP(5, 4), DBFP(6, 4, signed=True)),
    (DBFP(7, 4), DBFP(7, 4, signed=True)),
    (BFP(8, 64), BFP(8, 64)),
    (BFP(8, 128), BFP(7, 128)),
]


def drawn(fmt, rows, depth, rng, spread):
    """Blocks of every mantissa, exponents around a common one, the ends among them."""
    limit = (1 << fmt.magnitude) - 1
    mantissas = rng.integers(-limit if fmt.signed else 0, limit, (rows, depth), endpoint=True)
    mantissas[rng.random((rows, depth)) < 0.2] = limit
    tags = rng.integers(0, 2, (rows, depth)) if fmt.delta else np.ones((rows, depth), dtype=int)
    count = fmt.blocks(depth)
    exponents = np.clip(rng.integers(-spread, spread, (rows, count), endpoint=True), fmt.lo, fmt.hi)
    exponents.flat[:1] = fmt.hi
    exponents.flat[-1:] = fmt.lo
    return Blocks(fmt, mantissas.astype(np.int16), tags.astype(np.uint8), exponents.astype(np.int16))


@settings(max_examples=60)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from([1, 3, 8, 9, 17]),
    st.sampled_from([1, 2, 47, 48, 49, 100]),
    st.sampled_from([1, 5, 16, 33, 64, 100, 130]),
    st.sampled_from(list(Rounding)),
    st.sampled_from([1, 4, 12, 126]),
    st.integers(0, 1 << 30),
)
def test_equals_the_plain_operator(formats, rows, columns, depth, rounding, spread, seed):
    rng = np.random.default_rng(seed)
    a, b = (drawn(fmt, n, depth, rng, spread) for fmt, n in zip(formats, (rows, columns), strict=True))
    unit = BlockMatmul(*formats, max_k=256, rounding=rounding)
    held, block_dot._KERNEL_SIZE = block_dot._KERNEL_SIZE, 0
    try:
        got = unit(a, b)
        packed = unit(a, unit.pack(b))
        taken = unit._by_kernel(a, b) is not None
        block_dot._KERNEL_SIZE = 1 << 62
        expected = unit(a, b)
    finally:
        block_dot._KERNEL_SIZE = held
    narrow = unit.acc_bits <= block_kernels.ACC_BITS and all(fmt.magnitude + fmt.delta <= 7 for fmt in formats)
    assert taken or not narrow or route() in (Route.PAIRS, Route.BLAS)
    for mine, ordered, theirs in zip(got, packed, expected, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(ordered, theirs)


@pytest.mark.parametrize("exact", [False, True])
def test_large_products_use_threads_and_unbounded_integers_agree(exact, monkeypatch):
    monkeypatch.setattr(block_kernels, "_PARALLEL", 1)
    fmt = BFP(8, 16, lo=-4, hi=4)
    rng = np.random.default_rng(3)
    a, b = drawn(fmt, 40, 64, rng, 4), drawn(fmt, 50, 64, rng, 4)
    unit = BlockMatmul(fmt, fmt, max_k=64, exact=exact)
    y, exponent = unit(a, b)
    with plain():
        again = unit(a, b)
    np.testing.assert_array_equal(y, again[0])
    np.testing.assert_array_equal(exponent, again[1])


def test_results_go_where_they_are_wanted():
    fmt, rng = BFP(8, 16), np.random.default_rng(4)
    for rows, columns, kernel_size in ((40, 50, 0), (3, 2, 1 << 62)):
        a, b = drawn(fmt, rows, 64, rng, 4), drawn(fmt, columns, 64, rng, 4)
        unit = BlockMatmul(fmt, fmt, max_k=64)
        out = np.empty((rows, columns), dtype=np.int32), np.empty((rows, columns), dtype=np.int16)
        held, block_dot._KERNEL_SIZE = block_dot._KERNEL_SIZE, kernel_size
        try:
            expected, found = unit(a, b), unit(a, b, out)
        finally:
            block_dot._KERNEL_SIZE = held
        assert found[0] is out[0]
        assert found[1] is out[1]
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        with pytest.raises(IntsimError, match="out holds int32 and int16"):
            unit(a, b, out=(out[1], out[0]))
        with pytest.raises(IntsimError, match="out holds int32 and int16"):
            unit(a, b, out=(out[0].T, out[1]))


def test_packed_operands_are_for_one_product_whatever_its_size():
    fmt, rng = BFP(8, 16), np.random.default_rng(5)
    a, b = drawn(fmt, 2, 32, rng, 4), drawn(fmt, 3, 32, rng, 4)
    unit, other = BlockMatmul(fmt, fmt, max_k=64), BlockMatmul(fmt, fmt, max_k=64, rounding=Rounding.TIES_AWAY)
    for mine, theirs in zip(unit(a, unit.pack(b)), unit(a, b), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with plain():
        np.testing.assert_array_equal(unit(a, unit.pack(b))[0], unit(a, b)[0])
    with pytest.raises(IntsimError, match="packed for"):
        other(a, unit.pack(b))


QUANTISED = [BFP(8, 32), BFP(8, 5, lo=-3, hi=4), BFP(5, 16, lo=-20, hi=40), BFP(2, 3), DBFP(7, 8, 100, -10, 30, 0)]


@settings(max_examples=80)
@given(
    st.sampled_from(QUANTISED),
    st.sampled_from(list(Rounding)),
    st.sampled_from([1, 2, 31, 32, 33, 100]),
    st.integers(-20, 60),
    st.integers(0, 31),
    st.integers(0, 1 << 30),
)
def test_quantises_as_the_plain_operator(fmt, rounding, n, frac, drop, seed):
    rng = np.random.default_rng(seed)
    fmt = dataclasses.replace(fmt, rounding=rounding)
    codes = (rng.integers(-(1 << 31), 1 << 31, (7, n)) >> drop >> rng.integers(0, 31, (7, n))).astype(np.int32)
    codes[0] = 0
    codes[1, 0] = -(1 << 31)
    codes[2, -1] = (1 << 31) - 1
    codes = codes if fmt.signed else np.abs(codes >> 1)
    held, blockfp._KERNEL_SIZE = blockfp._KERNEL_SIZE, 0
    try:
        assert quantise(fmt, codes, frac) is not None
        got = fmt.quantize(codes, frac)
    finally:
        blockfp._KERNEL_SIZE = held
    expected = fmt.quantize(codes.astype(np.int64), frac)
    for name in ("mantissas", "tags", "exponents"):
        mine, theirs = getattr(got, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
