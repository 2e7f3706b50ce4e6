"""Llama in float32: the twin that calibrates an integer-only network and that it is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.models.real import folder as folders
from intsim.models.real.bert import merge, softmax, split

__all__ = ["Llama", "LlamaBlock", "causal", "made_up", "rms_norm", "rotate", "sigmoid"]

Cache = dict[str, np.ndarray]
Record = Callable[[str, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class LlamaBlock:
    """The weights of one block.

    Attributes
    ----------
    linear : pairs of matrix (inputs, outputs) and bias or None, by the places ``q k v proj gate up down``
    norm : gamma of ``norm1`` and ``norm2``
    alpha : divisor inside the gate's sigmoid, per channel; ones but for a smoothed network (FSBR)
    """

    linear: Mapping[str, tuple[np.ndarray, np.ndarray | None]]
    norm: Mapping[str, np.ndarray]
    alpha: np.ndarray


_LINEAR = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "proj": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
_NORM = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"}

_DEFAULTS: dict[str, Any] = {  # what Hugging Face takes for keys that a config leaves out
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "max_position_embeddings": 2048,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}


@dataclass(frozen=True, eq=False)
class Llama:
    """A causal language model: RMSNorm before each branch, rotary positions, grouped heads, SwiGLU.

    Parameters
    ----------
    heads, groups : heads of the queries, and of keys and values
    base : of the rotary angles
    positions : the longest text
    eps : of RMSNorm
    words : embedding table (tokens, size)
    head : matrix (size, tokens) of the logits
    norm : gamma in front of the head
    blocks : the layers
    """

    heads: int
    groups: int
    base: float
    positions: int
    eps: float
    words: np.ndarray
    head: np.ndarray
    norm: np.ndarray
    blocks: tuple[LlamaBlock, ...]

    @classmethod
    def load(cls, folder: str | Path) -> Llama:
        """The model in a folder of Hugging Face's form.

        Raises
        ------
        IntsimError
            Files that are missing or damaged, another kind of model, scaled rotary angles, quantised weights, tensors
            of other shapes than the config says.
        """
        path = folders.find(folder)
        config = _DEFAULTS | folders.config(path)
        if config.get("model_type") != "llama" or config["hidden_act"] != "silu":
            raise IntsimError(
                f"{path} holds {config.get('model_type')!r} with {config['hidden_act']!r}; give a Llama with silu"
            )
        if config.get("quantization_config"):
            raise IntsimError(f"the weights in {path} are quantised; give the model's floating point weights")
        base, shapes, tensors = _rotary_base(path, config), _shapes(config), folders.weights(path)
        heads, groups, size = config["num_attention_heads"], _groups(config), config["hidden_size"]
        if heads % groups or shapes["q"][1] // heads % 2:
            raise IntsimError(
                f"{path}: {heads} heads in {groups} groups, {shapes['q'][1]} channels in all; correct config.json: "
                "groups of one size, an even number of channels per head"
            )

        def get(name: str, *shape: int) -> np.ndarray:
            if name not in tensors:
                raise IntsimError(f"{path} has no tensor {name}; the weights do not fit config.json")
            if tensors[name].shape != shape:
                raise IntsimError(
                    f"{path}: {name} is of shape {tensors[name].shape}, by config.json of {shape}; correct one of them"
                )
            return tensors[name]

        def pair(place: str, name: str) -> tuple[np.ndarray, np.ndarray | None]:
            inputs, outputs = shapes[place]
            bias = get(f"{name}.bias", outputs) if f"{name}.bias" in tensors else None
            return np.ascontiguousarray(get(f"{name}.weight", outputs, inputs).T), bias

        def block(number: int) -> LlamaBlock:
            at = f"model.layers.{number}."
            linear = {place: pair(place, at + name) for place, name in _LINEAR.items()}
            norm = {place: get(f"{at}{name}.weight", size) for place, name in _NORM.items()}
            return LlamaBlock(linear, norm, np.ones(config["intermediate_size"], dtype=np.float32))

        words = get("model.embed_tokens.weight", config["vocab_size"], size)
        head = words if config["tie_word_embeddings"] else get("lm_head.weight", config["vocab_size"], size)
        return cls(
            heads,
            groups,
            base,
            config["max_position_embeddings"],
            config["rms_norm_eps"],
            words,
            np.ascontiguousarray(head.T),
            get("model.norm.weight", size),
            tuple(block(number) for number in range(config["num_hidden_layers"])),
        )

    @property
    def channels(self) -> int:
        """Channels of one head."""
        return self.blocks[0].linear["q"][0].shape[1] // self.heads

    def __call__(self, tokens: Any, cache: Cache | None = None) -> np.ndarray:
        """The logits, float32 (batch, n, vocabulary), of tokens (batch, n).

        Parameters
        ----------
        cache : keys and values of the tokens before, empty at first; those of `tokens` are added to it
        """
        return self.forward(tokens, lambda _, tensor: tensor, cache)

    def real(self, tokens: Any) -> dict[str, np.ndarray]:
        """Every tensor of the network by its place, ``logits`` the last. Scores of later tokens are 0."""
        found: dict[str, np.ndarray] = {}

        def record(place: str, tensor: np.ndarray) -> np.ndarray:
            found[place] = tensor
            return tensor

        self.forward(tokens, record)
        return found

    def forward(self, tokens: Any, record: Record, cache: Cache | None = None) -> np.ndarray:
        """The logits; every tensor on the way passes `record`.

        Raises
        ------
        IntsimError
            More tokens than positions.
        """
        codes = np.asarray(tokens)
        past = cache["0.v"].shape[2] if cache else 0
        if past + codes.shape[-1] > self.positions:
            raise IntsimError(f"{past + codes.shape[-1]} tokens, the model has {self.positions}; cut the text")
        x = record("embedding", self.words[codes])
        for number, block in enumerate(self.blocks):
            x = self._block(f"{number}.", block, x, record, past, cache)
        x = record("norm", rms_norm(x, self.norm, self.eps))
        return record("logits", _linear((self.head, None), x))

    def _block(
        self, at: str, block: LlamaBlock, x: np.ndarray, record: Record, past: int, cache: Cache | None
    ) -> np.ndarray:
        batch, n, _ = x.shape
        inner = record(at + "norm1", rms_norm(x, block.norm["norm1"], self.eps))
        q, k, v = (
            record(at + name, split(_linear(block.linear[name], inner), heads))
            for name, heads in (("q", self.heads), ("k", self.groups), ("v", self.groups))
        )
        place = np.arange(past, past + n)
        q, k = (record(f"{at}{name}_rope", rotate(t, place, self.base)) for name, t in (("q", q), ("k", k)))
        if cache is not None:
            k, v = (_extend(cache, at + name, t) for name, t in (("k", k), ("v", v)))
        grouped = q.reshape(batch, self.groups, -1, q.shape[-1])  # the heads of a group above each other
        scores = (grouped @ np.swapaxes(k, -1, -2) * np.float32(q.shape[-1] ** -0.5)).reshape(*q.shape[:-1], -1)
        seen = causal(n, past)
        record(at + "scores", np.where(seen, scores, np.float32(0)))
        p = record(at + "p", softmax(np.where(seen, scores, np.float32(-np.inf))))
        mixed = (p.reshape(*grouped.shape[:-1], -1) @ v).reshape(q.shape)
        context = record(at + "context", merge(mixed))
        x = record(at + "sum1", x + record(at + "proj", _linear(block.linear["proj"], context)))
        inner = record(at + "norm2", rms_norm(x, block.norm["norm2"], self.eps))
        gate, up = (record(at + name, _linear(block.linear[name], inner)) for name in ("gate", "up"))
        act = record(at + "act", gate * sigmoid(gate / block.alpha) * up)
        return record(at + "sum2", x + record(at + "down", _linear(block.linear["down"], act)))


def _rotary_base(path: Path, config: Mapping[str, Any]) -> float:
    """Of the rotary angles, which newer configs keep under ``rope_parameters``; refused where angles are scaled."""
    base = config["rope_theta"]
    for key in ("rope_scaling", "rope_parameters"):
        found = config.get(key) or {}
        kind = found.get("rope_type", found.get("type", "default"))
        if kind != "default" or found.get("partial_rotary_factor", 1) != 1:
            raise IntsimError(f"{path} scales its rotary angles ({key}: {found}); give a model that does not")
        base = found.get("rope_theta", base)
    return float(base)


def _groups(config: Mapping[str, Any]) -> int:
    return config.get("num_key_value_heads") or config["num_attention_heads"]


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of a block's linear layers, by place."""
    size, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    channels = config.get("head_dim") or size // heads
    queries, keys = heads * channels, _groups(config) * channels
    attention = {"q": (size, queries), "k": (size, keys), "v": (size, keys), "proj": (queries, size)}
    return attention | {"gate": (size, inner), "up": (size, inner), "down": (inner, size)}


def made_up(config: Mapping[str, Any], seed: int = 0) -> Llama:
    """A model of the shapes in a ``config.json`` with random weights, for speed and memory.

    Parameters
    ----------
    config : what it leaves out is LLaMA-7B's, such as all but ``{"num_hidden_layers": 1}``
    """
    rng = np.random.default_rng(seed)
    config = _DEFAULTS | dict(config)
    size, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]

    def matrix(rows: int, columns: int) -> np.ndarray:
        return rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(rows**-0.5)

    def block() -> LlamaBlock:
        gamma = {name: rng.normal(1, 0.1, size).astype(np.float32) for name in ("norm1", "norm2")}
        linear: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
            place: (matrix(*shape), None) for place, shape in _shapes(config).items()
        }
        return LlamaBlock(linear, gamma, np.ones(inner, dtype=np.float32))

    blocks = tuple(block() for _ in range(config["num_hidden_layers"]))
    words = rng.standard_normal((vocabulary, size), dtype=np.float32)
    head = np.ascontiguousarray(words.T) if config["tie_word_embeddings"] else matrix(size, vocabulary)
    return Llama(
        config["num_attention_heads"],
        _groups(config),
        config["rope_theta"],
        config["max_position_embeddings"],
        config["rms_norm_eps"],
        words,
        head,
        np.ones(size, dtype=np.float32),
        blocks,
    )


def causal(n: int, past: int = 0) -> np.ndarray:
    """Which tokens each of `n` new ones sees behind `past` old ones: itself and those before, bool (n, past + n)."""
    return np.arange(past + n) <= np.arange(past, past + n)[:, None]


def rms_norm(x: np.ndarray, gamma: np.ndarray, eps: float) -> np.ndarray:
    """Over the last axis."""
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(eps)) * gamma


def rotate(x: np.ndarray, positions: np.ndarray, base: float) -> np.ndarray:
    """Queries or keys (..., n, channels) turned by their position; channel d is paired with d + channels/2."""
    half = x.shape[-1] // 2
    angle = np.outer(positions, float(base) ** (-np.arange(half) / half))
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-x))`` without overflow."""
    return np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * x))


def _linear(pair: tuple[np.ndarray, np.ndarray | None], x: np.ndarray) -> np.ndarray:
    w, b = pair
    y = (x.reshape(-1, x.shape[-1]) @ w).reshape(*x.shape[:-1], -1)  # one product, not one per text
    return y if b is None else y + b


def _extend(cache: Cache, place: str, new: np.ndarray) -> np.ndarray:
    """All keys or values so far, the new ones behind the old."""
    cache[place] = np.concatenate([cache[place], new], axis=2) if place in cache else new
    return cache[place]
