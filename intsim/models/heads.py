"""Attention heads and sums over tokens on quantised tensors, whose scales go along or are brought to one."""

from __future__ import annotations

import numpy as np

from intsim.exact import exact, run
from intsim.formats.quantized import Quantized
from intsim.linear.illm import requantize_rows
from intsim.schemes import Layer

__all__ = ["merge_heads", "split_heads", "sum_tokens"]

_GUARD = 8  # fraction bits kept while scales are brought to the coarsest


def split_heads(x: Quantized, heads: int) -> Quantized:
    """(batch, n, size) as (batch, heads, n, size / heads); scales of tokens go along."""
    data = np.ascontiguousarray(np.swapaxes(x.data.reshape(*x.shape[:2], heads, -1), 1, 2))
    return Quantized(data, *(v[:, None] if v.ndim else v for v in (x.m, x.k, x.zero_point)))


def merge_heads(x: Quantized, product: Layer) -> Quantized:
    """The heads side by side again; where each had a scale of its own, requantised to one per token."""
    batch, heads, tokens, size = x.shape
    if x.m.size == 1:
        data = np.ascontiguousarray(np.swapaxes(x.data, 1, 2)).reshape(batch, tokens, heads * size)
        return Quantized(data, *(v.reshape(()) for v in (x.m, x.k, x.zero_point)))
    rows, k = _aligned(x, axis=1)
    data = np.ascontiguousarray(np.swapaxes(rows, 1, 2)).reshape(batch, tokens, heads * size)
    return requantize_rows(product.matmul.stage(), data, np.ones((), np.int64), k.reshape(batch, tokens, 1))  # type: ignore[attr-defined]


def sum_tokens(x: Quantized) -> Quantized:
    """(batch, n, size) summed over its tokens, (batch, size)."""
    if x.m.size == 1:
        return Quantized(x.data.sum(axis=1, dtype=np.int64), x.m.reshape(()), x.k.reshape(()))
    rows, k = _aligned(x, axis=1)
    return Quantized(rows.sum(axis=1), 1, k[:, 0])


def _aligned(x: Quantized, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """``centred * m`` of the whole tensor brought to the coarsest scale along `axis`, and that scale's k."""
    k = np.broadcast_to(x.k, (*x.shape[:-1], 1))
    least = k.min(axis=axis, keepdims=True)
    rows, m, drop = (
        np.ascontiguousarray(np.broadcast_to(v, shape)).reshape(-1, shape[-1])
        for v, shape in ((x.centred, x.shape), (x.m, k.shape), (k - least, k.shape))
    )
    out = np.empty(rows.shape, dtype=np.int64)
    run(to_coarsest, rows, m[:, 0].copy(), drop[:, 0].copy(), _GUARD, out)
    return out.reshape(x.shape), least + _GUARD


@exact
def to_coarsest(x, m, drop, guard, out):
    """Rows times their mantissa, `guard` fraction bits appended, shifted right by their distance to the coarsest."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = ((x[i, j] * m[i]) << guard) >> min(drop[i], 63)
