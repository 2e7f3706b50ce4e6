"""Machine code for inner products on vector registers, written as LLVM IR.

A **word** is 32 bits of one operand: four bytes, or two 16-bit numbers, that follow each other along the reduction.
Operand B lies in panels ``[steps][lanes]`` of words, one per column; A in rows of words. One call of :func:`dot_tile`
computes ``rows`` rows by ``vectors`` panels: the accumulators stay in registers, each step multiplies and adds words.
All elements are signed, except that VNNI takes bytes of A unsigned (see :data:`A_UNSIGNED`).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.kernels.machine import Route, lanes, vector_route

__all__ = [
    "A_UNSIGNED",
    "BYTES_SDOT",
    "BYTES_VNNI",
    "ELEMENT",
    "HALF_ROWS",
    "LANES",
    "NIBBLES",
    "PAIRS",
    "ROWS",
    "VECTORS",
    "WORDS",
    "dot_pairs",
    "dot_tile",
    "emit_prefetch",
    "emit_tile",
    "move_vector",
    "split_nibbles",
]

LANES = lanes()
ROWS, VECTORS = {16: (8, 3), 8: (6, 2), 4: (4, 2)}[LANES]  # accumulators, B and one word of A fill the registers
HALF_ROWS = ROWS // 2
A_UNSIGNED = vector_route() is Route.VNNI

# What a word holds and by which instructions it is multiplied; WORDS is this processor's choice.
PAIRS, BYTES_VNNI, BYTES_SDOT, NIBBLES = 0, 1, 2, 4
WORDS = {Route.VNNI: BYTES_VNNI, Route.SDOT: BYTES_SDOT}.get(vector_route(), PAIRS)
ELEMENT = 2 if WORDS == PAIRS else 1  # bytes of what is multiplied

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def _vector(kind, count):
    return ir.VectorType(kind, count)


def _pointer(builder, address, offset, kind):
    at = builder.add(address, ir.Constant(_I64, offset)) if isinstance(offset, int) else builder.add(address, offset)
    return builder.inttoptr(at, kind.as_pointer())


def _splat(builder, scalar, width):
    kind = _vector(_I32, width)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(kind, [0] * width))


def _every(builder, vector, group, first, count):
    """Elements ``first, first + group, ...`` of `vector`."""
    mask = ir.Constant(_vector(_I32, count), [first + group * i for i in range(count)])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def dot_pairs(builder, total, a, b, width):
    """Two 16-bit products per lane; recognised as ``vpdpwssd``, ``vpmaddwd`` or ``smull``."""
    halves = _vector(_I16, 2 * width)
    wide = _vector(_I32, 2 * width)
    product = builder.mul(*(builder.sext(builder.bitcast(v, halves), wide) for v in (a, b)))
    return builder.add(total, builder.add(*(_every(builder, product, 2, i, width) for i in (0, 1))))


def _dot_vnni(builder, total, a, b, width):
    name = f"llvm.x86.avx512.vpdpbusd.{32 * width}"
    kind = _vector(_I32, width)
    fn = builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, [kind] * 3))
    return builder.call(fn, [total, a, b])


def _dot_sdot(builder, total, a, b, width):
    kind, quarters = _vector(_I32, width), _vector(_I8, 4 * width)
    name = f"llvm.aarch64.neon.sdot.v{width}i32.v{4 * width}i8"
    fn = builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, [kind, quarters, quarters]))
    return builder.call(fn, [total, builder.bitcast(a, quarters), builder.bitcast(b, quarters)])


_DOTS = {PAIRS: dot_pairs, BYTES_VNNI: _dot_vnni, BYTES_SDOT: _dot_sdot}


_AHEAD = 1024  # bytes of a panel


def emit_prefetch(builder, address, write=0, near=2):
    """Ask for the cache line that holds `address`, to read it once, or to write it; `near` 3 is the nearest cache."""
    pointer = _I8.as_pointer()
    kinds = [pointer, _I32, _I32, _I32]
    name = "llvm.prefetch.p0"
    fn = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
    builder.call(fn, [builder.inttoptr(address, pointer), *(ir.Constant(_I32, v) for v in (write, near, 1))])


def emit_tile(builder, dot, width, rows, vectors, args, nibbles=False):
    """One tile in IR; `args` are those of :func:`dot_tile` from `a` on, `width` the lanes of a vector.

    With `nibbles` a word of B holds those of two steps: the first in the lower halves of its bytes.
    """
    a, a_stride, b, b_stride, row_start, column_start, out, stride, steps = args
    dot = _DOTS[dot]
    kind = _vector(_I32, width)
    columns = [
        builder.load(_pointer(builder, column_start, 4 * width * v, kind), align=4, name="start")
        for v in range(vectors)
    ]
    start = []
    for row in range(rows):
        scalar = builder.load(_pointer(builder, row_start, 4 * row, _I32), align=4)
        start += [builder.add(_splat(builder, scalar, width), column) for column in columns]
    lines = [builder.add(a, builder.mul(a_stride, ir.Constant(_I64, row))) for row in range(rows)]
    panels = [builder.add(b, builder.mul(b_stride, ir.Constant(_I64, v))) for v in range(vectors)]

    entry = builder.block
    loop, done = (builder.append_basic_block(name) for name in ("steps", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(_I64)
    index.add_incoming(ir.Constant(_I64, 0), entry)
    sums = []
    for value in start:
        phi = builder.phi(kind)
        phi.add_incoming(value, entry)
        sums.append(phi)
    b_at = builder.mul(index, ir.Constant(_I64, 4 * width))
    words = [builder.load(_pointer(builder, panel, b_at, kind), align=4) for panel in panels]
    if rows == 1:  # memory is the limit: ask for it early
        for panel in panels:
            emit_prefetch(builder, builder.add(panel, builder.add(b_at, ir.Constant(_I64, _AHEAD))))
    after = list(sums)
    mask = ir.Constant(kind, [0x0F0F0F0F] * width)
    for part in range(2 if nibbles else 1):
        a_at = builder.mul(index, ir.Constant(_I64, 8 if nibbles else 4))
        a_at = builder.add(a_at, ir.Constant(_I64, 4 * part))
        if nibbles:
            held = [builder.and_(builder.lshr(word, ir.Constant(kind, [4 * part] * width)), mask) for word in words]
        else:
            held = words
        for row in range(rows):
            word = _splat(builder, builder.load(_pointer(builder, lines[row], a_at, _I32), align=1), width)
            for v in range(vectors):
                after[row * vectors + v] = dot(builder, after[row * vectors + v], word, held[v], width)
    following = builder.add(index, ir.Constant(_I64, 1))
    for phi, value in zip(sums, after, strict=True):
        phi.add_incoming(value, loop)
    index.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, steps), loop, done)

    builder.position_at_end(done)
    for row in range(rows):
        line = builder.add(out, builder.mul(stride, ir.Constant(_I64, row)))
        for v in range(vectors):
            builder.store(after[row * vectors + v], _pointer(builder, line, 4 * width * v, kind), align=4)


@intrinsic(prefer_literal=True)
def dot_tile(typingctx, what, rows, vectors, a, a_stride, b, b_stride, row_start, column_start, out, stride, steps):
    """Accumulate one tile.

    Parameters
    ----------
    what : PAIRS, BYTES_VNNI or BYTES_SDOT, constant; with NIBBLES added where words of B hold two steps
    rows, vectors : size of the tile, constants
    a, a_stride : address of the first row of words, bytes between rows
    b, b_stride : address of the first panel, bytes between panels
    row_start : address of int32[rows], starting value of each row
    column_start : address of int32[vectors * LANES], starting value of each column
    out, stride : address of the tile's corner in C (int32), bytes between rows
    steps : words along the reduction, at least 1
    """
    dot, nibbles = what.literal_value % NIBBLES, what.literal_value >= NIBBLES
    shape = (rows.literal_value, vectors.literal_value)
    signature = types.void(what, rows, vectors, *[types.intp] * 9)

    def codegen(context, builder, signature, args):
        emit_tile(builder, dot, LANES, *shape, args[3:], nibbles)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def move_vector(typingctx, source, target):
    """LANES int32 from one address to another."""

    def codegen(context, builder, signature, args):
        kind = _vector(_I32, LANES).as_pointer()
        value = builder.load(builder.inttoptr(args[0], kind), align=4)
        builder.store(value, builder.inttoptr(args[1], kind), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def split_nibbles(typingctx, source, low, high):
    """LANES words from one address: the lower halves of their bytes to another, the upper halves to a third."""

    def codegen(context, builder, signature, args):
        kind = _vector(_I32, LANES)
        mask, four = ir.Constant(kind, [0x0F0F0F0F] * LANES), ir.Constant(kind, [4] * LANES)
        source, low, high = (builder.inttoptr(arg, kind.as_pointer()) for arg in args)
        value = builder.load(source, align=4)
        builder.store(builder.and_(value, mask), low, align=4)
        builder.store(builder.and_(builder.lshr(value, four), mask), high, align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen
