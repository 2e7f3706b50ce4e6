"""Schemes: one block of a transformer under each of them; the I-ViT block against an independent composition."""

import math
from fractions import Fraction

import numpy as np
import pytest
from integer_only import guard, integer_only
from vit_block import DIM, HEADS, Block, heads, merged, real_block, weights

from intsim import IntsimError, UnknownName
from intsim.exact import plain
from intsim.formats.quantized import Quantized
from intsim.nonlinear import DIClippedSoftmax, Shiftmax
from intsim.parameters import from_plain, to_plain
from intsim.rounding import TIES_AWAY
from intsim.schemes import SCHEMES, Bits, Operator, StaticScheme, hawq, ibert, illm, ivit

TRANSFORMERS = [ibert, ivit, illm]
each_scheme = pytest.mark.parametrize("scheme", TRANSFORMERS, ids=lambda s: s.name)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    return weights(), rng.normal(0, 1, (4, 17, DIM)), rng.normal(0, 1, (2, 17, DIM))


def signal_to_noise(real, approximate):
    """In decibels."""
    return 10 * math.log10(float((real**2).sum() / ((approximate - real) ** 2).sum()))


# Measured on this block, in decibels: the worst tensor inside, and the result.
KEPT = {"ibert": (29, 33), "ivit": (24, 28), "illm": (27, 31)}


@each_scheme
def test_a_block_stays_close_to_its_real_twin(scheme, data):
    p, calibration, x = data
    block = Block(scheme, p, calibration)
    got, real = block(block.encode(x)), real_block(p, x)
    for name, tensor in got.items():
        assert tensor.shape == real[name].shape
        assert signal_to_noise(real[name], tensor.decode()) > KEPT[scheme.name][0], name
    assert signal_to_noise(real["y"], got["y"].decode()) > KEPT[scheme.name][1]


@each_scheme
def test_a_block_is_the_same_on_unbounded_integers(scheme, data):
    p, calibration, x = data
    block = Block(scheme, p, calibration)
    codes = block.encode(x[:1, :5])
    compiled = block(codes)
    with plain():
        reference = block(codes)
    for name, tensor in compiled.items():
        for part in ("data", "m", "k", "zero_point"):
            np.testing.assert_array_equal(getattr(tensor, part), getattr(reference[name], part), err_msg=name)


@each_scheme
def test_a_block_runs_on_integer_only_arrays(scheme, data):
    p, calibration, x = data
    block = Block(scheme, p, calibration)
    codes = block.encode(x[:1, :5])
    expected = block(codes)["y"].data
    guarded = Quantized(*(guard(part) for part in (codes.data, codes.m, codes.k, codes.zero_point)))
    with integer_only():
        got = block(guarded)["y"].data
    np.testing.assert_array_equal(np.asarray(got), expected)


# The I-ViT block once more, in Python's integers ----------------------------------------------------------------


def dyadic(ratio):
    f, e = math.frexp(ratio)
    return math.floor(Fraction(f) * 2**31 + Fraction(1, 2)), 31 - e


def rescaled(z, ratio, bits=None):
    """HAWQ's requantisation of a number: ``z m / 2**e``, ties to even (as Python's round)."""
    m, e = dyadic(abs(ratio))
    y = round(Fraction(z * m, 2**e)) * (1 if ratio > 0 else -1)
    return y if bits is None else min(max(y, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def shift_exp(x, x0, n):
    v = max(x + x // 2 - x // 16, n * x0)
    q = v // x0
    return max(math.floor((Fraction(v - q * x0, 2) - x0) * Fraction(2) ** (n - q)), 0)


def shiftmax(row, x0):
    exps = [shift_exp(v - max(row), x0, 15) for v in row]
    factor = (2**31 - 1) // min(sum(exps), 2**31 - 1)
    return [e * factor // 2**16 for e in exps]


def shift_gelu(row, x0):
    top = max(row)
    minus = shift_exp(-top, x0, 23)
    out = []
    for v in row:
        e = shift_exp(v - top, x0, 23)
        out.append(v * (e * ((2**31 - 1) // min(e + minus, 2**31 - 1)) // 2**24))
    return out


def layer_norm(row, bias):
    mean = round(Fraction(sum(row), len(row)))
    energy = sum((v - mean) ** 2 for v in row)
    k = 2**16
    for _ in range(10):
        k = (k + energy // k) // 2
    return [(v - mean) * ((2**31 - 1) // k) // 2 + b for v, b in zip(row, bias, strict=True)]


class Reference:
    """The I-ViT block from the formulas above, one row at a time."""

    def __init__(self, p, scale):
        self.p, self.s = p, scale

    def norm(self, x, i, scale_in_unused, out):
        gamma, beta = self.p[f"gamma{i}"], self.p[f"beta{i}"]
        unit = math.sqrt(DIM) / 2**30
        bias = [math.floor(b / g / unit) for g, b in zip(gamma, beta, strict=True)]
        s_out = float(np.float32(self.s[out]))
        return [
            [rescaled(v, g * unit / s_out, 8) for v, g in zip(layer_norm(row, bias), gamma, strict=True)] for row in x
        ]

    def linear(self, x, name, s_in, s_out):
        w, b = self.p[f"{name}_w"], self.p[f"{name}_b"]
        columns = []
        for c in range(w.shape[1]):
            sw = max(float(np.abs(w[:, c]).max()) / 127, 2.0**-23)
            codes = [min(max(round(float(v) / sw), -128), 127) for v in w[:, c]]
            unit = self.s[s_in] * sw
            columns.append((codes, round(float(b[c]) / unit), unit / float(np.float32(self.s[s_out]))))
        return [[rescaled(sum(a * wc for a, wc in zip(row, codes, strict=True)) + bias, ratio, 8)
                 for codes, bias, ratio in columns] for row in x]  # fmt: skip

    def add(self, x, identity, sx, si, out):
        s_out = float(np.float32(self.s[out]))
        return [[min(max(rescaled(a, self.s[sx] / s_out) + rescaled(b, self.s[si] / s_out), -32768), 32767)
                 for a, b in zip(u, v, strict=True)] for u, v in zip(x, identity, strict=True)]  # fmt: skip

    def __call__(self, x):
        s, width = self.s, DIM // HEADS
        t = {"x": x, "n1": self.norm(x, 1, "x", "n1")}
        for name in "qkv":
            t[name] = self.linear(t["n1"], name, "n1", name)
        s_scores = float(np.float32(s["scores"]))
        x0 = math.floor(-1 / Fraction(s["scores"]))
        context = [[0] * DIM for _ in x]
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            for i, q in enumerate(t["q"]):
                dots = [sum(a * b for a, b in zip(q[part], k[part], strict=True)) for k in t["k"]]
                probabilities = shiftmax([rescaled(d, s["q"] * s["k"] * width**-0.5 / s_scores, 8) for d in dots], x0)
                for c in range(part.start, part.stop):
                    total = sum(pr * v[c] for pr, v in zip(probabilities, t["v"], strict=True))
                    context[i][c] = rescaled(total, s["p"] * s["v"] / float(np.float32(s["context"])), 8)
        t["context"] = context
        t["attention"] = self.linear(context, "proj", "context", "attention")
        t["r1"] = self.add(t["attention"], x, "attention", "x", "r1")
        t["n2"] = self.norm(t["r1"], 2, "r1", "n2")
        t["up"] = self.linear(t["n2"], "up", "n2", "up")
        gelu = [shift_gelu(row, math.floor(-1 / (Fraction(s["up"]) * Fraction(1702, 1000)))) for row in t["up"]]
        ratio = s["up"] / 128 / float(np.float32(s["gelu"]))
        t["gelu"] = [[rescaled(v, ratio, 8) for v in row] for row in gelu]
        t["mlp"] = self.linear(t["gelu"], "down", "gelu", "mlp")
        t["y"] = self.add(t["mlp"], t["r1"], "mlp", "r1", "y")
        return t


def test_the_ivit_block_equals_an_independent_composition(data):
    p, calibration, x = data
    block = Block(ivit, p, calibration)
    codes = block.encode(x[0])
    got = block(codes)
    expected = Reference(p, block.scale)(codes.data.tolist())
    for name, rows in expected.items():
        np.testing.assert_array_equal(got[name].data, rows, err_msg=name)
    assert set(expected) == set(got) - {"p"}


def test_a_mask_reaches_the_softmax(data):
    p, calibration, x = data
    keep = np.tril(np.ones((17, 17), dtype=bool))
    for scheme in TRANSFORMERS:
        block = Block(scheme, p, calibration)
        n1 = block.norm1(block.encode(x))
        q, k = (Quantized(heads(t.data), *(v[..., None, :, :] if v.ndim else v for v in (t.m, t.k, t.zero_point)))
                for t in (block.q(n1), block.k(n1)))  # fmt: skip
        probabilities = block.attend(q, k, keep).data
        assert np.all(probabilities[..., ~keep] == 0)
        assert np.all(probabilities[..., 0, 0] >= probabilities.max() - 1)


# What a scheme is ---------------------------------------------------------------------------------------------


def test_every_scheme_is_stored_and_read_back():
    assert list(SCHEMES) == ["hawq", "ibert", "ivit", "illm", "fq_petr", "db_attn", "nli"]
    for scheme in SCHEMES.values():
        assert from_plain(to_plain(scheme)) == scheme
    assert [s.name for s in SCHEMES.values() if s.dynamic] == ["illm"]


def test_a_scheme_names_what_the_paper_chose():
    assert ivit.softmax == Operator.of(Shiftmax, n=15, out_bits=16)
    assert (ivit.bits.residual, ibert.bits.residual) == (16, 22)
    assert ibert.weight_limits == (-127, 126)
    assert "softmax" in hawq.left_in_float
    unit = ivit.softmax.design(1 / 16, max_row=64)
    assert (unit, unit.max_row) == (Shiftmax(-16, max_row=64), 64)


def test_hawq_neither_saturates_its_sums_nor_has_a_softmax():
    layer = hawq.design_residual(0.1, 0.2, 0.01)
    a, b = Quantized(np.array([1 << 14])), Quantized(np.array([1 << 14]))
    assert int(layer(a, b).data[0]) == 491_520
    assert int(ivit.design_residual(0.1, 0.2, 0.01)(a, b).data[0]) == 32_767
    with pytest.raises(IntsimError, match="hawq has no softmax"):
        hawq.design_attention(0.1, 0.1, 0.1, 1.0, 64)
    linear = hawq.design_linear(np.eye(3), None, 0.1, 0.1)
    assert linear(hawq.encode([[0.3, -0.5, 9.0]], 0.1)).data.tolist() == [[3, -5, 90]]


def test_parts_are_exchanged_by_name(data):
    p, calibration, x = data
    other = ivit.replace(softmax=Operator.of(Shiftmax, n=15, out_bits=8), bits=Bits(activation=6))
    assert isinstance(other, StaticScheme)
    y = Block(other, p, calibration)
    codes = y.encode(x)
    assert y(codes)["p"].data.max() < 128
    with pytest.raises(UnknownName, match="softmax"):
        ivit.replace(softmaxx=None)
    literal = illm.replace(softmax=Operator.of(DIClippedSoftmax, exp="literal", out_bits=16, rounding=TIES_AWAY))
    real = real_block(p, x)["p"]
    errors = []
    for scheme in (illm, literal):
        block = Block(scheme, p, calibration)
        errors.append(signal_to_noise(real, block(block.encode(x))["p"].decode()))
    assert errors[0] > errors[1] + 3


def test_units_are_listed_for_the_hardware(data):
    p, calibration, _ = data
    block = Block(ivit, p, calibration)
    names = [
        unit.name for layer in (block.norm1, block.q, block.attend, block.gelu, block.add1) for unit in layer.units
    ]
    assert names == ["ivitlayernorm", "ivit", "ivit", "ivit", "shiftmax", "shiftgelu", "ivit", "residual_add"]


def test_merged_heads_are_the_inverse():
    x = np.arange(2 * 3 * DIM).reshape(2, 3, DIM)
    np.testing.assert_array_equal(merged(heads(x)), x)
