"""Kernels of schemes with dynamic scales against their golden models: per row, at ties, where ranges are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import Fixed, Int, IntsimError
from intsim import unit as unit_module
from intsim.exact import plain
from intsim.formats.quantized import Quantized
from intsim.linear import DIMatMul, DIResidualAdd, DynamicRequantize
from intsim.linear.illm import PackedQuantized, add_bias
from intsim.nonlinear import DIClippedSoftmax, DINorm, DISwiGLU, L1Norm
from intsim.rounding import TIES_AWAY, TIES_TO_POS

LENGTHS = [1, 2, 3, 7, 15, 16, 17, 33, 64, 100, 600]


@pytest.fixture(autouse=True)
def _kernels_for_every_size(monkeypatch):
    monkeypatch.setattr(unit_module, "_KERNEL_SIZE", 0)


def golden(call):
    """What `call` gives without kernels, still compiled."""
    held, unit_module._KERNEL_SIZE = unit_module._KERNEL_SIZE, 1 << 62
    try:
        return call()
    finally:
        unit_module._KERNEL_SIZE = held


def same(call):
    """Kernel and golden model give the same arrays, or refuse with the same words."""
    expected, found = golden(lambda: _said(call)), _said(call)
    if isinstance(expected, str):
        assert found == expected
        return
    assert type(found) is type(expected)
    for name, a, b in _pairs(found, expected):
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, name)


def _said(call):
    try:
        return call()
    except IntsimError as error:
        return str(error)


def _pairs(found, expected):
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        return [(name, found[name], expected[name]) for name in expected]
    if isinstance(found, Quantized):
        return [(n, getattr(found, n), getattr(expected, n)) for n in ("data", "m", "k", "zero_point")]
    several = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    return [(str(i), a, b) for i, (a, b) in enumerate(several)]


def wide(rng, shape, bits, drop):
    """Integers of up to `bits` bits, less `drop` in every row, with rows that are constant or nearly so."""
    x = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape) >> drop
    x[1 % len(x)] = rng.integers(0, 3, shape[1])
    x[2 % len(x)] = x[2 % len(x), 0]
    return x


# Dynamic requantisation -----------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.sampled_from(LENGTHS), st.integers(2, 16), st.booleans(), st.integers(0, 30), st.integers(0, 1 << 30))
def test_dynamic_requantisation(n, bits, include_zero, drop, seed):
    rng = np.random.default_rng(seed)
    unit = DynamicRequantize(m=200, k=38, bits=bits, include_zero=include_zero)
    x = wide(rng, (4, n), 32, drop).astype(np.int32)
    x[3, :: max(n - 1, 1)] = rng.choice([-(1 << 31), (1 << 31) - 1], x[3, :: max(n - 1, 1)].shape)
    x.flags.writeable = False
    same(lambda: unit(x))
    same(lambda: unit(x[:, ::-1]))
    same(lambda: unit(x.reshape(2, 2, n)[:, :1]))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int64])
def test_dynamic_requantisation_of_other_types(dtype):
    fmt = Int(8 * np.dtype(dtype).itemsize if dtype != np.int64 else 40, dtype in (np.int8, np.int16, np.int64))
    unit = DynamicRequantize(m=3, k=20, bits=12, x=fmt)
    same(lambda: unit(*unit.corners()))
    x = np.random.default_rng(0).integers(fmt.lo, fmt.hi + 1, (5, 70)).astype(fmt.dtype)
    same(lambda: unit(x))


def test_dynamic_requantisation_at_its_ties():
    unit = DynamicRequantize(m=255, k=30)
    same(lambda: unit(*unit.corners()))
    for span in (2, 510, 1019, 255 * 1024, (1 << 31) - 1):
        places = np.arange(0, 255)
        x = np.concatenate([[0, span], (2 * places + 1) * span // 510, (2 * places + 1) * span // 510 + 1])
        same(lambda x=x: unit(x.astype(np.int32)[None]))


@settings(max_examples=80)
@given(
    st.sampled_from(LENGTHS), st.sampled_from([2, 8, 15, 16]), st.integers(2, 63), st.integers(0, 40), st.booleans(),
    st.integers(0, 1 << 30),
)  # fmt: skip
def test_rows_with_a_scale_each_on_both_sides_of_every_bound(n, bits, reach, drop, include_zero, seed):
    rng = np.random.default_rng(seed)
    stage = DynamicRequantize(bits=bits, include_zero=include_zero, rounding=TIES_TO_POS)
    x = wide(rng, (5, n), reach, rng.integers(0, min(drop, reach) + 1, (5, 1)))
    m, k = rng.integers(1, 1 << 16, 5), rng.integers(60, 120, 5)
    same(lambda: stage.rows(x, m, k))
    far = x + (rng.integers(-1, 2, (5, 1)) << 61)  # small spans far from zero, and differences that leave int64
    same(lambda: stage.rows(far, m, k))


def test_spans_beyond_62_bits_are_refused():
    one = np.ones(1, dtype=np.int64)
    for row in ([-1, (1 << 63) - 1], [-(1 << 63), (1 << 63) - 1], [0, (1 << 62) - 1], [-(1 << 61), 1 << 61]):
        for include_zero in (False, True):
            stage = DynamicRequantize(include_zero=include_zero)
            with pytest.raises(IntsimError, match="of 62"):
                stage.rows(np.array([row]), one, 60 * one)
            same(lambda s=stage, r=row: s.rows(np.array([r]) >> 9, one, 60 * one))


def test_ties_where_the_quotient_is_corrected():
    """Spans just below and above what float64 holds, every element within one of a tie."""
    for bits in (8, 16):
        full = (1 << bits) - 1
        for span in ((1 << (48 - bits)) - 1, 1 << (48 - bits), (1 << 44) + 12345, (1 << 45) - 1):
            j = np.unique(np.random.default_rng(span & 255).integers(0, full, 500))
            tie = -(-span * (2 * j + 1) // (2 * full))
            x = np.concatenate([[0, span], tie - 1, tie, np.minimum(tie + 1, span)])[None] - span // 3
            one = np.ones(1, dtype=np.int64)
            same(lambda x=x, bits=bits: DynamicRequantize(bits=bits).rows(x, one, 60 * one))  # noqa: B023


# Products -------------------------------------------------------------------------------------------------------


def tokens(rng, shape, bits=8, finest=20):
    """Codes with a scale and a zero point per token."""
    per = (*shape[:-1], 1)
    data = rng.integers(0, 1 << bits, shape).astype(np.uint8 if bits <= 8 else np.uint16)
    m, k = rng.integers(128, 256, per), rng.integers(finest - 6, finest, per)
    return Quantized(data, m, k, rng.integers(0, 1 << bits, per))


@settings(max_examples=40)
@given(
    st.sampled_from([(1, 5, 9), (3, 16, 40), (7, 33, 65), (20, 100, 30)]), st.sampled_from(["tensor", "column"]),
    st.sampled_from([0, 12, 22]), st.integers(6, 40), st.integers(0, 60), st.integers(0, 1 << 30),
)  # fmt: skip
def test_linear_layers_with_a_bias(shape, scales, fraction, finest, bias_bits, seed):
    rng = np.random.default_rng(seed)
    rows, depth, width = shape
    x = tokens(rng, (2, rows, depth), finest=finest)
    w = rng.integers(-128, 128, (depth, width)).astype(np.int8)
    per = (1, width) if scales == "column" else ()
    weight = Quantized(w, rng.integers(1, 256, per), rng.integers(5, 25, per))
    product = DIMatMul(8, acc_bits=48)
    # the largest bias that the shift to the finest row leaves in int64
    most = min(bias_bits, 60 - max(finest + 25 - fraction, 0))
    bias = rng.integers(-(1 << max(most, 1)), 1 << max(most, 1), width) >> rng.integers(0, max(most, 1) + 1, width)
    sums = product.multiply(x, PackedQuantized.of(weight))
    np.testing.assert_array_equal(sums.aligned(), product.multiply(x, weight).aligned())
    same(lambda: add_bias(product.stage(), sums, bias, fraction))
    same(lambda: product(x, weight))


@pytest.mark.parametrize(("bits", "per"), [(8, "channel"), (4, "channel"), (8, "tensor"), (12, "channel")])
def test_weights_kept_in_the_machines_order_are_the_same_weights(bits, per):
    rng = np.random.default_rng(bits)
    weight = Quantized.from_real(rng.normal(size=(33, 70)), bits, per, symmetric=True)
    kept = PackedQuantized.of(weight)
    assert (kept.shape, kept.granularity) == ((33, 70), per)
    assert kept.unpacked().data.dtype == weight.data.dtype
    for part in ("data", "m", "k", "zero_point"):
        np.testing.assert_array_equal(getattr(kept.unpacked(), part), getattr(weight, part))
    panels = 48 * 80 * (2 if bits > 8 else 1 if bits == 8 else 0.5)  # K and N filled up, a byte for 8 bits
    assert kept.codes.nbytes <= 2 * panels + 4 * 80 * 2  # twice that where the machine has no products of bytes
    x = tokens(rng, (5, 33))
    for a, b in zip(DIMatMul().accumulate(x, kept), DIMatMul().accumulate(x, weight), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_with_a_zero_point_are_packed_without_it():
    rng = np.random.default_rng(1)
    weight = Quantized.from_real(rng.normal(1, 1, (9, 5)), 8, "channel")
    assert weight.zero_point.any()
    x = tokens(rng, (4, 9))
    np.testing.assert_array_equal(DIMatMul()(x, PackedQuantized.of(weight)).data, DIMatMul()(x, weight).data)


def test_weights_whose_scale_varies_along_the_reduction_are_not_packed():
    with pytest.raises(IntsimError, match="along the reduction"):
        PackedQuantized.of(Quantized(np.ones((3, 2), dtype=np.int8), np.ones((3, 1), dtype=int), 0))


def test_a_linear_layer_on_unbounded_integers():
    rng = np.random.default_rng(5)
    x = tokens(rng, (3, 20))
    weight = Quantized(rng.integers(-128, 128, (20, 11)), rng.integers(128, 256, 11), rng.integers(8, 14, 11))
    bias, product = rng.integers(-(1 << 14), 1 << 14, 11), DIMatMul()
    bias[:4] = [0, 1, -1, 1 << 11]

    def layer():
        return add_bias(product.stage(), product.multiply(x, PackedQuantized.of(weight)), bias, 12)

    found = layer()
    with plain():
        expected = layer()
    for name, a, b in _pairs(found, expected):
        np.testing.assert_array_equal(a, b, name)
    # ties of the bias: half a unit of the row is an integer number of the bias's where m is even
    even = Quantized(x.data, np.full((3, 1), 128), np.full((3, 1), 14), x.zero_point)
    sums = product.multiply(even, Quantized(weight.data, 1, 4))
    same(lambda: add_bias(product.stage(), sums, np.arange(-5, 6), 12))


@settings(max_examples=30)
@given(st.sampled_from(LENGTHS), st.sampled_from([8, 16]), st.integers(0, 30), st.integers(0, 1 << 30))
def test_residual_adds(n, bits, apart, seed):
    rng = np.random.default_rng(seed)
    a, b = tokens(rng, (6, n), bits, 60), tokens(rng, (6, n), 8, 60 - apart)
    same(lambda: DIResidualAdd(bits)(a, b))


# Rows -----------------------------------------------------------------------------------------------------------

SOFTMAXES = [
    DIClippedSoftmax.design(0.01),
    DIClippedSoftmax.design(0.3, out_bits=8, masked=False),
    DIClippedSoftmax(200, 12, exp="literal", masked=False),
    DIClippedSoftmax(130, 9, exp="headroom", headroom=8),
    DIClippedSoftmax(65535, 40, bits=5),
    DIClippedSoftmax(1, 2, clip=3),
    DIClippedSoftmax.design(0.01, rounding=TIES_AWAY),  # without a kernel
]


@pytest.mark.parametrize("unit", SOFTMAXES, ids=repr)
def test_clipped_softmax(unit):
    rng = np.random.default_rng(0)
    same(lambda: unit(*unit.corners()))
    for n in LENGTHS:
        x = (rng.integers(-(1 << 31), 1 << 31, (5, n)) >> rng.integers(8, 32, (5, 1))).astype(np.int32)
        valid = [rng.integers(0, 2, x.shape) * (np.arange(5)[:, None] != 2)] if unit.masked else []
        for scores in (x, x[:, ::-1], np.asfortranarray(x), x.reshape(1, 5, n)):
            same(lambda s=scores, v=valid: unit(s, *(w.reshape(s.shape) for w in v)))


@pytest.mark.parametrize("n", LENGTHS)
def test_clipped_softmax_with_a_scale_per_row(n):
    rng = np.random.default_rng(n)
    x = rng.integers(-(1 << 40), 1 << 40, (40, n)) >> rng.integers(8, 40, (40, 1))
    m, k = rng.integers(1, 1 << 16, 40), rng.integers(0, 41, 40)
    valid = rng.integers(0, 2, x.shape).astype(np.uint8)
    for exp in ("fixed16", "literal"):
        unit = DIClippedSoftmax(1, 0, exp=exp)
        for mask in (valid, None):
            same(lambda u=unit, v=mask: u.probabilities(x, v, m, k))


@pytest.mark.parametrize("frame", ["two_branch", "row_max"])
@pytest.mark.parametrize("alpha", [(), ((435, 8),), "channels"])
def test_gates(frame, alpha):
    rng = np.random.default_rng(1)
    for n in (1, 16, 33, 100):
        pairs = tuple((int(v), 8) for v in rng.integers(1, 600, n)) if alpha == "channels" else alpha
        for m, k in ((200, 10), (255, 3), (1, 0), (129, 40)):
            unit = DISwiGLU(m, k, frame, out_bits=16, alpha=pairs, x=Int(12), up=Int(9))
            gate, up = (rng.integers(f.lo, f.hi + 1, (6, n)).astype(f.dtype) for f in unit.inputs.values())
            gate[0] = 0
            same(lambda u=unit, g=gate, v=up: u(g, v))
            same(lambda u=unit, g=gate, v=up: u(g[:, ::-1], v))
            scale = rng.integers(1, 256, 6), rng.integers(0, 41, 6)
            same(lambda u=unit, g=gate, v=up, s=scale: u.gated(g, v, *s))
    unit = DISwiGLU(200, 10, frame, x=Int(9))
    same(lambda: unit(*unit.corners()))


@pytest.mark.parametrize("kind", [DINorm, L1Norm])
@pytest.mark.parametrize("center", [False, True])
def test_norms_by_division(kind, center):
    rng = np.random.default_rng(2)
    for n in LENGTHS:
        scales = [{}]
        if kind is DINorm and n <= 64:
            m, k = (tuple(int(v) for v in rng.integers(*ends, n)) for ends in ((128, 256), (4, 8)))
            scales += [{"m": m, "k": k}, {"F": 0, "G": 20}]
        for extra in scales:
            unit = kind(center=center, x=Int(17), **extra)
            for spread in (1, 5, 300, 60000):
                x = rng.integers(-spread, spread + 1, (4, n)).astype(np.int32)
                x[0] = x[0, 0]
                same(lambda u=unit, x=x: u(x))
                same(lambda u=unit, x=x: u(np.asfortranarray(x)))
    unit = kind(center=center)
    same(lambda: unit(*unit.corners()))
    same(lambda: unit(np.full((2, 6), 1 << 30) * [1, -1, 1, 1, -1, 1]))  # too large for the sums, or barely not
    same(lambda: kind(center=center, max_row=8)(np.arange(40)[None]))  # a row longer than the hardware's


def test_a_sigmoid_of_few_bits_comes_from_a_table():
    from intsim.kernels import units
    from intsim.nonlinear import DISigmoid

    unit = DISigmoid(200, 10, x=Fixed(10, 4))
    x = np.resize(unit.inputs["x"].codes(), 5000)
    assert units.evaluate(unit, [x], {}) is not None
    same(lambda: unit(x))
