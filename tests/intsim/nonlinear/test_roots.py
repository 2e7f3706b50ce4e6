"""Roots and reciprocal against Python's own integers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, surviving_mutants

from intsim import Int, IntsimError
from intsim.nonlinear.roots import ISqrt, NewtonSqrt, Reciprocal, isqrt, newton10, reciprocal

UNITS = [ISqrt(), ISqrt(x=Int(62, signed=False)), NewtonSqrt(), NewtonSqrt(x=Int(62, signed=False)), Reciprocal(31)]


def test_isqrt_is_exact_around_every_power_and_square():
    values = {0, (1 << 62) - 1, (1 << 62), (1 << 63) - 1}
    for e in range(1, 32):
        for root in ((1 << e) - 1, 1 << e, (1 << e) + 1, 3037000499):
            values |= {root * root + d for d in (-1, 0, 1)} | {(1 << 2 * e) - 1, (1 << (2 * e - 1))}
    for v in values:
        if 0 <= v < 1 << 63:
            assert isqrt(v) == math.isqrt(v)


@settings(deadline=None)
@given(st.integers(0, 1 << 62), st.integers(0, 62))
def test_isqrt_is_exact(value, shift):
    assert isqrt(value >> shift) == math.isqrt(value >> shift)


def test_isqrt_of_every_small_number_and_of_arrays():
    values = np.arange(1 << 16)
    roots = [math.isqrt(v) for v in range(1 << 16)]
    assert isqrt(values).tolist() == roots
    assert ISqrt()(values).tolist() == roots
    many = np.random.default_rng(1).integers(0, 1 << 62, 200_000)
    assert ISqrt(x=Int(62, signed=False))(many).tolist() == [math.isqrt(int(v)) for v in many]


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: f"{u.name}{u.x.bits}")
def test_units_are_exact_on_corners(unit):
    assert_corners(unit)
    assert surviving_mutants(unit) == []


NOT_CONVERGED = {0: 64, 1: 64, 100: 64, 1000: 68, 10_000: 108, 40_000: 200, (1 << 32) - 1: 65536}


@pytest.mark.parametrize("value", NOT_CONVERGED)
def test_newton_for_small_arguments(value):
    assert newton10(value) == NOT_CONVERGED[value]


def test_newton_bounds():
    """The statement in the module's text, for every V below 2**20 and sampled to 2**42."""
    small = np.arange(1 << 20)
    excess = NewtonSqrt()(small).astype(np.int64) - ISqrt()(small)
    assert excess.min() == 0
    assert excess[34_596:].max() == 1
    assert excess[34_595] > 1
    late = np.nonzero(excess[142_883:])[0] + 142_883
    assert late.size > 0
    assert all(math.isqrt(int(v) + 1) ** 2 == v + 1 for v in late)
    large = np.random.default_rng(2).integers(1 << 20, 1 << 42, 100_000)
    wide = Int(42, signed=False)
    assert set((NewtonSqrt(x=wide)(large).astype(np.int64) - ISqrt(x=wide)(large)).tolist()) <= {0, 1}


@settings(deadline=None)
@given(st.integers(0, 1 << 62), st.integers(0, 62), st.integers(1, 62))
def test_reciprocal(divisor, shift, bits):
    d = divisor >> shift
    assert reciprocal(d, bits) == ((1 << bits) // d if d else 0)


def test_refused():
    with pytest.raises(IntsimError, match="62"):
        ISqrt(x=Int(64, signed=False))
    with pytest.raises(IntsimError, match="signed=False"):
        Reciprocal(x=Int(16))
    with pytest.raises(IntsimError, match="62"):
        Reciprocal(63)
