"""The integer matrix product against NumPy's object arrays; the accumulator's width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import DtypeError, Int, IntsimError
from intsim.exact import plain
from intsim.linear import accumulator_bits, matmul


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 3),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 5),
    st.booleans(),
    st.integers(2, 20),
    st.data(),
)
def test_equals_unbounded(batch, rows, depth, columns, shared, bits, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    lead = (batch, 2)[: 0 if batch == 0 else 2]
    half = 1 << (bits - 1)
    x = rng.integers(-half, half, (*lead, rows, depth))
    w = rng.integers(-half, half, (depth, columns) if shared else (*lead, depth, columns))
    bias = rng.integers(-half, half, columns)
    y = matmul(x, w, bias, acc_bits=64)
    np.testing.assert_array_equal(y, x.astype(object) @ w.astype(object) + bias)
    with plain():
        np.testing.assert_array_equal(matmul(x, w, bias, acc_bits=64), y)


def test_one_row_and_dtypes():
    x, w = np.array([100, -100, 127], dtype=np.int8), np.full((3, 2), -128, dtype=np.int8)
    assert matmul(x, w).tolist() == [-16256, -16256]
    assert matmul(x, w).dtype == np.int32
    assert matmul(x, w, acc_bits=40).dtype == np.int64
    assert matmul(x.astype(np.uint8), w)[0] == -128 * (100 + 156 + 127)


def test_the_width_is_proven_for_formats_and_for_values():
    x, w = np.ones((4, 512), dtype=np.int8), np.ones((512, 8), dtype=np.int8)
    assert matmul(x, w, acc_bits=26).shape == (4, 8)
    with pytest.raises(IntsimError, match=r"accumulator needs 25 bits for K=512, has 24: use K <= 256 or acc_bits=25"):
        matmul(x * 127, w * -128, acc_bits=24, x_format=Int(8), w_format=Int(8))
    with pytest.raises(IntsimError, match="needs 18 bits for K=512, has 12: use K <= 8"):
        matmul(x, w, acc_bits=12, x_format=Int(8))
    # the largest depth at which W8A8 with 9-bit centred operands fits 32 bits
    nine = Int(9, signed=False)
    assert accumulator_bits(nine, nine, 8192) == 32
    assert accumulator_bits(nine, nine, 8300) == 33
    # never too small: the worst values themselves
    for depth in (1, 7, 33_025):
        bits = accumulator_bits(Int(8), Int(8), depth, bias=1000)
        assert depth * 128 * 128 + 1000 < 1 << (bits - 1)


def test_refused():
    x = np.ones((2, 3), dtype=np.int8)
    with pytest.raises(IntsimError, match="do not multiply"):
        matmul(x, np.ones((2, 3), dtype=np.int8))
    with pytest.raises(IntsimError, match="do not multiply"):
        matmul(np.ones((4, 2, 3), dtype=np.int8), np.ones((5, 3, 2), dtype=np.int8))
    with pytest.raises(IntsimError, match="bias"):
        matmul(x, np.ones((3, 4), dtype=np.int8), np.ones(3, dtype=int))
    with pytest.raises(DtypeError, match="float64"):
        matmul(x, np.ones((3, 4)))
    with pytest.raises(IntsimError, match="outside s4"):
        matmul(x * 100, np.ones((3, 4), dtype=np.int8), x_format=Int(4))
    with pytest.raises(IntsimError, match="empty"):
        matmul(x[:0], np.ones((3, 4), dtype=np.int8))
    with pytest.raises(IntsimError, match="acc_bits"):
        matmul(x, np.ones((3, 4), dtype=np.int8), acc_bits=65)


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        (5, [[1]], {}, "do not multiply"),
        ([[1, 2], [3]], [[1]], {}, "rows of equal length"),
        ([[1, 2]], [[3], [4]], {"acc_bits": "x"}, "acc_bits must be an integer"),
        ([[2**31 - 1] * 4], [[2**31 - 1]] * 4, {"acc_bits": 64}, "narrower operands"),
    ],
)
def test_what_cannot_be_multiplied_is_refused(x, w, options, message):
    with pytest.raises(IntsimError, match=message):
        matmul(x, w, **options)
