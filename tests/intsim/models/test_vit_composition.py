"""The I-ViT network composed by hand, from pixels to logits, and every tensor compared.

Constants come from the formulas (scales from the largest magnitude, x0 = floor(-1/s), dyadic numbers from frexp),
nonlinear units get these constants directly, the patch embedding is a convolution, everything else is NumPy on
integers. Schemes, their layers, the designer, the calibration and the network's own code take no part.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from small_vit import images, small_vit

from intsim import Int
from intsim.linear import Conv2d
from intsim.measure.network.images import digits
from intsim.models import IntegerViT, ViT
from intsim.nonlinear import IViTLayerNorm, ShiftGELU, Shiftmax
from intsim.schemes import ivit

WIDE = {"patches", "embedding", "proj", "down", "sum1", "sum2", "logits"}  # 16 bits; everything else has 8


def width(place):
    return 16 if place.rpartition(".")[2] in WIDE else 8


def rescaled(z, ratio, bits=None):
    """``z m / 2**e`` with a mantissa of 31 bits, ties to even, the sign of the ratio taken out first."""
    f, e = math.frexp(abs(float(ratio)))
    m, e = math.floor(Fraction(f) * 2**31 + Fraction(1, 2)), 31 - e
    product = z.astype(object) * m * (1 if ratio > 0 else -1)
    floor, rest = product >> e, product & ((1 << e) - 1)
    half = 1 << (e - 1)
    y = (floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))).astype(np.int64)
    return y if bits is None else np.clip(y, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def per_channel(z, ratios, bits):
    return np.stack([rescaled(z[..., c], ratio, bits) for c, ratio in enumerate(ratios)], axis=-1)


def coarser(scale, gate):
    """The next scale upwards of which ``1 / (scale gate)`` is an integer."""
    count = math.floor(1 / (Fraction(scale) * gate))
    found = float(1 / (count * gate))
    return found if Fraction(found) * gate * count >= 1 else math.nextafter(found, math.inf)


class ByHand:
    """The network of a twin, calibrated on batches of images."""

    def __init__(self, model, batches):
        reached = {}
        for pixels in batches:
            for place, tensor in model.real(pixels).items():
                reached[place] = max(reached.get(place, 0.0), float(np.abs(tensor).max()))
        reached["patches"] = max(reached["patches"], float(np.abs(model.first).max()))
        self.model = model
        self.scale = {place: top / (2 ** (width(place) - 1) - 1) for place, top in reached.items()}
        for place, scale in self.scale.items():  # where a shift exponential starts, its x0 is made exact
            gate = {"scores": Fraction(1), "up": Fraction(1702, 1000)}.get(place.rpartition(".")[2])
            if gate is not None:
                self.scale[place] = coarser(scale, gate)

    def target(self, place):
        return float(np.float32(self.scale[place]))  # I-ViT keeps scales in single precision

    def weights(self, weight, bias, scale_in):
        """Codes, bias and the real scale of a product, each output channel on its own."""
        w = weight.astype(np.float64)
        scales = np.maximum(np.abs(w).max(axis=0) / 127, 2.0**-23)
        unit = scale_in * scales
        return np.rint(w / scales).astype(np.int64), np.rint(bias.astype(np.float64) / unit).astype(np.int64), unit

    def linear(self, x, pair, scale_in, place):
        codes, bias, unit = self.weights(*pair, scale_in)
        return per_channel(x @ codes + bias, unit / self.target(place), width(place))

    def patches(self, pixels):
        """A convolution whose stride is its width; mean and deviation of the pixels stand in weights and bias."""
        model = self.model
        matrix, bias = (v.astype(np.float64) for v in model.patches)
        area = model.cut.size**2
        gain, offset = (np.repeat(v.astype(np.float64), area)[:, None] for v in (model.gain, model.offset))
        codes, bias, unit = self.weights(matrix * gain, bias + (offset * matrix).sum(axis=0), 1.0)
        filters = codes.T.reshape(-1, model.cut.shape[0], model.cut.size, model.cut.size).astype(np.int8)
        y = Conv2d(filters, bias, stride=model.cut.size)(pixels)
        rows = np.moveaxis(y, 1, -1).reshape(len(y), -1, y.shape[1])
        return per_channel(rows.astype(np.int64), unit / self.target("patches"), 16)

    def norm(self, x, pair, place):
        gamma, beta = (v.astype(np.float64) for v in pair)
        unit = math.sqrt(gamma.size) / 2**30
        bias = tuple(math.floor(b / g / unit) for g, b in zip(gamma, beta, strict=True))
        y = IViTLayerNorm(bias, x=Int(16), max_row=gamma.size)(x).astype(np.int64)
        return per_channel(y, gamma * unit / self.target(place), 8)

    def attention(self, t, at):
        """Probabilities and what they make of the values, head by head and image by image."""
        s, heads = self.scale, self.model.heads
        q, k, v = (t[at + name] for name in "qkv")
        ratio = s[at + "q"] * s[at + "k"] * q.shape[-1] ** -0.5 / self.target(at + "scores")
        softmax = Shiftmax(math.floor(-1 / Fraction(s[at + "scores"])), n=15, out_bits=16, x=Int(8), max_row=k.shape[2])
        p, context = np.empty((*q.shape[:3], k.shape[2]), np.int64), np.empty_like(q)
        for image in range(len(q)):
            for h in range(heads):
                scores = rescaled(q[image, h] @ k[image, h].T, ratio, 8).astype(np.int8)
                p[image, h] = softmax(scores)
                back = 2.0**-15 * s[at + "v"] / self.target(at + "context")
                context[image, h] = rescaled(p[image, h] @ v[image, h], back, 8)
        return p, np.concatenate([context[:, h] for h in range(heads)], axis=-1)

    def sum(self, branch, identity, scales, place):
        a, b = (rescaled(x, s / self.target(place)) for x, s in zip((branch, identity), scales, strict=True))
        return np.clip(a + b, -(1 << 15), (1 << 15) - 1)

    def block(self, x, number, source):
        s, block, at = self.scale, self.model.blocks[number], f"{number}."
        t = {at + "norm1": self.norm(x, block.norm["norm1"], at + "norm1")}
        for name in "qkv":
            y = self.linear(t[at + "norm1"], block.linear[name], s[at + "norm1"], at + name)
            t[at + name] = np.stack(np.split(y, self.model.heads, axis=-1), axis=1)
        t[at + "p"], t[at + "context"] = self.attention(t, at)
        t[at + "proj"] = self.linear(t[at + "context"], block.linear["proj"], s[at + "context"], at + "proj")
        t[at + "sum1"] = self.sum(t[at + "proj"], x, (s[at + "proj"], s[source]), at + "sum1")
        t[at + "norm2"] = self.norm(t[at + "sum1"], block.norm["norm2"], at + "norm2")
        t[at + "up"] = self.linear(t[at + "norm2"], block.linear["up"], s[at + "norm2"], at + "up")
        x0 = math.floor(-1 / (Fraction(s[at + "up"]) * Fraction(1702, 1000)))
        limit = 15 * -x0 * 16 // 23
        gelu = ShiftGELU(x0, n=23, out_bits=8, limit=limit, x=Int(8), max_row=t[at + "up"].shape[-1])
        y = gelu(t[at + "up"].astype(np.int8)).astype(np.int64)
        t[at + "gelu"] = rescaled(y, s[at + "up"] / 128 / self.target(at + "gelu"), 8)
        t[at + "down"] = self.linear(t[at + "gelu"], block.linear["down"], s[at + "gelu"], at + "down")
        t[at + "sum2"] = self.sum(t[at + "down"], t[at + "sum1"], (s[at + "down"], s[at + "sum1"]), at + "sum2")
        return t

    def __call__(self, pixels):
        """Every tensor by its place."""
        s, model = self.scale, self.model
        t = {"patches": self.patches(pixels)}
        first = np.rint(model.first.astype(np.float64) / s["patches"]).astype(np.int64)
        step = float(np.abs(model.positions).max()) / (2**15 - 1)
        positions = np.rint(model.positions.astype(np.float64) / step).astype(np.int64)
        tokens = np.concatenate([np.tile(first, (len(pixels), 1, 1)), t["patches"]], axis=1)
        t["embedding"] = self.sum(tokens, np.tile(positions, (len(pixels), 1, 1)), (s["patches"], step), "embedding")
        x = "embedding"
        for number in range(len(model.blocks)):
            t |= self.block(t[x], number, x)
            x = f"{number}.sum2"
        t["norm"] = self.norm(t[x][:, 0], model.norm, "norm")
        t["logits"] = self.linear(t["norm"], model.head, s["norm"], "logits")
        return t


def assert_every_tensor_is_equal(model, calibration, pixels):
    got = IntegerViT.design(model, ivit, calibration).trace(pixels)
    expected = ByHand(model, calibration)(pixels)
    assert list(expected) == list(got)
    assert len(got) == 2 + 13 * len(model.blocks) + 2
    for place, codes in expected.items():
        np.testing.assert_array_equal(got[place].data, codes, err_msg=place)
        assert len(np.unique(codes)) > 2, f"{place} says nothing"


@pytest.mark.parametrize("seed", range(3))
def test_a_small_network_equals_its_composition_by_hand(seed):
    calibration = [images(seed=10), images(seed=11)]
    assert_every_tensor_is_equal(small_vit(seed), calibration, images(seed=12, batch=2))


def test_codes_beyond_what_was_calibrated_saturate_alike():
    """Calibrated on grey, judged on black, white and noise."""
    grey = np.full((2, 3, 8, 12), 120, dtype=np.uint8)
    calibration = [grey + images(seed=13, batch=2) // 32]
    pixels = np.stack([np.zeros_like(grey[0]), np.full_like(grey[0], 255), images(seed=14, batch=1)[0]])
    network = IntegerViT.design(small_vit(), ivit, calibration).trace(pixels)
    assert np.abs(network["patches"].data.astype(np.int64)).max() == 1 << 15
    assert_every_tensor_is_equal(small_vit(), calibration, pixels)


def test_the_network_on_digits_equals_its_composition_by_hand():
    model, calibration = ViT.load("digits-vit"), [digits(held_out=False).choose(32).pixels()]
    assert_every_tensor_is_equal(model, calibration, digits(held_out=True).pixels(slice(4)))
