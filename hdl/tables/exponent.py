"""The exponent-addressed table on floating point: the input's own fields are the address, no comparator."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux

from hdl.component import shape_of
from hdl.registry import realises
from hdl.tables.engine import TableEngine, select
from hdl.tables.float_interpolation import interpolate_float
from intsim import tables

__all__ = ["ExponentTable"]

# Where the engine may be cut, the most useful cut first.
CUTS = (
    "table", "product", "normalise_y", "sum", "align", "lead", "subtract_y", "address", "place", "highest", "apart",
    "align_y", "leading_y", "order_y", "row", "words", "magnitude", "distance", "result", "fraction", "leading_t",
    "input",
)  # fmt: skip


@realises(tables.ExponentTable)
class ExponentTable(TableEngine):
    """Streaming hardware of :class:`intsim.tables.ExponentTable`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.ExponentTable
    stages : depth of the pipeline, 1 to 22: the first `stages` cuts of :data:`CUTS` are registers
    memory : of the words: ``"block"``, ``"logic"`` or ``"registers"``. Where each row begins, and how finely it is
        split, are constants in gates.

    Attributes
    ----------
    latency : equals `stages`
    """

    unit: tables.ExponentTable

    def __init__(self, unit: tables.ExponentTable, *, stages: int = 20, memory: str = "block"):
        super().__init__(unit, CUTS, stages, memory)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit, x = self.unit, self.unit.x
        pipe, table = self._begin(m, unit.table, shape_of(unit.y))
        s = pipe.values
        s.x = pipe.payload.x
        pipe.cut("input")
        s.nan = s.x[:-1] > x.infinity
        infinite = s.x[:-1] == x.infinity
        s.low = Mux(infinite, (1 << x.fraction) - 1, s.x[: x.fraction])
        field = Mux(infinite, x.largest >> x.fraction, s.x[x.fraction : -1])
        # rows stand at sign and exponent; the exponent of all ones is none
        none = [0]
        splits = (*unit.splits[: unit.rows // 2], *none, *unit.splits[unit.rows // 2 :], *none)
        bases = (*unit.bases[: unit.rows // 2], *none, *unit.bases[unit.rows // 2 : -1], *none)
        row = Cat(field[: x.exponent], s.x[-1])
        s.base = select(bases, row, (len(unit.table) - 1).bit_length())
        s.split = select(splits, row, x.fraction.bit_length())
        pipe.cut("row")
        place = (s.low << s.split)[: 2 * x.fraction]
        s.address = (s.base + place[x.fraction :])[: len(s.base)]
        s.rest = place[: x.fraction]
        pipe.cut("address")
        interpolate_float(pipe, table, unit.y, width=unit.width)
        pipe.end(y=Mux(s.nan, unit.y.nan, s.y))
        return m
