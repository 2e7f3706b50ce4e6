"""Machine code for parts of rows, written as LLVM IR: exponentials by shifts or by table, and their normalisation.

While one row is computed, the same places of the next one are asked for: reading costs as much as computing, and the
two overlap.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.kernels.dots import LANES, dot_pairs, emit_prefetch

__all__ = ["REACH", "gather_span", "scale_span", "scale_upper_span", "shift_span"]

REACH = 1 << 20  # of scaled distances that shift_span takes

_I1, _I32, _I64, _F32 = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType()
_WORDS, _WIDE, _REALS = (ir.VectorType(kind, LANES) for kind in (_I32, _I64, _F32))
_ADDRESSES = ir.VectorType(_I32.as_pointer(), LANES)


def _splat(builder, scalar, kind):
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(_WORDS, [0] * LANES))


def _all(value):
    return ir.Constant(_WORDS, [value] * LANES)


def _intrinsic(builder, name, result, *kinds):
    return builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(result, kinds), name)


class _Loop:
    """A loop over vectors: positions the builder in its body, and behind it on :meth:`close`."""

    def __init__(self, builder, count, carried=(), step=LANES):
        self.builder, self.count, self.step = builder, count, step
        entry = builder.block
        self.body, self.done = (builder.append_basic_block(name) for name in ("vectors", "done"))
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.index = builder.phi(_I64)
        self.index.add_incoming(ir.Constant(_I64, 0), entry)
        self.carried = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, entry)
            self.carried.append(phi)

    def close(self, *values):
        following = self.builder.add(self.index, ir.Constant(_I64, self.step))
        self.index.add_incoming(following, self.body)
        for phi, value in zip(self.carried, values, strict=True):
            phi.add_incoming(value, self.body)
        self.builder.cbranch(self.builder.icmp_signed("<", following, self.count), self.body, self.done)
        self.builder.position_at_end(self.done)


def _load(builder, address, index, kind):
    at = builder.add(address, builder.mul(index, ir.Constant(_I64, kind.element.width // 8)))
    return builder.load(builder.inttoptr(at, kind.as_pointer()), align=1)


def _store(builder, value, address, index):
    at = builder.add(address, builder.mul(index, ir.Constant(_I64, value.type.element.width // 8)))
    builder.store(value, builder.inttoptr(at, value.type.as_pointer()), align=1)


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
        at = builder.ptrtoint(context.make_array(signature.args[0])(context, builder, source).data, _I64)
        tops = _splat(builder, builder.trunc(top, _I32), _WORDS)
        ready = emit(builder, values)
        loop = _Loop(builder, count, [ir.Constant(_WORDS, [0] * LANES)])
        step = builder.mul(loop.index, ir.Constant(_I64, bits // 8))
        emit_prefetch(builder, builder.add(builder.add(at, following), step))
        words = _load(builder, at, loop.index, ir.VectorType(ir.IntType(bits), LANES))
        if bits < 32:
            words = (builder.sext if signed else builder.zext)(words, _WORDS)
        power = ready(builder.sub(tops, words))
        _store(builder, power, powers, loop.index)
        total = builder.add(loop.carried[0], power)
        loop.close(total)
        add = _intrinsic(builder, f"llvm.vector.reduce.add.v{LANES}i64", _I64, _WIDE)
        return builder.call(add, [builder.zext(total, _WIDE)])

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
        lasts = _splat(builder, builder.trunc(values[0], _I32), _WORDS)
        base = _splat(builder, values[1], _WIDE)
        kinds = [_ADDRESSES, _I32, ir.VectorType(_I1, LANES), _WORDS]
        gather = _intrinsic(builder, f"llvm.masked.gather.v{LANES}i32.v{LANES}p0", _WORDS, *kinds)

        def powers(distance):
            index = builder.zext(_least(builder, distance, lasts), _WIDE)
            offsets = builder.shl(index, ir.Constant(_WIDE, [2] * LANES))
            places = builder.inttoptr(builder.add(base, offsets), _ADDRESSES)
            every = ir.Constant(kinds[2], [1] * LANES)
            return builder.call(gather, [places, ir.Constant(_I32, 4), every, ir.Constant(_WORDS, ir.Undefined)])

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
        size = builder.neg(builder.trunc(x0, _I32))
        sizes = _splat(builder, size, _WORDS)
        floor = builder.mul(builder.trunc(x0, _I32), builder.trunc(n, _I32))
        # from here on the scaled distance, 23/16 of it less one at most, is limited
        limited = builder.udiv(builder.mul(builder.neg(floor), ir.Constant(_I32, 16)), ir.Constant(_I32, 23))
        floors, reaches = (_splat(builder, v, _WORDS) for v in (floor, builder.add(limited, ir.Constant(_I32, 2))))
        inverse = builder.fdiv(ir.Constant(_F32, 1.0), builder.uitofp(size, _F32))
        added = 0.0 if drops_bit else 2.0  # of the quotient
        start = builder.fadd(builder.fmul(inverse, ir.Constant(_F32, 0.5)), ir.Constant(_F32, added))
        start, slope = _splat(builder, start, _REALS), _splat(builder, builder.fneg(inverse), _REALS)
        fused = _intrinsic(builder, f"llvm.fmuladd.v{LANES}f32", _REALS, _REALS, _REALS, _REALS)
        rotate = _intrinsic(builder, f"llvm.fshl.v{LANES}i32", _WORDS, _WORDS, _WORDS, _WORDS)
        last = builder.add(builder.trunc(n, _I32), ir.Constant(_I32, 0 if drops_bit else 1))
        shifts = _splat(builder, last, _WORDS)

        def powers(distance):
            x = builder.neg(_least(builder, distance, reaches))
            scaled = builder.sub(builder.add(x, builder.ashr(x, _all(1))), builder.ashr(x, _all(4)))
            scaled = builder.select(builder.icmp_signed(">", scaled, floors), scaled, floors)
            q = builder.fptosi(builder.call(fused, [builder.sitofp(scaled, _REALS), slope, start]), _WORDS)
            rest = dot_pairs(builder, scaled, q, sizes, LANES)  # scaled + q |x0|: the upper halves are 0
            shift = builder.sub(shifts, q)
            if drops_bit:
                return builder.shl(builder.add(builder.ashr(rest, _all(1)), sizes), shift)
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
        at = builder.ptrtoint(context.make_array(signature.args[3])(context, builder, out).data, _I64)
        factors, shifts = (_splat(builder, builder.trunc(v, _I32), _WORDS) for v in (factor, shift))
        loop = _Loop(builder, count)
        value = builder.lshr(builder.mul(_load(builder, powers, loop.index, _WORDS), factors), shifts)
        if result.element.width != 32:
            value = (builder.trunc if result.element.width < 32 else builder.zext)(value, result)
        _store(builder, value, at, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def scale_upper_span(typingctx, powers, factor, out, count):
    """The upper 8 or 16 bits of ``powers[j] * factor``, as many as `out` holds; `count` a multiple of 4 LANES."""
    bits = out.dtype.bitwidth
    share = 32 // bits
    signature = types.void(types.intp, types.int64, out, types.intp)

    def upper(builder, a, b):
        """The last part of every word of two vectors."""
        return builder.shuffle_vector(a, b, _places(share - 1 + share * i for i in range(2 * LANES)))

    def codegen(context, builder, signature, args):
        powers, factor, out, count = args
        at = builder.ptrtoint(context.make_array(signature.args[2])(context, builder, out).data, _I64)
        factors = _splat(builder, builder.trunc(factor, _I32), _WORDS)
        parts = ir.VectorType(ir.IntType(bits), share * LANES)
        loop = _Loop(builder, count, step=4 * LANES)
        places = [builder.add(loop.index, ir.Constant(_I64, v * LANES)) for v in range(4)]
        words = [builder.bitcast(builder.mul(_load(builder, powers, p, _WORDS), factors), parts) for p in places]
        low, high = upper(builder, *words[:2]), upper(builder, *words[2:])
        _store(builder, builder.shuffle_vector(low, high, _places(range(4 * LANES))), at, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen


def _places(indices):
    chosen = list(indices)
    return ir.Constant(ir.VectorType(_I32, len(chosen)), chosen)
