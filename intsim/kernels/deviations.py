"""Machine code for the passes of a normalisation: a row's moments in one, its scaled deviations in the other."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.kernels.dots import LANES, emit_prefetch
from intsim.kernels.vectors import I32, I64, WIDE, WORDS, Loop, address_of, all_of, declared, load, splat, store

__all__ = ["deviation_span", "moment_span"]

_HALVES = ir.VectorType(I64, LANES // 2)


def _squares(builder, words, other):
    """64-bit products of the even and of the odd elements."""
    pairs = [builder.bitcast(v, _HALVES) for v in (words, other)]
    up = all_of(_HALVES, 32)
    even = builder.mul(*(builder.ashr(builder.shl(v, up), up) for v in pairs))
    return even, builder.mul(*(builder.ashr(v, up) for v in pairs))


@intrinsic
def moment_span(typingctx, row, count):
    """Least and largest of `count` elements (a positive multiple of LANES), sum of squares, sum, as int64.

    `row` holds integers of up to 32 bits. The sum of squares wraps at 64 bits, the sum at 32 in every lane.
    """
    signed, bits = row.dtype.signed, row.dtype.bitwidth
    results = types.UniTuple(types.int64, 4)
    source = ir.VectorType(ir.IntType(bits), LANES)

    def codegen(context, builder, signature, args):
        at, count = address_of(context, builder, signature.args[0], args[0]), args[1]

        def words_at(index):
            words = load(builder, at, source, index)
            return words if bits == 32 else (builder.sext if signed else builder.zext)(words, WORDS)

        first = words_at(ir.Constant(I64, 0))
        zeros = all_of(_HALVES, 0)
        loop = Loop(builder, count, [first, first, zeros, zeros, all_of(WORDS, 0)])
        least, most, even, odd, total = loop.carried
        words = words_at(loop.index)
        least = builder.select(builder.icmp_signed("<", words, least), words, least)
        most = builder.select(builder.icmp_signed(">", words, most), words, most)
        squares = _squares(builder, words, words)
        even, odd = (builder.add(held, new) for held, new in zip((even, odd), squares, strict=True))
        total = builder.add(total, words)
        loop.close(least, most, even, odd, total)

        def reduced(name, vector):
            kind = vector.type
            fn = declared(builder, f"llvm.vector.reduce.{name}.v{kind.count}i{kind.element.width}", kind.element, kind)
            return builder.call(fn, [vector])

        found = [
            builder.sext(reduced("smin", least), I64),
            builder.sext(reduced("smax", most), I64),
            reduced("add", builder.add(even, odd)),
            reduced("add", builder.sext(total, WIDE)),
        ]
        return context.make_tuple(builder, results, found)

    return results(row, types.intp), codegen


@intrinsic
def deviation_span(typingctx, row, mean, factor, bias, out, count, following):
    """``out[j] = (((row[j] - mean) factor) >> 1) + bias[j]`` for `count` elements, a positive multiple of LANES.

    Parameters
    ----------
    row : array of integers of up to 32 bits, whose differences to `mean` fit 32
    mean, factor : int64, the factor within int32
    bias : array of int32
    out : array of int32, written
    following : bytes to the row to ask for meanwhile
    """
    signed, bits = row.dtype.signed, row.dtype.bitwidth
    source = ir.VectorType(ir.IntType(bits), LANES)
    signature = types.void(row, types.int64, types.int64, bias, out, types.intp, types.intp)

    def codegen(context, builder, signature, args):
        _, mean, factor, _, _, count, following = args
        at, biases, to = (address_of(context, builder, signature.args[i], args[i]) for i in (0, 3, 4))
        means, factors = (splat(builder, builder.trunc(v, I32), WORDS) for v in (mean, factor))
        loop = Loop(builder, count)
        step = builder.mul(loop.index, ir.Constant(I64, bits // 8))
        emit_prefetch(builder, builder.add(builder.add(at, following), step))
        written = builder.add(to, builder.shl(builder.add(loop.index, count), ir.Constant(I64, 2)))
        emit_prefetch(builder, written, write=1)
        words = load(builder, at, source, loop.index)
        if bits < 32:
            words = (builder.sext if signed else builder.zext)(words, WORDS)
        even, odd = _squares(builder, builder.sub(words, means), factors)
        # bits 1 to 32 of every product: those of the odd ones moved to the upper half of their lane
        even = builder.bitcast(builder.lshr(even, all_of(_HALVES, 1)), WORDS)
        odd = builder.bitcast(builder.shl(odd, all_of(_HALVES, 31)), WORDS)
        order = ir.Constant(WORDS, [i + (i % 2) * LANES for i in range(LANES)])
        halves = builder.shuffle_vector(even, odd, order)
        store(builder, builder.add(halves, load(builder, biases, WORDS, loop.index)), to, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen
