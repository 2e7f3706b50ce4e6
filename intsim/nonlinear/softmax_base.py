"""What every integer softmax has: rows of scores, masks, and a sum whose reciprocal scales the exponentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Format, Int
from intsim.operators import Row
from intsim.tables.range_reduced import NormalReciprocal

__all__ = ["NormalisedSum", "RowSoftmax", "check_sum", "with_valid"]


@dataclass(frozen=True)
class RowSoftmax(Row):
    """What every integer softmax has: one port of scores and, if `masked`, one of valid bits.

    Parameters
    ----------
    masked : whether there is a port ``valid``; without an argument for it every element counts
    """

    _: KW_ONLY
    masked: bool = False

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x, "valid": Int(1, signed=False)} if self.masked else {"x": self.x}

    def __call__(  # type: ignore[override]
        self, x: Any, valid: Any = None, *, out: np.ndarray | None = None
    ) -> Any:
        """Probabilities of the rows of `x`.

        Parameters
        ----------
        x : integers (..., n)
        valid : 0 and 1 (or booleans), of a shape that broadcasts with `x`; all 1 by default
        out : see :class:`~intsim.unit.Unit`
        """
        return super().__call__(*self._columns(x, valid), out=out)

    def trace(self, x: Any, valid: Any = None) -> dict[str, np.ndarray]:
        return super().trace(*self._columns(x, valid))

    def real(self, *values: Any) -> Any:
        """The softmax of the real scores along the last axis; a row without a valid element gives zeros."""
        scores = self._from_port(values[0])
        keep = np.asarray(values[1]) > 0 if len(values) > 1 else np.ones(scores.shape, dtype=bool)
        scores, keep = np.broadcast_arrays(scores, keep)
        shifted = np.where(keep, scores - np.max(scores, axis=-1, keepdims=True, where=keep, initial=-np.inf), -np.inf)
        powers = np.exp(shifted)
        total = powers.sum(axis=-1, keepdims=True)
        return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)

    def _columns(self, x: Any, valid: Any) -> tuple[Any, ...]:
        if valid is None:
            return (x, np.uint8(1)) if self.masked else (x,)
        if not self.masked:
            raise IntsimError(f"{self.name} has no valid bits; build it with masked=True")
        try:
            mask = np.asarray(valid)
        except ValueError:
            return x, valid  # nested lists of unequal length: the port refuses them
        return (x, mask.astype(np.uint8) if mask.dtype.kind == "b" else mask)

    def _corner_ports(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The rows as they are; with a mask also a second time, under masks that hide the ends and every third."""
        if not self.masked:
            return (rows,)
        masks = np.ones((2 * len(rows), rows.shape[1]), dtype=np.uint8)
        place = np.arange(rows.shape[1])
        for i in range(len(rows)):
            masks[len(rows) + i] = (place != i % rows.shape[1]) & ((place + i) % 3 != 0)
        masks[-1] = 0
        return np.concatenate([rows, rows]), masks


class NormalisedSum:
    """Multiplication by one normalised reciprocal per row; listed before :class:`RowSoftmax` among the bases."""

    max_row: int
    reciprocal: NormalReciprocal | None

    @property
    def factor(self) -> NormalReciprocal:
        """The reciprocal, which is never None after construction."""
        assert self.reciprocal is not None
        return self.reciprocal

    def _check_reciprocal(self, largest: int) -> None:
        """The reciprocal must take the largest sum of a row up to `max_row`."""
        if self.factor.x.hi < largest:
            raise IntsimError(
                f"the sum of {self.max_row} exponentials reaches {largest}, the reciprocal takes {self.factor.x}; "
                f"use {largest.bit_length()} bits"
            )

    @staticmethod
    def _check_row_sum(n: int, top: int) -> None:
        """The sum of a row of `n` exponentials up to `top` must fit the widest reciprocal."""
        if (n * top) >> 46:
            raise IntsimError(f"a row of {n} exponentials leaves 46 bits; use shorter rows")


def with_valid(columns: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    if len(columns) == 2:
        return columns[0], columns[1]
    return columns[0], np.ones(columns[0].shape, dtype=np.uint8)


def check_sum(n: int, top: int) -> None:
    """The sum of a row of `n` exponentials must fit int64."""
    if (n * top) >> 63:
        raise IntsimError(f"a row of {n} exponentials up to {top} leaves int64; use rows up to {(1 << 63) // top - 1}")
