"""Quantised tensors: what they mean, and the quantiser that makes them."""

from fractions import Fraction

import numpy as np
import pytest

from intsim import DtypeError, IntsimError, UnknownName
from intsim.formats.quantized import Quantized


def test_meaning():
    q = Quantized(np.array([[0, 10], [20, 255]], dtype=np.uint8), m=[[3], [200]], k=[[4], [9]], zero_point=[[5], [20]])
    expected = [[float(Fraction((v - z) * m, 1 << k)) for v in row] for row, m, k, z in
                [([0, 10], 3, 4, 5), ([20, 255], 200, 9, 20)]]  # fmt: skip
    assert q.decode().tolist() == expected
    assert q.centred.tolist() == [[-5, 5], [0, 235]]
    assert (q.granularity, q.shape) == ("token", (2, 2))


@pytest.mark.parametrize(
    ("shape", "granularity"),
    [((), "tensor"), ((1,), "tensor"), ((3, 1), "token"), ((4,), "channel"), ((3, 4), "element")],
)
def test_granularity(shape, granularity):
    assert Quantized(np.zeros((3, 4), dtype=np.int8), np.ones(shape, dtype=int)).granularity == granularity


@pytest.mark.parametrize("per", ["tensor", "token", "channel"])
@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("symmetric", [False, True])
def test_from_real_is_within_a_step(per, bits, symmetric):
    values = np.random.default_rng(0).normal(1, 3, (6, 40)) * np.linspace(0.1, 5, 40)
    q = Quantized.from_real(values, bits, per, symmetric=symmetric)
    assert q.granularity == per
    assert q.m.min() >= 128
    assert q.m.max() <= 255
    step = np.ldexp(q.m.astype(float), -q.k)
    # half a step, and where the 8-bit mantissa was rounded down the ends are cut by at most its error
    bound = 0.5001 * step + np.abs(values).max() * 2.0**-8
    assert np.all(np.abs(q.decode() - values) <= bound)
    lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if symmetric else (0, 2**bits - 1)
    assert lo <= q.data.min() <= q.data.max() <= hi
    assert np.all(q.zero_point == 0) == symmetric
    assert Quantized.from_real(np.zeros((2, 3))).decode().tolist() == [[0.0] * 3] * 2


def test_refused():
    with pytest.raises(DtypeError, match="from_real"):
        Quantized(np.array([0.5]))
    with pytest.raises(IntsimError, match="broadcast"):
        Quantized(np.zeros((2, 3), dtype=int), m=np.ones(2, dtype=int))
    with pytest.raises(IntsimError, match="255"):
        Quantized(np.zeros(3, dtype=int), k=256)
    with pytest.raises(UnknownName, match="token"):
        Quantized.from_real(np.zeros((2, 3)), per="tokens")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, float("nan")], {}, "NaN or infinity"),
        ([float("inf")], {}, "NaN or infinity"),
        ([], {}, "at least one"),
        ("a", {}, "expected real values"),
        ([1e308, 1.0], {}, "needs a scale above 255"),
        ([1.0], {"bits": 0}, r"bits must be an integer in \[2, 32\], got 0"),
        ([1.0], {"bits": 64}, r"bits must be an integer in \[2, 32\], got 64"),
    ],
)
def test_values_without_a_scale_are_refused(values, options, message):
    with pytest.raises(IntsimError, match=message):
        Quantized.from_real(values, **options)


def test_values_below_every_scale_are_zeros():
    q = Quantized.from_real([1e-308, -1e-300])
    assert (q.m > 0, int(q.k)) == (True, 255)
    assert q.decode().tolist() == [0.0, 0.0]


def test_nested_lists_of_unequal_length_are_refused():
    with pytest.raises(DtypeError, match="rows of equal length"):
        Quantized([[1, 2], [1]])
