"""A small vision transformer of random weights, and images for it."""

from __future__ import annotations

import numpy as np

from intsim.models.patches import Patches
from intsim.models.real.bert import Block
from intsim.models.real.vit import ViT

__all__ = ["images", "small_vit"]

SHAPE = (3, 8, 12)


def small_vit(seed: int = 0, size: int = 16, heads: int = 2, inner: int = 32, classes: int = 5) -> ViT:
    """Two blocks over six patches of 4 x 4 pixels in three channels; some gammas are negative."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        w = rng.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        return w, rng.normal(0, 0.1, columns).astype(np.float32)

    def pair() -> tuple[np.ndarray, np.ndarray]:
        gamma = rng.normal(1, 0.2, size) * np.where(rng.random(size) < 0.2, -1, 1)
        return gamma.astype(np.float32), rng.normal(0, 0.1, size).astype(np.float32)

    def block() -> Block:
        linear = {name: matrix(size, size) for name in ("q", "k", "v", "proj")}
        return Block(
            linear | {"up": matrix(size, inner), "down": matrix(inner, size)}, {"norm1": pair(), "norm2": pair()}
        )

    return ViT(
        heads,
        1e-6,
        Patches(SHAPE, 4),
        gain=np.array([2 / 255, 4 / 255, 3 / 255], dtype=np.float32),
        offset=np.array([-1, -1.5, -1.25], dtype=np.float32),
        patches=matrix(48, size),
        first=rng.normal(0, 1, size).astype(np.float32),
        positions=rng.normal(0, 0.3, (7, size)).astype(np.float32),
        blocks=(block(), block()),
        norm=pair(),
        head=matrix(size, classes),
        labels=tuple("abcde"[:classes]),
    )


def images(seed: int, batch: int = 4) -> np.ndarray:
    """Pixels of 8 bits."""
    return np.random.default_rng(seed).integers(0, 256, (batch, *SHAPE), dtype=np.uint8)
