"""How well a language model foretells a text: perplexity, by float and by integers.

The protocol: the text's tokens are cut into consecutive windows that do not overlap, each is read alone, and every
token but a window's first is foretold from those before it in the window. Perplexity is the exponential of the mean of
``-log p`` over all of them. The bootstrap draws windows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.measure.network.statistics import with_interval

__all__ = ["evaluate", "losses_of", "windows"]

_BATCH = 8  # windows at once


def windows(tokenizer: Any, text: str, length: int, least: int = 1) -> np.ndarray:
    """A text's tokens (windows, length); what is left over at its end is dropped.

    Raises
    ------
    IntsimError
        Too few tokens for the least number of windows.
    """
    tokens = np.array(tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)
    if len(tokens) < least * length:
        raise IntsimError(f"the text has {len(tokens)} tokens, {least} windows take {least * length}; give more text")
    return tokens[: len(tokens) // length * length].reshape(-1, length)


def losses_of(
    logits: Callable[[np.ndarray], np.ndarray],
    tokens: np.ndarray,
    progress: Callable[[float, float], None] | None = None,
) -> np.ndarray:
    """Mean of ``-log p`` of each window (windows,).

    Parameters
    ----------
    logits : of tokens (batch, n), real (batch, n, vocabulary)
    tokens : (windows, n)
    """
    found = []
    for at in range(0, len(tokens), _BATCH):
        part = tokens[at : at + _BATCH]
        scores = logits(part)[:, :-1]
        scores = scores - scores.max(axis=-1, keepdims=True)
        own = np.take_along_axis(scores, part[:, 1:, None], axis=-1)[..., 0]
        found.append((np.log(np.exp(scores).sum(axis=-1)) - own).mean(axis=-1))
        if progress is not None:
            progress(min(at + _BATCH, len(tokens)), len(tokens))
    return np.concatenate(found).astype(np.float64)


def evaluate(real: np.ndarray, got: np.ndarray, length: int, seed: int = 0) -> dict[str, Any]:
    """Perplexity by float and by integers.

    Parameters
    ----------
    real, got : ``-log p`` of each window, of the twin and of the network
    length : tokens of a window

    Returns
    -------
    dict
        ``windows``, ``tokens`` foretold, ``float``, ``integer`` and ``difference`` (the same windows drawn for both),
        each with ``perplexity``, and ``ratio``, that of the two perplexities; ``mean``, ``low``, ``high`` each.
    """
    if not len(real):
        raise IntsimError("no window to judge the network on; give a longer text")
    drawn = np.random.default_rng(seed).integers(0, len(real), (1000, len(real)))
    gaps = np.exp(got[drawn].mean(axis=1)) - np.exp(real[drawn].mean(axis=1))
    low, high = np.percentile(gaps, (2.5, 97.5))
    gap = {"mean": float(np.exp(got.mean()) - np.exp(real.mean())), "low": float(low), "high": float(high)}
    return {
        "windows": len(real),
        "tokens": len(real) * (length - 1),
        "float": {"perplexity": _exponential(with_interval(real, seed))},
        "integer": {"perplexity": _exponential(with_interval(got, seed))},
        "difference": {"perplexity": gap},
        "ratio": _exponential(with_interval(got - real, seed)),
    }


def _exponential(figure: dict[str, float]) -> dict[str, float]:
    """Of a mean and the ends of its interval: the exponential is monotonic."""
    return {name: float(np.exp(value)) for name, value in figure.items()}
