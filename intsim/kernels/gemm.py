"""The exact product of integer matrices: operands cut into limbs, each pair multiplied by the fastest route.

An operand of up to 8 bits is one **limb**; wider ones are several, ``value = sum limb[i] 2**(8 i)``, of which only
the last is signed. The product is the sum of the limbs' products, exact modulo 2**32 (or 2**64), and the caller has
proven that it fits. Where 16-bit numbers are multiplied directly (``PAIRS``), one limb holds 16 bits if the result
fits 32.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from intsim.exact import compiled
from intsim.kernels.blas import multiply_floats
from intsim.kernels.dots import A_UNSIGNED, ELEMENT, LANES, PAIRS, ROWS, VECTORS, WORDS
from intsim.kernels.machine import Route, route
from intsim.kernels.memory import aligned, room
from intsim.kernels.pack import turn_panels, weave_panels
from intsim.kernels.product import (
    accumulate,
    add_rows,
    multiply_batch,
    multiply_nibbles,
    multiply_tiles,
    multiply_vectors,
    order,
    sum_panels,
    widen_nibbles,
)
from intsim.kernels.threads import in_parts

__all__ = [
    "NIBBLED",
    "SCRATCH",
    "Limb",
    "PackedLimb",
    "Prepared",
    "limbs",
    "multiply",
    "pack",
    "prepare",
    "split",
    "unpack",
]

_TILE = 16  # rows of an AMX tile
SCRATCH = (2 * _TILE, 3 * _TILE)
_STEP = 16  # words: what one AMX step takes; steps are a multiple of it everywhere
_DEPTH = 1 << 15  # inner products of magnitudes up to 255 fit int32 up to this length
_FEW_ROWS = 2  # up to which vectors beat tiles
_FEW_ROWS_OF_NIBBLES = 8  # up to which nibbles are multiplied as they are
NIBBLED = -2  # that route, beside those of multiply_batch
_FEW_COLUMNS = 1 << 10  # up to which rows of A that begin in the middle of a cache line are read as they are
_SMALL = 1 << 21  # multiplications up to which one call packs and multiplies
_LARGE = 1 << 25  # the same for each of many products
_PARALLEL = 1 << 28  # multiplications from which threads pay
_ONES = 0x01010101 if ELEMENT == 1 else 0x00010001  # a word of ones
_BYTES = np.dtype(np.int8), np.dtype(np.uint8)


@dataclass(eq=False, slots=True)
class Limb:
    """Part of an operand ``(..., rows, columns)``: its elements stand for ``(element + offset) * 2**shift``."""

    data: np.ndarray
    offset: int = 0
    shift: int = 0

    @property
    def signed(self) -> bool:
        return self.data.dtype.kind == "i"


@dataclass(frozen=True, eq=False)
class PackedLimb:
    """A limb of B in panels, its elements signed, with the sum of each column of them.

    With `nibbles`, elements of 4 bits, 0 to 15, of which one word holds two steps.
    """

    panels: np.ndarray
    sums: np.ndarray
    offset: int
    shift: int
    depth: int
    columns: int
    nibbles: bool = False

    def widened(self, panels: np.ndarray | None = None) -> PackedLimb:
        """The same in bytes: in `panels` or in fresh memory."""
        if not self.nibbles:
            return self
        wide = aligned(_panel_shape(self.depth, self.columns), np.int32) if panels is None else panels
        compiled(widen_nibbles)(self.panels, wide)
        return replace(self, panels=wide, nibbles=False)


def split(values: np.ndarray, fits: bool) -> list[Limb]:
    """The limbs of an operand whose product fits 32 bits, or 64."""
    if values.dtype in _BYTES:
        return [Limb(values)]
    return limbs(values, int(values.min()), int(values.max()), 16 if fits and route() is Route.PAIRS else 8)


def limbs(values: np.ndarray, lo: int, hi: int, bits: int = 8) -> list[Limb]:
    """Integers in ``[lo, hi]`` in limbs of `bits`, least significant first."""
    if bits == 16 and lo >= -32768 and hi <= 32767:
        return [Limb(values.astype(np.int16, copy=False))]
    if values.dtype in _BYTES:
        return [Limb(values)]
    if lo >= -128 and hi <= 127:
        return [Limb(values.astype(np.int8))]
    if lo >= 0 and hi <= 255:
        return [Limb(values.astype(np.uint8))]
    if -255 <= lo < 0 and hi <= lo + 255 and WORDS != PAIRS:  # centred codes; of 9 bits at most, see _DEPTH
        return [Limb(values.astype(np.uint8) - np.uint8(lo & 255), lo)]  # modulo 256, where they are
    signed = lo < 0
    count = -(-(max(max(hi, 0).bit_length(), (-lo - 1).bit_length() if signed else 0) + signed) // 8)
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    split = np.ascontiguousarray(little).view(np.uint8).reshape(*values.shape, values.dtype.itemsize)
    found = [Limb(np.ascontiguousarray(split[..., i]), 0, 8 * i) for i in range(count)]
    if signed:
        found[-1] = Limb(found[-1].data.view(np.int8), 0, found[-1].shift)
    return found


def pack(limb: Limb) -> PackedLimb:
    """B ``(K, N)`` in the kernels' order, in fresh memory; 4-bit values as nibbles."""
    if ELEMENT == 1 and limb.signed and int(limb.data.min()) >= -8 and int(limb.data.max()) <= 7:
        wide = pack_bytes(Limb(limb.data + np.int8(8), -8, limb.shift))
        both = aligned((wide.panels.shape[0], wide.panels.shape[1] // 2, LANES), np.int32)
        np.bitwise_or(wide.panels[:, ::2], wide.panels[:, 1::2] << 4, out=both)
        return replace(wide, panels=both, nibbles=True)
    return pack_bytes(limb)


def pack_bytes(limb: Limb) -> PackedLimb:
    """B ``(K, N)`` in panels of whole elements, in fresh memory."""
    depth, columns = limb.data.shape
    return _pack_into(limb, aligned(_panel_shape(depth, columns), np.int32))


def unpack(limb: PackedLimb) -> np.ndarray:
    """The elements ``(K, N)`` that :func:`pack` was given, without offset and shift, int64."""
    kind = np.int8 if ELEMENT == 1 else np.int16
    limb = limb.widened()
    panels = limb.panels.view(kind).reshape(*limb.panels.shape, 4 // ELEMENT)
    rows = panels.transpose(1, 3, 0, 2).reshape(-1, limb.panels.shape[0] * LANES)
    return rows[: limb.depth, : limb.columns].astype(np.int64)


def multiply(
    left: list[Limb], right: list[Limb] | list[PackedLimb], bias: np.ndarray, fits: bool, out: np.ndarray
) -> None:
    """``out = left @ right + bias``.

    Parameters
    ----------
    left : limbs of ``(batch, M, K)``
    right : limbs of ``(batch, K, N)`` or ``(1, K, N)``, or packed ones
    bias : int64 (N,)
    fits : whether the result is proven to fit 32 bits; else it is proven to fit 64 and `out` is int64
    out : int32 or int64 ``(batch, M, N)``, C-contiguous
    """
    depth, columns = left[0].data.shape[-1], out.shape[-1]
    if fits and out.dtype != np.int32:
        narrow = np.empty(out.shape, dtype=np.int32)
        multiply(left, right, bias, fits, narrow)
        out[...] = narrow
        return
    if fits and len(left) == len(right) == 1:
        _product(left[0], right[0], bias, out)
        return
    out[...] = bias
    part = np.empty(out.shape, dtype=np.int32)
    nothing = np.zeros(columns, dtype=np.int64)
    chunk = depth if fits else _DEPTH
    for first in range(0, depth, chunk):
        pairs: Iterable[tuple[Limb, Limb | PackedLimb]] = itertools.product(left, right)
        for a, b in pairs:
            if a.shift + b.shift < 64:
                _product(_along_rows(a, first, chunk), _along_columns(b, first, chunk), nothing, part)
                compiled(accumulate)(part, a.shift + b.shift, out)


def _along_rows(limb: Limb, first: int, chunk: int) -> Limb:
    """`chunk` columns of A from `first`."""
    if limb.data.shape[-1] <= chunk:
        return limb
    return Limb(limb.data[..., first : first + chunk], limb.offset, limb.shift)


def _along_columns(limb: Limb | PackedLimb, first: int, chunk: int) -> Limb | PackedLimb:
    """`chunk` rows of B from `first`."""
    if isinstance(limb, Limb):
        return Limb(limb.data[..., first : first + chunk, :], limb.offset, limb.shift)
    if limb.depth <= chunk:
        return limb
    limb = limb.widened()
    per_word = 4 // ELEMENT
    panels = np.ascontiguousarray(limb.panels[:, first // per_word : (first + chunk) // per_word])
    depth = min(chunk, limb.depth - first)
    return PackedLimb(panels, _sums(panels), limb.offset, limb.shift, depth, limb.columns)


# One limb by one limb -------------------------------------------------------------------------------------------


def _product(a: Limb, b: Limb | PackedLimb, bias: np.ndarray, out: np.ndarray) -> None:
    """``out = a @ b + bias`` for one limb each, int32."""
    batch, rows, columns = out.shape
    depth = a.data.shape[-1]
    if route() is Route.BLAS:
        right = unpack(b) if isinstance(b, PackedLimb) else b.data
        out[...] = bias.astype(np.int32)
        multiply_floats(_shifted(a.data, a.offset), _shifted(right, b.offset), out)
        return
    if isinstance(b, PackedLimb):
        _packed_product(Limb(a.data.reshape(-1, depth), a.offset), b, bias, out.reshape(-1, columns))
        return
    size = rows * depth * columns
    if b.data.shape[0] == 1:
        a, out = Limb(a.data.reshape(1, -1, depth), a.offset), out.reshape(1, -1, columns)
        size *= batch
    if size > (_SMALL if out.shape[0] == 1 else _LARGE):
        for i in range(out.shape[0]):
            one = Limb(b.data[i], b.offset)
            panels = room("panels", _panel_shape(depth, columns), np.int32)
            _packed_product(Limb(a.data[i], a.offset), _pack_into(one, panels), bias, out[i])
        return

    def work(first: int, last: int) -> None:
        _batch(Limb(a.data[first:last], a.offset), Limb(b.data[first:last], b.offset), bias, out[first:last])

    in_parts(work, out.shape[0], 1, size * out.shape[0] > _PARALLEL)


def _shifted(data: np.ndarray, offset: int) -> np.ndarray:
    return data if offset == 0 else data.astype(np.int64) + offset


@dataclass(eq=False, slots=True)
class Prepared:
    """A product as the compiled functions take it: rows of words, panels, starting values.

    `tiles` names the route (see :func:`multiply_batch`); `row_sums` says whether rows have starting values, which
    tiles of AMX do not take.
    """

    tiles: int
    rows: np.ndarray
    panels: np.ndarray
    row_start: np.ndarray
    column_start: np.ndarray
    row_sums: bool
    parallel: bool


def prepare(a: Limb, b: PackedLimb, bias: np.ndarray, rows: int) -> Prepared:
    """A product of matrices, its operand A in order."""
    tiles = _tiles(a, rows)
    if b.nibbles and rows <= _FEW_ROWS_OF_NIBBLES:
        tiles = NIBBLED
    else:
        b = b.widened(room("widened", _panel_shape(b.depth, b.columns), np.int32) if b.nibbles else None)
    flip, a_offset = _stored(a, tiles)
    panels, columns = b.panels, b.columns
    source = _as_bytes(a.data)
    grain = _TILE if tiles >= 0 else 1
    shape = -(-rows // grain) * grain, 4 * _panel_shape(b.depth, columns)[1]
    # Rows of tiles across cache lines cost more; a copy pays where they are read often enough.
    on_lines = grain == 1 or columns <= _FEW_COLUMNS or (source.ctypes.data | source.strides[0]) % 64 == 0
    copied = flip != 0 or source.shape != shape or not on_lines
    words = room("rows", shape, np.uint8) if copied else source
    row_start = room("row_start", (rows + ROWS,), np.int32)
    column_start = room("column_start", ((panels.shape[0] + VECTORS) * LANES,), np.int32)
    compiled(order)(
        source, copied, flip, a.signed, a.offset, a_offset, b.offset, bias, b.sums, words, row_start, column_start
    )
    return Prepared(tiles, words, panels, row_start, column_start, b.offset != 0, rows * columns * b.depth > _PARALLEL)


def _packed_product(a: Limb, b: PackedLimb, bias: np.ndarray, out: np.ndarray) -> None:
    """``out = a @ b + bias`` for matrices."""
    rows, columns = out.shape
    ready = prepare(a, b, bias, rows)

    if not ready.parallel:
        _run(ready, ready.rows, ready.panels, ready.row_start, ready.column_start, out)
    elif rows >= columns:

        def some_rows(first: int, last: int) -> None:
            start = ready.row_start[first:]
            _run(ready, ready.rows[first:], ready.panels, start, ready.column_start, out[first:last])

        in_parts(some_rows, rows, 2 * _TILE, True)
    else:

        def some_columns(first: int, last: int) -> None:
            panels, start = ready.panels[first // LANES : -(-last // LANES)], ready.column_start[first:]
            _run(ready, ready.rows, panels, ready.row_start, start, out[:, first:last])

        in_parts(some_columns, columns, 2 * VECTORS * LANES, True)


def _run(
    ready: Prepared, rows: np.ndarray, panels: np.ndarray, row_start: np.ndarray, column_start: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """A part of a product, or all of it."""
    scratch = room("scratch", SCRATCH, np.int32)
    if ready.tiles >= 0:
        compiled(multiply_tiles)(ready.tiles, rows, panels, column_start, scratch, out)
        if ready.row_sums:
            compiled(add_rows)(row_start[: len(out)], out)
    elif ready.tiles == NIBBLED:
        compiled(multiply_nibbles)(rows, panels, row_start, column_start, scratch, out)
    else:
        compiled(multiply_vectors)(rows, panels, row_start, column_start, scratch, out)


def _batch(a: Limb, b: Limb, bias: np.ndarray, out: np.ndarray) -> None:
    """``out = a @ b + bias`` for every matrix of a batch of small ones."""
    _, rows, columns = out.shape
    depth = a.data.shape[-1]
    tiles = _tiles(a, rows)
    flip, a_offset = _stored(a, tiles)
    source, turned = _source(b.data)
    shape = _panel_shape(depth, columns)
    width = shape[0] * LANES + VECTORS * LANES
    work = room("work", (-(-rows // _TILE) * _TILE, 4 * shape[1]), np.uint8)
    starts = room("starts", (2 * width + rows + ROWS,), np.int32)
    starts[:] = 0
    ones = np.full(shape[1], _ONES, dtype=np.int32)
    compiled(multiply_batch)(
        tiles, _as_bytes(a.data), flip, a_offset, a.signed, a.offset, source, turned, _flip_b(b), _offset_b(b), bias,
        work, room("panels", shape, np.int32), ones, np.zeros(LANES, dtype=np.int32), starts[:width],
        starts[2 * width :], starts[width : 2 * width], room("scratch", SCRATCH, np.int32), out,
    )  # fmt: skip


# The order of the machine code ----------------------------------------------------------------------------------


def _tiles(a: Limb, rows: int) -> int:
    """How :func:`multiply_batch` names the route."""
    return -1 if route() is not Route.AMX or rows <= _FEW_ROWS else int(not a.signed)


def _stored(a: Limb, tiles: int) -> tuple[int, int]:
    """What is flipped in the bytes of A, and what a stored element lacks."""
    if ELEMENT == 2 or tiles >= 0 or a.signed != A_UNSIGNED:
        return 0, a.offset
    return 0x80, a.offset - 128 if A_UNSIGNED else a.offset + 128


def _flip_b(b: Limb) -> int:
    return 0 if b.signed or ELEMENT == 2 else 0x80


def _offset_b(b: Limb) -> int:
    return b.offset + (128 if _flip_b(b) else 0)


def _as_bytes(data: np.ndarray) -> np.ndarray:
    """Elements as they are multiplied, as bytes; the last axis contiguous."""
    wide = data if data.dtype.itemsize == ELEMENT else data.astype(np.int16)
    if wide.strides[-1] != ELEMENT and wide.shape[-1] > 1:
        wide = np.ascontiguousarray(wide)
    return wide.view(np.uint8) if wide.strides[-1] == ELEMENT else np.ascontiguousarray(wide).view(np.uint8)


def _source(data: np.ndarray) -> tuple[np.ndarray, bool]:
    """B as bytes, and whether it is its transpose that lies in memory."""
    turned = data.strides[-2] == data.dtype.itemsize and data.strides[-1] != data.dtype.itemsize
    return _as_bytes(np.swapaxes(data, -1, -2) if turned else data), turned


def _panel_shape(depth: int, columns: int) -> tuple[int, int, int]:
    return -(-columns // LANES), -(-depth * ELEMENT // (4 * _STEP)) * _STEP, LANES


def _pack_into(limb: Limb, panels: np.ndarray) -> PackedLimb:
    depth, columns = limb.data.shape
    source, turned = _source(limb.data)
    flip = _flip_b(limb)

    def work(first: int, last: int) -> None:
        if turned:
            compiled(turn_panels)(source[first * LANES : last * LANES], flip, panels[first:last])
        else:
            edge = np.empty((4, 4 * LANES), dtype=np.uint8)
            width = LANES * ELEMENT
            compiled(weave_panels)(source[:, first * width : last * width], ELEMENT, flip, edge, panels[first:last])

    in_parts(work, len(panels), 1, depth * columns > _PARALLEL >> 5)
    return PackedLimb(panels, _sums(panels), _offset_b(limb), limb.shift, depth, columns)


def _sums(panels: np.ndarray) -> np.ndarray:
    sums = np.empty(panels.shape[0] * LANES, dtype=np.int32)
    zeros = np.zeros(LANES, dtype=np.int32)
    compiled(sum_panels)(panels, np.full(panels.shape[1], _ONES, dtype=np.int32), zeros, sums)
    return sums
