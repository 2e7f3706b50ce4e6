"""Machine code for parts of rows, written as LLVM IR: exponentials by table, and their normalisation."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.kernels.dots import LANES

__all__ = ["gather_span", "scale_span"]

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
_WORDS, _WIDE = ir.VectorType(_I32, LANES), ir.VectorType(_I64, LANES)
_ADDRESSES = ir.VectorType(_I32.as_pointer(), LANES)


def _splat(builder, scalar, kind):
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(_WORDS, [0] * LANES))


class _Loop:
    """A loop over vectors: positions the builder in its body, and behind it on :meth:`close`."""

    def __init__(self, builder, count, carried=()):
        self.builder, self.count = builder, count
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
        following = self.builder.add(self.index, ir.Constant(_I64, LANES))
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


@intrinsic
def gather_span(typingctx, row, top, last, table, powers, count):
    """``powers[j] = table[min(top - row[j], last)]`` for `count` elements, a positive multiple of LANES.

    Parameters
    ----------
    row : array of integers of up to 32 bits
    top : int64, not below any of them
    last : int64, the table's last index
    table, powers : addresses of uint32
    """
    signed, bits = row.dtype.signed, row.dtype.bitwidth
    signature = types.void(row, types.int64, types.int64, types.intp, types.intp, types.intp)

    def codegen(context, builder, signature, args):
        source, top, last, table, powers, count = args
        at = builder.ptrtoint(context.make_array(signature.args[0])(context, builder, source).data, _I64)
        tops = _splat(builder, builder.trunc(top, _I32), _WORDS)
        lasts = _splat(builder, builder.trunc(last, _I32), _WORDS)
        base = _splat(builder, table, _WIDE)
        name = f"llvm.masked.gather.v{LANES}i32.v{LANES}p0"
        kinds = [_ADDRESSES, _I32, ir.VectorType(_I1, LANES), _WORDS]
        fn = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(_WORDS, kinds), name)
        loop = _Loop(builder, count)
        words = _load(builder, at, loop.index, ir.VectorType(ir.IntType(bits), LANES))
        if bits < 32:
            words = (builder.sext if signed else builder.zext)(words, _WORDS)
        distance = builder.sub(tops, words)
        distance = builder.select(builder.icmp_unsigned("<", distance, lasts), distance, lasts)
        offsets = builder.shl(builder.zext(distance, _WIDE), ir.Constant(_WIDE, [2] * LANES))
        places = builder.inttoptr(builder.add(base, offsets), _ADDRESSES)
        every = ir.Constant(kinds[2], [1] * LANES)
        power = builder.call(fn, [places, ir.Constant(_I32, 4), every, ir.Constant(_WORDS, ir.Undefined)])
        _store(builder, power, powers, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def scale_span(typingctx, powers, factor, shift, out, count):
    """``out[j] = (powers[j] * factor) >> shift`` for `count` elements, a positive multiple of LANES.

    Parameters
    ----------
    powers : address of uint32
    factor, shift : int64, the factor below 2**32
    out : array of integers, written
    """
    result = ir.VectorType(ir.IntType(out.dtype.bitwidth), LANES)
    signature = types.void(types.intp, types.int64, types.int64, out, types.intp)

    def codegen(context, builder, signature, args):
        powers, factor, shift, out, count = args
        at = builder.ptrtoint(context.make_array(signature.args[3])(context, builder, out).data, _I64)
        low = builder.and_(factor, ir.Constant(_I64, 0xFFFFFFFF))
        factors, shifts = _splat(builder, low, _WIDE), _splat(builder, shift, _WIDE)
        loop = _Loop(builder, count)
        words = builder.zext(_load(builder, powers, loop.index, _WORDS), _WIDE)
        value = builder.lshr(builder.mul(words, factors), shifts)
        _store(builder, builder.trunc(value, result) if result != _WIDE else value, at, loop.index)
        loop.close()
        return context.get_dummy_value()

    return signature, codegen
