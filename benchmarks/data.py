"""The operands of the cases, the same in every library."""

from __future__ import annotations

import numpy as np

__all__ = ["channel_constants", "operands", "real_rows", "rows", "rows16", "single_constants"]


def operands(case, dtype=np.int8):
    """Two matrices, or batches of them, over the full range of `dtype`."""
    rng, bound = case.random(), np.iinfo(dtype)
    *lead, m, k, n = case.shape
    a = rng.integers(bound.min, bound.max, (*lead, m, k), dtype=dtype, endpoint=True)
    return a, rng.integers(bound.min, bound.max, (*lead, k, n), dtype=dtype, endpoint=True)


def rows(case):
    """Accumulators of 20 bits, int32."""
    return case.random().integers(-(1 << 19), 1 << 19, case.shape, dtype=np.int32)


def real_rows(case):
    """The same as real numbers of about unit size, float32."""
    return rows(case).astype(np.float32) / np.float32(1 << 17)


def rows16(case):
    """16-bit codes with 12 fraction bits."""
    return case.random().integers(-(1 << 15), 1 << 15, case.shape, dtype=np.int16)


def single_constants():
    """Multiplier and shift of a scale near 127 / 2**19."""
    return 1_127_000_000, 42


def channel_constants(channels):
    """One multiplier and one shift per channel."""
    rng = np.random.default_rng(7)
    return rng.integers(1 << 30, 1 << 31, channels, dtype=np.int64), rng.integers(40, 44, channels, dtype=np.int64)
