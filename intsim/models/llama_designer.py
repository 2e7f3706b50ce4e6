"""Design of an integer Llama: its widths by place, and the layers that other networks do not have."""

from __future__ import annotations

import dataclasses

import numpy as np

from intsim.errors import IntsimError
from intsim.models import left_in_float
from intsim.models.designer import Designer
from intsim.models.real.llama import Llama, LlamaBlock
from intsim.schemes import Scheme, StaticScheme

__all__ = ["HEAD_BITS", "LOGIT_BITS", "LlamaDesigner", "at_least"]

UP_BITS, HEAD_BITS, LOGIT_BITS = 8, 8, 16  # of the factor of the gate, of the head's operands, of the logits


class LlamaDesigner(Designer):
    """The layers of a Llama's block."""

    def scale(self, place: str) -> float:
        kind, bits = place.rpartition(".")[2], self.scheme.bits
        wide = {name: bits.residual for name in ("q", "k", "proj", "down")}
        wide |= {"gate": bits.gelu, "up": UP_BITS, "logits": LOGIT_BITS}
        if place not in self.scales and kind in wide:
            self.scales[place] = float(self.ranges[place].scale(wide[kind]))
        return super().scale(place)

    def block(self, at: str, block: LlamaBlock, model: Llama, x: str) -> str:
        """The layers of one block, and the place of its result."""
        wide = self.scheme.bits.residual
        self.rms_norm(at + "norm1", block.norm["norm1"], model.eps, x)
        for name, bits in (("q", wide), ("k", wide), ("v", None)):
            self.linear(at + name, block.linear[name], at + "norm1", bits)
        for name in ("q", "k"):
            scales = (self.scale(at + name), self.scale(f"{at}{name}_rope"))
            rotary = self.scheme.design_rotary(model.channels, model.positions, model.base, *scales)
            self.layers[f"{at}{name}_rope"] = rotary
        self.causal(at, model.channels)
        self.linear(at + "proj", block.linear["proj"], at + "context", wide)
        self.residual(at + "sum1", at + "proj", x)
        self.rms_norm(at + "norm2", block.norm["norm2"], model.eps, at + "sum1")
        self.linear(at + "gate", block.linear["gate"], at + "norm2", self.scheme.bits.gelu)
        self.linear(at + "up", block.linear["up"], at + "norm2", UP_BITS)
        self.gated(at, block.alpha)
        self.linear(at + "down", block.linear["down"], at + "act", wide)
        self.residual(at + "sum2", at + "down", at + "sum1")
        return at + "sum2"

    def rms_norm(self, place: str, gamma: np.ndarray, eps: float, source: str) -> None:
        """RMSNorm."""
        if self.is_float("norm"):
            self.layers[place] = left_in_float.rms_norm(self.scheme, gamma, eps, self.scale(place))
        else:
            self.layers[place] = self.scheme.design_rms_norm(gamma, self.scale(source), self.scale(place))

    def causal(self, at: str, channels: int) -> None:
        """``p`` and ``context``."""
        q, k, scores, v, context = (self.scale(at + n) for n in ("q_rope", "k_rope", "scores", "v", "context"))
        factor = channels**-0.5
        if self.is_float("softmax"):
            attention = left_in_float.attention(self.scheme, factor)
            self.layers[at + "p"] = attention
            self.layers[at + "context"] = self.scheme.design_product(attention.scale, v, context)
        else:
            pair = self.scheme.design_causal(q, k, scores, v, context, factor, self.longest)
            self.layers[at + "p"], self.layers[at + "context"] = pair

    def gated(self, at: str, alpha: np.ndarray) -> None:
        """``gate sigmoid(gate / alpha) up`` at the place ``act``."""
        gate, up, act = (self.scale(at + name) for name in ("gate", "up", "act"))
        if self.scheme.has_gated:
            self.layers[at + "act"] = self.scheme.design_gated(gate, up, act, alpha, len(alpha))
        elif self.is_float("activation"):
            self.layers[at + "act"] = left_in_float.gated(self.scheme, alpha, act)
        else:
            raise IntsimError(f"{self.scheme.name} has no gated activation; use scheme.replace(gated=...)")


def at_least(scheme: Scheme, bits: int) -> Scheme:
    """The scheme with so many bits for weights and activations, where it has fewer."""
    weight, activation = (max(width, bits) for width in (scheme.bits.weight, scheme.bits.activation))
    wider = scheme.replace(bits=dataclasses.replace(scheme.bits, weight=weight, activation=activation))
    if isinstance(scheme, StaticScheme) and weight > scheme.bits.weight:
        return wider.replace(weight_limits=(1 - (1 << (weight - 1)), (1 << (weight - 1)) - 1))
    return wider
