"""Blocks of a product, tile by tile: C = A B + start, int32, from rows of words and panels of words.

A's rows are long enough for the steps of B's panels; a step that B does not fill holds zeros there. The starting
values of columns carry the bias and what a change of signedness adds; sums wrap at 32 bits, so that the result is
right wherever it fits.
"""

from __future__ import annotations

import numpy as np

from intsim.exact import kernel
from intsim.kernels.amx import HAS_TILES, STEP_WORDS, TILE_ROWS, configure_tiles, release_tiles, tile_block
from intsim.kernels.dots import (
    ELEMENT,
    HALF_ROWS,
    LANES,
    NIBBLES,
    ROWS,
    VECTORS,
    WORDS,
    dot_tile,
    move_vector,
    split_nibbles,
)
from intsim.kernels.pack import copy_rows, turn_panels, weave_panels

__all__ = [
    "BLOCK_BYTES",
    "accumulate",
    "add_rows",
    "multiply_batch",
    "multiply_nibbles",
    "multiply_tiles",
    "multiply_vectors",
    "order",
    "sum_panels",
    "sum_rows",
    "widen_nibbles",
]


BLOCK_BYTES = 1 << 20  # of B: stays in the second-level cache while all rows of A pass


@kernel
def multiply_vectors(a, b, row_start, column_start, scratch, out):
    """By vector registers, any number of rows.

    Parameters
    ----------
    a : bytes [M, >= 4 * steps]
    b : words [P, steps, LANES]
    row_start, column_start : int32 [M + ROWS], [P * LANES]
    scratch : int32 [>= ROWS, >= VECTORS * LANES]
    out : int32 [M, N], written
    """
    rows, columns = out.shape
    steps = b.shape[1]
    panel = steps * LANES * 4
    full = VECTORS * LANES
    a_stride, stride = a.strides[0], out.strides[0]
    for j in range(0, columns, full):
        width = min(full, columns - j)
        b_at = b.ctypes.data + j // LANES * panel
        start = column_start.ctypes.data + 4 * j
        for i in range(0, rows, ROWS):
            height = min(ROWS, rows - i)
            a_at = a.ctypes.data + i * a_stride
            row_at = row_start.ctypes.data + 4 * i
            to = out.ctypes.data + i * stride + 4 * j
            if height == ROWS and width == full:
                dot_tile(WORDS, ROWS, VECTORS, a_at, a_stride, b_at, panel, row_at, start, to, stride, steps)
                continue
            to, stride_to = scratch.ctypes.data, scratch.strides[0]
            r = 0
            while r < height:
                line = a_at + r * a_stride
                row, at = row_at + 4 * r, to + r * stride_to
                if height - r >= HALF_ROWS:
                    half_rows(width, line, a_stride, b_at, panel, row, start, at, stride_to, steps)
                    r += HALF_ROWS
                else:
                    one_row(width, line, b_at, panel, row, start, at, steps)
                    r += 1
            copy_block(scratch, out[i : i + height, j : j + width])


@kernel
def multiply_nibbles(a, b, row_start, column_start, scratch, out):
    """As :func:`multiply_vectors`, for few rows and panels of nibbles [P, steps / 2, LANES]."""
    rows, columns = out.shape
    steps = b.shape[1]
    panel = steps * LANES * 4
    full = VECTORS * LANES
    a_stride, stride = a.strides[0], scratch.strides[0]
    for j in range(0, columns, full):
        width = min(full, columns - j)
        whole = width > (VECTORS - 1) * LANES and j + full <= b.shape[0] * LANES
        for v in range(0, 1 if whole else (width + LANES - 1) // LANES):
            b_at = b.ctypes.data + (j // LANES + v) * panel
            start, to = column_start.ctypes.data + 4 * (j + v * LANES), scratch.ctypes.data + 4 * v * LANES
            r = 0
            while r < rows:
                at, row, line = a.ctypes.data + r * a_stride, row_start.ctypes.data + 4 * r, to + r * stride
                if rows - r >= HALF_ROWS:
                    if whole:
                        dot_tile(
                            _NIBBLES, HALF_ROWS, VECTORS, at, a_stride, b_at, panel, row, start, line, stride, steps
                        )
                    else:
                        dot_tile(_NIBBLES, HALF_ROWS, 1, at, a_stride, b_at, panel, row, start, line, stride, steps)
                    r += HALF_ROWS
                else:
                    if whole:
                        dot_tile(_NIBBLES, 1, VECTORS, at, 0, b_at, panel, row, start, line, stride, steps)
                    else:
                        dot_tile(_NIBBLES, 1, 1, at, 0, b_at, panel, row, start, line, stride, steps)
                    r += 1
        copy_block(scratch, out[:, j : j + width])


_NIBBLES = NIBBLES + WORDS


@kernel
def widen_nibbles(b, out):
    """Panels of nibbles as panels of bytes, 0 to 15."""
    word = 4 * LANES
    for step in range(b.shape[0] * b.shape[1]):
        to = out.ctypes.data + 2 * step * word
        split_nibbles(b.ctypes.data + step * word, to, to + word)


@kernel
def copy_block(scratch, out):
    """The corner of `scratch`."""
    rows, columns = out.shape
    whole = columns // LANES
    for r in range(rows):
        source, target = scratch.ctypes.data + r * scratch.strides[0], out.ctypes.data + r * out.strides[0]
        for v in range(whole):
            move_vector(source + 4 * LANES * v, target + 4 * LANES * v)
        for c in range(whole * LANES, columns):
            out[r, c] = scratch[r, c]


@kernel
def half_rows(width, a, a_stride, b, panel, row, start, to, stride, steps):
    """Some rows by up to VECTORS panels."""
    if width > (VECTORS - 1) * LANES:
        dot_tile(WORDS, HALF_ROWS, VECTORS, a, a_stride, b, panel, row, start, to, stride, steps)
        return
    for v in range((width + LANES - 1) // LANES):
        at, first, target = b + v * panel, start + 4 * LANES * v, to + 4 * LANES * v
        dot_tile(WORDS, HALF_ROWS, 1, a, a_stride, at, panel, row, first, target, stride, steps)


@kernel
def one_row(width, a, b, panel, row, start, to, steps):
    """One row by up to VECTORS panels."""
    if width > (VECTORS - 1) * LANES:
        dot_tile(WORDS, 1, VECTORS, a, 0, b, panel, row, start, to, 0, steps)
        return
    for v in range((width + LANES - 1) // LANES):
        at, first, target = b + v * panel, start + 4 * LANES * v, to + 4 * LANES * v
        dot_tile(WORDS, 1, 1, a, 0, at, panel, row, first, target, 0, steps)


@kernel
def sum_panels(b, ones, zeros, out):
    """Sum of every column of byte panels into `out` ``[P * LANES]``; `ones` is a row of words of ones."""
    steps = b.shape[1]
    for p in range(b.shape[0]):
        dot_tile(
            WORDS, 1, 1, ones.ctypes.data, 0, b.ctypes.data + p * steps * LANES * 4, 0, zeros.ctypes.data,
            zeros.ctypes.data, out.ctypes.data + p * LANES * 4, 0, steps,
        )  # fmt: skip


@kernel
def multiply_tiles(unsigned, a, b, column_start, scratch, out):
    """By AMX tiles.

    Parameters
    ----------
    unsigned : 1 where A's bytes are unsigned
    a : bytes; rows as in C, or more: up to the next multiple of 16
    b : words [P, steps, 16], steps a multiple of 16
    column_start : int32 [P * 16]
    scratch : int32 [>= 32, >= 32]
    out : int32 [M, N], written
    """
    if not HAS_TILES:  # its machine code is a trap otherwise, and cached under another name
        raise AssertionError
    rows, columns = out.shape
    words = b.shape[1]
    steps = words // STEP_WORDS
    panel = words * STEP_WORDS * 4
    a_stride, stride = a.strides[0], out.strides[0]
    block = max(BLOCK_BYTES // (2 * panel), 1) * 2 * TILE_ROWS
    configure_tiles()
    for first in range(0, columns, block):
        for i in range(0, rows, 2 * TILE_ROWS):
            height = min(2 * TILE_ROWS, rows - i)
            a_at = a.ctypes.data + i * a_stride
            for j in range(first, min(first + block, columns), 2 * TILE_ROWS):
                width = min(2 * TILE_ROWS, columns - j)
                b_at = b.ctypes.data + j // TILE_ROWS * panel
                start = column_start.ctypes.data + 4 * j
                whole = height == 2 * TILE_ROWS and width == 2 * TILE_ROWS
                to = out.ctypes.data + i * stride + 4 * j if whole else scratch.ctypes.data
                stride_to = stride if whole else scratch.strides[0]
                high, wide = height > TILE_ROWS, width > TILE_ROWS
                if unsigned:
                    if high and wide:
                        tile_block(1, 2, 2, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                    elif high:
                        tile_block(1, 2, 1, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                    elif wide:
                        tile_block(1, 1, 2, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                    else:
                        tile_block(1, 1, 1, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                elif high and wide:
                    tile_block(0, 2, 2, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                elif high:
                    tile_block(0, 2, 1, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                elif wide:
                    tile_block(0, 1, 2, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                else:
                    tile_block(0, 1, 1, a_at, a_stride, b_at, panel, start, to, stride_to, steps)
                if not whole:
                    copy_block(scratch, out[i : i + height, j : j + width])
    release_tiles()


@kernel
def multiply_batch(
    tiles, a, flip_a, a_offset, signed_a, raw_offset, b, turned, flip_b, b_offset, bias, work, panels, ones, zeros,
    sums, row_start, column_start, scratch, out,
):  # fmt: skip
    """Products of the matrices of a batch, each packed just before it is multiplied.

    Parameters
    ----------
    tiles : -1 vectors, 0 AMX for signed bytes of A, 1 for unsigned ones
    a, flip_a, a_offset : bytes [batch, M, K elements], change of signedness, what a stored element lacks
    signed_a, raw_offset : whether the elements of `a` are signed, what they lack before the change
    b, turned, flip_b, b_offset : the same for B [batch, K, N elements], or with `turned` its transpose [batch, N, K]
    bias : int64 [N]
    work, panels : room for one packed A [>= M, 4 * steps] and B [P, steps, LANES]
    ones, zeros : words [steps], ones in each element; int32 [LANES]
    sums, row_start, column_start : room for sums of columns [P * LANES], starting values [M + ROWS], [P * LANES]
    scratch : int32 [32, 48]
    out : int32 [batch, M, N], written
    """
    edge = scratch.view(np.uint8)
    for i in range(a.shape[0]):
        if turned:
            turn_panels(b[i], flip_b, panels)
        else:
            weave_panels(b[i], ELEMENT, flip_b, edge, panels)
        copy_rows(a[i], flip_a, work)
        for c in range(bias.size):
            column_start[c] = bias[c]
        if a_offset != 0:
            sum_panels(panels, ones, zeros, sums)
            for c in range(bias.size):
                column_start[c] += a_offset * sums[c]
        if b_offset != 0:
            sum_rows(a[i], signed_a, raw_offset, b_offset, row_start)
        if tiles >= 0:
            multiply_tiles(tiles, work, panels, column_start, scratch, out[i])
            if b_offset != 0:
                add_rows(row_start, out[i])
        else:
            multiply_vectors(work, panels, row_start, column_start, scratch, out[i])


@kernel
def sum_rows(a, signed, offset, factor, out):
    """``factor * sum(byte + offset)`` of every row of bytes; wraps at 32 bits."""
    flip = 0x80 if signed else 0
    for r in range(a.shape[0]):
        row = a[r]
        total = 0
        for k in range(row.size):
            total += row[k] ^ flip
        out[r] = factor * (total + row.size * (offset - flip))


@kernel
def order(a, copied, flip, signed, raw_offset, a_offset, b_offset, bias, sums, words, row_start, column_start):
    """What a product by packed panels needs of A, in one call.

    Parameters
    ----------
    a, copied, flip : bytes [M, K elements]; whether they go into `words`, and what changes their signedness
    signed, raw_offset, a_offset : whether the elements of `a` are, what they lack before the change and behind it
    b_offset : what the elements of B lack
    bias, sums : of every column, int64 [N], int32 [>= N]
    words : bytes, written if `copied`
    row_start, column_start : int32 [>= M], [>= N], written
    """
    if copied:
        copy_rows(a, flip, words)
    for c in range(bias.size):
        column_start[c] = bias[c] + np.int64(a_offset) * sums[c]
    if b_offset != 0:
        sum_rows(a, signed, raw_offset, b_offset, row_start)
    else:
        row_start[: a.shape[0]] = 0


@kernel
def add_rows(row_start, out):
    """A number to every element of its row; wraps at 32 bits."""
    for r in range(out.shape[0]):
        start = row_start[r]
        row = out[r]
        for c in range(row.size):
            row[c] += start


@kernel
def accumulate(part, shift, out):
    """``out += part * 2**shift``, in the width of `out`."""
    for i in range(part.shape[0]):
        for r in range(part.shape[1]):
            source, target = part[i, r], out[i, r]
            for c in range(source.size):
                target[c] += np.int64(source[c]) << shift
