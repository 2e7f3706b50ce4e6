"""Softmaxes whose exponential depends on the distance to the row's maximum only: by shifts, or from a table.

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
from intsim.kernels.spans import GROUP, REACH, gather_span, scale_span, scale_upper_span, shift_span
from intsim.kernels.threads import in_parts
from intsim.nonlinear.exp import shift_exp
from intsim.nonlinear.softmax_rows import INT32_MAX
from intsim.rounding import TIES_TO_POS, shift_round
from intsim.tables.range_reduced import normal_reciprocal

__all__ = ["ibert_softmax", "qans_softmax", "shiftmax"]

_LONGEST = 1 << 16  # words of a table
TABLE, IVIT, TVM = range(3)
_PARALLEL = 1 << 17
_KEPT = 64

_tables: OrderedDict[str, np.ndarray | None] = OrderedDict()


def shiftmax(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.softmax.Shiftmax`: the sum limited to 31 bits, ``(2**31 - 1) // sum``."""
    tvm = unit.profile == "ivit_tvm"
    if -unit.x0 < 1 << 15 and unit.n * -unit.x0 <= REACH and -unit.x0 << unit.n < 1 << 31:  # see shift_span
        table = np.empty(0, dtype=np.uint32)
        exponential = (TVM if tvm else IVIT, table, unit.x0, unit.n, -unit.x0 << unit.n)
        return _softmax(unit, columns, given, exponential, INT32_MAX, not tvm)
    # At n |x0| the scaled distance is limited, and the scaled distance is at least 23/16 of it, less one.
    return _softmax_by_table(unit, columns, given, (-unit.x0 * unit.n * 16) // 23 + 2, INT32_MAX, not tvm, "e")


def ibert_softmax(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.softmax.IBertSoftmax`: ``2**32 // sum`` of 16-bit exponentials."""
    return _softmax_by_table(unit, columns, given, -unit.x0 * 30 + 1, 1 << 32, False, "e16")


def qans_softmax(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.qans.QANSSoftmax`: quantiser and table are one table of distances."""
    x = columns[0]
    last = ((2 * unit.top + 1) << unit.shift) // (2 * unit.multiplier) + 2  # here the quantiser has its last code
    if x.dtype == np.uint32 or x.dtype.itemsize > 4 or x.shape[1] * int(unit.words.max()) >> 46:
        return None
    table = _table_of(unit, last, "e")
    if table is None:
        return None
    valid = columns[1] if len(columns) > 1 else np.empty((len(x), 0), dtype=np.uint8)
    out = given.get("y")
    if out is None:
        out = aligned(x.shape, unit.outputs["y"].dtype)
    constants = (table, int(table.max()), *unit.factor.constants(), unit.out_bits, int(unit.rounding))

    def work(first: int, stop: int) -> None:
        powers, part = room("powers", (x.shape[1],), np.uint32), slice(first, stop)
        compiled(normal_rows)(x[part], valid[part], *constants, powers, out[part])

    in_parts(work, len(x), 1, x.size > _PARALLEL)
    return {"y": out}


def _softmax_by_table(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray], last: int, numerator: int,
    limited: bool, net: str,
) -> dict[str, np.ndarray] | None:  # fmt: skip
    table = _table_of(unit, last, net)
    if table is None:
        return None
    return _softmax(unit, columns, given, (TABLE, table, 0, 0, int(table[0])), numerator, limited)


def _softmax(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray], exponential: tuple[Any, ...],
    numerator: int, limited: bool,
) -> dict[str, np.ndarray] | None:  # fmt: skip
    x = columns[0]
    if x.dtype == np.uint32 or x.dtype.itemsize > 4 or x.shape[1] * exponential[-1] >> 62:
        return None
    valid = columns[1] if len(columns) > 1 else np.empty((len(x), 0), dtype=np.uint8)
    out = given.get("y")
    if out is None:
        out = aligned(x.shape, unit.outputs["y"].dtype)
    shift = 32 - unit.out_bits

    def work(first: int, stop: int) -> None:
        powers = room("powers", (x.shape[1],), np.uint32)
        part = slice(first, stop)
        compiled(softmax_rows)(x[part], valid[part], *exponential, numerator, limited, shift, powers, out[part])

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
def softmax_rows(x, valid, form, table, x0, n, largest, numerator, limited, shift, powers, out):
    """Rows of scores; `valid` has no columns where every element counts.

    Parameters
    ----------
    form, table, x0, n : the exponential: of I-ViT by its constants, or any by table
    largest : no exponential passes it
    """
    rows, columns = x.shape
    masked = valid.shape[1] > 0
    whole = columns // LANES * LANES
    for i in range(rows):
        row, result, mark = x[i], out[i], valid[i]
        following = x.strides[0] if i + 1 < rows else 0
        total = row_powers(row, mark, masked, form, table, x0, n, largest, following, powers)
        if limited:
            total = min(total, np.int64(INT32_MAX))
        factor = np.int64(numerator // total if total > 0 else 0)
        # A power is at most the sum, unless that is limited, where the factor is 1: products stay below 2**32,
        # but for one that is all of the numerator 2**32.
        done = 0
        if factor * min(total, largest) >> 32 == 0:
            if shift + 8 * result.itemsize == 32:
                done = columns // GROUP * GROUP
                if done > 0:
                    scale_upper_span(powers.ctypes.data, factor, result, done)
            rest, left = result[done:], whole - done
            if left > 0:
                scale_span(powers.ctypes.data + 4 * done, factor, np.int64(shift), rest, left)
            done = whole
        for j in range(done, columns):
            result[j] = (np.int64(powers[j]) * factor) >> shift


@kernel
def row_powers(row, mark, masked, form, table, x0, n, largest, following, powers):
    """The exponentials of a row, zero where an element does not count, and their sum."""
    columns = row.size
    whole = columns // LANES * LANES
    piece = max(((1 << 32) - 1) // largest, 1) * LANES  # as many powers as add up within 32 bits per lane
    top = row_top(row, mark, masked)
    total = np.int64(0)
    for first in range(0, whole, piece):
        part, count = row[first:], min(piece, whole - first)
        to = powers.ctypes.data + 4 * first
        if form == IVIT:
            total += shift_span(0, part, x0, n, top, to, count, following)
        elif form == TVM:
            total += shift_span(1, part, x0, n, top, to, count, following)
        else:
            total += gather_span(part, table.size - 1, table.ctypes.data, top, to, count, following)
    for j in range(whole, columns):
        if form == TABLE:
            powers[j] = table[max(min(top - np.int64(row[j]), table.size - 1), 0)]
        else:
            _, _, power = shift_exp(min(np.int64(row[j]) - top, 0), x0, n, 62, form == TVM)
            powers[j] = power
        total += np.int64(powers[j])
    if masked:
        total = np.int64(0)
        for j in range(columns):
            powers[j] = powers[j] if mark[j] != 0 else np.uint32(0)
            total += np.int64(powers[j])
    return total


@kernel
def normal_rows(x, valid, table, largest, bits, words, index_bits, t_bits, out_bits, rounding, powers, out):
    """Rows of scores with one normalised reciprocal each; exponentials by table, see :func:`softmax_rows`."""
    masked = valid.shape[1] > 0
    for i in range(x.shape[0]):
        result = out[i]
        following = x.strides[0] if i + 1 < x.shape[0] else 0
        total = row_powers(x[i], valid[i], masked, TABLE, table, 0, 0, largest, following, powers)
        factor, exponent = normal_reciprocal(total, bits, words, index_bits, t_bits)
        shift = exponent - out_bits + 1
        if rounding == TIES_TO_POS and 0 < shift < 63:
            half = np.int64(1) << (shift - 1)
            for j in range(result.size):
                result[j] = (np.int64(powers[j]) * factor + half) >> shift
        else:
            for j in range(result.size):
                result[j] = shift_round(np.int64(powers[j]) * factor, shift, rounding)


@kernel
def row_top(row, mark, masked):
    """The largest element that counts; of none, something below all."""
    if not masked:
        most = row[0]
        for j in range(row.size):
            most = max(most, row[j])
        return np.int64(most)
    top = np.int64(-(1 << 62))
    for j in range(row.size):
        top = max(top, np.int64(row[j]) if mark[j] != 0 else np.int64(-(1 << 62)))
    return top
