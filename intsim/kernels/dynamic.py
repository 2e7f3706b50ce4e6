"""Dynamic requantisation of int32 rows to codes of up to 8 bits: division by a row's span as a multiplication."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.memory import aligned
from intsim.kernels.threads import in_parts

__all__ = ["dynamic_codes", "dynamic_requantize"]

_PARALLEL = 1 << 17


def dynamic_requantize(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """The codes by kernel; scale and zero point from the golden model, on a row of each range's two ends."""
    (x,) = columns
    if unit.bits > 8 or x.dtype != np.int32 or x.shape[1] < 4:
        return None
    ends = np.empty((len(x), 2), dtype=np.int32)
    out = given.get("y")
    if out is None:
        out = aligned(x.shape, np.uint8)
    run, rows = compiled(dynamic_codes), range(len(x))
    full = (1 << unit.bits) - 1

    def work(first: int, last: int) -> None:
        run(x[first:last], unit.include_zero, full, ends[first:last], out[first:last])

    in_parts(work, len(rows), 1, x.size > _PARALLEL)
    results = unit._evaluate(ends)
    return {**results, "y": out}


@kernel
def dynamic_codes(x, include_zero, full, ends, out):
    """``floor((2 (x - low) full + span) / (2 span))`` of every row, and its least and largest element.

    With n the numerator and d = 2 span, ``(n + 1/2) / d`` lies at least ``1 / (2 d) >= 2**-34`` away from every
    integer; in float64 it is computed within ``2**-43`` (n < 2**42, quotients below 2**8): its integer part is right.
    """
    rows, columns = x.shape
    assert full <= 255
    for i in range(rows):
        row, result = x[i], out[i]
        low, top = row[0], row[0]
        for j in range(columns):
            low = min(low, row[j])
            top = max(top, row[j])
        ends[i, 0] = low
        ends[i, 1] = top
        least, most = np.int64(low), np.int64(top)
        if include_zero:
            least, most = min(least, 0), max(most, 0)
        span = max(most - least, 1)
        scale = 1.0 / (2.0 * np.float64(span))
        for j in range(columns):
            numerator = np.float64(2 * (np.int64(row[j]) - least) * full + span) + 0.5
            result[j] = np.uint8(np.int32(numerator * scale))
