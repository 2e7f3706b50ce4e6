"""Products of block floating-point matrices by AMX tiles: all blocks' sums of one tile of C, then their alignment.

A tile of C is 16 x 16. The sums of a few blocks go through memory in the nearest cache; eight rows of totals and
exponents stay in registers while these blocks pass. See :mod:`intsim.kernels.blocks` for the arithmetic.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.exact import kernel
from intsim.kernels.amx import HAS_TILES, TILE_ROWS, call_tiles, emit_or_trap, release_tiles
from intsim.kernels.dots import LANES, emit_prefetch
from intsim.kernels.requantize import shifted_half
from intsim.kernels.vectors import I32, I64, LINE, WORDS, Loop, all_of, declared, load, one_of, splat, store
from intsim.rounding import Rounding

__all__ = ["LONGEST_GROUP", "TOGETHER", "configuration", "multiply_in_tiles"]

LONGEST_GROUP = 64  # bytes: one step of a tile
_HALF = 8  # rows whose totals and exponents fill the registers
_LARGEST_SHIFT = 31
_LINES = 4  # of B to come, asked for with each block of half a tile
_NO_EXPONENT = -(1 << 30)  # below every other: a total of 0 that stands there adds nothing
TOGETHER = 8  # blocks
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_TILE_BYTES = 4 * TILE_ROWS * LANES
MODES = tuple(int(mode) for mode in Rounding)
TO_NEG = MODES[0]


def configuration(steps: int) -> np.ndarray:
    """What tiles hold: 0 and 1 sums, 2 and 3 `steps` words of 16 rows of A, 4 and 5 as many rows of a panel of B."""
    text = np.zeros(64, dtype=np.uint8)
    text[0] = 1
    for tile, (rows, row_bytes) in enumerate(2 * [(TILE_ROWS, 64)] + 2 * [(TILE_ROWS, 4 * steps)] + 2 * [(steps, 64)]):
        text[16 + 2 * tile], text[48 + tile] = row_bytes, rows
    return text


@intrinsic
def configure(typingctx, address):
    """Load a configuration of tiles."""

    def codegen(context, builder, signature, args):
        emit_or_trap(builder, lambda b: call_tiles(b, "ldtilecfg", args[0]))
        return context.get_dummy_value()

    return types.void(types.intp), codegen


def emit_sums(builder, a, a_stride, b, out, blocks, steps):
    """:func:`block_sums` in IR."""

    def constant(value):
        return ir.Constant(I64, value)

    entry = builder.block
    loop, done = (builder.append_basic_block(name) for name in ("blocks", "done"))
    last = builder.sub(blocks, constant(1))
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(I64)
    index.add_incoming(constant(0), entry)
    for side in range(2):  # two at a time, the last perhaps twice
        block = builder.add(index, constant(side))
        block = builder.select(builder.icmp_signed("<", block, last), block, last)
        words = builder.mul(block, steps)
        a_at, b_at = (builder.add(address, builder.mul(words, constant(size))) for address, size in ((a, 4), (b, 64)))
        call_tiles(builder, "tilezero", side)
        call_tiles(builder, "tileloadd64", 2 + side, a_at, a_stride)
        call_tiles(builder, "tileloadd64", 4 + side, b_at, constant(64))
        call_tiles(builder, "tdpbssd", side, 2 + side, 4 + side)
        place = builder.add(out, builder.mul(block, constant(_TILE_BYTES)))
        call_tiles(builder, "tilestored64", side, place, constant(64))
    following = builder.add(index, constant(2))
    index.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, blocks), loop, done)
    builder.position_at_end(done)


@intrinsic
def block_sums(typingctx, a, a_stride, b, out, blocks, steps):
    """The products of 16 rows of A and one panel of B, block by block, as tiles of int32 behind each other at `out`.

    `steps` are the words of a block; all others are addresses, and bytes between rows of A.
    """

    def codegen(context, builder, signature, args):
        emit_or_trap(builder, emit_sums, *args)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), codegen


@intrinsic
def settle(typingctx, mode, sums, blocks, lefts, left_stride, rights, right_stride, totals, exponents, ahead):
    """Eight rows of 16 sums per block brought to their largest exponent so far by `mode`, and added.

    Parameters
    ----------
    mode : Rounding
    sums : address of the first block's rows, int32; those of the next lie a tile further
    lefts, left_stride : address of the first row's exponents, one per block (int32), bytes between rows
    rights, right_stride : the columns' exponents of the first block (int32), bytes between blocks
    totals, exponents : addresses of int32[8, 16], read and written
    ahead : address of what is wanted next, _LINES lines of it with each block
    """
    shift_name = "llvm.x86.avx512.psrav.d.512"

    def shifted(builder, chosen, value, count):
        if chosen == TO_NEG and HAS_TILES:  # the instruction fills with signs from 32 bits on
            return builder.call(declared(builder, shift_name, WORDS, WORDS, WORDS), [value, count])
        limit = all_of(WORDS, _LARGEST_SHIFT)
        count = builder.select(builder.icmp_signed("<", count, limit), count, limit)
        return builder.ashr(builder.add(value, shifted_half(builder, value, count, chosen)), count)

    def emit(builder, chosen, args):
        sums, blocks, lefts, left_stride, rights, right_stride, totals, exponents, ahead = args
        places = [ir.Constant(I64, LANES * row) for row in range(_HALF)]
        state = [load(builder, address, WORDS, place) for place in places for address in (totals, exponents)]
        loop = Loop(builder, blocks, state, step=1)
        at = builder.add(sums, builder.mul(loop.index, ir.Constant(I64, _TILE_BYTES)))
        wanted = builder.add(ahead, builder.mul(loop.index, ir.Constant(I64, LINE * _LINES)))
        for line in range(_LINES):
            emit_prefetch(builder, builder.add(wanted, ir.Constant(I64, LINE * line)), near=3)
        right = load(builder, builder.add(rights, builder.mul(loop.index, right_stride)), WORDS)
        after = []
        for row, place in enumerate(places):
            total, before = loop.carried[2 * row : 2 * row + 2]
            left = builder.add(lefts, builder.mul(left_stride, ir.Constant(I64, row)))
            exponent = builder.add(splat(builder, load(builder, left, I32, loop.index), WORDS), right)
            common = builder.select(builder.icmp_signed(">", exponent, before), exponent, before)
            kept = shifted(builder, chosen, total, builder.sub(common, before))
            value = shifted(builder, chosen, load(builder, at, WORDS, place), builder.sub(common, exponent))
            after += [builder.add(kept, value), common]
        loop.close(*after)
        for row, place in enumerate(places):
            store(builder, after[2 * row], totals, place)
            store(builder, after[2 * row + 1], exponents, place)

    def codegen(context, builder, signature, args):
        mode, *rest = args
        one_of(builder, mode, MODES, lambda b, chosen: emit(b, chosen, rest))
        return context.get_dummy_value()

    return types.void(types.int64, *[types.intp] * 9), codegen


@intrinsic
def deliver(typingctx, totals, exponents, offset, y, y_stride, exponent, exponent_stride):
    """A tile of totals and of exponents, `offset` added, these as int16: addresses, and bytes between rows."""

    def codegen(context, builder, signature, args):
        totals, exponents, offset, y, y_stride, exponent, exponent_stride = args
        offsets = splat(builder, builder.trunc(offset, I32), WORDS)
        for row in range(TILE_ROWS):
            number, place = ir.Constant(I64, row), ir.Constant(I64, LANES * row)
            total, power = (load(builder, address, WORDS, place) for address in (totals, exponents))
            store(builder, total, builder.add(y, builder.mul(y_stride, number)))
            short = builder.trunc(builder.add(power, offsets), _SHORTS)
            store(builder, short, builder.add(exponent, builder.mul(exponent_stride, number)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), codegen


@intrinsic
def ask_for_tile(typingctx, y, y_stride, exponent, exponent_stride):
    """The memory that :func:`deliver` is going to write."""

    def codegen(context, builder, signature, args):
        for row in range(TILE_ROWS):
            for address, stride, size in ((args[0], args[1], 4), (args[2], args[3], 2)):
                line = builder.add(address, builder.mul(stride, ir.Constant(I64, row)))
                for offset in range(0, size * LANES, LINE):
                    emit_prefetch(builder, builder.add(line, ir.Constant(I64, offset)), write=1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), codegen


@kernel
def multiply_in_tiles(tiles, a, a_exponents, b, b_exponents, steps, mode, rooms, offset, y, exponent):
    """Tile after tile of C, a few blocks at a time: their sums and the totals stay in the nearest cache.

    Parameters
    ----------
    tiles : their configuration
    a, a_exponents : bytes [>= M rows of 16, >= 4 * steps * blocks], int32 [the same rows, blocks]
    b, b_exponents : words [P, >= steps * blocks, 16], int32 [blocks, P * 16]
    steps : words of a block
    rooms : room for tiles of totals, of exponents, and of the sums of TOGETHER blocks, int32 [2 + TOGETHER, 16, 16]
    offset : added to exponents
    y, exponent : int32 and int16 (M, N), written
    """
    if not HAS_TILES:
        raise AssertionError
    rows, columns = y.shape
    blocks = a_exponents.shape[1]
    a_stride, left_stride, right_stride = a.strides[0], a_exponents.strides[0], b_exponents.strides[0]
    total, running, sums = rooms[0], rooms[1], rooms[2:].ctypes.data
    t, r = total.ctypes.data, running.ctypes.data
    configure(tiles.ctypes.data)
    for i in range(0, rows, TILE_ROWS):
        for j in range(0, columns, LANES):
            place, power = y[i:, j:].ctypes.data, exponent[i:, j:].ctypes.data
            ask_for_tile(place, y.strides[0], power, exponent.strides[0])
            total[:] = 0
            running[:] = _NO_EXPONENT
            panel = b.ctypes.data + j // LANES * b.strides[0]
            for first in range(0, blocks, TOGETHER):
                count = min(TOGETHER, blocks - first)
                a_at = a.ctypes.data + i * a_stride + 4 * steps * first
                block_sums(a_at, a_stride, panel + 4 * LANES * steps * first, sums, count, steps)
                ahead = panel + (4 * LANES * steps * (first + count) if first + count < blocks else b.strides[0])
                lefts = a_exponents.ctypes.data + i * left_stride + 4 * first
                rights = b_exponents.ctypes.data + first * right_stride + 4 * j
                for half in range(2):
                    part = _HALF * half * 4 * LANES
                    left = lefts + _HALF * half * left_stride
                    to = ahead + LINE * _LINES * count * half
                    settle(mode, sums + part, count, left, left_stride, rights, right_stride, t + part, r + part, to)
            height, width = min(TILE_ROWS, rows - i), min(LANES, columns - j)
            if height == TILE_ROWS and width == LANES:
                deliver(t, r, offset, place, y.strides[0], power, exponent.strides[0])
            else:
                for row in range(height):
                    for c in range(width):
                        y[i + row, j + c] = total[row, c]
                        exponent[i + row, j + c] = running[row, c] + offset
    release_tiles()
