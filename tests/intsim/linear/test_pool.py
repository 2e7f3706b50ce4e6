"""Average pools against their definitions over rationals, and the residual add under the linear package's name."""

from fractions import Fraction
from math import floor, trunc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, surviving_mutants

import intsim.requant
from intsim import Int, IntsimError, UnknownName
from intsim.linear import AveragePool, ResidualAdd, average_pool

SHAPES = [(49, "hawq", 8), (4, "tflite", 8), (9, "tosa", 8), (121, "hawq", 16), (64, "tosa", 16), (1, "tosa", 8),
          (7, "tflite", 16), (3, "tosa", 32)]  # fmt: skip
UNITS = [AveragePool(count, convention, x=Int(bits)) for count, convention, bits in SHAPES]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda u: f"{u.convention}-{u.count}")


def mean_by_definition(row, convention):
    mean = Fraction(sum(row), len(row))
    if convention == "hawq":
        return trunc(mean + Fraction(1, 100))
    if convention == "tflite":
        return floor(abs(mean) + Fraction(1, 2)) * (1 if mean >= 0 else -1)
    k = (len(row) - 1).bit_length()  # TOSA: 2**(k-1) < count <= 2**k
    multiplier = (((1 << 30) + 1) << k) // len(row)
    return floor(Fraction(sum(row) * multiplier, 1 << (30 + k)) + Fraction(1, 2))


@each_unit
def test_corners(unit):
    assert_corners(unit)
    assert surviving_mutants(unit) == []
    (rows,) = unit.corners()
    assert unit(rows).tolist() == [mean_by_definition([int(v) for v in row], unit.convention) for row in rows]


@settings(deadline=None)
@given(st.sampled_from(UNITS), st.integers(0, 1 << 30))
def test_by_definition(unit, seed):
    rng = np.random.default_rng(seed)
    row = rng.integers(-6, 7, unit.count)
    assert int(unit(row)) == mean_by_definition([int(v) for v in row], unit.convention)


def test_how_the_projects_differ():
    minus_one, half = np.full(4, -1), np.array([1, 0, 1, 0])
    assert [int(AveragePool(4, c)(minus_one)) for c in ("hawq", "tflite", "tosa")] == [0, -1, -1]
    assert [int(AveragePool(4, c)(half)) for c in ("hawq", "tflite", "tosa")] == [0, 1, 1]
    # TOSA's reciprocal is a little above 1/count: -1/2 lies below its tie
    assert [int(AveragePool(4, c)(-half)) for c in ("hawq", "tflite", "tosa")] == [0, -1, -1]
    assert int(AveragePool(121, "hawq")(np.array([1] * 120 + [0]))) == 1, "more than 100 elements: 0.992 rounds up"
    # every mean of a 7x7 window below zero differs from the floor
    sums = -np.arange(1, 197)
    hawq = [int(AveragePool(49, "hawq")(np.full(49, 0) + np.eye(1, 49, dtype=int)[0] * s)) for s in sums]
    assert sum(h != s // 49 for h, s in zip(hawq, sums, strict=True)) == 196


def test_images():
    x = np.random.default_rng(0).integers(0, 128, (2, 3, 7, 9)).astype(np.int8)
    y = average_pool(x, 3, 2)
    assert y.shape == (2, 3, 3, 4)
    for i in range(3):
        for j in range(4):
            sums = x[..., 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].astype(int).sum(axis=(-1, -2))
            np.testing.assert_array_equal(y[..., i, j], sums // 9)  # not negative, at most 100 elements: the floor
    assert average_pool(x, 7).shape == (2, 3, 1, 1)


def test_refused():
    with pytest.raises(UnknownName, match="tflite"):
        AveragePool(4, "tflit")
    with pytest.raises(IntsimError, match="windows of 4"):
        AveragePool(4)(np.zeros(5, dtype=int))
    with pytest.raises(IntsimError, match="narrower values"):
        AveragePool(4096, "tosa")(np.full(4096, 1 << 28))
    assert int(AveragePool(4096, "tosa")(np.full(4096, 1 << 18))) == 1 << 18
    assert "narrower x" in AveragePool(4096, "tosa").hazards()[0].remedy
    with pytest.raises(IntsimError, match="count"):
        AveragePool(0)
    assert AveragePool(4).hazards()
    assert AveragePool(4, x=Int(8, signed=False)).hazards() == ()


def test_the_residual_add_is_requants():
    assert ResidualAdd is intsim.requant.ResidualAdd


def test_pools_keep_the_dtype_and_take_wide_integers():
    for kind in (np.int8, np.uint16, np.int32, np.int64):
        assert average_pool(np.full((4, 4), 100, kind), 2).dtype == kind
    wide = average_pool(np.full((2, 2), 2**29, np.int32), 2, convention="tosa")
    assert wide.tolist() == [[mean_by_definition([2**29] * 4, "tosa")]]
    with pytest.raises(IntsimError, match="62 bits fit"):
        average_pool(np.full((2, 2), 2**59), 2)


@pytest.mark.parametrize(
    ("image", "size", "stride", "message"),
    [
        (np.ones((4, 4)), 2, None, "expected integers, got float64"),
        (np.ones((4, 4), int), 5, None, "does not fit images"),
        (np.ones(4, int), 2, None, "does not fit images"),
        (np.ones((4, 4), int), 0, None, "size must be an integer of at least 1, got 0"),
        (np.ones((4, 4), int), 1.5, None, "size must be an integer"),
        (np.ones((4, 4), int), 2, 0, "stride must be an integer of at least 1, got 0"),
        (np.ones((4, 4), int), 2, -1, "stride must be an integer"),
    ],
)
def test_windows_that_do_not_exist_are_refused(image, size, stride, message):
    with pytest.raises(IntsimError, match=message):
        average_pool(image, size, stride)
