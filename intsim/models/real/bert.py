"""BERT in float32: the twin that calibrates an integer-only network and that it is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.models.real import folder as folders

__all__ = ["Bert", "Block", "gelu", "layer_norm", "linear", "merge", "softmax", "split"]


@dataclass(frozen=True, eq=False)
class Block:
    """The weights of one block: pairs of matrix (inputs, outputs) and bias, pairs of gamma and beta."""

    linear: Mapping[str, tuple[np.ndarray, np.ndarray]]
    norm: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def attention(self, x: np.ndarray, heads: int) -> dict[str, np.ndarray]:
        """From ``q`` to ``proj``."""
        t = {name: split(linear(self.linear[name], x), heads) for name in "qkv"}
        t["scores"] = t["q"] @ np.swapaxes(t["k"], -1, -2) * np.float32(t["q"].shape[-1] ** -0.5)
        t["p"] = softmax(t["scores"])
        t["context"] = merge(t["p"] @ t["v"])
        t["proj"] = linear(self.linear["proj"], t["context"])
        return t

    def mlp(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """``up``, ``gelu``, ``down``."""
        t = {"up": linear(self.linear["up"], x)}
        t["gelu"] = gelu(t["up"])
        t["down"] = linear(self.linear["down"], t["gelu"])
        return t


_LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "proj": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
_NORM = {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}


@dataclass(frozen=True, eq=False)
class Bert:
    """A BERT encoder with mean pooling, norms behind the residual adds.

    Parameters
    ----------
    heads : attention heads
    eps : of LayerNorm
    words, positions, types : embedding tables
    norm : gamma and beta behind the embeddings
    blocks : the layers
    """

    heads: int
    eps: float
    words: np.ndarray
    positions: np.ndarray
    types: np.ndarray
    norm: tuple[np.ndarray, np.ndarray]
    blocks: tuple[Block, ...]

    @classmethod
    def load(cls, folder: str | Path) -> Bert:
        """The model in a folder of Hugging Face's form.

        Raises
        ------
        IntsimError
            Files that are missing or damaged, another kind of model, an activation other than GELU.
        """
        path = folders.find(folder)
        config = folders.config(path)
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise IntsimError(
                f"{path} holds {config.get('model_type')!r} with {config.get('hidden_act')!r}; give a BERT with gelu"
            )
        tensors = folders.weights(path)
        prefix = "bert." if any(name.startswith("bert.") for name in tensors) else ""

        def get(name: str) -> np.ndarray:
            if prefix + name not in tensors:
                raise IntsimError(f"{path} has no tensor {prefix + name}; the weights do not fit config.json")
            return tensors[prefix + name]

        def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
            return get(f"{name}.weight"), get(f"{name}.bias")

        def block(number: int) -> Block:
            at = f"encoder.layer.{number}."
            matrices = {key: pair(at + name) for key, name in _LINEAR.items()}
            return Block(
                {key: (np.ascontiguousarray(w.T), b) for key, (w, b) in matrices.items()},
                {key: pair(at + name) for key, name in _NORM.items()},
            )

        return cls(
            config["num_attention_heads"],
            config["layer_norm_eps"],
            get("embeddings.word_embeddings.weight"),
            get("embeddings.position_embeddings.weight"),
            get("embeddings.token_type_embeddings.weight"),
            norm=pair("embeddings.LayerNorm"),
            blocks=tuple(block(number) for number in range(config["num_hidden_layers"])),
        )

    def embed(self, tokens: Any) -> np.ndarray:
        """The sum of the three embeddings, float32 (batch, n, size), of tokens (batch, n)."""
        codes = np.asarray(tokens)
        if codes.shape[-1] > len(self.positions):
            raise IntsimError(f"{codes.shape[-1]} tokens, the model has {len(self.positions)} positions; cut the text")
        return self.words[codes] + self.positions[: codes.shape[-1]] + self.types[0]

    def real(self, tokens: Any) -> dict[str, np.ndarray]:
        """Every tensor of the network by its place, ``pooled`` the last; all texts have the same length."""
        x = self.embed(tokens)
        found = {"embedding": x}
        x = found["embedded"] = layer_norm(x, *self.norm, self.eps)
        for number, block in enumerate(self.blocks):
            inside = self._real_block(block, x)
            found |= {f"{number}.{name}": tensor for name, tensor in inside.items()}
            x = inside["norm2"]
        found["pooled"] = x.mean(axis=1)
        return found

    def _real_block(self, block: Block, x: np.ndarray) -> dict[str, np.ndarray]:
        t = block.attention(x, self.heads)
        t["sum1"] = x + t["proj"]
        t["norm1"] = layer_norm(t["sum1"], *block.norm["norm1"], self.eps)
        t |= block.mlp(t["norm1"])
        t["sum2"] = t["norm1"] + t["down"]
        t["norm2"] = layer_norm(t["sum2"], *block.norm["norm2"], self.eps)
        return t


def linear(pair: tuple[np.ndarray, np.ndarray], x: np.ndarray) -> np.ndarray:
    """``x W + b`` over the last axis, one product for the whole batch."""
    weight, bias = pair
    return (x.reshape(-1, x.shape[-1]) @ weight + bias).reshape(*x.shape[:-1], -1)


def split(x: np.ndarray, heads: int) -> np.ndarray:
    """(batch, n, size) as (batch, heads, n, size / heads)."""
    return np.ascontiguousarray(x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2))


def merge(x: np.ndarray) -> np.ndarray:
    """The heads side by side again."""
    return np.ascontiguousarray(x.swapaxes(1, 2)).reshape(x.shape[0], x.shape[2], -1)


def softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> np.ndarray:
    """Over the last axis."""
    d = x - x.mean(axis=-1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + np.float32(eps)) * gamma + beta


def gelu(x: np.ndarray) -> np.ndarray:
    """``x`` times the normal distribution's share below it."""
    from scipy.special import ndtr

    return x * ndtr(x)
