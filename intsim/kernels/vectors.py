"""What machine code written as LLVM IR for rows shares: vectors, a loop over them, where they lie in memory."""

from __future__ import annotations

from llvmlite import ir

from intsim.kernels.dots import LANES

__all__ = [
    "BYTES", "DOUBLES", "I32", "I64", "LINE", "WIDE", "WORDS", "Loop", "address_of", "all_of", "declared", "load",
    "one_of", "places", "splat", "store",
]  # fmt: skip

I32, I64 = ir.IntType(32), ir.IntType(64)
BYTES, WORDS, WIDE, DOUBLES = (ir.VectorType(kind, LANES) for kind in (ir.IntType(8), I32, I64, ir.DoubleType()))
LINE = 64  # bytes of the cache


def splat(builder, scalar, kind):
    """A vector of one value."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def all_of(kind, value):
    """A vector of one constant."""
    return ir.Constant(kind, [value] * kind.count)


def places(indices):
    """Which elements a shuffle takes."""
    chosen = list(indices)
    return ir.Constant(ir.VectorType(I32, len(chosen)), chosen)


def declared(builder, name, result, *kinds):
    """LLVM's function of this name and type."""
    return builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(result, kinds), name)


def address_of(context, builder, kind, array):
    """Where an array's elements begin."""
    return builder.ptrtoint(context.make_array(kind)(context, builder, array).data, I64)


def _at(builder, address, index, kind):
    size = (kind.element if isinstance(kind, ir.VectorType) else kind).width // 8
    return builder.add(address, builder.mul(index, ir.Constant(I64, size)))


def load(builder, address, kind, index=None):
    """What lies `index` elements behind `address`, or there."""
    at = address if index is None else _at(builder, address, index, kind)
    return builder.load(builder.inttoptr(at, kind.as_pointer()), align=1)


def store(builder, value, address, index=None):
    """Put `value` there."""
    at = address if index is None else _at(builder, address, index, value.type)
    builder.store(value, builder.inttoptr(at, value.type.as_pointer()), align=1)


def one_of(builder, value, candidates, emit):
    """``emit(builder, candidate)`` for the candidate that `value` equals at run time; none else may occur."""
    done = builder.append_basic_block("chosen")
    blocks = [(candidate, builder.append_basic_block(f"case{candidate}")) for candidate in candidates]
    branches = builder.switch(value, blocks[-1][1])
    for candidate, block in blocks[:-1]:
        branches.add_case(ir.Constant(value.type, candidate), block)
    for candidate, block in blocks:
        builder.position_at_end(block)
        emit(builder, candidate)
        builder.branch(done)
    builder.position_at_end(done)


class Loop:
    """A loop over vectors: positions the builder in its body, and behind it on :meth:`close`."""

    def __init__(self, builder, count, carried=(), step=LANES):
        self.builder, self.count, self.step = builder, count, step
        entry = builder.block
        self.body, self.done = (builder.append_basic_block(name) for name in ("vectors", "done"))
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.index = builder.phi(I64)
        self.index.add_incoming(ir.Constant(I64, 0), entry)
        self.carried = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, entry)
            self.carried.append(phi)

    def close(self, *values):
        following = self.builder.add(self.index, ir.Constant(I64, self.step))
        end = self.builder.block  # the body may have branched
        self.index.add_incoming(following, end)
        for phi, value in zip(self.carried, values, strict=True):
            phi.add_incoming(value, end)
        self.builder.cbranch(self.builder.icmp_signed("<", following, self.count), self.body, self.done)
        self.builder.position_at_end(self.done)
