"""What an integer-only network keeps of its float32 twin: retrieval and cosine with intervals, decibels by place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.models.bert import IntegerBert
from intsim.models.real.bert import Bert
from intsim.models.real.stdlib_text import docstrings, is_held_out

__all__ = ["by_length", "evaluate", "interval", "pairs", "signal_to_noise"]


def pairs(limit: int, seed: int = 0, held_out: bool = True) -> list[tuple[str, str]]:
    """Docstrings of the standard library as (first sentence, rest), in an order drawn by `seed`.

    Parameters
    ----------
    limit : at most so many
    held_out : those of held-out modules; else those for calibration
    """
    found: dict[str, str] = {}
    for item in docstrings():
        head, _, rest = " ".join(item.text.split()).partition(". ")
        if is_held_out(item.module) == held_out and len(head) >= 20 and len(rest) >= 40:
            found.setdefault(head, rest)
    order = np.random.default_rng(seed).permutation(len(found))[:limit]
    items = list(found.items())
    return [items[i] for i in order]


def by_length(tokenizer: Any, texts: Sequence[str], longest: int) -> Iterator[tuple[list[int], np.ndarray]]:
    """Groups of texts with the same number of tokens (cut at `longest`): their places in `texts`, and the tokens."""
    groups: dict[int, list[int]] = defaultdict(list)
    coded = [_cut(tokenizer.encode(text).ids, longest) for text in texts]
    for index, tokens in enumerate(coded):
        groups[len(tokens)].append(index)
    for _, members in sorted(groups.items()):
        for at in range(0, len(members), 16):
            part = members[at : at + 16]
            yield part, np.array([coded[i] for i in part])


def _cut(tokens: list[int], longest: int) -> list[int]:
    return tokens if len(tokens) <= longest else [*tokens[: longest - 1], tokens[-1]]


def interval(values: np.ndarray, seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def signal_to_noise(model: Bert, network: IntegerBert, tokens: np.ndarray) -> dict[str, dict[str, float]]:
    """Decibels against the twin at every place, and those of the worst token."""
    real, got = model.real(tokens), network.trace(tokens)
    found = {}
    for place, tensor in got.items():
        if place == "pooled":
            continue  # a sum here, a mean there
        noise = (np.square(tensor.decode() - real[place])).sum(axis=-1)
        signal = np.square(real[place].astype(np.float64)).sum(axis=-1)
        found[place] = {
            "decibels": _decibels(signal.sum(), noise.sum()),
            "worst_token": min(_decibels(s, n) for s, n in zip(signal.flat, noise.flat, strict=True)),
        }
    return found


def _decibels(signal: float, noise: float) -> float:
    return float(10 * np.log10(signal / noise)) if noise and signal else float("inf") if signal else float("-inf")


def evaluate(
    model: Bert,
    network: IntegerBert,
    tokenizer: Any,
    data: Sequence[tuple[str, str]],
    *,
    longest: int = 64,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> dict[str, Any]:
    """Retrieval of the rest of a text by its first sentence, by float and by integers, and the cosine between them.

    Parameters
    ----------
    data : (query, target) texts; the targets are the candidates
    longest : tokens a text is cut at
    seed : of the bootstrap

    Returns
    -------
    dict
        ``top1`` (share of queries whose own target is the nearest), ``mrr`` (mean reciprocal rank) and ``cosine``,
        each with its 95 % interval.
    """
    if not data:
        raise IntsimError("no pairs to judge the network on; give at least one")
    texts = [text for pair in data for text in pair]
    size = model.words.shape[1]
    real, got = np.empty((len(texts), size)), np.empty((len(texts), size))
    done = 0
    for members, tokens in by_length(tokenizer, texts, longest):
        real[members] = model.real(tokens)["pooled"]
        got[members] = network(tokens).decode()
        done += len(members)
        if progress is not None:
            progress(done, len(texts))
    real, got = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-30) for v in (real, got))
    figures = {"pairs": len(data), "float": _retrieval(real, seed), "integer": _retrieval(got, seed)}
    return {**figures, "cosine": _with_interval((real * got).sum(axis=1), seed)}


def _retrieval(vectors: np.ndarray, seed: int) -> dict[str, Any]:
    likeness = vectors[::2] @ vectors[1::2].T
    own = np.diag(likeness)[:, None]
    rank = 1 + (likeness > own).sum(axis=1) + ((likeness == own).sum(axis=1) - 1)  # ties count against the network
    return {"top1": _with_interval(rank == 1, seed), "mrr": _with_interval(1 / rank, seed)}


def _with_interval(values: np.ndarray, seed: int) -> dict[str, Any]:
    low, high = interval(np.asarray(values, dtype=np.float64), seed)
    return {"mean": float(np.mean(values)), "low": low, "high": high}
