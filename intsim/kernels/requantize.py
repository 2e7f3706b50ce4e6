"""Requantisation of int32 accumulators on vector registers: per tensor, or per column with constants of its own.

The arithmetic of :func:`intsim.requant.arithmetic.requantize` for multipliers below 2**31 and 0 to 62 bits to the
right, in 64-bit lanes. Each rounding is an addition before an arithmetic shift by s, with ``half = 2**s >> 1``:

=================  ===========================================================================
``TO_NEG``         nothing
``TO_ZERO``        ``2**s - 1`` where negative
``TIES_TO_POS``    ``half``
``TIES_AWAY``      ``half``, less 1 where negative (s > 0)
``TIES_TO_EVEN``   ``half - 1``, and 1 where the result without rounding is odd (s > 0)
=================  ===========================================================================

A product has at most 62 bits, so that no sum leaves 64.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.exact import kernel
from intsim.kernels.dots import LANES, emit_prefetch
from intsim.kernels.vectors import BYTES, I32, I64, LINE, WIDE, WORDS, all_of, load, one_of, splat, store
from intsim.rounding import Rounding

__all__ = ["MODES", "TWO_ROUNDINGS", "Limits", "emit_high", "requantize_rows", "shifted_half"]

TWO_ROUNDINGS = 5  # TIES_TO_POS at `point` bits, TIES_AWAY of the rest; other numbers are those of Rounding
TO_NEG, TO_ZERO, TIES_TO_POS, TIES_AWAY, TIES_TO_EVEN = (int(mode) for mode in Rounding)
MODES = TO_NEG, TO_ZERO, TIES_TO_POS, TIES_AWAY, TIES_TO_EVEN, TWO_ROUNDINGS

_HALVES = ir.VectorType(I64, LANES // 2)


def shifted_half(builder, value, shift, mode):
    """What to add to `value` before it is shifted by `shift`, so that the floor is the rounding by `mode`."""
    kind = value.type
    power = builder.shl(all_of(kind, 1), shift)
    half = builder.lshr(power, all_of(kind, 1))
    negative = builder.ashr(value, all_of(kind, kind.element.width - 1))
    moved = builder.select(builder.icmp_signed(">", shift, all_of(kind, 0)), all_of(kind, 1), all_of(kind, 0))
    if mode == TO_NEG:
        return all_of(kind, 0)
    if mode == TO_ZERO:
        return builder.and_(negative, builder.sub(power, all_of(kind, 1)))
    if mode == TIES_TO_POS:
        return half
    if mode == TIES_AWAY:
        return builder.sub(half, builder.and_(negative, moved))
    odd = builder.and_(builder.ashr(value, shift), moved)
    return builder.add(builder.sub(half, moved), odd)


def _rounded(builder, value, shift, mode):
    """``value / 2**shift`` by `mode`; shifts 0 to 62."""
    return builder.ashr(builder.add(value, shifted_half(builder, value, shift, mode)), shift)


def _limit(builder, value, lo, hi):
    value = builder.select(builder.icmp_signed("<", value, lo), lo, value)
    return builder.select(builder.icmp_signed(">", value, hi), hi, value)


def emit_any(builder, mode, acc, factor, amount, point):
    """Products shifted by 0 to 62 bits, in 64-bit lanes."""
    value = builder.mul(builder.sext(acc, WIDE), builder.sext(factor, WIDE))
    amount = builder.zext(amount, WIDE)
    if mode != TWO_ROUNDINGS:
        return _rounded(builder, value, amount, mode)
    near = splat(builder, point, WIDE)
    first = builder.select(builder.icmp_signed("<", amount, near), amount, near)
    value = _rounded(builder, value, first, TIES_TO_POS)
    return _rounded(builder, value, builder.sub(amount, first), TIES_AWAY)


def emit_high(builder, mode, acc, factor, amount, point):
    """Products shifted by 32 to 62 bits: results have 32, so that even and odd lanes are computed in halves.

    The odd ones are shifted by 32 bits less, which leaves the result in the upper half of its lane.
    """
    words = [builder.bitcast(v, _HALVES) for v in (acc, factor, builder.zext(amount, WORDS))]
    up = all_of(_HALVES, 32)
    even, odd = [], []
    for signed, value in zip((True, True, False), words, strict=True):
        even.append((builder.ashr if signed else builder.lshr)(builder.shl(value, up), up))
        odd.append((builder.ashr if signed else builder.lshr)(value, up))
    products = [builder.mul(side[0], side[1]) for side in (even, odd)]
    if mode == TWO_ROUNDINGS:  # the point is 31
        low, high = (builder.add(p, all_of(_HALVES, 1 << 30)) for p in products)
        near = _merged(builder, builder.lshr(low, all_of(_HALVES, 31)), builder.shl(high, all_of(_HALVES, 1)))
        return _rounded_word(builder, near, builder.sub(builder.zext(amount, WORDS), all_of(WORDS, 31)))
    low, high = (
        builder.add(p, shifted_half(builder, p, side[2], mode)) for p, side in zip(products, (even, odd), strict=True)
    )
    return _merged(builder, builder.ashr(low, even[2]), builder.ashr(high, builder.sub(odd[2], up)))


def _merged(builder, even, odd):
    """Lower halves of `even` and upper halves of `odd`, in turn."""
    order = [i + (i % 2) * LANES for i in range(LANES)]
    return builder.shuffle_vector(builder.bitcast(even, WORDS), builder.bitcast(odd, WORDS), ir.Constant(WORDS, order))


def _rounded_word(builder, value, shift):
    """``TIES_AWAY`` in 32-bit lanes, where adding half could overflow: by the remainder."""
    mask = builder.sub(builder.shl(all_of(WORDS, 1), shift), all_of(WORDS, 1))
    rest = builder.and_(value, mask)
    limit = builder.sub(builder.lshr(mask, all_of(WORDS, 1)), builder.ashr(value, all_of(WORDS, 31)))
    return builder.sub(builder.ashr(value, shift), builder.sext(builder.icmp_signed(">", rest, limit), WORDS))


class Limits:
    """What every element is limited by and shifted to, in lanes as wide as the results of :func:`emit_high`."""

    def __init__(self, builder, upper, before, lo, hi, after):
        self.kind = WORDS if upper else WIDE

        def constant(value):
            return splat(builder, builder.trunc(value, I32) if upper else value, self.kind)

        self.lo, self.hi = constant(builder.sub(lo, before)), constant(builder.sub(hi, before))
        self.offset = constant(builder.add(before, after))

    def finish(self, builder, value, result):
        """Limits, offset, and the elements of `result`."""
        value = builder.add(_limit(builder, value, self.lo, self.hi), self.offset)
        if result == self.kind:
            return value
        return (builder.trunc if result.element.width < self.kind.element.width else builder.sext)(value, result)


_TOGETHER = 4  # vectors of one step through a tensor
_AHEAD = 2048  # bytes


def _by_form(emit):
    """Machine code with a branch for each rounding and each width of products: ``emit(builder, mode, upper, args)``."""

    def codegen(context, builder, signature, args):
        mode, high, *rest = args

        def of_mode(builder, chosen):
            one_of(builder, high, (1, 0), lambda b, upper: emit(b, chosen, upper, rest))

        one_of(builder, mode, MODES, of_mode)
        return context.get_dummy_value()

    return codegen


@intrinsic
def requantize_tensor(
    typingctx, mode, high, acc, multiplier, shift, point, before, lo, hi, after, out, to, count
):  # fmt: skip
    """`count` accumulators (at least LANES) from address `acc` on by one multiplier and shift, their results at `to`.

    See :func:`requantize_columns`.
    """
    result = ir.VectorType(ir.IntType(out.dtype.bitwidth), LANES)

    def emit(builder, chosen, upper, args):
        acc, multiplier, shift, point, before, lo, hi, after, _, to, count = args
        factor = splat(builder, load(builder, multiplier, I32), WORDS)
        amount = splat(builder, load(builder, shift, ir.IntType(8)), BYTES)
        constants = Limits(builder, upper, before, lo, hi, after)
        last = builder.sub(count, ir.Constant(I64, LANES))

        entry = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("vectors", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        index = builder.phi(I64)
        index.add_incoming(ir.Constant(I64, 0), entry)
        size = out.dtype.bitwidth // 8
        ahead = builder.add(builder.mul(index, ir.Constant(I64, size)), ir.Constant(I64, _AHEAD // 4 * size))
        for line in range(-(-_TOGETHER * LANES * size // LINE)):
            written = builder.add(ahead, ir.Constant(I64, LINE * line))
            emit_prefetch(builder, builder.add(to, written), write=1)
        for v in range(_TOGETHER):
            at = builder.add(index, ir.Constant(I64, v * LANES))
            at = builder.select(builder.icmp_signed(">", at, last), last, at)  # the last vectors may overlap
            source = builder.add(acc, builder.shl(at, ir.Constant(I64, 2)))
            emit_prefetch(builder, builder.add(source, ir.Constant(I64, _AHEAD)))
            words = load(builder, source, WORDS)
            value = (emit_high if upper else emit_any)(builder, chosen, words, factor, amount, point)
            place = builder.add(to, builder.mul(at, ir.Constant(I64, size)))
            store(builder, constants.finish(builder, value, result), place)
        following = builder.add(index, ir.Constant(I64, _TOGETHER * LANES))
        index.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        builder.position_at_end(done)

    kinds = [types.int64, types.boolean] + [types.intp] * 3 + [types.int64] * 5
    return types.void(*kinds, out, types.intp, types.intp), _by_form(emit)


@intrinsic
def requantize_columns(
    typingctx, mode, high, acc, acc_stride, multiplier, shift, point, before, lo, hi, after, out, to, to_stride,
    count, rows,
):  # fmt: skip
    """`rows` rows of `count` accumulators (at least LANES) from address `acc` on, their results from `to` on.

    The results have the dtype of the array `out`; strides are bytes between rows. Every column has its own multiplier
    (int32) and shift (uint8); what belongs to it is computed once for all rows.

    `mode` is the rounding; `high` says whether all shifts are at least 32 (and a first rounding stands at 31 bits).
    `before` and `after` are added before and behind the limits `lo` and `hi`.
    """
    width = out.dtype.bitwidth
    result = ir.VectorType(ir.IntType(width), LANES)

    def emit(builder, chosen, upper, args):
        acc, acc_stride, multiplier, shift, point, before, lo, hi, after, _, to, to_stride, count, rows = args
        constants = Limits(builder, upper, before, lo, hi, after)
        last = builder.sub(count, ir.Constant(I64, LANES))

        entry = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("vectors", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        index = builder.phi(I64)
        index.add_incoming(ir.Constant(I64, 0), entry)
        # the last vector may overlap the one before
        at = builder.select(builder.icmp_signed(">", index, last), last, index)
        factor = load(builder, builder.add(multiplier, builder.mul(at, ir.Constant(I64, 4))), WORDS)
        amount = load(builder, builder.add(shift, at), BYTES)
        source = builder.add(acc, builder.mul(at, ir.Constant(I64, 4)))
        place = builder.add(to, builder.mul(at, ir.Constant(I64, width // 8)))
        lines, behind = (builder.append_basic_block(name) for name in ("rows", "behind"))
        column = builder.block
        builder.branch(lines)
        builder.position_at_end(lines)
        row = builder.phi(I64)
        row.add_incoming(ir.Constant(I64, 0), column)
        words = load(builder, builder.add(source, builder.mul(row, acc_stride)), WORDS)
        value = (emit_high if upper else emit_any)(builder, chosen, words, factor, amount, point)
        store(builder, constants.finish(builder, value, result), builder.add(place, builder.mul(row, to_stride)))
        next_row = builder.add(row, ir.Constant(I64, 1))
        row.add_incoming(next_row, lines)
        builder.cbranch(builder.icmp_signed("<", next_row, rows), lines, behind)
        builder.position_at_end(behind)
        following = builder.add(index, ir.Constant(I64, LANES))
        index.add_incoming(following, behind)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        builder.position_at_end(done)

    kinds = [types.int64, types.boolean] + [types.intp] * 4 + [types.int64] * 5
    return types.void(*kinds, out, *[types.intp] * 4), _by_form(emit)


@kernel
def requantize_rows(acc, mode, high, multipliers, shifts, point, before, lo, hi, after, out):
    """Every row of `acc` into `out`.

    Parameters
    ----------
    acc : int32 (M, N), N at least LANES, rows contiguous; with one multiplier all of it
    mode : Rounding, or TWO_ROUNDINGS
    high : whether every shift is at least 32, and `point` 31 where there are two roundings
    multipliers, shifts : int32 and uint8, (N,) or (1,)
    point : where the first of two roundings stands
    before, lo, hi, after : what is added, the limits, what is added behind them
    out : integers (M, N), as `acc`, no memory shared with it
    """
    m, s = multipliers.ctypes.data, shifts.ctypes.data
    step, width = acc.strides[0], out.strides[0]
    count = acc.shape[1]
    if multipliers.size == 1:
        if step != 4 * count and acc.shape[0] != 1:
            raise AssertionError
        if width != out.itemsize * count and acc.shape[0] != 1:
            raise AssertionError
        at, to, size = acc.ctypes.data, out.ctypes.data, acc.size
        requantize_tensor(mode, high, at, m, s, point, before, lo, hi, after, out, to, size)
        return
    for first in range(0, acc.shape[0], _ROWS):
        rows = min(_ROWS, acc.shape[0] - first)
        at, to = acc.ctypes.data + first * step, out.ctypes.data + first * width
        requantize_columns(mode, high, at, step, m, s, point, before, lo, hi, after, out, to, width, count, rows)


_ROWS = 8  # rows side by side: more would leave the first-level cache
