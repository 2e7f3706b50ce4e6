"""Operands brought into the order of the machine code: rows of words, and panels of words of 16 (8, 4) columns.

Everything is in bytes, so that pairs of 16-bit numbers go the same way. `flip` is 0x80 in each byte to be stored with
the other signedness (128 is added or taken away), else 0. Padding is 0 in every place of B, so that what stands in
the padding of A does not count.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.exact import kernel
from intsim.kernels.dots import LANES

__all__ = ["copy_rows", "turn_panels", "weave_panels"]

_I32, _I64 = ir.IntType(32), ir.IntType(64)


@intrinsic(prefer_literal=True)
def weave(typingctx, size, source, stride, flip, out):
    """One step of a panel: ``4 / size`` rows of LANES elements of `size` bytes, element by element, as words."""
    depth = 4 // size.literal_value

    def codegen(context, builder, signature, args):
        _, source, stride, flip, out = args
        row = ir.VectorType(ir.IntType(8 * size.literal_value), LANES)
        rows = [
            builder.load(
                builder.inttoptr(builder.add(source, builder.mul(stride, ir.Constant(_I64, d))), row.as_pointer()),
                align=1,
            )
            for d in range(depth)
        ]
        while len(rows) > 1:  # pairs (0, 2) and (1, 3) first, so that the order is 0 1 2 3 in the end
            half = len(rows) // 2
            rows = [_interleave(builder, rows[i], rows[i + half]) for i in range(half)]
        words = ir.VectorType(_I32, LANES)
        value = builder.xor(builder.bitcast(rows[0], words), _splat(builder, flip))
        builder.store(value, builder.inttoptr(out, words.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(size, types.intp, types.intp, types.int32, types.intp), codegen


@intrinsic
def turn(typingctx, source, stride, flip, out):
    """A square of LANES by LANES words, transposed."""

    def codegen(context, builder, signature, args):
        source, stride, flip, out = args
        words = ir.VectorType(_I32, LANES)
        rows = [
            builder.load(
                builder.inttoptr(builder.add(source, builder.mul(stride, ir.Constant(_I64, r))), words.as_pointer()),
                align=1,
            )
            for r in range(LANES)
        ]
        span = 1
        while span < LANES:  # exchange the off-diagonal quarters of all squares of 2 * span
            for r in range(LANES):
                if r & span:
                    continue
                a, b = rows[r], rows[r + span]
                low = [LANES + i - span if i & span else i for i in range(LANES)]
                high = [LANES + i if i & span else i + span for i in range(LANES)]
                rows[r], rows[r + span] = (
                    builder.shuffle_vector(a, b, ir.Constant(words, order)) for order in (low, high)
                )
            span *= 2
        mask = _splat(builder, flip)
        for r in range(LANES):
            at = builder.add(out, ir.Constant(_I64, 4 * LANES * r))
            builder.store(builder.xor(rows[r], mask), builder.inttoptr(at, words.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.int32, types.intp), codegen


@intrinsic
def flip_vector(typingctx, source, flip, target):
    """LANES words from one address to another, some of their bits turned."""

    def codegen(context, builder, signature, args):
        source, flip, target = args
        words = ir.VectorType(_I32, LANES)
        value = builder.load(builder.inttoptr(source, words.as_pointer()), align=1)
        value = builder.xor(value, _splat(builder, flip))
        builder.store(value, builder.inttoptr(target, words.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.int32, types.intp), codegen


def _splat(builder, scalar):
    words = ir.VectorType(_I32, LANES)
    one = builder.insert_element(ir.Constant(words, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(words, ir.Undefined), ir.Constant(words, [0] * LANES))


def _interleave(builder, a, b):
    count = a.type.count
    order = [i // 2 + (i % 2) * count for i in range(2 * count)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, 2 * count), order))


@kernel
def copy_rows(a, flip, out):
    """Rows of bytes into the longer, more numerous rows of `out`; what is left over stays as it is."""
    rows, size = a.shape
    vector = 4 * LANES
    word = signed_word(flip)
    for r in range(rows):
        source, target = a.ctypes.data + r * a.strides[0], out.ctypes.data + r * out.strides[0]
        for v in range(size // vector):
            flip_vector(source + v * vector, word, target + v * vector)
        for k in range(size // vector * vector, size):
            out[r, k] = a[r, k] ^ flip


@kernel
def weave_panels(b, size, flip, edge, out):
    """B ``[K, N * size]``, each row contiguous bytes, into panels `out` ``[P, S, LANES]``.

    Steps that B does not fill go through `edge`, bytes ``[4, 4 * LANES]``.
    """
    depth = 4 // size
    rows, row_bytes = b.shape
    panels, steps = out.shape[0], out.shape[1]
    word = signed_word(flip)
    stride = b.strides[0]
    panel_bytes = LANES * size
    step_bytes = 4 * LANES
    source, target = b.ctypes.data, out.ctypes.data
    whole_panels, whole_steps = row_bytes // panel_bytes, rows // depth
    for first in range(0, whole_panels, _ABREAST):
        last = min(first + _ABREAST, whole_panels)
        for s in range(whole_steps):
            for p in range(first, last):
                at = source + s * depth * stride + p * panel_bytes
                weave_step(size, at, stride, word, target + (p * steps + s) * step_bytes)
    for p in range(panels):
        width = min(panel_bytes, row_bytes - p * panel_bytes)
        for s in range(whole_steps if p < whole_panels else 0, steps):
            for d in range(depth):
                for c in range(panel_bytes):
                    inside = s * depth + d < rows and c < width
                    edge[d, c] = b[s * depth + d, p * panel_bytes + c] if inside else flip
            weave_step(size, edge.ctypes.data, edge.strides[0], word, target + (p * steps + s) * step_bytes)


_ABREAST = 8  # panels packed together, so that each cache line of B is read once


@kernel
def weave_step(size, source, stride, word, target):
    """:func:`weave` for a size known at run time."""
    if size == 1:
        weave(1, source, stride, word, target)
    else:
        weave(2, source, stride, word, target)


@kernel
def signed_word(byte):
    """Four equal bytes as an int32."""
    word = byte * 0x01010101
    return types.int32(word - ((word >> 31) << 32))


@kernel
def turn_panels(b, flip, out):
    """The transpose of B, ``[N, bytes of K]`` with each row contiguous, into panels `out` ``[P, S, LANES]``."""
    columns, depth = b.shape
    word = signed_word(flip)
    stride = b.strides[0]
    steps = out.shape[1]
    for p in range(out.shape[0]):
        width = min(LANES, columns - p * LANES)
        source = b.ctypes.data + p * LANES * stride
        target = out.ctypes.data + p * steps * LANES * 4
        whole = depth // (4 * LANES) * LANES if width == LANES else 0
        for s in range(0, whole, LANES):
            turn(source + 4 * s, stride, word, target + s * LANES * 4)
        for s in range(whole, steps):
            for c in range(width):
                value = 0
                for d in range(min(depth - 4 * s, 4)):
                    value |= (b[p * LANES + c, 4 * s + d] ^ flip) << (8 * d)
                out[p, s, c] = types.int32(value - ((value >> 31) << 32))
