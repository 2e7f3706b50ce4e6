"""Products of block floating-point matrices: each block's sum by vector registers, then aligned and added.

The arithmetic of :func:`intsim.linear.block_dot.block_matmul` with one running exponent, for mantissas of 8 bits
(shifted by their tags) and accumulators of up to 30: totals and exponents stay in 32-bit lanes of a tile of C while
its blocks pass. A shift of 31 bits or more rounds such a total to what 31 gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.exact import compiled, kernel
from intsim.kernels.amx import HAS_TILES, TILE_ROWS
from intsim.kernels.block_tiles import LONGEST_GROUP, TOGETHER, configuration, multiply_in_tiles
from intsim.kernels.dots import A_UNSIGNED, ELEMENT, LANES, ROWS, VECTORS, WORDS, dot_tile
from intsim.kernels.gemm import Limb, pack_bytes
from intsim.kernels.machine import Route, route
from intsim.kernels.memory import aligned, room
from intsim.kernels.requantize import shifted_half
from intsim.kernels.threads import in_parts
from intsim.rounding import Rounding

__all__ = ["ACC_BITS", "BlockPanels", "multiply_blocks", "pack_blocks"]

ACC_BITS = 30
_PARALLEL = 1 << 22
_WIDTH = VECTORS * LANES
_LARGEST_SHIFT = 31

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_LANES = ir.VectorType(_I32, LANES)
TO_NEG, TO_ZERO, TIES_TO_POS, TIES_AWAY, TIES_TO_EVEN = (int(mode) for mode in Rounding)


@dataclass(eq=False, slots=True)
class BlockPanels:
    """B ``(N, K)`` of a product as the kernels read it.

    Attributes
    ----------
    words, exponents : panels; int32 (blocks, at least N)
    starts : int32 of the same shape, what A's change of signedness takes from each block's sums
    rows, depth : N, K
    """

    words: np.ndarray
    exponents: np.ndarray
    starts: np.ndarray
    rows: int
    depth: int


def pack_blocks(unit: Any, b: np.ndarray, exponents: np.ndarray) -> BlockPanels | None:
    """B's mantissas (N, K), shifted by their tags, and exponents (N, blocks); None where there is no kernel."""
    group = unit.a.group
    if unit.exact or unit.acc_bits > ACC_BITS or group % 4 or ELEMENT != 1 or route() is Route.BLAS or _wide(b):
        return None
    rows, blocks = exponents.shape
    width = LANES if _in_tiles(group) else _WIDTH
    words = _panels(b, -(-rows // width) * width // LANES, group // 4 * blocks)
    right, starts = np.zeros((2, blocks, words.shape[0] * LANES), dtype=np.int32)
    right[:, :rows] = exponents.T
    if _flipped(group):
        edges = np.arange(0, b.shape[1], group)
        starts[:, :rows] = -128 * np.add.reduceat(b, edges, axis=1, dtype=np.int32).T
    return BlockPanels(words, right, starts, rows, b.shape[1])


def multiply_blocks(
    unit: Any,
    a: np.ndarray,
    exponents: np.ndarray,
    b: BlockPanels,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Sums and exponents of ``a @ b.T`` as :class:`~intsim.linear.BlockMatmul` returns them, or None.

    Parameters
    ----------
    a, exponents : mantissas (M, K), shifted by their tags; of the blocks (M, blocks)
    """
    if _wide(a):
        return None
    group, rows, blocks = unit.a.group, len(a), exponents.shape[1]
    grain = TILE_ROWS if _in_tiles(group) else ROWS
    tall = -(-rows // grain) * grain
    left = np.zeros((tall, blocks), dtype=np.int32)
    left[:rows] = exponents
    if out is None:
        out = aligned((rows, b.rows), np.int32), aligned((rows, b.rows), np.int16)
    y, exponent = out
    words = _bytes(a, 0x80 if _flipped(group) else 0, tall, 4 * b.words.shape[1])
    tiles = configuration(group // 4)

    def work(first: int, last: int) -> None:
        if _in_tiles(group):
            compiled(multiply_in_tiles)(
                tiles, words[first:], left[first:], b.words, b.exponents, group // 4, int(unit.rounding),
                room("block_tiles", (2 + TOGETHER, TILE_ROWS, LANES), np.int32), unit.lsb, y[first:last],
                exponent[first:last],
            )  # fmt: skip
            return
        rooms = room("block_tiles", (3, ROWS, _WIDTH), np.int32)
        compiled(multiply_tile_rows)(
            words[first:], left[first:], b.words, b.exponents, b.starts, group // 4, b.depth, int(unit.rounding), rooms,
            unit.lsb, y[first:last], exponent[first:last],
        )  # fmt: skip

    in_parts(work, rows, grain, rows * b.rows * blocks > _PARALLEL)
    return y, exponent


def _in_tiles(group: int) -> bool:
    return HAS_TILES and group <= LONGEST_GROUP


def _flipped(group: int) -> bool:
    """Whether bytes of A change their signedness."""
    return A_UNSIGNED and not _in_tiles(group)


def _wide(mantissas: np.ndarray) -> bool:
    return mantissas.dtype != np.int8 and (int(mantissas.min()) < -128 or int(mantissas.max()) > 127)


def _panels(b: np.ndarray, count: int, steps: int) -> np.ndarray:
    """B ``(N, K)`` in at least so many panels of at least so many words, zeros where there is nothing."""
    packed = pack_bytes(Limb(b.astype(np.int8, copy=False).T)).panels
    if packed.shape[0] >= count and packed.shape[1] >= steps:
        return packed
    whole = aligned((count, max(steps, packed.shape[1]), LANES), np.int32)
    whole[...] = 0
    whole[: len(packed), : packed.shape[1]] = packed
    return whole


def _bytes(a: np.ndarray, flip: int, rows: int, width: int) -> np.ndarray:
    """A as bytes, its rows at least so many and so long; what stands behind them meets zeros of B."""
    narrow = a.astype(np.int8, copy=False)
    if flip == 0 and narrow.shape == (rows, width) and narrow.flags.c_contiguous:
        return narrow.view(np.uint8)
    words = room("block_rows", (rows, width), np.uint8)
    np.bitwise_xor(narrow.view(np.uint8), np.uint8(flip), out=words[: len(a), : a.shape[1]])
    return words


@kernel
def multiply_tile_rows(a, a_exponents, b, b_exponents, starts, steps, depth, mode, rooms, offset, y, exponent):
    """Tile after tile of C; `rooms` holds a tile's block sums, totals and exponents."""
    rows, columns = y.shape
    part, total, running = rooms[0], rooms[1], rooms[2]
    zeros = np.zeros(ROWS, dtype=np.int32)
    panel = b.strides[0]
    blocks = a_exponents.shape[1]
    exponent_stride = a_exponents.strides[0]
    for i in range(0, rows, ROWS):
        for j in range(0, columns, _WIDTH):
            for block in range(blocks):
                taken = min(steps, (depth - 4 * steps * block + 3) // 4)
                at = a.ctypes.data + i * a.strides[0] + 4 * steps * block
                b_at = b.ctypes.data + j // LANES * panel + 4 * LANES * steps * block
                start = starts.ctypes.data + block * starts.strides[0] + 4 * j
                dot_tile(
                    WORDS, ROWS, VECTORS, at, a.strides[0], b_at, panel, zeros.ctypes.data, start, part.ctypes.data,
                    4 * _WIDTH, taken,
                )  # fmt: skip
                lefts = a_exponents.ctypes.data + i * exponent_stride + 4 * block
                rights = b_exponents.ctypes.data + block * b_exponents.strides[0] + 4 * j
                p, t, r = part.ctypes.data, total.ctypes.data, running.ctypes.data
                if block == 0:
                    align(-1, lefts, exponent_stride, rights, p, t, r)
                elif mode == TO_NEG:
                    align(TO_NEG, lefts, exponent_stride, rights, p, t, r)
                elif mode == TO_ZERO:
                    align(TO_ZERO, lefts, exponent_stride, rights, p, t, r)
                elif mode == TIES_TO_POS:
                    align(TIES_TO_POS, lefts, exponent_stride, rights, p, t, r)
                elif mode == TIES_AWAY:
                    align(TIES_AWAY, lefts, exponent_stride, rights, p, t, r)
                else:
                    align(TIES_TO_EVEN, lefts, exponent_stride, rights, p, t, r)
            for r in range(min(ROWS, rows - i)):
                sums, exponents = y[i + r, j : j + _WIDTH], exponent[i + r, j : j + _WIDTH]
                for c in range(sums.size):
                    sums[c] = total[r, c]
                for c in range(exponents.size):
                    exponents[c] = running[r, c] + offset


@intrinsic(prefer_literal=True)
def align(typingctx, mode, lefts, left_stride, rights, part, total, running):
    """Bring totals and block sums to the larger exponent by `mode`, and add; with mode -1 take the block sums.

    `lefts` and `rights` are addresses of the operands' exponents for the rows and columns of the tile, the others of
    tiles ``[ROWS, VECTORS * LANES]``; all int32.
    """
    chosen = mode.literal_value

    def codegen(context, builder, signature, args):
        _, lefts, left_stride, rights, part, total, running = args

        def pointer(address, kind):
            return builder.inttoptr(address, kind.as_pointer())

        def all_of(value):
            return ir.Constant(_LANES, [value] * LANES)

        def shifted(value, count):
            limit = all_of(_LARGEST_SHIFT)
            count = builder.select(builder.icmp_signed("<", count, limit), count, limit)
            add = shifted_half(builder, value, count, chosen)
            return builder.ashr(builder.add(value, add), count)

        columns = [
            builder.load(pointer(builder.add(rights, ir.Constant(_I64, 4 * LANES * v)), _LANES), align=4)
            for v in range(VECTORS)
        ]
        entry = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("rows", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        row = builder.phi(_I64)
        row.add_incoming(ir.Constant(_I64, 0), entry)
        scalar = builder.load(pointer(builder.add(lefts, builder.mul(row, left_stride)), _I32), align=4)
        one = builder.insert_element(ir.Constant(_LANES, ir.Undefined), scalar, ir.Constant(_I32, 0))
        left = builder.shuffle_vector(one, ir.Constant(_LANES, ir.Undefined), all_of(0))
        for v in range(VECTORS):
            offset = builder.add(builder.mul(row, ir.Constant(_I64, 4 * _WIDTH)), ir.Constant(_I64, 4 * LANES * v))
            places = [pointer(builder.add(tile, offset), _LANES) for tile in (part, total, running)]
            exponent = builder.add(left, columns[v])
            value = builder.load(places[0], align=4)
            if chosen >= 0:
                kept, before = (builder.load(place, align=4) for place in places[1:])
                common = builder.select(builder.icmp_signed(">", exponent, before), exponent, before)
                kept = shifted(kept, builder.sub(common, before))
                value = builder.add(kept, shifted(value, builder.sub(common, exponent)))
                exponent = common
            builder.store(value, places[1], align=4)
            builder.store(exponent, places[2], align=4)
        following = builder.add(row, ir.Constant(_I64, 1))
        row.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, ir.Constant(_I64, ROWS)), loop, done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(mode, *[types.intp] * 6), codegen
