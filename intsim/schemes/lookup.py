"""Embedding tables under schemes whose scales belong to tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.formats.quantized import Quantized

__all__ = ["TokenTable"]


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Rows of an integer table, each with a scale and a zero point of its own. **Ours.**"""

    table: Quantized

    def __call__(self, tokens: Any) -> Quantized:
        """The rows (..., channels) of integer tokens (...).

        Raises
        ------
        DtypeError, IntsimError
            Tokens that are no integers, or beyond the table.
        """
        index = np.asarray(tokens)
        if index.dtype.kind not in "iu":
            raise DtypeError(f"tokens: expected integers, got {index.dtype}")
        if index.size and not 0 <= int(index.min()) <= int(index.max()) < self.table.shape[0]:
            raise IntsimError(f"tokens {index.min()}..{index.max()}, the table holds 0..{self.table.shape[0] - 1}")
        table = self.table
        return Quantized(*(v[index] for v in (table.data, table.m, table.k, table.zero_point)))
