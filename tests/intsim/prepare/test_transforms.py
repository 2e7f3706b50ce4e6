"""Each transform leaves a whole block unchanged in real arithmetic."""

import numpy as np
import pytest

from intsim import IntsimError
from intsim.prepare import transforms as tf
from intsim.prepare.hadamard import hadamard, klt_hadamard, rotation

TOKENS, WIDTH, HIDDEN, HEADS, KEY_HEADS, SIZE = 9, 24, 40, 6, 3, 8


def random_linear(rng, out, inputs):
    return tf.Linear(rng.standard_normal((out, inputs)) / np.sqrt(inputs), rng.standard_normal(out))


class Block:
    """A Llama-style block in float64: grouped heads, rotary embedding, SwiGLU with the act-smooth divisor."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.norm1 = tf.Norm(rng.uniform(0.5, 2, WIDTH), rng.standard_normal(WIDTH))
        self.norm2 = tf.Norm(rng.uniform(0.5, 2, WIDTH), rng.standard_normal(WIDTH))
        self.query = random_linear(rng, HEADS * SIZE, WIDTH)
        self.key = random_linear(rng, KEY_HEADS * SIZE, WIDTH)
        self.value = random_linear(rng, KEY_HEADS * SIZE, WIDTH)
        self.out = random_linear(rng, WIDTH, HEADS * SIZE)
        self.gate = random_linear(rng, HIDDEN, WIDTH)
        self.up = random_linear(rng, HIDDEN, WIDTH)
        self.down = random_linear(rng, WIDTH, HIDDEN)
        self.alpha = np.ones(HIDDEN)
        self.x = rng.standard_normal((TOKENS, WIDTH)) * rng.uniform(0.1, 30, WIDTH)

    def __call__(self):
        h = self.x + self.out(self.attention(norm(self.x, self.norm1)))
        z = norm(h, self.norm2)
        g = self.gate(z)
        return h + self.down(g / (1 + np.exp(-g / self.alpha)) * self.up(z))

    def attention(self, z):
        q, k, v = (linear(z).reshape(TOKENS, -1, SIZE) for linear in (self.query, self.key, self.value))
        q, k = rotary(q), np.repeat(rotary(k), HEADS // KEY_HEADS, axis=1)
        v = np.repeat(v, HEADS // KEY_HEADS, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(SIZE)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.einsum("hqk,khd->qhd", weights / weights.sum(axis=-1, keepdims=True), v).reshape(TOKENS, -1)


def norm(x, affine):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True)) * affine.gain + affine.bias


def rotary(x):
    angle = np.arange(TOKENS)[:, None, None] * 10.0 ** -np.arange(SIZE // 2)
    a, b = x[..., : SIZE // 2], x[..., SIZE // 2 :]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], axis=-1)


def factors(size, seed=1):
    return np.exp(np.random.default_rng(seed).uniform(-2, 2, size))


def qkv_smooth(b):
    s = tf.smooth_factors(abs(norm(b.x, b.norm1)).max(axis=0), abs(b.query.weight).max(axis=0))
    shift = np.linspace(-1, 1, WIDTH)
    b.norm1, (b.query, b.key, b.value) = tf.norm_to_linears(b.norm1, (b.query, b.key, b.value), s, shift)


def fc1_smooth(b):
    b.norm2, (b.gate, b.up) = tf.norm_to_linears(b.norm2, (b.gate, b.up), factors(WIDTH))


def qkt_smooth(b):
    s = tf.pair_rotary(factors(KEY_HEADS * SIZE), KEY_HEADS)
    b.query, b.key = tf.query_to_key(b.query, b.key, s, heads=KEY_HEADS, rotary=True)


def out_smooth(b):
    b.value, b.out = tf.value_to_output(b.value, b.out, factors(KEY_HEADS * SIZE), heads=KEY_HEADS)


def x1x2_smooth(b):
    b.gate, b.up, b.alpha = tf.gate_to_up(b.gate, b.up, factors(HIDDEN))


def fc2_smooth(b):
    b.up, b.down = tf.linear_to_linear(b.up, b.down, factors(HIDDEN))


def repq(b):
    scales, zeros = factors(WIDTH), np.random.default_rng(2).integers(0, 256, WIDTH)
    b.norm1, (b.query, b.key, b.value), _, zero = tf.reparameterise_norm(
        b.norm1, (b.query, b.key, b.value), scales, zeros
    )
    assert isinstance(zero, int)


@pytest.mark.parametrize(
    "transform",
    [qkv_smooth, fc1_smooth, qkt_smooth, out_smooth, x1x2_smooth, fc2_smooth, repq],
    ids=lambda f: f.__name__,
)
def test_block_is_unchanged(transform):
    reference = Block()()
    block = Block()
    transform(block)
    np.testing.assert_allclose(block(), reference, rtol=1e-9, atol=1e-9 * abs(reference).max())


def test_all_together_are_unchanged():
    reference = Block()()
    block = Block()
    for transform in (qkv_smooth, fc1_smooth, qkt_smooth, out_smooth, x1x2_smooth, fc2_smooth, repq):
        transform(block)
    np.testing.assert_allclose(block(), reference, rtol=1e-9, atol=1e-9 * abs(reference).max())


def test_free_factors_would_break_rotary():
    """The pair constraint is not decoration: without it the scores change, and the function refuses."""
    block, reference = Block(), Block()()
    s = factors(KEY_HEADS * SIZE)
    with pytest.raises(IntsimError, match="pair_rotary"):
        tf.query_to_key(block.query, block.key, s, heads=KEY_HEADS, rotary=True)
    block.query, block.key = tf.query_to_key(block.query, block.key, s, heads=KEY_HEADS, rotary=False)
    assert abs(block() - reference).max() > 1e-3


def test_repq_keeps_every_code():
    """Per-channel codes of the old network equal per-tensor codes of the new one."""
    block = Block()
    scales, zeros = factors(WIDTH), np.random.default_rng(2).integers(100, 150, WIDTH)
    old = norm(block.x, block.norm1) / scales + zeros
    new_norm, _, scale, zero = tf.reparameterise_norm(block.norm1, [], scales, zeros)
    np.testing.assert_allclose(norm(block.x, new_norm) / scale + zero, old, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 16, 12, 20, 28, 40, 52, 160, 384])
def test_hadamard_is_orthogonal(size):
    matrix = hadamard(size).astype(np.int64)
    assert set(np.unique(matrix)) <= {-1, 1}
    np.testing.assert_array_equal(matrix @ matrix.T, size * np.eye(size, dtype=np.int64))


def test_hadamard_refuses_with_the_sizes_there_are():
    with pytest.raises(IntsimError, match=r"K in \[12, 20, 28"):
        hadamard(6)


def test_folded_rotation_is_unchanged():
    rng = np.random.default_rng(3)
    first, second = random_linear(rng, 40, 24), random_linear(rng, 24, 40)
    x = rng.standard_normal((5, 24))
    turn = rotation(40)
    folded = tf.rotate_input(second, turn)(tf.rotate_output(first, turn)(x))
    np.testing.assert_allclose(folded, second(first(x)), rtol=1e-9, atol=1e-12)


def test_klt_then_hadamard_evens_every_channel():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((500, 32)) * np.logspace(-1, 1, 32) @ rng.standard_normal((32, 32))
    turn = klt_hadamard(x)
    np.testing.assert_allclose(turn @ turn.T, np.eye(32), atol=1e-12)
    moment = ((x @ turn) ** 2).mean(axis=0)
    plain = ((x @ rotation(32)) ** 2).mean(axis=0)
    np.testing.assert_allclose(moment, moment.mean(), rtol=1e-9)
    assert plain.max() / plain.min() > 1.5


def test_gps_reduces_the_modelled_error():
    """Factors at the stationary point of sum(e_x^2 w^2) / s^2 + s^2 sum(x^2 e_w^2): moving any one off it is worse."""
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((64, 8)) * np.logspace(-1, 1, 8), rng.standard_normal((16, 8))
    x_error, w_error = rng.uniform(-0.05, 0.05, x.shape), rng.uniform(-0.02, 0.02, w.shape)
    s = tf.gps_factors(x, x_error, w, w_error)
    anchor = np.sqrt(np.ptp(x[:, 7]) / np.ptp(w[:, 7]))

    def modelled(s):
        activation = (x_error**2).sum(axis=0) * (w**2).sum(axis=0) * (s / anchor) ** 2
        weight = (x**2).sum(axis=0) * (w_error**2).sum(axis=0) / (s / anchor) ** 2
        return (activation + weight).sum()

    for channel in range(8):
        for step in (0.9, 1.1):
            moved = s.copy()
            moved[channel] *= step
            assert modelled(moved) > modelled(s)


def test_bad_factors_are_refused():
    block = Block()
    with pytest.raises(IntsimError, match="not zero"):
        tf.linear_to_linear(block.up, block.down, np.zeros(HIDDEN))
    with pytest.raises(IntsimError, match=r"\[0, 1\]"):
        tf.smooth_factors(np.ones(3), np.ones(3), 1.5)
