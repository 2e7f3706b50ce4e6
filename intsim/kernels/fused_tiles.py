"""A product by AMX tiles with the requantisation of each block beside the multiplication of the next one.

Tiles multiply on a unit of their own, which takes 16 cycles for each instruction; the vector unit requantises the
block before in these. A block is 32 x 32, its sums wait in the nearest cache.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.exact import kernel
from intsim.kernels.amx import (
    HAS_TILES,
    STEP_WORDS,
    TILE_ROWS,
    configure_tiles,
    emit_block,
    emit_or_trap,
    release_tiles,
)
from intsim.kernels.dots import LANES
from intsim.kernels.product import BLOCK_BYTES
from intsim.kernels.requantize import MODES, Limits, emit_high, requantize_rows
from intsim.kernels.vectors import BYTES, I64, WORDS, load, one_of, store

__all__ = ["BLOCK", "multiply_tiles_requantized"]

BLOCK = 2 * TILE_ROWS
"""Rows and columns of a block."""
_SUMS = 4 * BLOCK  # bytes of a row of sums


@intrinsic
def fused_block(
    typingctx, unsigned, mode, a, a_stride, b, b_stride, column_start, sums, steps, done, multiplier, shift, point,
    before, lo, hi, after, out, to, to_stride, share,
):  # fmt: skip
    """Multiply a block of A and B into `sums`; meanwhile requantise the sums `done` of another one.

    Parameters
    ----------
    unsigned, mode : 1 where A's bytes are unsigned, else 0; Rounding or TWO_ROUNDINGS
    a, a_stride, b, b_stride, column_start, steps : as :func:`intsim.kernels.amx.tile_block` takes them
    sums, done : addresses of int32 [BLOCK, BLOCK]
    multiplier, shift, point, before, lo, hi, after : as :func:`intsim.kernels.requantize.requantize_columns` takes
        them, of the columns of `done`; shifts are at least 32
    out : an array of the dtype of the results
    to, to_stride : address of their first row, bytes between rows
    share : rows of `done` in each step, so that `steps` of them take all of it; 0 for none
    """
    result = ir.VectorType(ir.IntType(out.dtype.bitwidth), LANES)

    def emit(builder, chosen, rounding, args):
        a, a_stride, b, b_stride, column_start, sums, steps, done, multiplier, shift, point, *rest = args
        before, lo, hi, after, _, to, to_stride, share = rest
        limits = Limits(builder, True, before, lo, hi, after)
        columns = [I64(column) for column in range(0, BLOCK, LANES)]
        factors = [load(builder, builder.add(multiplier, I64(4 * c)), WORDS) for c in range(0, BLOCK, LANES)]
        amounts = [load(builder, builder.add(shift, I64(c)), BYTES) for c in range(0, BLOCK, LANES)]

        def requantise(builder, step):
            """A share of the rows."""
            first = builder.mul(step, share)
            last = builder.add(first, share)
            last = builder.select(builder.icmp_signed("<", last, I64(BLOCK)), last, I64(BLOCK))
            entry = builder.block
            test, body, behind = (builder.append_basic_block(name) for name in ("test", "row", "behind"))
            builder.branch(test)
            builder.position_at_end(test)
            row = builder.phi(I64)
            row.add_incoming(first, entry)
            builder.cbranch(builder.icmp_signed("<", row, last), body, behind)
            builder.position_at_end(body)
            source = builder.add(done, builder.mul(row, I64(_SUMS)))
            place = builder.add(to, builder.mul(row, to_stride))
            for index, factor, amount in zip(columns, factors, amounts, strict=True):
                value = emit_high(builder, rounding, load(builder, source, WORDS, index), factor, amount, point)
                store(builder, limits.finish(builder, value, result), place, index)
            row.add_incoming(builder.add(row, I64(1)), body)
            builder.branch(test)
            builder.position_at_end(behind)

        block = a, a_stride, b, b_stride, column_start, sums, I64(_SUMS), steps
        emit_block(builder, chosen, 2, 2, block, requantise)

    def by_form(builder, args):
        unsigned, mode, *rest = args

        def of_mode(builder, rounding):
            one_of(builder, unsigned, (1, 0), lambda b, chosen: emit(b, chosen, rounding, rest))

        one_of(builder, mode, MODES, of_mode)

    def codegen(context, builder, signature, args):
        emit_or_trap(builder, by_form, args)
        return context.get_dummy_value()

    kinds = [types.int64] * 2 + [types.intp] * 10 + [types.int64] * 5
    return types.void(*kinds, out, *[types.intp] * 3), codegen


@kernel
def multiply_tiles_requantized(
    unsigned, a, b, column_start, sums, mode, high, multipliers, shifts, point, before, lo, hi, after, out
):  # fmt: skip
    """Products of whole blocks, requantised.

    Parameters
    ----------
    unsigned : 1 where A's bytes are unsigned
    a, b, column_start : as :func:`intsim.kernels.product.multiply_tiles` takes them
    sums : int32 [2, BLOCK, BLOCK], written
    mode, high, multipliers, shifts, point, before, lo, hi, after : as
        :func:`intsim.kernels.requantize.requantize_rows` takes them; `high` is true, every column has its constants
    out : integers (M, N), M and N multiples of BLOCK, written
    """
    if not HAS_TILES or not high:  # its machine code is a trap without tiles, and cached under another name
        raise AssertionError
    rows, columns = out.shape
    words = b.shape[1]
    steps = words // STEP_WORDS
    panel = words * STEP_WORDS * 4
    a_stride, stride = a.strides[0], out.strides[0]
    size = 4 * BLOCK * BLOCK
    some = max(BLOCK_BYTES // (2 * panel), 1) * BLOCK
    share = (BLOCK + steps - 1) // steps
    turn, row, column, now = 0, 0, 0, 0  # the block before, and the rows of it to requantise in each step
    configure_tiles()
    for first in range(0, columns, some):
        for i in range(0, rows, BLOCK):
            a_at = a.ctypes.data + i * a_stride
            for j in range(first, min(first + some, columns), BLOCK):
                b_at = b.ctypes.data + j // TILE_ROWS * panel
                start = column_start.ctypes.data + 4 * j
                new, old = sums.ctypes.data + turn * size, sums.ctypes.data + (1 - turn) * size
                m, s = multipliers.ctypes.data + 4 * column, shifts.ctypes.data + column
                to = out.ctypes.data + row * stride + column * out.itemsize
                fused_block(
                    unsigned, mode, a_at, a_stride, b_at, panel, start, new, steps, old, m, s, point, before, lo, hi,
                    after, out, to, stride, now,
                )  # fmt: skip
                turn, row, column, now = 1 - turn, i, j, share
    release_tiles()
    ends = column + BLOCK
    requantize_rows(
        sums[1 - turn], mode, high, multipliers[column:ends], shifts[column:ends], point, before, lo, hi, after,
        out[row:, column:ends],
    )  # fmt: skip
