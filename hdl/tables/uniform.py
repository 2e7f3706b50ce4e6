"""The equal-step table: one subtraction, two table words, one multiply-add."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Value

from hdl.component import shape_of
from hdl.registry import realises
from hdl.tables.engine import TableEngine
from hdl.tables.interpolation import interpolate
from intsim import tables
from intsim.tables.loading import stored_words

__all__ = ["Uniform"]

# Where the engine may be cut, the most useful cut first.
CUTS = ("table", "product", "words", "address", "step", "result", "distance", "input", "round")


@realises(tables.Uniform)
class Uniform(TableEngine):
    """Streaming hardware of :class:`intsim.tables.Uniform`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.Uniform
    stages : depth of the pipeline, 1 to 9: the first `stages` cuts of :data:`CUTS` are registers
    memory : ``"block"`` (clocked read ports: a block RAM), ``"logic"`` (a ROM in gates), ``"registers"``
        (flip-flops that are loaded after reset) or ``"loadable"`` (a block RAM whose words are registers too, on a
        member ``bus``)

    Attributes
    ----------
    latency : equals `stages`
    registers : :func:`intsim.tables.loading.word_map` of a loadable table, None of others

    Notes
    -----
    Signals carry the names of the golden model's trace: ``s<stage>_distance``, ``_t``, ``_address``, ``_left``,
    ``_step``.
    """

    unit: tables.Uniform

    def __init__(self, unit: tables.Uniform, *, stages: int = 8, memory: str = "block"):
        super().__init__(unit, CUTS, stages, memory, loadable=True)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit = self.unit
        # The last word stands twice where the last knot is a code: it is its own right neighbour there.
        pipe, table = self._begin(m, stored_words(unit), shape_of(unit.y))
        s = pipe.values
        s.x = pipe.payload.x
        pipe.cut("input")
        s.offset = s.x - Const(unit.first, shape_of(unit.x))
        pipe.cut("distance")
        s.distance = self._limit(s.offset)
        s.address = s.distance[unit.step_bits :]
        s.t = s.distance[: unit.step_bits]
        pipe.cut("address")
        interpolate(pipe, table, t_bits=unit.step_bits, step_bits=unit.widths["step"], rounding=unit.rounding)
        pipe.end(y=s.y)
        return m

    def _limit(self, offset: Value) -> Value:
        """`offset` between 0 and the last knot, where the format reaches beyond them."""
        unit, width = self.unit, self.unit.widths["distance"]
        reach = unit.last - unit.first
        distance = offset[:width]
        if unit.last < unit.x.hi:
            distance = Mux(offset >= reach, Const(reach, width), distance)
        if unit.first > unit.x.lo:
            distance = Mux(offset[-1], Const(0, width), distance)
        return distance
