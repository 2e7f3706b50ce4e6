"""Block products: exact inside a block, and between blocks as the two stated accumulations."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim.errors import IntsimError
from intsim.exact import plain
from intsim.formats.blockfp import BFP, DBFP
from intsim.linear.block_dot import BlockDot, BlockMatmul
from intsim.rounding import TIES_TO_EVEN, TO_NEG, divide_round
from intsim.unit import Unit

A = DBFP(5, 4, 100, -6, 6, 2, signed=True)
B = DBFP(4, 4, 75, -3, 5, 1, signed=True)
PROBABILITIES = DBFP(7, 4)


def random_blocks(fmt, shape, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, shape) * np.exp2(rng.integers(-5, 5, shape))
    return fmt.encode(values if fmt.signed else np.abs(values))


def exactly(blocks) -> list[list[Fraction]]:
    return [[Fraction(float(v)) for v in row] for row in blocks.decode()]


@pytest.mark.parametrize(
    ("left", "right"), [(A, B), (PROBABILITIES, A), (BFP(8, 4, lo=-4, hi=4), BFP(4, 4, lo=-4, hi=4))]
)
@pytest.mark.parametrize("k", [1, 4, 11, 16])
def test_exact_product_is_the_real_product(left, right, k):
    a, b = random_blocks(left, (3, k), 1), random_blocks(right, (2, k), 2)
    product = BlockMatmul(left, right, max_k=64, exact=True)
    y, exponent = product(a, b)
    for i, row in enumerate(exactly(a)):
        for j, column in enumerate(exactly(b)):
            wanted = sum(u * v for u, v in zip(row, column, strict=True))
            assert int(y[i, j]) * Fraction(2) ** int(exponent[i, j]) == wanted
    assert np.unique(exponent).size == 1
    np.testing.assert_allclose(product.decode(y, exponent), a.decode() @ b.decode().T, rtol=1e-12)
    with plain():
        again = product(a, b)
    np.testing.assert_array_equal(again[0], y)
    np.testing.assert_array_equal(again[1], exponent)


def aligned_by_definition(product, a, b, i, j):
    """Blocks first to last, one running exponent, the smaller operand shifted right."""
    left, right = exactly(a)[i], exactly(b)[j]
    total, running = 0, None
    for block in range(a.exponents.shape[1]):
        part = slice(block * product.a.group, (block + 1) * product.a.group)
        exponent = int(a.exponents[i, block]) + int(b.exponents[j, block]) + product.lsb
        value = sum(u * v for u, v in zip(left[part], right[part], strict=True)) / Fraction(2) ** exponent
        assert value.denominator == 1
        if running is None:
            total, running = int(value), exponent
            continue
        common = max(running, exponent)
        total = divide_round(total, 1 << (common - running), product.rounding) + divide_round(
            int(value), 1 << (common - exponent), product.rounding
        )
        running = common
    return total, running


@pytest.mark.parametrize("rounding", [TO_NEG, TIES_TO_EVEN])
@given(seed=st.integers(0, 10_000), k=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_running_exponent_follows_the_stated_order(rounding, seed, k):
    a, b = random_blocks(A, (2, k), seed), random_blocks(B, (2, k), seed + 1)
    product = BlockMatmul(A, B, max_k=64, rounding=rounding)
    y, exponent = product(a, b)
    assert y.dtype == (np.int32 if product.acc_bits <= 32 else np.int64)
    for i in range(2):
        for j in range(2):
            assert (int(y[i, j]), int(exponent[i, j])) == aligned_by_definition(product, a, b, i, j)
    with plain():
        again = product(a, b)
    np.testing.assert_array_equal(again[0], y)
    assert int(np.abs(y).max()).bit_length() < product.acc_bits


def test_order_matters_only_without_the_exact_accumulator():
    a, b = random_blocks(A, (4, 32), 7), random_blocks(B, (4, 32), 8)
    turned = [
        dataclasses.replace(v, mantissas=v.mantissas[:, ::-1], tags=v.tags[:, ::-1], exponents=v.exponents[:, ::-1])
        for v in (a, b)
    ]
    wide, narrow = BlockMatmul(A, B, exact=True), BlockMatmul(A, B)
    np.testing.assert_array_equal(wide(a, b)[0], wide(*turned)[0])
    assert np.any(narrow.decode(*narrow(a, b)) != narrow.decode(*narrow(*turned)))
    scale = np.abs(a.decode()) @ np.abs(b.decode()).T
    error = np.abs(narrow.decode(*narrow(a, b)) - wide.decode(*wide(a, b))) / scale
    assert error.max() < 8 * 2.0 ** (1 - A.magnitude - B.magnitude)


UNITS = {"ab": BlockDot(A, B), "pa": BlockDot(PROBABILITIES, A), "bfp": BlockDot(BFP(4, 2), BFP(4, 2))}


@pytest.mark.parametrize("name", UNITS)
def test_block_unit_on_its_corners(name):
    unit = UNITS[name]
    columns = unit.corners()
    y = unit(*columns)
    np.testing.assert_array_equal(y, unit.real(*columns).astype(np.int64))
    assert y.max() <= unit.outputs["y"].hi
    # the declared width is needed, and reached to within its last bit
    assert max(int(y.max()), -int(y.min())).bit_length() == unit.outputs["y"].bits - 1
    with plain():
        np.testing.assert_array_equal(unit(*columns), y)
    assert Unit.from_json(unit.to_json()) == unit


def test_unit_is_the_matmul_of_one_block():
    a, b = random_blocks(A, (5, 4), 3), random_blocks(B, (5, 4), 4)
    y = UNITS["ab"](a.mantissas, a.tags, b.mantissas, b.tags)
    product = BlockMatmul(A, B)
    np.testing.assert_array_equal(y, np.diagonal(product(a, b)[0]))


def test_what_cannot_work_is_refused():
    with pytest.raises(IntsimError, match="one group size"):
        BlockDot(A, dataclasses.replace(B, group=8))
    with pytest.raises(IntsimError, match="63 are available"):
        BlockDot(DBFP(24, 4, delta=10), DBFP(24, 4, delta=10))
    with pytest.raises(IntsimError, match="exact=False"):
        BlockMatmul(BFP(8), BFP(8), exact=True)
    product = BlockMatmul(A, B, max_k=16)
    with pytest.raises(IntsimError, match="at most 16"):
        product(random_blocks(A, (1, 20), 0), random_blocks(B, (1, 20), 0))
    with pytest.raises(IntsimError, match="equal"):
        product(random_blocks(A, (1, 8), 0), random_blocks(B, (1, 4), 0))
    with pytest.raises(IntsimError, match="expected a matrix"):
        product(random_blocks(B, (1, 8), 0), random_blocks(B, (1, 8), 0))
