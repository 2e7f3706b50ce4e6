"""Embedding: rows of an integer table, chosen by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import exact, run
from intsim.formats import Int
from intsim.formats.quantized import Quantized
from intsim.operators import from_scale

__all__ = ["Embedding"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """A table of codes of one scale ``m / 2**k``; several tables of that scale are added without rounding.

    Parameters
    ----------
    codes : integers (tokens, channels)
    scale : (m, k)
    bits : width of a code, two's complement

    Notes
    -----
    The papers leave the embedding in floating point, I-ViT has 16 bits for the position embedding. One scale for
    word, position and type tables is ours: the sum then needs no requantisation, and its width is stated
    (:meth:`sum_bits`).
    """

    codes: np.ndarray
    scale: tuple[int, int]
    bits: int = 16

    def __post_init__(self) -> None:
        codes = np.asarray(self.codes)
        if codes.dtype.kind not in "iu":
            raise DtypeError(f"codes: expected integers, got {codes.dtype}; use Embedding.from_real")
        if codes.ndim != 2 or not codes.size:
            raise IntsimError(f"codes are (tokens, channels), got {codes.shape}")
        fmt = Int(self.bits)
        object.__setattr__(self, "codes", fmt.check(codes, "codes").astype(fmt.dtype))

    @classmethod
    def from_real(cls, table: Any, bits: int = 16, scale: float | None = None) -> Embedding:
        """The codes of a real table, TIES_TO_EVEN; `scale` is ``max|w|`` over the largest code by default.

        Raises
        ------
        IntsimError
            Not finite, not a matrix, or a scale that is not positive.
        """
        real = np.asarray(table, dtype=np.float64)
        if real.ndim != 2 or not real.size or not np.all(np.isfinite(real)):
            raise IntsimError(f"the table is finite and (tokens, channels), got {real.shape}")
        fmt = Int(bits)
        step = (float(np.abs(real).max()) / fmt.hi or 1.0) if scale is None else scale
        m, k = from_scale(step)
        return cls(np.clip(np.rint(real / float(step)), fmt.lo, fmt.hi).astype(fmt.dtype), (m, k), bits)

    @staticmethod
    def sum_bits(*tables: Embedding) -> int:
        """Bits that the sum of one row of each table needs."""
        return max(table.bits for table in tables) + (len(tables) - 1).bit_length()

    def __call__(self, tokens: Any, *others: tuple[Embedding, Any]) -> Quantized:
        """The rows of `tokens`, plus those of other tables of the same scale.

        Parameters
        ----------
        tokens : integers (...)
        others : (table, tokens) each; their tokens broadcast against `tokens`

        Returns
        -------
        Quantized (..., channels), one scale

        Raises
        ------
        DtypeError, IntsimError
            Tokens that are no integers or beyond the table, or tables of other scale or width.
        """
        tables, chosen = (self, *(table for table, _ in others)), (tokens, *(numbers for _, numbers in others))
        columns = self.codes.shape[1]
        for table in tables[1:]:
            if table.scale != self.scale or table.codes.shape[1] != columns:
                raise IntsimError("tables that are added have one scale and one width; use from_real(..., scale=)")
        indices = np.broadcast_arrays(*(t._index(n) for t, n in zip(tables, chosen, strict=True)))
        fmt = Int(self.sum_bits(*tables))
        total = np.zeros((indices[0].size, columns), dtype=np.int64)
        for table, index in zip(tables, indices, strict=True):
            run(add_rows, table.codes, np.ascontiguousarray(index).reshape(-1), total)
        return Quantized(total.astype(fmt.dtype).reshape(*indices[0].shape, columns), *self.scale)

    def _index(self, tokens: Any) -> np.ndarray:
        index = np.asarray(tokens)
        if index.dtype.kind not in "iu":
            raise DtypeError(f"tokens: expected integers, got {index.dtype}")
        if index.size and not 0 <= int(index.min()) <= int(index.max()) < len(self.codes):
            worst = int(index.max()) if int(index.max()) >= len(self.codes) else int(index.min())
            raise IntsimError(f"token {worst} is not in [0, {len(self.codes) - 1}]; give a larger table")
        return index.astype(np.int64)


@exact
def add_rows(table, index, out_total):
    """The row of each token added to what is there."""
    for i in range(index.size):
        for j in range(table.shape[1]):
            out_total[i, j] += table[index[i], j]
