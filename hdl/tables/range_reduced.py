# amaranth: UnusedElaboratable=no
"""Reciprocals by range reduction in hardware: leading one, table, one linear step; on integers and floating point."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Mux, Value, unsigned

from hdl.component import UnitComponent
from hdl.parts.floats import capped, moved_up, right_with_sticky, unpack
from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from hdl.registry import realises
from hdl.tables.engine import TableEngine, select
from hdl.tables.memory import Table
from intsim import tables
from intsim.errors import IntsimError

__all__ = ["RECIPROCAL_CUTS", "NormalReciprocal", "RangeReduced", "append_reciprocal"]

RECIPROCAL_CUTS = 6


def append_reciprocal(pipe: Pipeline, unit: tables.NormalReciprocal, value: Value) -> Mapping[str, Value]:
    """Mantissa and exponent of ``1 / value``; appends :data:`RECIPROCAL_CUTS` cuts.

    The table is a ROM in gates: it is read once per row, and a block RAM would be idle the rest of the time.

    Raises
    ------
    IntsimError
        `unit` has no table.
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
    s.word = select(unit.table[:-1], place, unit.bits + 1)
    s.fall = select([a - b for a, b in zip(unit.table, unit.table[1:], strict=False)], place)
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
    """Streaming hardware of :class:`intsim.tables.NormalReciprocal` with a table: one result per cycle.

    The latency is :data:`RECIPROCAL_CUTS`. A unit without a table, a divider, is refused.
    """

    unit: tables.NormalReciprocal
    latency = RECIPROCAL_CUTS

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        pipe.end(**append_reciprocal(pipe, self.unit, pipe.payload.x))
        return m


# Where the floating-point engine may be cut, the most useful cut first.
CUTS = (
    "table", "product", "leading_y", "leading_x", "word", "shift", "digits", "address", "normal_y", "words", "result",
    "input",
)  # fmt: skip


@realises(tables.RangeReduced)
class RangeReduced(TableEngine):
    """Streaming hardware of :class:`intsim.tables.RangeReduced`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.RangeReduced
    stages : depth of the pipeline, 1 to 12: the first `stages` cuts of :data:`CUTS` are registers
    memory : of the words: ``"block"``, ``"logic"`` or ``"registers"``

    Attributes
    ----------
    latency : equals `stages`
    """

    unit: tables.RangeReduced

    def __init__(self, unit: tables.RangeReduced, *, stages: int = 11, memory: str = "block"):
        super().__init__(unit, CUTS, stages, memory)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit = self.unit
        pipe, table = self._begin(m, unit.table, unsigned(unit.frac + 1))
        self._reduce(pipe)
        self._look_up(pipe, table)
        self._round(pipe)
        s, y = pipe.values, unit.y
        code = Mux(s.infinite, 0, Mux(s.zero, y.largest, s.code))
        pipe.end(y=Mux(s.nan, y.nan, Cat(code[: y.bits - 1], s.y_sign)))
        return m

    def _reduce(self, pipe: Pipeline) -> None:
        """Word address, position behind it, and the exponent of the result's octave."""
        unit, x, s = self.unit, self.unit.x, pipe.values
        halved = unit.fn == "rsqrt"
        s.x = pipe.payload.x
        pipe.cut("input")
        magnitude = s.x[:-1]
        s.zero, s.infinite = magnitude == 0, magnitude == x.infinity
        s.nan = (magnitude > x.infinity) | (halved & s.x[-1] & ~s.zero)
        s.y_sign = s.x[-1] & ~Const(halved, 1)
        s.x_index, _ = leading_one(unpack(s.x, x).significand)
        pipe.cut("leading_x")
        number = unpack(s.x, x)
        digits = moved_up(number.significand, s.x_index)[:-1]
        exponent = (number.exponent + s.x_index - (x.bias + x.fraction)).as_signed()
        s.octave = exponent >> 1 if halved else exponent
        place = digits[x.fraction - unit.index_bits :]
        s.address = Cat(place, exponent[0]) if halved else place
        s.t = digits[: x.fraction - unit.index_bits]
        pipe.cut("address")

    def _look_up(self, pipe: Pipeline, table: Table) -> None:
        """The interpolated `word`."""
        s = pipe.values
        address = Cat(s.address, Const(0, 1))[: (len(self.unit.table) - 1).bit_length()]
        pipe.read("left", table.read_port(), address)
        pipe.read("right", table.read_port(), address + 1)
        pipe.cut("table")
        pipe.cut("words")
        s.product = (s.left - s.right)[: len(s.left)] * s.t
        pipe.cut("product")
        s.word = (s.left - s.product[len(s.t) :])[: len(s.left)]
        pipe.cut("word")

    def _round(self, pipe: Pipeline) -> None:
        """The code of ``word * 2**(-frac - octave)``, ties to even, the largest number at most."""
        unit, y, s = self.unit, self.unit.y, pipe.values
        s.y_index, _ = leading_one(s.word)
        pipe.cut("leading_y")
        field = (s.y_index - s.octave + (y.bias - unit.frac)).as_signed()
        s.subnormal = field < 1
        s.field = Mux(s.subnormal, 1, field)
        padded = Cat(Const(0, max(y.fraction + 2 - unit.frac, 0)), s.word)
        s.normal = moved_up(padded, s.y_index + (len(padded) - len(s.word)))
        s.down = Mux(s.subnormal, 1 - field, 0)[: len(field)]
        pipe.cut("normal_y")
        s.moved, s.lost = right_with_sticky(s.normal, capped(s.down, len(s.normal)))
        pipe.cut("shift")
        kept, half, rest = s.moved[-y.fraction - 1 :], s.moved[-y.fraction - 2], s.moved[: -y.fraction - 2].any()
        s.digits, s.up = kept, half & (kept[0] | rest | s.lost)
        pipe.cut("digits")
        code = Cat(Const(0, y.fraction), (s.field - 1)[: len(s.field)]) + s.digits + s.up
        s.code = Mux(code > y.largest, y.largest, code)[: y.bits - 1]
        pipe.cut("result")
