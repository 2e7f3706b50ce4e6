"""Integer average pools, as HAWQ-V3, TensorFlow Lite and TOSA compute them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError, UnknownName
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.operators import Row, require_int
from intsim.rounding import TIES_AWAY, TIES_TO_POS, TO_ZERO, divide_round, shift_round
from intsim.rows import spread_rows
from intsim.unit import Hazard

__all__ = ["CONVENTIONS", "AveragePool", "average_pool"]

CONVENTIONS = ("hawq", "tflite", "tosa")
HAWQ, TFLITE, TOSA = range(3)


@dataclass(frozen=True)
class AveragePool(Row):
    """The mean of each row of `count` integers, rounded as one of three projects does.

    ==========  ============================================================================
    ``hawq``    ``trunc(S / count + 0.01)``: negative means lose a unit (-1 gives 0), and with more than 100
                elements a fraction of 0.99 rounds up
    ``tflite``  ``S / count``, TIES_AWAY (CMSIS-NN's too)
    ``tosa``    ``(S mult) / 2**shift``, TIES_TO_POS, with TOSA's reciprocal of `count`
    ==========  ============================================================================

    Source: HAWQ-V3's ``QuantAveragePool2d`` (floats there; the same rule in rationals here), TensorFlow Lite's
    reference kernel, the TOSA specification's ``AVG_POOL2D`` with ``reciprocal_scale``.

    Parameters
    ----------
    count : elements of a window
    convention : ``hawq``, ``tflite`` or ``tosa``
    """

    count: int
    convention: str = "hawq"

    def __post_init__(self) -> None:
        self._check_row()
        if self.convention not in CONVENTIONS:
            raise UnknownName("convention of the average pool", self.convention, CONVENTIONS)
        require_int(self, "count", 1, self.max_row, f"use max_row of at least {self.count}")

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": self.x}

    @property
    def reciprocal(self) -> tuple[int, int]:
        """TOSA's multiplier and shift for ``1 / count``."""
        k = (self.count - 1).bit_length()
        return (((1 << 30) + 1) << k) // self.count, 30 + k

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the sum, two's complement."""
        return {"sum": self.x.bits + (self.count - 1).bit_length()}

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(1)

    def real(self, *values: Any) -> Any:
        return np.asarray(values[0], dtype=np.float64).mean(axis=-1)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Extreme rows, and rows whose sums run through every remainder around zero and the ends."""
        rows = [[int(v) for v in row] for row in spread_rows(self.x, self.count)]
        for total in range(-3 * self.count - 3, 3 * self.count + 4, max(self.count // 60, 1)):
            each, rest = divmod(total, self.count)
            rows.append([min(max(each + (j < rest), self.x.lo), self.x.hi) for j in range(self.count)])
        limit = (1 << 61) // (self.count * self._factor)
        return (np.clip(np.array(rows, dtype=self.x.dtype), max(-limit, self.x.lo), min(limit, self.x.hi)),)

    def hazards(self) -> tuple[Hazard, ...]:
        found = []
        if self.convention == "hawq" and self.x.signed:
            found.append(Hazard("negative means are truncated after adding 0.01: -1 gives 0", "pool behind a ReLU"))
        bits = self.widths["sum"] + self._factor.bit_length()
        if bits > 63:
            found.append(Hazard(f"the scaled sum needs {bits} bits of 63", "declare a narrower x"))
        return tuple(found)

    @property
    def _factor(self) -> int:
        """What the sum is multiplied by."""
        return {"hawq": 100, "tflite": 1, "tosa": self.reciprocal[0]}[self.convention]

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        if x.shape[1] != self.count:
            raise IntsimError(f"rows of {x.shape[1]} do not fit windows of {self.count}; give (..., {self.count})")
        bound = max(int(x.max()), -int(x.min())) * self.count * self._factor
        if bound >> 62:
            raise IntsimError(f"the scaled sum reaches {bound}, 62 bits fit; use narrower values")
        total = np.empty(len(x), dtype=np.int64)
        y = np.empty(len(x), dtype=self.x.dtype)
        run(pool_rows, x, CONVENTIONS.index(self.convention), *self.reciprocal, total, y)
        return {"sum": total, "y": y}


def average_pool(x: Any, size: int, stride: int | None = None, convention: str = "hawq") -> np.ndarray:
    """The average pool of images, without padding.

    Parameters
    ----------
    x : integers (..., H, W); the result has the same dtype
    size : edge of the square window
    stride : `size` by default

    Returns
    -------
    ndarray (..., (H - size) // stride + 1, (W - size) // stride + 1)
    """
    array = np.asarray(x)
    if array.dtype.kind not in "iu":
        raise DtypeError(f"x: expected integers, got {array.dtype}; encode real values first")
    step = size if stride is None else stride
    for name, value in (("size", size), ("stride", step)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise IntsimError(f"{name} must be an integer of at least 1, got {value!r}")
    if array.ndim < 2 or size > min(array.shape[-2:]):
        raise IntsimError(f"a window of {size} does not fit images of shape {array.shape}; use a smaller one")
    windows = np.lib.stride_tricks.sliding_window_view(array, (size, size), axis=(-2, -1))
    chosen = windows[..., ::step, ::step, :, :]
    fmt = Int(8 * array.dtype.itemsize, array.dtype.kind == "i")
    unit = AveragePool(size * size, convention, x=fmt, max_row=size * size)
    return unit(chosen.reshape(*chosen.shape[:-2], size * size))


@exact
def pool_rows(x, convention, multiplier, shift, out_sum, out):
    """Sum and rounded mean of every row."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        total = 0
        for j in range(n):
            total += x[i, j]
        if convention == HAWQ:
            out[i] = divide_round(100 * total + n, 100 * n, TO_ZERO)
        elif convention == TFLITE:
            out[i] = divide_round(total, n, TIES_AWAY)
        else:
            out[i] = shift_round(total * multiplier, shift, TIES_TO_POS)
        out_sum[i] = total
