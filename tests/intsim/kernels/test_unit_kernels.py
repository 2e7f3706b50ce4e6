"""Kernels of units against their golden models: the same outputs on corners and random arrays of every shape."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import Fixed, Int, IntsimError, catalogue
from intsim import unit as unit_module
from intsim.exact import plain
from intsim.kernels import units
from intsim.linear import DynamicRequantize
from intsim.nonlinear import IBertLayerNorm, IBertSoftmax, IViTLayerNorm, QANSSoftmax, Shiftmax
from intsim.requant import CONVENTIONS, Requantizer
from intsim.requant.conventions import INTEGER, from_scales
from intsim.rounding import TIES_TO_EVEN, Rounding
from intsim.tables import Direct

LENGTHS = [1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 100]


@pytest.fixture(autouse=True)
def _kernels_for_every_size(monkeypatch):
    monkeypatch.setattr(unit_module, "_KERNEL_SIZE", 0)


def golden(unit, *columns):
    """The golden model without kernels, still compiled: it is compared with the un-compiled one elsewhere."""
    held, unit_module._KERNEL_SIZE = unit_module._KERNEL_SIZE, 1 << 62
    try:
        return unit(*columns)
    finally:
        unit_module._KERNEL_SIZE = held


def covered(unit, *columns):
    """Whether a kernel takes these columns."""
    return units.evaluate(unit, list(unit._admit(columns)[0]), {}) is not None


def same(got, expected):
    got, expected = (v if isinstance(v, tuple) else (v,) for v in (got, expected))
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# Requantisation -------------------------------------------------------------------------------------------------


def accumulators(rng, shape):
    """int32 of every magnitude, with the ends."""
    values = rng.integers(-(1 << 31), 1 << 31, shape) >> rng.integers(0, 32, shape)
    values.flat[0] = -(1 << 31)
    values.flat[-1] = (1 << 31) - 1
    return values.astype(np.int32)


def requantizer(name, rng, channels, low):
    """The convention with random constants: shifts to the right from `low` bits on."""
    unit = INTEGER[name]
    amounts = rng.integers(low, 63, channels)
    shifts = amounts if unit.right else unit.binary_point - amounts
    constants = tuple(
        (int(m), int(np.clip(s, unit.shift.lo, unit.shift.hi)))
        for m, s in zip(rng.integers(1, unit.multiplier.hi, channels), shifts, strict=True)
    )
    return dataclasses.replace(unit, channels=constants, y=Int(8), zero_point=int(rng.integers(-128, 128)))


@settings(max_examples=150)
@given(
    st.sampled_from([n for n, u in INTEGER.items() if u.acc.bits <= 32]),
    st.sampled_from([16, 17, 40, 64, 101]),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([0, 31, 32]),
    st.integers(0, 1 << 30),
)
def test_requantisation_in_every_convention(name, columns, rows, each, low, seed):
    rng = np.random.default_rng(seed)
    unit = requantizer(name, rng, columns if each else 1, low)
    acc = accumulators(rng, (rows, columns))
    acc.flags.writeable = False
    ports = (acc, np.arange(columns)) if each else (acc,)
    assert each or covered(unit, *ports)
    same(unit(*ports), golden(unit, *(np.broadcast_arrays(*ports) if each else ports)))


@pytest.mark.parametrize("mode", Rounding)
@pytest.mark.parametrize("each", [False, True])
def test_every_rounding_at_its_ties(mode, each):
    # half a unit is 2: ties at every odd multiple of it; with shift 0 there is nothing to round
    for y, shift in ((Int(8), 32), (Int(16), 31), (Int(32), 3), (Int(8, signed=False), 0), (Int(32, signed=False), 30)):
        constants = ((1 << max(shift - 2, 0), shift),) * (20 if each else 1)
        unit = Requantizer(channels=constants, right=True, rounding=mode, y=y)
        acc = np.concatenate([np.arange(-40, 40), (1 << 31) - np.arange(1, 11), np.arange(10) - (1 << 31)])
        acc = np.resize(acc, (5, 20)).astype(np.int32)
        ports = (acc, np.arange(20)) if each else (acc,)
        same(unit(*ports), golden(unit, *(np.broadcast_arrays(*ports) if each else ports)))


def test_columns_may_repeat_and_skip_channels():
    unit = from_scales("tflite_single", [0.001, 0.002, 0.0005], y=Int(8))
    acc = accumulators(np.random.default_rng(0), (6, 48))
    channel = np.arange(48) % 3
    same(unit(acc, channel), golden(unit, acc, np.broadcast_to(channel, acc.shape)))
    same(
        unit(acc.reshape(2, 3, 48)[:, ::2], channel),
        golden(unit, acc, np.broadcast_to(channel, acc.shape)).reshape(2, 3, 48)[:, ::2],
    )
    with pytest.raises(IntsimError, match="channel: 3 is outside"):
        unit(acc, channel + 1)


@pytest.mark.parametrize("size", [16, 17, 1023, 1024, 1025, 1039, 1040, 2048, 9000])
def test_tensors_of_every_length(size):
    unit = from_scales("hawq", 1e-6, y=Int(16))
    acc = accumulators(np.random.default_rng(size), size)
    assert covered(unit, acc)
    same(unit(acc), golden(unit, acc))


def test_forms_without_a_kernel_fall_back():
    acc = accumulators(np.random.default_rng(1), 64)
    for unit in (
        Requantizer(channels=((5, 40),), y=Int(8)),  # to the left
        Requantizer(channels=((5, 4, 7),), y=Int(8), right=True),  # an addend
        Requantizer(channels=((5, 70),), y=Int(8), right=True),  # far to the right
    ):
        assert not covered(unit, acc)
        same(unit(acc), golden(unit, acc))
    assert len(CONVENTIONS) > len(INTEGER)


# Softmax --------------------------------------------------------------------------------------------------------

SOFTMAXES = [
    Shiftmax.design(0.05),
    Shiftmax.design(0.003),
    Shiftmax(-7, 15, 8),
    Shiftmax(-60000, 15, 16, max_row=128),  # the sum is limited
    Shiftmax.ivit_tvm(-40),
    IBertSoftmax.design(0.05),
    IBertSoftmax.design(0.004, out_bits=16),
    Shiftmax(-32767, 15, 16, max_row=1 << 16),
    Shiftmax(-32768, 15, 16, max_row=1 << 16),  # by table
    Shiftmax(-1, 30, 7),
    Shiftmax(-2, 29, 12),
    Shiftmax(-26214, 40, 8, max_row=128),
    dataclasses.replace(Shiftmax.ivit_tvm(-32767), n=8),
    dataclasses.replace(Shiftmax.ivit_tvm(-1), n=30, out_bits=8),
    QANSSoftmax.design(0.05, x=Int(16)),
    QANSSoftmax.design(0.01, 16, 6, out_bits=9, rounding=TIES_TO_EVEN, x=Int(16), max_row=200),
]


@pytest.mark.parametrize("unit", SOFTMAXES, ids=repr)
@pytest.mark.parametrize("masked", [False, True])
def test_softmax_on_corners_and_random_rows(unit, masked):
    unit = dataclasses.replace(unit, masked=masked)
    rng = np.random.default_rng(0)
    same(unit(*unit.corners()), golden(unit, *unit.corners()))
    for n in LENGTHS:
        x = rng.integers(-(1 << 31), 1 << 31, (5, n)) >> rng.integers(0, 32, (5, 1))
        x[0] = np.arange(n) % 40 - 7  # many next to the maximum: sums and products that fill 32 bits
        wide = np.clip(x, unit.x.lo, unit.x.hi).astype(np.int32)
        for scores in (wide, wide[:, ::-1], np.asfortranarray(wide), wide.reshape(1, 5, n), wide[:1]):
            ports = (scores, rng.integers(0, 2, scores.shape)) if masked else (scores,)
            same(unit(*ports), golden(unit, *ports))


def test_softmax_kernels_cover_what_they_should():
    x = np.zeros((4, 64), dtype=np.int32)
    assert [covered(unit, x) for unit in SOFTMAXES] == [i not in (3, 8, 11) for i in range(len(SOFTMAXES))]
    for fmt in (Int(8), Int(16), Int(16, signed=False)):
        unit = Shiftmax.design(0.05, x=fmt)
        rows = np.random.default_rng(1).integers(fmt.lo, fmt.hi + 1, (9, 33)).astype(fmt.dtype)
        assert covered(unit, rows)
        same(unit(rows), golden(unit, rows))


# LayerNorm ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [IViTLayerNorm, IBertLayerNorm])
@pytest.mark.parametrize("option", [0, 1])
def test_layer_norms(kind, option):
    rng = np.random.default_rng(2)
    for n in LENGTHS:
        bias = tuple(int(b) for b in rng.integers(-(1 << 20), 1 << 20, n))
        extra = {"profile": "ivit_tvm"} if kind is IViTLayerNorm and option else {"shift": 4} if option else {}
        for b in (bias, ()):
            unit = kind(bias=b, x=Int(16), **extra)
            for spread in (3, 300, 9000):
                x = rng.integers(-spread, spread + 1, (4, n)).astype(np.int16)
                x[0] = x[0, 0]  # constant
                assert covered(unit, x)
                same(unit(x), golden(unit, x))
                same(unit(x[:, ::-1]), golden(unit, x)[:, ::-1] if not b else golden(unit, x[:, ::-1]))
    unit = kind()
    same(unit(*unit.corners()), golden(unit, *unit.corners()))


@pytest.mark.parametrize("kind", [IViTLayerNorm, IBertLayerNorm])
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32])
def test_layer_norms_far_from_zero(kind, dtype):
    ends = np.iinfo(dtype)
    unit = kind(x=Int(8 * np.dtype(dtype).itemsize, ends.min < 0))
    rng = np.random.default_rng(3)
    for n in (16, 100, 4096):
        for spread in (0, 1, 90, 1 << 17):
            for centre in (ends.min, ends.max, 0, ends.max // 3):  # sums of lanes and of squares that wrap
                x = np.clip(centre + rng.integers(-spread, spread + 1, (3, n)), ends.min, ends.max).astype(dtype)
                assert covered(unit, x)
                same(unit(x), golden(unit, x))


def test_a_layer_norm_refuses_the_same_rows():
    unit = IViTLayerNorm(profile="ivit_tvm")
    x = np.full((2, 64), 1 << 20, dtype=np.int32)
    x[1, ::2] *= -1
    with pytest.raises(IntsimError) as expected:
        golden(unit, x)
    with pytest.raises(IntsimError) as got:
        unit(x)
    assert str(got.value) == str(expected.value)


# Tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nli_silu", "uniform_gelu", "dulut_gelu", "nli_silu_f16", "exponent_gelu_f16"])
def test_elementwise_units_by_table(name):
    unit = catalogue.get(name)
    codes = np.arange(1 << 16).astype(np.uint16).view(unit.inputs["x"].dtype)
    x = np.resize(np.clip(codes, unit.inputs["x"].lo, unit.inputs["x"].hi), (2, 3, 1 << 15))
    try:
        expected = golden(unit, x)
    except IntsimError:
        assert not covered(unit, x)  # it refuses some codes: so does the kernel's table
        return
    assert covered(unit, x)
    same(unit(x), expected)
    same(unit(x[:, ::-1, ::1]), expected[:, ::-1])


def test_tables_of_narrow_formats_and_their_range():
    unit = Direct.design(lambda v: v * v / 8, Fixed(5, 2), Fixed(8, 3), saturate=True)
    x = np.resize(unit.x.codes(), 1000)
    assert covered(unit, x)
    same(unit(x), golden(unit, x))
    assert not covered(unit, x[:40])
    with pytest.raises(IntsimError, match="outside"):
        unit(np.full(1000, 16, dtype=np.int8))


# Where results go -----------------------------------------------------------------------------------------------


def test_out_with_and_without_a_kernel():
    rng = np.random.default_rng(3)
    soft, requant = Shiftmax.design(0.05), from_scales("tflite_double", 0.001, y=Int(8))
    per_channel = from_scales("ibert", [0.001] * 40, y=Int(8))
    x = rng.integers(-3000, 3000, (3, 40)).astype(np.int32)
    for unit, ports in ((soft, (x,)), (requant, (x,)), (per_channel, (x, np.arange(40)))):
        expected = unit(*ports)
        out = np.empty(expected.shape, dtype=expected.dtype)
        assert unit(*ports, out=out) is out
        np.testing.assert_array_equal(out, expected)
        with plain():
            again = np.zeros_like(out)
            full = np.broadcast_arrays(*ports)
            assert unit(*full, out=again) is again
        np.testing.assert_array_equal(again, expected)
        with pytest.raises(IntsimError, match="out holds"):
            unit(*ports, out=np.empty(expected.shape, dtype=np.int64))
        with pytest.raises(IntsimError, match="out holds"):
            unit(*ports, out=out.T)
    with pytest.raises(IntsimError, match="4 outputs"):
        DynamicRequantize()(x, out=x)


@pytest.mark.parametrize("size", [(2, 3), (3, 5, 40)])
def test_out_of_several_ports(size):
    unit = DynamicRequantize()
    x = np.random.default_rng(4).integers(-3000, 3000, size).astype(np.int32)
    expected = unit(x)
    out = tuple(np.zeros(y.shape, dtype=y.dtype) for y in expected)
    assert unit(x, out=out) is out
    for mine, theirs in zip(out, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with plain():
        unit(x, out=tuple(y[...] for y in out))
    for mine, theirs in zip(out, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    wide = [np.zeros(size, dtype=y.dtype) for y in expected]
    with pytest.raises(IntsimError, match=r"out holds \w+ as"):
        unit(x, out=tuple(wide))
