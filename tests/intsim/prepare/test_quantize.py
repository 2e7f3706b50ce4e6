"""Weight quantisers against their definitions, and the import of integers made elsewhere."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from intsim import IntsimError
from intsim.prepare.imported import import_gptq, unpack_words
from intsim.prepare.quantize import Granularity, Range, quantize_weights
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TO_NEG, Rounding

RNG = np.random.default_rng(11)
WEIGHTS = RNG.standard_normal((12, 64)) * RNG.uniform(0.1, 5, (12, 1))


@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("rule", Range)
@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_codes_and_error(granularity, symmetric, rule, bits):
    q = quantize_weights(WEIGHTS, bits, granularity, symmetric=symmetric, range=rule, group=16)
    assert q.data.shape == WEIGHTS.shape
    lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if symmetric else (0, (1 << bits) - 1)
    assert lo <= q.data.min()
    assert q.data.max() <= hi
    groups = {"tensor": (1, 1), "channel": (12, 1), "group": (12, 4)}[granularity.value]
    assert q.scale.shape == q.zero_point.shape == groups
    if symmetric:
        assert not q.zero_point.any()
    if rule is Range.MINMAX and granularity is not Granularity.TENSOR:
        step = np.repeat(q.scale, 64 // groups[1], axis=1)
        # half a step, plus the half step that rounding the zero point may move the ends
        assert np.all(abs(q.real() - WEIGHTS) <= step * (0.5 if symmetric else 1.0) + 1e-12)


def test_symmetric_channel_by_hand():
    q = quantize_weights(np.array([[1.0, -2.0, 0.5, 0.25], [0.0, 0.0, 0.0, 0.0]]), 4)
    np.testing.assert_allclose(q.scale, [[2 / 7], [1.0]])
    np.testing.assert_array_equal(q.data, [[4, -7, 2, 1], [0, 0, 0, 0]])  # 3.5 -> 4 (even), 1.75, 0.875


@pytest.mark.parametrize(("mode", "expected"), [(TIES_TO_EVEN, 2), (TIES_AWAY, 3), (TO_NEG, 2)])
def test_rounding_is_the_one_named(mode, expected):
    q = quantize_weights(np.array([[7.0, 2.5]]), 4, rounding=mode)
    assert q.data[0, 1] == expected


def test_mse_is_never_worse_than_minmax():
    heavy = RNG.standard_t(2, (8, 256))
    for bits in (3, 4, 6):
        full = ((quantize_weights(heavy, bits).real() - heavy) ** 2).sum(axis=1)
        clipped = ((quantize_weights(heavy, bits, range=Range.MSE).real() - heavy) ** 2).sum(axis=1)
        assert np.all(clipped <= full)
        assert np.any(clipped < 0.9 * full)


def test_narrow_leaves_out_the_lowest_code():
    assert quantize_weights(np.array([[-1.0, 1.0]]), 8, rounding=Rounding.TO_NEG, narrow=True).data.min() == -127


def test_refusals():
    with pytest.raises(IntsimError, match="finite matrix"):
        quantize_weights(np.array([[np.nan]]))
    with pytest.raises(IntsimError, match="2 to 16 bits"):
        quantize_weights(WEIGHTS, 1)
    with pytest.raises(IntsimError, match="does not divide 64"):
        quantize_weights(WEIGHTS, granularity=Granularity.GROUP, group=48)
    with pytest.raises(IntsimError, match="percentile"):
        quantize_weights(WEIGHTS, range=Range.PERCENTILE, percentile=10)


def pack(codes, bits, axis):
    """The packing of GPTQ-style files, written from its definition."""
    codes = np.moveaxis(codes.astype(np.uint64), axis, -1)
    words = codes.reshape(*codes.shape[:-1], -1, 32 // bits)
    packed = sum(words[..., i] << np.uint64(i * bits) for i in range(32 // bits)).astype(np.uint32).view(np.int32)
    return np.ascontiguousarray(np.moveaxis(packed, -1, axis))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_import_gptq(tmp_path, bits):
    inputs, outputs, group = 128, 32, 32
    codes = RNG.integers(0, 1 << bits, (inputs, outputs))
    zeros = RNG.integers(0, 1 << bits, (inputs // group, outputs))
    scales = RNG.uniform(0.01, 0.1, (inputs // group, outputs)).astype(np.float16)
    path = tmp_path / "layer.safetensors"
    tensors = {
        "m.qweight": pack(codes, bits, 0),
        "m.qzeros": pack(zeros, bits, 1),
        "m.scales": scales,
        "m.g_idx": (np.arange(inputs) // group).astype(np.int32),
    }
    save_file(tensors, path)
    q = import_gptq(path, "m", bits)
    np.testing.assert_array_equal(q.data, codes.T)
    np.testing.assert_array_equal(unpack_words(tensors["m.qweight"], bits, 0), codes)
    expected = (codes - (np.repeat(zeros, group, axis=0) + 1)) * np.repeat(scales.astype(np.float64), group, axis=0)
    np.testing.assert_array_equal(q.real(), expected.T)

    tensors["m.g_idx"] = tensors["m.g_idx"][::-1].copy()
    save_file(tensors, path)
    with pytest.raises(IntsimError, match="reorders the inputs"):
        import_gptq(path, "m", bits)
    with pytest.raises(IntsimError, match=r"did you mean 'm\.qweight'"):
        import_gptq(path, "n", bits)
    with pytest.raises(IntsimError, match="safetensors"):
        import_gptq(tmp_path / "none.safetensors", "m", bits)
