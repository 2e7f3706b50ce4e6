"""A BERT of random weights, and tokens for it."""

import numpy as np

from intsim.models import Bert
from intsim.models.real.bert import Block

__all__ = ["SAMPLES", "small"]


def small(seed=0, size=16, heads=2, inner=32):
    """A twin of two blocks with random weights."""
    rng = np.random.default_rng(seed)

    def matrix(rows, columns):
        w = rng.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        return w, rng.normal(0, 0.1, columns).astype(np.float32)

    def pair():
        return rng.normal(1, 0.1, size).astype(np.float32), rng.normal(0, 0.1, size).astype(np.float32)

    def block():
        linear = {name: matrix(size, size) for name in ("q", "k", "v", "proj")}
        return Block(
            linear | {"up": matrix(size, inner), "down": matrix(inner, size)}, {"norm1": pair(), "norm2": pair()}
        )

    tables = (rng.normal(0, 1, (rows, size)).astype(np.float32) for rows in (50, 12, 2))
    return Bert(heads, 1e-12, *tables, norm=pair(), blocks=(block(), block()))


SAMPLES = [np.random.default_rng(n).integers(0, 50, (2, 7)) for n in range(4)]
