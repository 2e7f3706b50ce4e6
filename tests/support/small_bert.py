"""A small BERT of random weights: as an object, and as a folder of Hugging Face's form with a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

__all__ = ["PAIRS", "WORDS", "bert_folder", "write_pairs"]

WORDS = ["the", "of", "a", "list", "file", "name", "value", "return", "set", "key"]
WORDS += ["text", "line", "code", "path", "read", "write", "sort", "open", "close", "next"]
PAIRS = [(" ".join(WORDS[i : i + 3]), " ".join(WORDS[(i + k * k) % 20] for k in range(7))) for i in range(16)]


def bert_folder(folder: Path, seed: int = 0, size: int = 16, inner: int = 32, blocks: int = 2) -> Path:
    """``config.json``, ``model.safetensors`` and ``tokenizer.json`` of a BERT with two heads."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int, mean: float = 0, deviation: float) -> None:
        tensors[name] = rng.normal(mean, deviation, shape).astype(np.float32)

    def add_linear(name: str, rows: int, columns: int) -> None:
        add(f"{name}.weight", rows, columns, deviation=columns**-0.5)
        add(f"{name}.bias", rows, deviation=0.1)

    def add_norm(name: str) -> None:
        add(f"{name}.weight", size, mean=1, deviation=0.1)
        add(f"{name}.bias", size, deviation=0.1)

    for table, rows in (("word", len(WORDS) + 1), ("position", 12), ("token_type", 2)):
        add(f"embeddings.{table}_embeddings.weight", rows, size, deviation=1)
    add_norm("embeddings.LayerNorm")
    for number in range(blocks):
        at = f"encoder.layer.{number}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            add_linear(f"{at}attention.{name}", size, size)
        add_linear(f"{at}intermediate.dense", inner, size)
        add_linear(f"{at}output.dense", size, inner)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            add_norm(at + name)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "num_attention_heads": 2,
        "num_hidden_layers": blocks,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["?", *WORDS])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_pairs(path: Path) -> Path:
    """:data:`PAIRS` as lines with a tab."""
    path.write_text("".join(f"{query}\t{target}\n" for query, target in PAIRS))
    return path
