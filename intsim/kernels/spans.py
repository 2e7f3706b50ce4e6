"""Machine code for parts of rows, written as LLVM IR: exponentials by shifts or by table, and their normalisation.

While one row is computed, the same places of the next one are asked for: reading costs as much as computing, and the
two overlap.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.kernels.dots import LANES, dot_pairs, emit_prefetch
from intsim.kernels.vectors import (
    DOUBLES,
    I32,
    I64,
    LINE,
    WIDE,
    WORDS,
    Loop,
    address_of,
    all_of,
    declared,
    load,
    places,
    splat,
    store,
)  # fmt: skip

__all__ = ["GROUP", "REACH", "gather_span", "line_span", "scale_span", "scale_upper_span", "shift_span"]

REACH = 1 << 20  # of scaled distances that shift_span takes
_TOGETHER = 4  # vectors whose results are packed into one
GROUP = _TOGETHER * LANES

_I1, _F32 = ir.IntType(1), ir.FloatType()
_REALS = ir.VectorType(_F32, LANES)
_ADDRESSES = ir.VectorType(I32.as_pointer(), LANES)


def _exponentials(row, extra, emit):
    """An intrinsic's signature and code: ``powers[j]`` of the distance ``top - row[j]``, and their sum.

    `emit` gets builder, distances as unsigned words and the values of `extra`, and returns the powers. The
    arguments are row, extra ..., top, powers, count, following: `top` int64 not below any element, `powers` an
    address of uint32, `count` a positive multiple of LANES, `following` bytes to the row to ask for. The sums of
    every LANES-th power must fit 32 bits.
    """
    signed, bits = row.dtype.signed, row.dtype.bitwidth
    signature = types.int64(row, *extra, types.int64, types.intp, types.intp, types.intp)

    def codegen(context, builder, signature, args):
        source, *values, top, powers, count, following = args
        at = address_of(context, builder, signature.args[0], source)
        tops = splat(builder, builder.trunc(top, I32), WORDS)
        ready = emit(builder, values)
        loop = Loop(builder, count, [ir.Constant(WORDS, [0] * LANES)])
        step = builder.mul(loop.index, ir.Constant(I64, bits // 8))
        emit_prefetch(builder, builder.add(builder.add(at, following), step))
        words = load(builder, at, ir.VectorType(ir.IntType(bits), LANES), loop.index)
        if bits < 32:
            words = (builder.sext if signed else builder.zext)(words, WORDS)
        power = ready(builder.sub(tops, words))
        store(builder, power, powers, loop.index)
        total = builder.add(loop.carried[0], power)
        loop.close(total)
        add = declared(builder, f"llvm.vector.reduce.add.v{LANES}i64", I64, WIDE)
        return builder.call(add, [builder.zext(total, WIDE)])

    return signature, codegen


def _least(builder, a, b):
    return builder.select(builder.icmp_unsigned("<", a, b), a, b)


@intrinsic
def gather_span(typingctx, row, last, table, top, powers, count, following):
    """``powers[j] = table[min(top - row[j], last)]``, see :func:`_exponentials`.

    Parameters
    ----------
    row : array of integers of up to 32 bits
    last : int64, the table's last index
    table : address of uint32
    """

    def emit(builder, values):
        lasts = splat(builder, builder.trunc(values[0], I32), WORDS)
        base = splat(builder, values[1], WIDE)
        kinds = [_ADDRESSES, I32, ir.VectorType(_I1, LANES), WORDS]
        gather = declared(builder, f"llvm.masked.gather.v{LANES}i32.v{LANES}p0", WORDS, *kinds)

        def powers(distance):
            index = builder.zext(_least(builder, distance, lasts), WIDE)
            offsets = builder.shl(index, ir.Constant(WIDE, [2] * LANES))
            words = builder.inttoptr(builder.add(base, offsets), _ADDRESSES)
            every = ir.Constant(kinds[2], [1] * LANES)
            return builder.call(gather, [words, ir.Constant(I32, 4), every, ir.Constant(WORDS, ir.Undefined)])

        return powers

    return _exponentials(row, [types.int64, types.intp], emit)


@intrinsic(prefer_literal=True)
def shift_span(typingctx, tvm, row, x0, n, top, powers, count, following):
    """``powers[j]`` of I-ViT's :func:`shift_exp` at ``row[j] - top``, see :func:`_exponentials`.

    Needs ``|x0| < 2**15``, ``n |x0| <= REACH`` and ``|x0| 2**n < 2**31``. The quotient by x0 is the integer part of
    ``(v + 1/2) / |x0|`` in float32: the error of this and 2 is below ``(2 n + 2) 2**-24``, the distance to an integer
    at least ``1 / (2 |x0|)``. The last shift is one to the right, of an even number: rotating does it.

    Parameters
    ----------
    tvm : 1 for the profile ``ivit_tvm``, constant
    row : array of integers of up to 32 bits
    x0, n : int64
    """
    drops_bit = tvm.literal_value
    assert 4 * REACH < 1 << 23  # (2 n + 2) |x0| is at most 4 n |x0|, and 2**-24 of it below 1/2

    def emit(builder, values):
        x0, n = values
        size = builder.neg(builder.trunc(x0, I32))
        sizes = splat(builder, size, WORDS)
        floor = builder.mul(builder.trunc(x0, I32), builder.trunc(n, I32))
        # from here on the scaled distance, 23/16 of it less one at most, is limited
        limited = builder.udiv(builder.mul(builder.neg(floor), ir.Constant(I32, 16)), ir.Constant(I32, 23))
        floors, reaches = (splat(builder, v, WORDS) for v in (floor, builder.add(limited, ir.Constant(I32, 2))))
        inverse = builder.fdiv(ir.Constant(_F32, 1.0), builder.uitofp(size, _F32))
        added = 0.0 if drops_bit else 2.0  # of the quotient
        start = builder.fadd(builder.fmul(inverse, ir.Constant(_F32, 0.5)), ir.Constant(_F32, added))
        start, slope = splat(builder, start, _REALS), splat(builder, builder.fneg(inverse), _REALS)
        fused = declared(builder, f"llvm.fmuladd.v{LANES}f32", _REALS, _REALS, _REALS, _REALS)
        rotate = declared(builder, f"llvm.fshl.v{LANES}i32", WORDS, WORDS, WORDS, WORDS)
        last = builder.add(builder.trunc(n, I32), ir.Constant(I32, 0 if drops_bit else 1))
        shifts = splat(builder, last, WORDS)

        def powers(distance):
            x = builder.neg(_least(builder, distance, reaches))
            scaled = builder.sub(builder.add(x, builder.ashr(x, all_of(WORDS, 1))), builder.ashr(x, all_of(WORDS, 4)))
            scaled = builder.select(builder.icmp_signed(">", scaled, floors), scaled, floors)
            q = builder.fptosi(builder.call(fused, [builder.sitofp(scaled, _REALS), slope, start]), WORDS)
            rest = dot_pairs(builder, scaled, q, sizes, LANES)  # scaled + q |x0|: the upper halves are 0
            shift = builder.sub(shifts, q)
            if drops_bit:
                return builder.shl(builder.add(builder.ashr(rest, all_of(WORDS, 1)), sizes), shift)
            return builder.call(rotate, [rest, rest, shift])

        return powers

    signature, codegen = _exponentials(row, [types.int64, types.int64], emit)
    return types.int64(tvm, *signature.args), lambda c, b, s, args: codegen(c, b, signature, args[1:])


@intrinsic
def scale_span(typingctx, powers, factor, shift, out, count):
    """``out[j] = (powers[j] * factor) >> shift`` for `count` elements, a positive multiple of LANES.

    Parameters
    ----------
    powers : address of uint32
    factor, shift : int64; the products are below 2**32
    out : array of integers, written
    """
    result = ir.VectorType(ir.IntType(out.dtype.bitwidth), LANES)
    signature = types.void(types.intp, types.int64, types.int64, out, types.intp)

    def codegen(context, builder, signature, args):
        powers, factor, shift, out, count = args
        at = address_of(context, builder, signature.args[3], out)
        factors, shifts = (splat(builder, builder.trunc(v, I32), WORDS) for v in (factor, shift))
        loop = Loop(builder, count)
        value = builder.lshr(builder.mul(load(builder, powers, WORDS, loop.index), factors), shifts)
        if result.element.width != 32:
            value = (builder.trunc if result.element.width < 32 else builder.zext)(value, result)
        store(builder, value, at, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def scale_upper_span(typingctx, powers, factor, out, count):
    """The upper 8 or 16 bits of ``powers[j] * factor``, as many as `out` holds; `count` a multiple of GROUP."""
    bits = out.dtype.bitwidth
    signature = types.void(types.intp, types.int64, out, types.intp)

    def codegen(context, builder, signature, args):
        powers, factor, out, count = args
        at = address_of(context, builder, signature.args[2], out)
        factors = splat(builder, builder.trunc(factor, I32), WORDS)
        loop = Loop(builder, count, step=GROUP)
        starts = [builder.add(loop.index, ir.Constant(I64, v * LANES)) for v in range(_TOGETHER)]
        words = [builder.mul(load(builder, powers, WORDS, start), factors) for start in starts]
        _ask_for_next(builder, at, loop.index, count, bits)
        store(builder, _parts(builder, words, bits, 32 // bits - 1), at, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def line_span(typingctx, row, slope, start, out, count, following):
    """``out[j]`` the integer part of ``slope row[j] + start``, which is not negative and fits `out`.

    Parameters
    ----------
    row : array of integers
    slope, start : float64
    out : array of unsigned integers of 8 or 16 bits, written
    count : at least GROUP
    following : bytes to the row to ask for
    """
    bits, size = out.dtype.bitwidth, row.dtype.bitwidth
    assert bits <= 16  # the caller shows that float64 tells apart what lies around an integer
    source = ir.VectorType(ir.IntType(size), LANES)
    signature = types.void(row, types.float64, types.float64, out, types.intp, types.intp)

    def codegen(context, builder, signature, args):
        row, slope, start, out, count, following = args
        at, to = (
            address_of(context, builder, kind, value)
            for kind, value in ((signature.args[0], row), (signature.args[3], out))
        )
        slope, start = (splat(builder, v, DOUBLES) for v in (slope, start))
        fused = declared(builder, f"llvm.fmuladd.v{LANES}f64", DOUBLES, DOUBLES, DOUBLES, DOUBLES)
        real = builder.sitofp if signature.args[0].dtype.signed else builder.uitofp
        loop = Loop(builder, count, step=GROUP)
        last = builder.sub(count, ir.Constant(I64, GROUP))
        first = builder.select(builder.icmp_signed(">", loop.index, last), last, loop.index)  # groups may overlap
        ahead = builder.add(builder.add(at, following), builder.mul(first, ir.Constant(I64, size // 8)))
        for line in range(GROUP * size // 8 // LINE):
            emit_prefetch(builder, builder.add(ahead, ir.Constant(I64, LINE * line)))
        words = []
        for v in range(_TOGETHER):
            values = real(load(builder, at, source, builder.add(first, ir.Constant(I64, v * LANES))), DOUBLES)
            words.append(builder.fptosi(builder.call(fused, [values, slope, start]), WORDS))
        _ask_for_next(builder, to, first, count, bits)
        store(builder, _parts(builder, words, bits, 0), to, first)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen


def _ask_for_next(builder, at, index, count, bits):
    """The same places, a group of them, of the row to be written next."""
    start = builder.add(at, builder.mul(builder.add(index, count), ir.Constant(I64, bits // 8)))
    for line in range(-(-GROUP * bits // 8 // LINE)):
        emit_prefetch(builder, builder.add(start, ir.Constant(I64, LINE * line)), write=1)


def _parts(builder, words, bits, part):
    """Of the words of _TOGETHER vectors one part of `bits` bits each, counted from the lowest."""
    share = 32 // bits
    kind = ir.VectorType(ir.IntType(bits), share * LANES)
    chosen = places(part + share * i for i in range(2 * LANES))
    low, high = (
        builder.shuffle_vector(*(builder.bitcast(word, kind) for word in words[i : i + 2]), chosen) for i in (0, 2)
    )
    return builder.shuffle_vector(low, high, places(range(GROUP)))
