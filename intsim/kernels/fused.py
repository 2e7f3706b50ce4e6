"""A product and its requantisation block by block, so that the accumulators never leave the cache."""

from __future__ import annotations

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.fused_tiles import BLOCK, multiply_tiles_requantized
from intsim.kernels.gemm import SCRATCH, Limb, PackedLimb, Prepared, prepare
from intsim.kernels.memory import room
from intsim.kernels.product import add_rows, multiply_tiles, multiply_vectors
from intsim.kernels.requantize import requantize_rows
from intsim.kernels.requantizer import Constants
from intsim.kernels.threads import in_parts

__all__ = ["multiply_requantized"]

_BLOCK = 1 << 17  # bytes of accumulators at a time
_GRAIN = BLOCK


def multiply_requantized(a: Limb, b: PackedLimb, bias: np.ndarray, form: Constants, out: np.ndarray) -> None:
    """``out = requantised(a @ b + bias)`` for matrices of one limb each and a sum that fits 32 bits.

    Parameters
    ----------
    form : of the requantiser, one multiplier or one per column
    out : integers (M, N), N at least LANES
    """
    rows, columns = out.shape
    ready: Prepared = prepare(a, b.widened(), bias, rows)
    height = max(_BLOCK // (4 * columns) // _GRAIN, 1) * _GRAIN
    beside = ready.tiles >= 0 and form.high and not ready.row_sums and columns % BLOCK == 0
    by_column = form.for_columns(columns).arguments

    def in_rows(first: int, last: int) -> None:
        sums = room("sums", (min(height, last - first), columns), np.int32)
        compiled(blocks)(
            ready.tiles, ready.rows[first:], ready.panels, ready.row_start[first:], ready.column_start,
            ready.row_sums, room("scratch", SCRATCH, np.int32), sums, *form.arguments, out[first:last],
        )  # fmt: skip

    def work(first: int, last: int) -> None:
        whole = first + (last - first) // BLOCK * BLOCK if beside else first
        if whole > first:
            compiled(multiply_tiles_requantized)(
                ready.tiles, ready.rows[first:], ready.panels, ready.column_start,
                room("pair", (2, BLOCK, BLOCK), np.int32), *by_column, out[first:whole],
            )  # fmt: skip
        if whole < last:
            in_rows(whole, last)

    in_parts(work, rows, _GRAIN, ready.parallel)


@kernel
def blocks(
    tiles, a, b, row_start, column_start, row_sums, scratch, sums, mode, high, multipliers, shifts, point, before, lo,
    hi, after, out,
):  # fmt: skip
    """Blocks of rows: multiplied into `sums`, requantised into `out`."""
    rows = out.shape[0]
    for first in range(0, rows, sums.shape[0]):
        last = min(first + sums.shape[0], rows)
        part = sums[: last - first]
        if tiles >= 0:
            multiply_tiles(tiles, a[first:], b, column_start, scratch, part)
            if row_sums:
                add_rows(row_start[first:last], part)
        else:
            multiply_vectors(a[first:], b, row_start[first:], column_start, scratch, part)
        requantize_rows(part, mode, high, multipliers, shifts, point, before, lo, hi, after, out[first:last])
