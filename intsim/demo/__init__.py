"""Real activations of a real transformer, small enough to be kept in the package.

``activations.npz`` was made by :mod:`intsim.demo.sample` (``python -m intsim.demo.sample``) from all-MiniLM-L6-v2,
a BERT of six layers, on English text.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from intsim.errors import IntsimError

__all__ = ["STORED", "Activations", "activations"]

STORED = Path(__file__).with_name("activations.npz")


@dataclass(frozen=True)
class Activations:
    """What the non-linear functions of one transformer were given.

    Attributes
    ----------
    scores : float32[layers, heads, rows, tokens], attention scores before the softmax, scaled by 1/sqrt(d)
    mlp : float32[layers, tokens, channels], pre-activations of the MLP (what GELU is given)
    model, text : where they come from
    """

    scores: np.ndarray
    mlp: np.ndarray
    model: str
    text: tuple[str, ...]

    @property
    def exponents(self) -> np.ndarray:
        """What the softmax's exponential is given: scores less the largest of their row, at most 0."""
        return self.scores - self.scores.max(axis=-1, keepdims=True)


def activations(path: str | Path = STORED) -> Activations:
    """The stored sample."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Activations(stored["scores"], stored["mlp"], str(stored["model"]), tuple(map(str, stored["text"])))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise IntsimError(f"{path} is damaged ({error}); make it again with python -m intsim.demo.sample") from None
