"""Convolution, embedding and rotary embedding against their definitions on Python's integers."""

import itertools

import numpy as np
import pytest
from operators import assert_exact, assert_integer_only, surviving_mutants

from intsim import Int, IntsimError
from intsim.errors import DtypeError, UnknownName
from intsim.exact import plain
from intsim.linear import Conv2d, Embedding, PairRotation, RoPE, matmul
from intsim.linear.conv import cut_patches
from intsim.rounding import TIES_TO_POS


def by_definition(conv, x):
    """The equation of the docstring, sum by sum."""
    (down, across), (above, beside) = conv.stride, conv.padding
    filters, inner, high, wide = conv.weight.shape
    rows, columns = conv.output_size(*x.shape[-2:])
    each = filters // conv.groups
    y = np.zeros((len(x), filters, rows, columns), dtype=object)
    for n, o, i, j in itertools.product(range(len(x)), range(filters), range(rows), range(columns)):
        total = 0 if conv.bias is None else int(conv.bias[o])
        for c, u, v in itertools.product(range(inner), range(high), range(wide)):
            r, s = i * down + u - above, j * across + v - beside
            inside = 0 <= r < x.shape[2] and 0 <= s < x.shape[3]
            code = int(x[n, o // each * inner + c, r, s]) if inside else conv.pad_code
            total += code * int(conv.weight[o, c, u, v])
        y[n, o, i, j] = total
    return y


@pytest.mark.parametrize(
    ("shape", "image", "options"),
    [
        ((4, 3, 4, 4), (2, 3, 12, 8), {"stride": 4}),  # patch embedding
        ((4, 3, 3, 2), (1, 3, 7, 6), {"stride": (2, 1), "padding": (1, 2)}),
        ((6, 1, 3, 3), (2, 6, 5, 5), {"padding": 1, "groups": 6, "pad_code": -7}),  # depthwise
        ((6, 2, 1, 1), (1, 4, 3, 3), {"groups": 2}),
    ],
)
def test_convolution_is_its_definition(shape, image, options):
    rng = np.random.default_rng(1)
    conv = Conv2d(rng.integers(-128, 128, shape, dtype=np.int8), rng.integers(-(2**20), 2**20, shape[0]), **options)
    x = rng.integers(-128, 128, image, dtype=np.int8)
    y = conv(x)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, by_definition(conv, x))
    with plain():
        np.testing.assert_array_equal(conv(x), y)
    np.testing.assert_array_equal(conv(x[0]), y[0])


def test_patches_times_filters_are_the_convolution_of_their_stride():
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (2, 3, 12, 8), dtype=np.uint8)
    filters = rng.integers(-128, 128, (5, 3, 4, 4), dtype=np.int8)
    rows = cut_patches(images, 4)
    assert (rows.shape, rows.dtype) == ((2, 6, 48), np.uint8)
    convolved = Conv2d(filters, stride=4)(images).reshape(2, 5, 6)
    np.testing.assert_array_equal(matmul(rows, filters.reshape(5, 48).T), np.swapaxes(convolved, 1, 2))
    with pytest.raises(IntsimError, match="12 x 8 do not divide into patches of 5"):
        cut_patches(images, 5)


def test_the_accumulator_is_proven():
    conv = Conv2d(np.full((1, 4, 8, 8), -128, dtype=np.int8), acc_bits=23)
    x = np.full((4, 8, 8), -128, dtype=np.int8)
    assert conv.widths(Int(8))["accumulator"] == 24  # 256 products of 2**14 are 2**22: with its sign 24 bits
    with pytest.raises(IntsimError, match="needs 24 bits for K=256, has 23"):
        conv(x)
    (hazard,) = conv.hazards(Int(8))
    assert "24 bits, has 23" in str(hazard)
    assert Conv2d(conv.weight, acc_bits=24)(x).item() == 1 << 22
    assert Conv2d(conv.weight, acc_bits=24, pad_code=200).hazards(Int(8))


def test_what_a_convolution_refuses():
    weight = np.ones((2, 3, 3, 3), dtype=np.int8)
    for options, message in (
        ({"groups": 3}, "do not divide"),
        ({"stride": 0}, "at least 1"),
        ({"padding": (1, 2, 3)}, "or two"),
        ({"bias": np.ones(3, dtype=np.int32)}, "does not fit 2 filters"),
    ):
        with pytest.raises(IntsimError, match=message):
            Conv2d(weight, **options)
    with pytest.raises(DtypeError):
        Conv2d(weight * 0.5)
    for shape, message in (((2, 9, 9), "x is"), ((3, 2, 9), "does not fit 2")):
        with pytest.raises(IntsimError, match=message):
            Conv2d(weight)(np.ones(shape, dtype=np.int8))
    with pytest.raises(IntsimError, match="no int8"):
        Conv2d(weight, padding=1, pad_code=200)(np.ones((3, 9, 9), dtype=np.int8))


def test_embedding_rows_and_sums():
    rng = np.random.default_rng(2)
    word, place = rng.standard_normal((50, 8)), rng.standard_normal((16, 8))
    step = 2.0**-12
    words, places = (Embedding.from_real(t, 16, step) for t in (word, place))
    tokens = rng.integers(0, 50, (3, 16))
    got = words(tokens, (places, np.arange(16)))
    expected = np.rint(word / step)[tokens] + np.rint(place / step)
    np.testing.assert_array_equal(got.data, expected)
    assert got.data.dtype == np.int32
    assert Embedding.sum_bits(words, places) == 17
    np.testing.assert_allclose(got.decode(), word[tokens] + place, atol=step)
    with plain():
        np.testing.assert_array_equal(words(tokens, (places, np.arange(16))).data, got.data)
    full = Embedding(np.array([[-128, 127]]), (1, 0), 8)
    np.testing.assert_array_equal(full([0], (full, [0]), (full, [0])).data, [[-384, 381]])  # 10 bits hold it
    assert Embedding.from_real(word).codes.max() == 32767 or Embedding.from_real(word).codes.min() == -32767


def test_what_an_embedding_refuses():
    table = Embedding(np.ones((5, 2), dtype=np.int8), (1, 3), 8)
    for tokens in ([5], [-1]):
        with pytest.raises(IntsimError, match=r"not in \[0, 4\]"):
            table(tokens)
    with pytest.raises(DtypeError):
        table([0.5])
    with pytest.raises(IntsimError, match="one scale"):
        table([0], (Embedding(table.codes, (1, 4), 8), [0]))
    with pytest.raises(IntsimError):
        Embedding(np.full((1, 1), 200), (1, 3), 8)


ROTATIONS = {
    "int8": PairRotation(14),
    "saturating": PairRotation(6, x=Int(8), y=Int(8), rounding=TIES_TO_POS),
    "wide": PairRotation(29, x=Int(32), y=Int(32)),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_rotation_is_exact(name):
    unit = ROTATIONS[name]
    corners = unit.corners()
    assert_exact(unit, *corners)
    assert_integer_only(unit, *(column[:60] for column in corners))
    assert surviving_mutants(unit) == []
    assert (unit.y.bits <= unit.x.bits) == bool(unit.hazards())
    a, b, c, s = (column.astype(object) for column in corners)
    reach = max(abs(v) for v in (*(a * c - b * s), *(a * s + b * c)))
    assert reach.bit_length() < unit.widths["sum"]


@pytest.mark.parametrize("layout", ["halves", "neighbours"])
def test_rope_against_the_real_rotation(layout):
    rope = RoPE.design(16, 40, layout=layout, x=Int(12), y=Int(13))
    rng = np.random.default_rng(3)
    x = rng.integers(-2048, 2048, (2, 40, 16), dtype=np.int16)
    got = rope(x)
    pairs = np.stack([x[..., :8], x[..., 8:]], -1) if layout == "halves" else x.reshape(2, 40, 8, 2)
    angle = np.outer(np.arange(40), 10000.0 ** (-np.arange(8) / 8))
    turned = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angle)
    real = np.stack([turned.real, turned.imag], -1)
    real = np.concatenate([real[..., 0], real[..., 1]], -1) if layout == "halves" else real.reshape(2, 40, 16)
    bound = 0.5 + np.abs(pairs).sum(-1).max() * 2.0**-15
    assert np.abs(got - real).max() <= bound
    np.testing.assert_array_equal(got[:, 0], x[:, 0])  # position 0 turns nothing
    with plain():
        np.testing.assert_array_equal(rope(x), got)
    np.testing.assert_array_equal(rope(x[:, 5:7], positions=[5, 6]), got[:, 5:7])
    assert rope.table_bits == 2 * 40 * 8 * 16


def test_scores_depend_on_the_distance_of_positions_only():
    rope = RoPE.design(8, 60, x=Int(16), y=Int(17))
    q, k = np.random.default_rng(4).integers(-32768, 32768, (2, 1, 8))
    scores = [int(rope(q, [p + 7]).astype(object)[0] @ rope(k, [p]).astype(object)[0]) for p in range(50)]
    assert max(scores) - min(scores) < 2.0**-12 * np.linalg.norm(q) * np.linalg.norm(k)


def test_what_rope_refuses():
    rope = RoPE.design(8, 4)
    with pytest.raises(IntsimError, match="position 9"):
        rope(np.zeros((1, 8), dtype=np.int8), [9])
    with pytest.raises(IntsimError, match="tokens, 8"):
        rope(np.zeros((1, 7), dtype=np.int8))
    with pytest.raises(UnknownName, match="halves"):
        RoPE.design(8, 4, layout="halfs")
    with pytest.raises(IntsimError, match="even"):
        RoPE.design(7, 4)
    with pytest.raises(IntsimError, match="needs 65 bits, 64 fit; use frac <= 29"):
        PairRotation(30, x=Int(32))
    with pytest.raises(IntsimError, match="signed"):
        PairRotation(x=Int(8, signed=False))
