"""Attention in which a token sees itself and the tokens before it, with scales found at run time.

Under I-LLM every key and every value has a scale of its own. They are brought to one scale row by row, over what the
row sees, so that a token's result depends on nothing behind it: a text token by token, with keys and values kept,
gives the same integers as the whole text at once. **Ours:** the paper has one scale per matrix, its code leaves the
softmax and the probabilities in floating point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.exact import exact, run
from intsim.formats.quantized import Quantized
from intsim.linear.illm import DIMatMul, requantize_rows
from intsim.nonlinear.constants import DI_K_MAX
from intsim.nonlinear.softmax import DIClippedSoftmax
from intsim.unit import Unit

__all__ = ["CausalAttention", "CausalProduct"]


@dataclass(frozen=True, eq=False)
class CausalAttention:
    """Scores and clipped softmax of ``layer(q, k, valid)``; ``m / 2**k`` is the factor on the scores.

    A row of scores: ``P_j = ((q - zq) (k_j - zk_j) m_j) >> (e_j - min e)``, the minimum over the scores that are valid
    and not 0.
    """

    matmul: DIMatMul
    m: int
    k: int
    softmax: DIClippedSoftmax

    @property
    def units(self) -> tuple[Unit, ...]:
        return (self.softmax,)

    def __call__(self, *tensors: Any) -> Quantized:
        q, key, valid = tensors
        acc, _, _ = self.matmul.accumulate(_centred(q), _transposed(_centred(key)))
        seen = np.ascontiguousarray(np.broadcast_to(valid, acc.shape))
        scores, least = _at_one_scale(np.where(seen, acc, 0), key)
        rows = (*acc.shape[:-1], 1)
        m, k = (np.broadcast_to(v, rows).reshape(-1) for v in (q.m * self.m, q.k + least + self.k))
        excess = np.maximum(k - DI_K_MAX, 0)  # scales finer than the softmax takes lose bits of m
        flags = seen.astype(np.uint8).reshape(scores.shape)
        y = self.softmax.probabilities(scores, flags, np.maximum(m >> excess, 1), k - excess)
        return Quantized(y.reshape(acc.shape), 1, self.softmax.out_bits - 1)


@dataclass(frozen=True, eq=False)
class CausalProduct:
    """Probabilities times values: the values' scales go into the probabilities, which are requantised row by row.

    ``a_j = (p_j m_j) >> (e_j - min e)`` with the minimum over the probabilities that are not 0, then DI-MatMul of
    `weights` bits for the row and of `wide` bits for its result.

    Attributes
    ----------
    weights : requantises the probabilities with the values' scales inside
    wide : requantises the result, head by head
    matmul : the width of all heads together, for what joins them
    """

    weights: DIMatMul
    wide: DIMatMul
    matmul: DIMatMul

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.weights.stage(), self.wide.stage(), self.matmul.stage()

    def __call__(self, *tensors: Quantized) -> Quantized:
        p, value = tensors
        folded, least = _at_one_scale(p.data.astype(np.int64), value)
        row = requantize_rows(self.weights.stage(), folded.reshape(p.shape), np.ones((), np.int64), p.k + least)
        acc, m, k = self.wide.accumulate(row, _centred(value))
        return requantize_rows(self.wide.stage(), acc, m, k)


def _centred(q: Quantized) -> Quantized:
    """What the scales multiply."""
    return Quantized(q.narrow_centred)


def _transposed(q: Quantized) -> Quantized:
    return Quantized(np.swapaxes(q.data, -1, -2))


def _at_one_scale(x: np.ndarray, tokens: Quantized) -> tuple[np.ndarray, np.ndarray]:
    """(..., rows, n) with the scale of each of the n tokens inside, as a matrix of rows, and each row's exponent."""
    shape = (*tokens.shape[:-1], 1)
    m, k = (np.ascontiguousarray(np.broadcast_to(v, shape)).reshape(-1, shape[-2]) for v in (tokens.m, tokens.k))
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    out, least = np.empty(rows.shape, dtype=np.int64), np.empty(len(rows), dtype=np.int64)
    run(align_seen, rows, m, k, x.shape[-2], out, least)
    return out, least.reshape(*x.shape[:-1], 1)


@exact
def align_seen(x, m, k, per, out, out_least):
    """Rows times the mantissa of each column, at the coarsest scale of the columns that are not 0.

    `per` rows belong to one row of `m` and `k`. A row of zeros gets the exponent 30.
    """
    for i in range(x.shape[0]):
        at = i // per
        least = 255
        for j in range(x.shape[1]):
            if x[i, j] != 0:
                least = min(least, k[at, j])
        for j in range(x.shape[1]):
            out[i, j] = 0
            if x[i, j] != 0:
                out[i, j] = (x[i, j] * m[at, j]) >> min(k[at, j] - least, 63)
        out_least[i] = least if least < 255 else 30
