"""Dynamic requantisation, DI-MatMul and the residual add against models over rationals."""

from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, assert_exact, rows_of, surviving_mutants

from intsim import Int, IntsimError
from intsim.exact import plain
from intsim.formats.quantized import Quantized
from intsim.linear import DIMatMul, DIResidualAdd, DynamicRequantize
from intsim.linear.scale import dynamic_scale, leading_one
from intsim.rounding import TIES_TO_POS, TO_NEG

UNITS = [
    DynamicRequantize(200 * 150, 34),
    DynamicRequantize(1, 6, bits=4, include_zero=False, x=Int(16)),
    DynamicRequantize(1, 12, bits=16, x=Int(24)),
    DynamicRequantize(201, 9, bits=8, mantissa_bits=12, rounding=TIES_TO_POS, x=Int(12)),
]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.sha256[:4])


@each_unit
def test_corners_are_exact_and_json_is_lossless(unit):
    assert_corners(unit)


@each_unit
def test_corners_kill_every_constant_mutant(unit):
    # nothing is negative: TO_NEG and TO_ZERO agree, and m meets no tie; that it is rounded at all is noticed
    assert surviving_mutants(unit, ("max_row", "rounding")) == []
    other = replace(unit, rounding=TO_NEG if unit.rounding == TIES_TO_POS else TIES_TO_POS)
    assert not np.array_equal(other(*unit.corners())[1], unit(*unit.corners())[1])


@each_unit
@pytest.mark.parametrize("n", [1, 2, 3, 1023, 4096])
def test_extreme_rows_of_every_length(unit, n):
    rows = rows_of(unit.x, n, seed=n)
    if n > 100:  # un-compiled: a few rows
        rows = rows[[0, 3, 5]] if n == 1023 else rows[[4]]
    y, m, k, zero = assert_exact(unit, rows)
    assert y.shape == rows.shape
    assert m.shape == k.shape == zero.shape == rows.shape[:1]


def scale_by_search(value: Fraction, mantissa_bits: int, nearest: bool) -> tuple[int, int]:
    """The largest k whose floored mantissa fits, by trying every one."""
    k = max(k for k in range(256) if floor(value * 2**k) < 2**mantissa_bits)
    m = floor(value * 2**k + (Fraction(1, 2) if nearest else 0))
    return min(m, 2**mantissa_bits - 1), k


def requantize_by_fractions(row, scale, unit):
    top, low = max(row), min(row)
    if unit.include_zero:
        top, low = max(top, 0), min(low, 0)
    span, full = max(top - low, 1), 2**unit.bits - 1
    m, k = scale_by_search(span * scale / full, unit.mantissa_bits, unit.rounding == TIES_TO_POS)
    codes = [floor(Fraction((v - low) * full, span) + Fraction(1, 2)) for v in row]
    zero = floor(abs(Fraction(-low * full, span)) + Fraction(1, 2)) * (1 if low <= 0 else -1)
    return codes, m, k, zero


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(UNITS), st.data())
def test_the_stage_is_reading_r1(unit, data):
    bits = data.draw(st.integers(1, unit.x.bits))
    element = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    row = data.draw(st.lists(element, min_size=1, max_size=9))
    y, m, k, zero = unit(np.array(row))
    assert (y.tolist(), int(m), int(k), int(zero)) == requantize_by_fractions(row, unit.implied_scale, unit)
    assert unit.mantissa_bits > 12 or m >= 1 << (unit.mantissa_bits - 1)


def test_the_scale_of_every_small_reach_and_of_random_ones():
    rng = np.random.default_rng(0)
    reaches = [*range(1, 1000), *(int(v) for v in rng.integers(1, 1 << 48, 1000) >> rng.integers(0, 40, 1000))]
    for reach in (r for r in reaches if r):
        m, k = dynamic_scale(reach, 40, 8, 8, 0)
        assert (m, k) == scale_by_search(Fraction(reach, 255 << 40), 8, nearest=False)
        assert 128 <= m <= 255
        assert leading_one(reach) == reach.bit_length() - 1


def quantized(rng, shape, per, bits=8):
    """A tensor of random codes and scales."""
    scales = {"tensor": (), "token": (*shape[:-1], 1), "channel": shape[-1:]}[per]
    data = rng.integers(0, 1 << bits, shape).astype(np.uint8)
    zero = rng.integers(0, 1 << bits, scales)
    return Quantized(data, rng.integers(128, 256, scales), rng.integers(10, 18, scales), zero)


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(["tensor", "token"]),
    st.sampled_from(["tensor", "channel"]),
    st.sampled_from([4, 6, 8]),
    st.booleans(),
    st.integers(1, 12),
    st.integers(0, 1 << 30),
)
def test_di_matmul_against_rationals(left, right, bits, with_bias, depth, seed):
    rng = np.random.default_rng(seed)
    a, b = quantized(rng, (3, depth), left, bits), quantized(rng, (depth, 4), right, bits)
    bias = rng.integers(-500, 500, 4) if with_bias else None
    unit = DIMatMul(bits)
    result = unit(a, b, bias)
    assert result.granularity in ("token", "tensor")
    ma, ka = (np.broadcast_to(v, (3, 1)) for v in (a.m, a.k))
    mb, kb = (np.broadcast_to(v, 4) for v in (b.m, b.k))
    least = min(int(v) for v in kb)
    for i in range(3):
        row = [sum(int(a.centred[i, j]) * int(b.centred[j, c]) for j in range(depth)) for c in range(4)]
        if with_bias:
            row = [v + int(o) for v, o in zip(row, bias, strict=True)]
        scale = Fraction(int(ma[i, 0]), 1 << (int(ka[i, 0]) + least))
        if right == "tensor":
            scale *= int(mb[0])
        else:
            row = [floor(Fraction(v * int(mb[c]), 1 << (int(kb[c]) - least))) for c, v in enumerate(row)]
        codes, m, k, zero = requantize_by_fractions(row, scale, unit.stage())
        assert result.data[i].tolist() == codes
        assert (int(result.m[i, 0]), int(result.k[i, 0]), int(result.zero_point[i, 0])) == (m, k, zero)
    with plain():
        again = unit(a, b, bias)
    for name in ("data", "m", "k", "zero_point"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))


@pytest.mark.parametrize(("bits", "bound"), [(4, 0.09), (8, 0.012)])
@pytest.mark.parametrize("rounding", [0, 2])
def test_di_matmul_is_close_to_the_real_product(bits, bound, rounding):
    rng = np.random.default_rng(0)
    a = Quantized.from_real(rng.normal(0, 1, (2, 16, 64)), 8, "token")
    b = Quantized.from_real(rng.normal(0, 1, (64, 32)), 8, "channel", symmetric=True)
    real = a.decode() @ b.decode()
    result = DIMatMul(bits, rounding=DIMatMul().rounding.__class__(rounding))(a, b)
    error = np.abs(result.decode() - real).max(axis=-1) / np.ptp(real, axis=-1)
    assert error.max() < bound
    assert result.shape == (2, 16, 32)


def test_a_truncated_mantissa_is_low_by_up_to_078_percent_a_rounded_one_by_039_either_way():
    x = np.arange(1000, 60_000, 7)[:, None] * np.array([1, 0])
    low = DynamicRequantize(1, 10)
    near = DynamicRequantize(1, 10, rounding=TIES_TO_POS)
    for unit, least, most in ((low, -0.0079, 0.0), (near, -0.004, 0.0040)):
        _, m, k, _ = unit(x)
        exact = x[:, 0] / 1024 / 255
        error = m * 2.0 ** -k.astype(int) / exact - 1
        assert least <= error.min() < least / 2
        assert error.max() <= most
    assert (near(x)[1] / 2.0 ** near(x)[2].astype(int) / (x[:, 0] / 1024 / 255) - 1).max() > 0.002


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 30), st.sampled_from(["tensor", "token"]), st.sampled_from(["tensor", "token"]))
def test_residual_add_against_rationals(seed, left, right):
    rng = np.random.default_rng(seed)
    a, b = quantized(rng, (3, 6), left), quantized(rng, (3, 6), right)
    unit = DIResidualAdd()
    result = unit(a, b)
    for i in range(3):
        exact = [
            Fraction(
                int(a.centred[i, j]) * int(np.broadcast_to(a.m, (3, 1))[i, 0]),
                1 << int(np.broadcast_to(a.k, (3, 1))[i, 0]),
            )
            + Fraction(
                int(b.centred[i, j]) * int(np.broadcast_to(b.m, (3, 1))[i, 0]),
                1 << int(np.broadcast_to(b.k, (3, 1))[i, 0]),
            )
            for j in range(6)
        ]
        common = max(int(np.broadcast_to(q.k, (3, 1))[i, 0]) for q in (a, b))
        row = [int(v * (1 << common)) for v in exact]  # exponents differ by less than 18: no rounding
        codes, m, k, zero = requantize_by_fractions(row, Fraction(1, 1 << common), unit.stage())
        assert result.data[i].tolist() == codes
        assert (int(result.m[i, 0]), int(result.k[i, 0]), int(result.zero_point[i, 0])) == (m, k, zero)
    with plain():
        np.testing.assert_array_equal(unit(a, b).data, result.data)


def test_residual_add_of_far_exponents():
    a = Quantized(np.array([[200, -7]]), 200, 60)
    b = Quantized(np.array([[1000, -1000]]), 130, 8)
    total = DIResidualAdd()(a, b).decode()
    np.testing.assert_allclose(total, a.decode() + b.decode(), rtol=0.01)


def test_refused():
    rng = np.random.default_rng(0)
    a, b = quantized(rng, (3, 5), "token"), quantized(rng, (5, 4), "channel")
    with pytest.raises(IntsimError, match="left operand"):
        DIMatMul()(quantized(rng, (3, 5), "channel"), b)
    with pytest.raises(IntsimError, match="right operand"):
        DIMatMul()(a, quantized(rng, (5, 4), "token"))
    with pytest.raises(IntsimError, match="accumulator needs"):
        DIMatMul(acc_bits=12)(a, b)
    with pytest.raises(IntsimError, match="one shape"):
        DIResidualAdd()(a, b)
    with pytest.raises(IntsimError, match="along the row"):
        DIResidualAdd()(quantized(rng, (3, 5), "channel"), a)
    with pytest.raises(IntsimError, match="bits must lie"):
        DIMatMul(1)
    with pytest.raises(IntsimError, match=r"0\.\.255 fit"):
        DIMatMul()(*(Quantized(np.full((2, 2), 255, dtype=np.uint8), 255, 0, 0) for _ in range(2)))
    assert DynamicRequantize(255, 0).hazards()
    assert DynamicRequantize(255, 30).hazards() == ()
    with pytest.raises(IntsimError, match="of 62"):
        DynamicRequantize(1 << 31, 40, x=Int(48))


def test_scales_beyond_the_byte_have_a_wider_port():
    unit = DynamicRequantize(255, 0)
    _, m, k, _ = unit(np.array([1 << 30, -(1 << 31)]))
    assert unit.outputs["k"] == Int(8)
    assert (
        Fraction(int(m), 1) * Fraction(2) ** -int(k)
        <= Fraction(255 * 3 << 30, 255)
        < Fraction(int(m) + 1, 1) * 2 ** -int(k)
    )
    assert DynamicRequantize(1, 200, bits=16, mantissa_bits=16).outputs["k"] == Int(8, signed=False)
    far = DynamicRequantize(1, 250 - 50, bits=16, mantissa_bits=16, x=Int(4))
    assert far.exponents[1] <= far.outputs["k"].hi


@pytest.mark.parametrize("operator", [DIMatMul(), DIResidualAdd()], ids=lambda o: type(o).__name__)
def test_bare_arrays_have_no_scale_and_are_refused(operator):
    with pytest.raises(IntsimError, match="expected a Quantized tensor, got list"):
        operator([[1, 2]], Quantized([[1], [2]]))
