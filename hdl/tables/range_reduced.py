# amaranth: UnusedElaboratable=no
"""Reciprocals by range reduction in hardware: leading one, then a table and one linear step, or a divider."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.component import UnitComponent
from hdl.parts.divider import IterativeDivider
from hdl.parts.floats import capped, moved_up, right_with_sticky, unpack
from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from hdl.registry import realises
from hdl.tables.engine import TableEngine, select
from hdl.tables.memory import Table
from intsim import tables

__all__ = [
    "NORMAL_CUTS",
    "RECIPROCAL_CUTS",
    "NormalDivider",
    "NormalReciprocal",
    "RangeReduced",
    "append_normal",
    "append_reciprocal",
]

NORMAL_CUTS = 3
RECIPROCAL_CUTS = 6


def _append_leading(pipe: Pipeline, value: Value) -> Value:
    """The bits of `value` behind its leading one, moved to the top; appends two cuts.

    Names ``leading``, the place of that one, and ``not_zero``.
    """
    s = pipe.values
    s.reciprocal_of = value
    pipe.cut()
    index, found = leading_one(s.reciprocal_of)
    s.leading, s.not_zero = index, found
    pipe.cut()
    bits = len(s.reciprocal_of)
    places = (bits - 1 - s.leading)[: len(s.leading)]  # never negative for a value that is not 0
    return (s.reciprocal_of << places)[: bits - 1]


def append_normal(pipe: Pipeline, unit: tables.NormalReciprocal, value: Value) -> Mapping[str, Value]:
    """What :class:`NormalDivider` takes of `value`; appends :data:`NORMAL_CUTS` cuts."""
    s = pipe.values
    s.behind = _append_leading(pipe, value)
    s.exponent = Mux(s.not_zero, s.leading + unit.bits, 0)
    pipe.cut()
    return {"behind": s.behind, "exponent": s.exponent}


def append_reciprocal(pipe: Pipeline, unit: tables.NormalReciprocal, value: Value) -> Mapping[str, Value]:
    """Mantissa and exponent of ``1 / value`` by the unit's table; appends :data:`RECIPROCAL_CUTS` cuts.

    The table is a ROM in gates: it is read once per row, and a block RAM would be idle the rest of the time.
    """
    s = pipe.values
    moved = _append_leading(pipe, value)
    bits, kept = len(s.reciprocal_of), unit.index_bits + unit.t_bits
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


class NormalDivider(wiring.Component):
    """The reciprocal of a normalised number by digit recurrence, one at a time; its exponent waits beside it.

    A number x of `width` bits with its leading one moved to the top is ``d = x * 2**(width - 1 - L)``, and
    ``floor(2**(width - 1 + bits) / d)`` is the golden model's ``floor(2**(L + bits) / x)``: the same ratio. The
    divisor is never 0, for its top bit is 1 by construction; for x = 0 the dividend is.

    Parameters
    ----------
    width : of the number
    unit : the golden model, a divider

    Members
    -------
    i : In(stream of ``behind``, the `width` - 1 bits behind the leading one, and ``exponent``, 0 for x = 0 only)
    o : Out(stream of ``mantissa`` and ``exponent``)

    Attributes
    ----------
    latency, interval : those of :class:`~hdl.parts.divider.IterativeDivider` of radix 4 for `unit.bits` + 1 bits
    """

    def __init__(self, width: int, unit: tables.NormalReciprocal):
        self._width, self._bits = width, unit.bits
        self._divider = IterativeDivider(width + unit.bits, width, q_bits=unit.bits + 1, radix=4)
        self.latency, self.interval = self._divider.latency, self._divider.interval
        exponent = unsigned(unit.outputs["exponent"].bits)
        given = data.StructLayout({"behind": unsigned(width - 1), "exponent": exponent})
        found = data.StructLayout({"mantissa": unsigned(unit.bits + 1), "exponent": exponent})
        super().__init__({"i": In(stream.Signature(given)), "o": Out(stream.Signature(found))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.mantissa = inner = self._divider
        given = self.i.payload
        exponent = Signal.like(given.exponent)
        m.d.comb += [
            inner.i.valid.eq(self.i.valid),
            self.i.ready.eq(inner.i.ready),
            inner.i.payload.n.eq(Cat(Const(0, self._width - 1 + self._bits), given.exponent.any())),
            inner.i.payload.d.eq(Cat(given.behind, Const(1, 1))),
            self.o.valid.eq(inner.o.valid),
            inner.o.ready.eq(self.o.ready),
            self.o.payload.mantissa.eq(inner.o.payload.q),
            self.o.payload.exponent.eq(exponent),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += exponent.eq(given.exponent)
        return m


@realises(tables.NormalReciprocal)
class NormalReciprocal(UnitComponent):
    """Streaming hardware of :class:`intsim.tables.NormalReciprocal`: a pipeline around the table, or a divider.

    Attributes
    ----------
    latency : with a table :data:`RECIPROCAL_CUTS`, else :data:`NORMAL_CUTS` and that of :class:`NormalDivider`
    interval : with a table 1, else that of :class:`NormalDivider`
    """

    unit: tables.NormalReciprocal

    def __init__(self, unit: tables.NormalReciprocal):
        super().__init__(unit)
        if unit.index_bits:
            self.latency = RECIPROCAL_CUTS
        else:
            self._divider = NormalDivider(unit.x.bits, unit)
            self.latency, self.interval = NORMAL_CUTS + self._divider.latency, self._divider.interval

    def elaborate(self, platform) -> Module:
        m = Module()
        if self.unit.index_bits:
            pipe = Pipeline(m, self.i, self.o)
            pipe.end(**append_reciprocal(pipe, self.unit, pipe.payload.x))
        else:
            m.submodules.divider = divider = self._divider
            pipe = Pipeline(m, self.i, divider.i)
            pipe.end(**append_normal(pipe, self.unit, pipe.payload.x))
            wiring.connect(m, divider.o, wiring.flipped(self.o))
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
