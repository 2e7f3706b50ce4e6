"""The table of slopes and intercepts on floating point: a comparator for every breakpoint, one multiply-add."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, unsigned

from hdl.parts.floats import add_rounded, sort_key, sorted_constant, unpack
from hdl.parts.thermometer import count_thermometer
from hdl.registry import realises
from hdl.tables.engine import TableEngine
from intsim import tables

__all__ = ["FloatPWL"]

# Where the engine may be cut, the most useful cut first.
CUTS = (
    "table", "product", "sum", "compare", "align", "address", "lead", "words", "magnitude", "distance", "result",
    "place", "highest", "apart", "input",
)  # fmt: skip


@realises(tables.FloatPWL)
class FloatPWL(TableEngine):
    """Streaming hardware of :class:`intsim.tables.FloatPWL`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.FloatPWL
    stages : depth of the pipeline, 1 to 15: the first `stages` cuts of :data:`CUTS` are registers
    memory : of slopes and intercepts: ``"block"``, ``"logic"`` or ``"registers"``. Breakpoints are constants of the
        comparators, as in the NLI engine.

    Attributes
    ----------
    latency : equals `stages`
    """

    unit: tables.FloatPWL

    def __init__(self, unit: tables.FloatPWL, *, stages: int = 15, memory: str = "block"):
        super().__init__(unit, CUTS, stages, memory)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit, x, y = self.unit, self.unit.x, self.unit.y
        words = [slope | intercept << y.bits for slope, intercept in zip(unit.slopes, unit.intercepts, strict=True)]
        pipe, table = self._begin(m, words, unsigned(2 * y.bits))
        s = pipe.values
        s.x = pipe.payload.x
        pipe.cut("input")
        s.nan = s.x[:-1] > x.infinity
        infinite = s.x[:-1] == x.infinity
        s.code = Cat(Mux(infinite, x.largest, s.x[:-1]), s.x[-1])
        key = sort_key(s.x)
        s.reached = Cat(key >= sorted_constant(b, x) for b in unit.breaks)
        pipe.cut("compare")
        s.address = count_thermometer(s.reached)
        pipe.cut("address")
        pipe.read("pair", table.read_port(), s.address)
        pipe.cut("table")
        pipe.cut("words")
        slope, number = unpack(s.pair[: y.bits], y), unpack(s.code, x)
        s.product = slope.significand * number.significand
        # the product of two significands has a place above them; the slope's bias stays, it is the result's
        s.product_top = (slope.exponent + number.exponent + (1 - x.bias)).as_signed()
        s.product_sign = slope.sign ^ number.sign
        s.word = s.pair[y.bits :]
        pipe.cut("product")
        add_rounded(pipe, y, room=2 * len(s.product) + y.fraction, saturating=True)
        pipe.end(y=Mux(s.nan, y.nan, s.y))
        return m
