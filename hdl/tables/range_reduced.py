# amaranth: UnusedElaboratable=no
"""The normalised reciprocal of a positive integer in hardware: leading one, table, one linear step."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Array, Const, Module, Mux, Value

from hdl.component import UnitComponent
from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from hdl.registry import realises
from intsim import tables
from intsim.errors import IntsimError

__all__ = ["RECIPROCAL_CUTS", "NormalReciprocal", "append_reciprocal"]

RECIPROCAL_CUTS = 6


def append_reciprocal(pipe: Pipeline, unit: tables.NormalReciprocal, value: Value) -> Mapping[str, Value]:
    """Mantissa and exponent of ``1 / value``; appends :data:`RECIPROCAL_CUTS` cuts.

    The table is a ROM in gates: it is read once per row, and a block RAM would be idle the rest of the time.
    """
    if not unit.index_bits:
        raise IntsimError("there is no pipelined hardware for a normalised divider; use NormalReciprocal.design(...)")
    s = pipe.values
    s.reciprocal_of = value
    pipe.cut()
    index, found = leading_one(s.reciprocal_of)
    s.leading, s.not_zero = index, found
    pipe.cut()
    bits, kept = len(s.reciprocal_of), unit.index_bits + unit.t_bits
    places = (bits - 1 - s.leading)[: len(s.leading)]  # never negative for a value that is not 0
    moved = (s.reciprocal_of << places)[: bits - 1]  # without the leading one
    s.fraction = moved[bits - 1 - kept :] if bits - 1 >= kept else moved << (kept - bits + 1)
    s.exponent = s.leading + unit.bits
    pipe.cut()
    place = s.fraction[unit.t_bits :]
    words = Array(Const(word, unit.bits + 1) for word in unit.table[:-1])
    falls = [a - b for a, b in zip(unit.table, unit.table[1:], strict=False)]
    steps = Array(Const(fall, max(max(falls).bit_length(), 1)) for fall in falls)
    s.word, s.fall = words[place], steps[place]
    s.t = s.fraction[: unit.t_bits]
    pipe.cut()
    s.part = (s.fall * s.t)[unit.t_bits :] if unit.t_bits else Const(0, 1)
    pipe.cut()
    s.mantissa = Mux(s.not_zero, (s.word - s.part)[: unit.bits + 1], 0)
    s.weight = Mux(s.not_zero, s.exponent, 0)
    pipe.cut()
    return {"mantissa": s.mantissa, "exponent": s.weight}


@realises(tables.NormalReciprocal)
class NormalReciprocal(UnitComponent):
    """Streaming hardware of :class:`intsim.tables.NormalReciprocal` with a table: one result per cycle."""

    unit: tables.NormalReciprocal
    latency = RECIPROCAL_CUTS

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        pipe.end(**append_reciprocal(pipe, self.unit, pipe.payload.x))
        return m
