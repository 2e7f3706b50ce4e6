"""A small transformer block: its real twin, the calibration of its scales, and the same block under any scheme."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from intsim.formats.quantized import Quantized

__all__ = ["Block", "real_block"]

DIM, HEADS, HIDDEN = 32, 4, 64


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {
        "q": (DIM, DIM),
        "k": (DIM, DIM),
        "v": (DIM, DIM),
        "proj": (DIM, DIM),
        "up": (DIM, HIDDEN),
        "down": (HIDDEN, DIM),
    }
    parts = {f"{name}_w": rng.normal(0, shape[0] ** -0.5, shape) for name, shape in shapes.items()}
    parts |= {f"{name}_b": rng.normal(0, 0.1, shape[1]) for name, shape in shapes.items()}
    for i in (1, 2):
        parts[f"gamma{i}"] = rng.normal(1, 0.2, DIM) * np.where(rng.random(DIM) < 0.2, -1, 1)
        parts[f"beta{i}"] = rng.normal(0, 0.1, DIM)
    return parts


def heads(x: Any) -> Any:
    return np.swapaxes(x.reshape(*x.shape[:-1], HEADS, DIM // HEADS), -2, -3)


def merged(x: Any) -> Any:
    x = np.swapaxes(x, -2, -3)
    return x.reshape(*x.shape[:-2], DIM)


def real_block(p: dict[str, np.ndarray], x: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of the block in float64, by name."""

    def norm(v: np.ndarray, i: int) -> np.ndarray:
        d = v - v.mean(-1, keepdims=True)
        return d / np.sqrt((d * d).mean(-1, keepdims=True)) * p[f"gamma{i}"] + p[f"beta{i}"]

    t = {"x": x, "n1": norm(x, 1)}
    for name in "qkv":
        t[name] = t["n1"] @ p[f"{name}_w"] + p[f"{name}_b"]
    scores = heads(t["q"]) @ np.swapaxes(heads(t["k"]), -1, -2) * (DIM // HEADS) ** -0.5
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    t["scores"], t["p"] = scores, powers / powers.sum(-1, keepdims=True)
    t["context"] = merged(t["p"] @ heads(t["v"]))
    t["attention"] = t["context"] @ p["proj_w"] + p["proj_b"]
    t["r1"] = x + t["attention"]
    t["n2"] = norm(t["r1"], 2)
    t["up"] = t["n2"] @ p["up_w"] + p["up_b"]
    t["gelu"] = t["up"] * 0.5 * np.vectorize(math.erfc)(-t["up"] / math.sqrt(2))
    t["mlp"] = t["gelu"] @ p["down_w"] + p["down_b"]
    t["y"] = t["r1"] + t["mlp"]
    return t


class Block:
    """The block under a scheme. Scales come from the real twin on calibration data."""

    def __init__(self, scheme: Any, p: dict[str, np.ndarray], calibration: np.ndarray):
        ranges = {name: float(np.abs(t).max()) for name, t in real_block(p, calibration).items()}
        bits = scheme.bits
        width = {"x": bits.residual, "r1": bits.residual, "y": bits.residual, "scores": bits.scores, "up": bits.gelu}
        self.scale = s = {n: r / (2 ** (width.get(n, bits.activation) - 1) - 1) for n, r in ranges.items()}
        softmax = getattr(scheme.softmax, "options", ())
        s["p"] = 2.0 ** -(dict(softmax)["out_bits"] - (scheme.name != "ibert"))
        self.scheme = scheme
        linear = scheme.design_linear
        self.norm1 = scheme.design_norm(p["gamma1"], p["beta1"], s["x"], s["n1"])
        self.q, self.k, self.v = (linear(p[f"{n}_w"], p[f"{n}_b"], s["n1"], s[n]) for n in "qkv")
        self.attend = scheme.design_attention(s["q"], s["k"], s["scores"], (DIM // HEADS) ** -0.5, 64)
        self.mix = scheme.design_product(s["p"], s["v"], s["context"])
        self.proj = linear(p["proj_w"], p["proj_b"], s["context"], s["attention"])
        self.add1 = scheme.design_residual(s["attention"], s["x"], s["r1"])
        self.norm2 = scheme.design_norm(p["gamma2"], p["beta2"], s["r1"], s["n2"])
        self.up = linear(p["up_w"], p["up_b"], s["n2"], s["up"], bits.gelu)
        self.gelu = scheme.design_activation(s["up"], s["gelu"], HIDDEN)
        self.down = linear(p["down_w"], p["down_b"], s["gelu"], s["mlp"])
        self.add2 = scheme.design_residual(s["mlp"], s["r1"], s["y"])

    def encode(self, x: np.ndarray) -> Quantized:
        return self.scheme.encode(x, self.scale["x"], self.scheme.bits.residual)

    def __call__(self, x: Quantized) -> dict[str, Quantized]:
        """Every tensor of the block as integers, by name."""
        t = {"x": x, "n1": self.norm1(x)}
        for name in "qkv":
            t[name] = getattr(self, name)(t["n1"])
        t["p"] = self.attend(split(t["q"]), split(t["k"]))
        t["context"] = joined(self.mix(t["p"], split(t["v"])))
        t["attention"] = self.proj(t["context"])
        t["r1"] = self.add1(t["attention"], x)
        t["n2"] = self.norm2(t["r1"])
        t["up"] = self.up(t["n2"])
        t["gelu"] = self.gelu(t["up"])
        t["mlp"] = self.down(t["gelu"])
        t["y"] = self.add2(t["mlp"], t["r1"])
        return t


def split(q: Quantized) -> Quantized:
    """Heads apart; a token's scale is every head's."""
    per_head = [np.swapaxes(v[..., None, :], -2, -3) if v.ndim else v for v in (q.m, q.k, q.zero_point)]
    return Quantized(heads(q.data), *per_head)


def joined(q: Quantized) -> Quantized:
    """Heads together; where every head of a token has its own scale they are brought to the finest common one."""
    if q.m.ndim == 0:
        return Quantized(merged(q.data), q.m, q.k, q.zero_point)
    tokens = np.swapaxes(q.centred * q.m, -2, -3)
    k = np.swapaxes(np.broadcast_to(q.k, (*q.shape[:-1], 1)), -2, -3)
    least = k.min(axis=-2, keepdims=True)
    aligned = (tokens >> (k - least)).reshape(*tokens.shape[:-2], DIM)
    return Quantized(aligned, 1, least[..., 0])
