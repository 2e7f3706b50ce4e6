"""Machine code for inner products of bytes on AMX tiles, written as LLVM IR.

A tile register holds 16 rows of 64 bytes. One call of :func:`tile_block` multiplies 16 or 32 rows of A by one or two
panels of B (16 columns each): up to four tiles of C stay in registers, each step of 64 bytes of the reduction loads
tiles of A and B and multiplies every pair. C starts from a row of starting values, which a load with stride 0 brings
to all rows.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from intsim.kernels.machine import Route, route

__all__ = [
    "HAS_TILES",
    "STEP_WORDS",
    "TILE_ROWS",
    "call_tiles",
    "configure_tiles",
    "emit_block",
    "emit_or_trap",
    "release_tiles",
    "tile_block",
]

TILE_ROWS = 16
STEP_WORDS = 16  # of 32 bits: what a row of a tile holds, and the rows of B that go with it

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VOID, _BYTES = ir.VoidType(), ir.IntType(8).as_pointer()


HAS_TILES = route() is Route.AMX


def _call(builder, name, *args):
    kinds = [arg.type for arg in args]
    fn = builder.module.declare_intrinsic(f"llvm.x86.{name}", (), ir.FunctionType(_VOID, kinds))
    builder.call(fn, args)


def emit_or_trap(builder, emit, *args):
    """What `emit` emits; a trap where the processor has no tiles, so that the code around it can be compiled."""
    if HAS_TILES:
        emit(builder, *args)
    else:
        builder.call(builder.module.declare_intrinsic("llvm.trap", (), ir.FunctionType(_VOID, [])), [])


def call_tiles(builder, name, *args):
    """An instruction of tiles: numbers are tiles, values are strides, or the address before them or alone."""
    values = [ir.Constant(_I8, arg) if isinstance(arg, int) else arg for arg in args]
    for i, arg in enumerate(args):
        if not isinstance(arg, int) and not any(isinstance(earlier, ir.Value) for earlier in args[:i]):
            values[i] = builder.inttoptr(arg, _BYTES)
    _call(builder, name, *values)


def _tile(number):
    return ir.Constant(_I8, number)


def _at(builder, address, offset=None):
    return builder.inttoptr(address if offset is None else builder.add(address, offset), _BYTES)


def emit_block(builder, unsigned, rows, columns, args, beside=None):
    """One block in IR; `unsigned` says whether A's bytes are, B's are signed; `args` are those from `a` on.

    ``beside(builder, step)`` emits what else is computed in each step: tiles multiply on a unit of their own.
    """
    a, a_stride, b, b_stride, column_start, out, stride, steps = args
    product = "tdpbusd" if unsigned else "tdpbssd"
    zero = ir.Constant(_I64, 0)
    for r in range(rows):
        for c in range(columns):
            start = _at(builder, column_start, ir.Constant(_I64, 64 * c))
            _call(builder, "tileloadd64", _tile(2 * r + c), start, zero)
    lines = [builder.add(a, builder.mul(a_stride, ir.Constant(_I64, TILE_ROWS * r))) for r in range(rows)]
    panels = [builder.add(b, builder.mul(b_stride, ir.Constant(_I64, c))) for c in range(columns)]

    entry = builder.block
    loop, done = (builder.append_basic_block(name) for name in ("steps", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    index = builder.phi(_I64)
    index.add_incoming(zero, entry)
    a_at = builder.mul(index, ir.Constant(_I64, 4 * STEP_WORDS))
    b_at = builder.mul(index, ir.Constant(_I64, 64 * STEP_WORDS))
    for c in range(columns):  # B passes by once per row of blocks, so that A may stay in the nearest cache
        _call(builder, "tileloaddt164", _tile(6 + c), _at(builder, panels[c], b_at), ir.Constant(_I64, 64))
    for r in range(rows):
        _call(builder, "tileloadd64", _tile(4 + r), _at(builder, lines[r], a_at), a_stride)
        for c in range(columns):
            _call(builder, product, _tile(2 * r + c), _tile(4 + r), _tile(6 + c))
    if beside is not None:
        beside(builder, index)
    following = builder.add(index, ir.Constant(_I64, 1))
    index.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, steps), loop, done)

    builder.position_at_end(done)
    for r in range(rows):
        line = builder.add(out, builder.mul(stride, ir.Constant(_I64, TILE_ROWS * r)))
        for c in range(columns):
            _call(builder, "tilestored64", _tile(2 * r + c), _at(builder, line, ir.Constant(_I64, 64 * c)), stride)


@intrinsic(prefer_literal=True)
def tile_block(typingctx, unsigned, rows, columns, a, a_stride, b, b_stride, column_start, out, stride, steps):
    """Compute one block of C between :func:`configure_tiles` and :func:`release_tiles`.

    Parameters
    ----------
    unsigned : 1 where A's bytes are unsigned, else 0, constant
    rows, columns : tiles of C, 1 or 2 each, constants
    a, a_stride : address of the first row, bytes between rows
    b, b_stride : address of the first panel, bytes between panels
    column_start : address of int32[16 * columns], starting value of each column
    out, stride : address of the block's corner in C (int32), bytes between rows
    steps : groups of 64 bytes along the reduction, at least 1
    """
    chosen = unsigned.literal_value, rows.literal_value, columns.literal_value
    signature = types.void(unsigned, rows, columns, *[types.intp] * 8)

    def codegen(context, builder, signature, args):
        emit_or_trap(builder, emit_block, *chosen, args[3:])
        return context.get_dummy_value()

    return signature, codegen


def emit_configuration(builder):
    """Palette 1; bytes per row of tile t at 16 + 2 t, rows at 48 + t."""
    text = bytearray(64)
    text[0] = 1
    for t in range(8):
        text[16 + 2 * t] = 4 * STEP_WORDS
        text[48 + t] = TILE_ROWS
    kind = ir.ArrayType(_I8, len(text))
    slot = builder.alloca(kind)
    builder.store(ir.Constant(kind, text), slot)
    _call(builder, "ldtilecfg", builder.bitcast(slot, _BYTES))


@intrinsic
def configure_tiles(typingctx):
    """Eight tiles of 16 rows by 64 bytes, for this thread."""

    def codegen(context, builder, signature, args):
        emit_or_trap(builder, emit_configuration)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def release_tiles(typingctx):
    """Give the tiles' state back."""

    def codegen(context, builder, signature, args):
        emit_or_trap(builder, _call, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen
