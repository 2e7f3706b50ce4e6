"""Weights to integers: one rule per name, every rounding named.

A rule has three independent choices: which weights share a scale (:class:`Granularity`), whether zero is in the
middle of the codes (`symmetric`), and how the range is found (:class:`Range`). Scales are real numbers here; a
scheme turns them into integers (``intsim.formats.dyadic``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from intsim.errors import IntsimError
from intsim.formats.base import smallest_dtype
from intsim.formats.fixed import round_real
from intsim.rounding import TIES_TO_EVEN, Rounding

__all__ = ["Granularity", "QuantizedWeights", "Range", "quantize_weights"]


class Granularity(enum.Enum):
    """Which weights of ``w[out, in]`` share a scale."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    GROUP = "group"


class Range(enum.Enum):
    """How the range of a group of weights is found.

    ``MINMAX`` keeps every weight; ``PERCENTILE`` cuts the tails at a given share; ``MSE`` shrinks the range in
    steps and keeps the one of least squared error.
    """

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    MSE = "mse"


@dataclass(frozen=True)
class QuantizedWeights:
    """Integer weights; the real weight is ``(data - zero_point) * scale``.

    Attributes
    ----------
    data : smallest integer dtype, [out, in]
    scale : float64[out or 1, groups or 1]
    zero_point : int64, the shape of `scale`; all zero where symmetric
    bits : width of a code
    group : input channels that share a scale
    """

    data: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    bits: int
    group: int

    def real(self) -> np.ndarray:
        """The real weights the integers stand for, float64[out, in]."""
        rows, columns = self.data.shape
        parts = self.data.reshape(rows, columns // self.group, self.group).astype(np.float64)
        return ((parts - self.zero_point[..., None]) * self.scale[..., None]).reshape(rows, columns)


def quantize_weights(
    weights: np.ndarray,
    bits: int = 8,
    granularity: Granularity = Granularity.CHANNEL,
    *,
    symmetric: bool = True,
    range: Range = Range.MINMAX,
    group: int = 128,
    percentile: float = 99.9,
    steps: int = 80,
    rounding: Rounding = TIES_TO_EVEN,
    narrow: bool = False,
) -> QuantizedWeights:
    """Weights as integers of `bits` bits.

    Parameters
    ----------
    weights : float[out, in]
    bits : 2 to 16
    granularity : which weights share a scale
    symmetric : signed codes around zero, no zero point; otherwise unsigned codes with one
    range : how the range is found
    group : input channels per scale, for ``Granularity.GROUP``; must divide `in`
    percentile : share kept, in percent, for ``Range.PERCENTILE``
    steps : ranges tried between 20 % and 100 % of the full one, for ``Range.MSE``
    rounding : of ``w / scale``
    narrow : leave out the lowest code, so that the range is symmetric (I-ViT, gemmlowp)

    Raises
    ------
    IntsimError
        Weights that are not a finite matrix, a width out of range, a group that does not divide the inputs.

    Notes
    -----
    ``scale = max|w| / (2**(bits-1) - 1)`` where symmetric, ``(max - min) / (2**bits - 1)`` with zero inside the
    range where not. A group of zeros gets scale 1.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or not weights.size or not np.all(np.isfinite(weights)):
        raise IntsimError(
            f"weights must be a finite matrix [out, in], got shape {weights.shape}; reshape or clean them"
        )
    if not 2 <= bits <= 16:
        raise IntsimError(f"weights take 2 to 16 bits, got {bits}")
    rows, columns = weights.shape
    width = group if granularity is Granularity.GROUP else columns
    if width < 1 or columns % width:
        raise IntsimError(f"group {width} does not divide {columns} input channels; choose a divisor")
    parts = weights.reshape(rows, columns // width, width)
    if granularity is Granularity.TENSOR:
        parts = weights.reshape(1, 1, -1)
    grid = _Grid(bits, symmetric, narrow, rounding)
    low, high = _range(parts, range, percentile, steps, grid)
    scale, zero = grid.scale(low, high)
    data = grid.codes(parts, scale, zero).reshape(rows, columns)
    return QuantizedWeights(data.astype(smallest_dtype(grid.lo, grid.hi)), scale, zero.astype(np.int64), bits, width)


@dataclass(frozen=True)
class _Grid:
    """The codes available, and how real numbers fall on them."""

    bits: int
    symmetric: bool
    narrow: bool
    rounding: Rounding

    @property
    def lo(self) -> int:
        return (-(1 << (self.bits - 1)) if self.symmetric else 0) + self.narrow

    @property
    def hi(self) -> int:
        return (1 << (self.bits - self.symmetric)) - 1

    def scale(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.symmetric:
            scale = np.maximum(np.abs(low), np.abs(high)) / self.hi
            return np.where(scale > 0, scale, 1.0), np.zeros_like(scale)
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        scale = (high - low) / (self.hi - self.lo)
        scale = np.where(scale > 0, scale, 1.0)
        return scale, np.clip(round_real(self.lo - low / scale, self.rounding), self.lo, self.hi)

    def codes(self, parts: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
        codes = round_real(parts / scale[..., None], self.rounding) + zero[..., None]
        return np.clip(codes, self.lo, self.hi)


def _range(parts: np.ndarray, rule: Range, percentile: float, steps: int, grid: _Grid) -> tuple[np.ndarray, np.ndarray]:
    low, high = parts.min(axis=-1), parts.max(axis=-1)
    if rule is Range.PERCENTILE:
        if not 50 < percentile <= 100:
            raise IntsimError(f"percentile must lie in (50, 100], got {percentile}")
        return np.percentile(parts, 100 - percentile, axis=-1), np.percentile(parts, percentile, axis=-1)
    if rule is Range.MINMAX:
        return low, high
    best = np.full(low.shape, np.inf)
    chosen_low, chosen_high = low, high
    for share in np.linspace(1.0, 0.2, steps):
        scale, zero = grid.scale(low * share, high * share)
        back = (grid.codes(parts, scale, zero) - zero[..., None]) * scale[..., None]
        error = ((back - parts) ** 2).sum(axis=-1)
        better = error < best
        best = np.where(better, error, best)
        chosen_low = np.where(better, low * share, chosen_low)
        chosen_high = np.where(better, high * share, chosen_high)
    return chosen_low, chosen_high
