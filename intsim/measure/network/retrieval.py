"""A sentence encoder judged by retrieval: the rest of a text is to be found by its first sentence."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.measure.network.statistics import difference, with_interval
from intsim.models.real.stdlib_text import docstrings, is_held_out

__all__ = ["by_length", "evaluate", "pairs", "read_pairs", "vectors_of"]


CALIBRATION = 32
"""Pairs that calibrate and are never judged on."""


def pairs(limit: int, seed: int = 0, held_out: bool = True) -> list[tuple[str, str]]:
    """Docstrings of the standard library as (first sentence, rest), in an order drawn by `seed`.

    Parameters
    ----------
    limit : at most so many, of about 3,000 (Python 3.11)
    held_out : those to judge on: of held-out modules first, then of the others; else those that calibrate, at most
        :data:`CALIBRATION`
    """
    judged, others = (_drawn(found, seed) for found in _texts())
    if not held_out:
        return others[: min(limit, CALIBRATION)]
    known = {query for query, _ in judged}
    return [*judged, *(pair for pair in others[CALIBRATION:] if pair[0] not in known)][:limit]


def _drawn(found: Mapping[str, str], seed: int) -> list[tuple[str, str]]:
    items = list(found.items())
    return [items[i] for i in np.random.default_rng(seed).permutation(len(found))]


@functools.cache
def _texts() -> tuple[dict[str, str], dict[str, str]]:
    """The rest of a text by its first sentence, in held-out modules and in the others; found once, in seconds."""
    held_out: dict[str, str] = {}
    others: dict[str, str] = {}
    for item in docstrings():
        head, _, rest = " ".join(item.text.split()).partition(". ")
        if len(head) >= 20 and len(rest) >= 40:
            (held_out if is_held_out(item.module) else others).setdefault(head, rest)
    return held_out, others


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """The (query, target) texts of a file: two columns with a tab between, or JSON lines.

    A JSON line is a list of two texts or an object with ``query`` and ``target``.

    Raises
    ------
    IntsimError
        The file cannot be read, or a line is neither; the message names the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IntsimError(f"cannot read {path}: {error}; give a file of pairs") from None
    found = [_pair(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if len(found) < 2:
        raise IntsimError(f"{path} holds {len(found)} pairs; retrieval needs at least two")
    return found


def _pair(line: str, where: str) -> tuple[str, str]:
    try:
        item: Any = json.loads(line) if line.lstrip()[0] in "[{" else line.split("\t")
        query, target = (item["query"], item["target"]) if isinstance(item, dict) else item
    except (ValueError, KeyError, TypeError):
        query = target = None
    if not (isinstance(query, str) and isinstance(target, str) and query.strip() and target.strip()):
        raise IntsimError(f'{where}: expected QUERY<tab>TARGET, ["query", "target"] or {{"query": ..., "target": ...}}')
    return query, target


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


def vectors_of(
    encode: Callable[[np.ndarray], np.ndarray],
    tokenizer: Any,
    texts: Sequence[str],
    longest: int,
    progress: Callable[[float, float], None] | None = None,
) -> np.ndarray:
    """The vectors that `encode` gives for texts, float64 (texts, size), each of length 1."""
    found: np.ndarray | None = None
    done = 0
    for members, tokens in by_length(tokenizer, texts, longest):
        part = np.asarray(encode(tokens), dtype=np.float64)
        if found is None:
            found = np.empty((len(texts), part.shape[-1]))
        found[members] = part / np.maximum(np.linalg.norm(part, axis=-1, keepdims=True), 1e-30)
        done += len(members)
        if progress is not None:
            progress(done, len(texts))
    if found is None:
        raise IntsimError("no pairs to judge the network on; give at least one")
    return found


def evaluate(real: np.ndarray, got: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Retrieval by the twin's vectors and by the integer network's, and the cosine between them.

    Parameters
    ----------
    real, got : vectors of length 1 (2 pairs, size): query, target, query, target ...; targets are the candidates
    seed : of the bootstrap

    Returns
    -------
    dict
        ``float``, ``integer`` and ``difference`` (paired) with ``top1`` (share of queries whose own target is the
        nearest) and ``mrr`` (mean reciprocal rank), and ``cosine``; each with its 95 % interval.
    """
    ranks = {"float": _ranks(real), "integer": _ranks(got)}
    scores = {side: {"top1": rank == 1, "mrr": 1 / rank} for side, rank in ranks.items()}
    figures: dict[str, Any] = {
        side: {name: with_interval(values, seed) for name, values in found.items()} for side, found in scores.items()
    }
    figures["difference"] = {
        name: difference(values, scores["float"][name], seed) for name, values in scores["integer"].items()
    }
    return {"pairs": len(real) // 2, **figures, "cosine": with_interval((real * got).sum(axis=1), seed)}


def _ranks(vectors: np.ndarray) -> np.ndarray:
    likeness = vectors[::2] @ vectors[1::2].T
    own = np.diag(likeness)[:, None]
    return 1 + (likeness > own).sum(axis=1) + ((likeness == own).sum(axis=1) - 1)  # ties count against the network
