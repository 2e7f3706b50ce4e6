"""Softmaxes whose exponential depends on the distance to the row's maximum only: it comes from a table.

The table holds the exponential of every distance up to the one from which it does not change, as the golden model
computes it; a unit whose scale is so fine that it would be large keeps its golden model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.dots import LANES
from intsim.kernels.memory import aligned, room
from intsim.kernels.spans import gather_span, scale_span
from intsim.kernels.threads import in_parts
from intsim.nonlinear.softmax_rows import INT32_MAX

__all__ = ["ibert_softmax", "shiftmax"]

_LONGEST = 1 << 16  # words of a table
_PARALLEL = 1 << 17
_KEPT = 64

_tables: OrderedDict[str, np.ndarray | None] = OrderedDict()


def shiftmax(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.softmax.Shiftmax`: the sum limited to 31 bits, ``(2**31 - 1) // sum``."""
    # At n |x0| the scaled distance is limited, and the scaled distance is at least 23/16 of it, less one.
    return _softmax(unit, columns, given, (-unit.x0 * unit.n * 16) // 23 + 2, INT32_MAX, unit.profile == "ivit", "e")


def ibert_softmax(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.softmax.IBertSoftmax`: ``2**32 // sum`` of 16-bit exponentials."""
    return _softmax(unit, columns, given, -unit.x0 * 30 + 1, 1 << 32, False, "e16")


def _softmax(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray], last: int, numerator: int,
    limited: bool, net: str,
) -> dict[str, np.ndarray] | None:  # fmt: skip
    x = columns[0]
    if x.dtype == np.uint32 or x.dtype.itemsize > 4:
        return None
    table = _table_of(unit, last, net)
    if table is None or x.shape[1] * int(table[0]) >> 62:
        return None
    valid = columns[1] if len(columns) > 1 else np.empty((len(x), 0), dtype=np.uint8)
    out = given.get("y")
    if out is None:
        out = aligned(x.shape, unit.outputs["y"].dtype)
    shift = 32 - unit.out_bits

    def work(first: int, stop: int) -> None:
        powers = room("powers", (x.shape[1],), np.uint32)
        part = slice(first, stop)
        compiled(softmax_rows)(x[part], valid[part], table, numerator, limited, shift, powers, out[part])

    in_parts(work, len(x), 1, x.size > _PARALLEL)
    return {"y": out}


def _table_of(unit: Any, last: int, net: str) -> np.ndarray | None:
    """Exponentials of the distances 0 to `last`, uint32."""
    key = unit.sha256
    if key not in _tables:
        _tables[key] = _build(unit, last, net) if last <= _LONGEST else None
        if len(_tables) > _KEPT:
            _tables.popitem(last=False)
    return _tables[key]


def _build(unit: Any, last: int, net: str) -> np.ndarray | None:
    import dataclasses

    from intsim.formats import Int

    # One row holds all distances: its maximum is 0. The sum of such a row is not used.
    wide = dataclasses.replace(unit, x=Int(32), masked=False)
    row = -np.arange(last + 1, dtype=np.int32)[None, :]
    evaluate: Callable[..., dict[str, np.ndarray]] = wide._evaluate
    powers = evaluate(row)[net][0]
    if int(powers.max()) >> 31 or np.any(np.diff(powers) > 0):
        return None
    return powers.astype(np.uint32)


@kernel
def softmax_rows(x, valid, table, numerator, limited, shift, powers, out):
    """Rows of scores; `valid` has no columns where every element counts."""
    rows, columns = x.shape
    masked = valid.shape[1] > 0
    last = np.int64(table.size - 1)
    for i in range(rows):
        row, result = x[i], out[i]
        mark = valid[i]
        if masked:
            top = np.int64(-(1 << 62))
            for j in range(columns):
                if mark[j] != 0:
                    top = max(top, np.int64(row[j]))
        else:
            most = row[0]
            for j in range(columns):
                most = max(most, row[j])
            top = np.int64(most)
        gathered = 0 if masked else columns // LANES * LANES
        if gathered > 0:
            gather_span(row, top, last, table.ctypes.data, powers.ctypes.data, gathered)
        for j in range(gathered, columns):
            distance = max(min(top - np.int64(row[j]), last), 0)
            counted = not masked or mark[j] != 0
            powers[j] = table[distance] if counted else np.uint32(0)
        total = np.int64(0)
        for j in range(columns):
            total += np.int64(powers[j])
        if limited:
            total = min(total, np.int64(INT32_MAX))
        factor = np.int64(numerator // total if total > 0 else 0)
        scaled = columns // LANES * LANES if factor >> 32 == 0 else 0
        if scaled > 0:
            scale_span(powers.ctypes.data, factor, np.int64(shift), result, scaled)
        for j in range(scaled, columns):
            result[j] = (np.int64(powers[j]) * factor) >> shift
