"""The floating-point NLI engine: bit patterns in and out, one result per cycle.

The stages follow the paper's (arXiv 2602.02988): comparators; difference and scale; two table words; multiply-add.
**Ours:** comparison on unsigned keys of the codes; each difference by an adder of ``width + 2`` bits that borrows for
what was shifted out, instead of an exact one of 41; a leading-one search behind both differences, behind the
fraction of the position and in the last sum, so that every product has two normalised operands of `width` bits.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, signed

from hdl.component import shape_of
from hdl.parts.floats import Unpacked, constant, difference, sort_key, sorted_constant, unpack
from hdl.parts.pipeline import Pipeline
from hdl.parts.thermometer import count_thermometer
from hdl.registry import realises
from hdl.tables.engine import TableEngine, select
from hdl.tables.float_interpolation import interpolate_float
from intsim import tables

__all__ = ["FloatNLI"]

# Where the engine may be cut, the most useful cut first.
CUTS = (
    "table",
    "scale",
    "product",
    "normalise_x",
    "normalise_y",
    "sum",
    "fraction",
    "align",
    "subtract_x",
    "subtract_y",
    "lead",
    "place",
    "highest",
    "leading_x",
    "leading_y",
    "leading_t",
    "apart",
    "whole",
    "align_x",
    "align_y",
    "index",
    "order_y",
    "order_x",
    "words",
    "address",
    "magnitude",
    "compare",
    "distance",
    "result",
    "select",
    "input",
)


@realises(tables.FloatNLI)
class FloatNLI(TableEngine):
    """Streaming hardware of :class:`intsim.tables.FloatNLI`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.FloatNLI
    stages : depth of the pipeline, 1 to 31. Values cross a register at the first `stages` cuts of :data:`CUTS`.
    memory : ``"block"`` (clocked read ports: a block RAM), ``"logic"`` (a ROM in gates) or ``"registers"``

    Attributes
    ----------
    latency : equals `stages`

    Notes
    -----
    Signals carry the names of the golden model's trace where they hold the same number: ``s<stage>_index``,
    ``_address``, ``_dx_m``, ``_t_m``, ``_step_m`` (mantissas here are moved left until their highest bit is set).
    """

    unit: tables.FloatNLI

    def __init__(self, unit: tables.FloatNLI, *, stages: int = 29, memory: str = "block"):
        super().__init__(unit, CUTS, stages, memory)

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe, table = self._begin(m, self.unit.table, shape_of(self.unit.y))
        self._locate(pipe)
        whole = self._scale(pipe)
        self._divide(pipe, whole)
        interpolate_float(pipe, table, self.unit.y, width=self.unit.width, before="before")
        s = pipe.values
        pipe.end(y=Mux(s.nan, self.unit.nan, s.y))
        return m

    def _locate(self, pipe: Pipeline) -> None:
        """Interval `index` and the distance ``dx`` from its left cut."""
        unit, fmt, s = self.unit, self.unit.x, pipe.values
        s.x = pipe.payload.x
        pipe.cut("input")
        magnitude = s.x[:-1]
        s.nan = magnitude > fmt.infinity
        key = sort_key(s.x)
        s.reached = Cat(key >= sorted_constant(cut, fmt) for cut in unit.cuts)
        pipe.cut("compare")
        s.index = count_thermometer(s.reached[1 : unit.intervals])
        first, last = (Const(unit.cuts[k], fmt.bits) for k in (0, -1))
        s.inside = Mux(s.reached[-1], last, Mux(s.reached[0], s.x, first))
        pipe.cut("index")
        parts = [constant(cut, fmt) for cut in unit.cuts[:-1]]
        s.cut_sign, s.cut_exponent, s.cut_significand = (
            select([part[k] for part in parts], s.index, bits)
            for k, bits in enumerate((1, fmt.exponent, fmt.fraction + 1))
        )
        pipe.cut("select")
        cut = Unpacked(s.cut_sign, s.cut_exponent, s.cut_significand)
        names = ("order_x", "align_x", "subtract_x", "leading_x", "normalise_x")
        self._dx_offset = difference(pipe, "dx", unpack(s.inside, fmt), cut, unit.width, names)

    def _scale(self, pipe: Pipeline) -> int:
        """The position: `scaled`, of which `whole_bits` lie before the binary point; returns their greatest number."""
        unit, fmt, s, width = self.unit, self.unit.x, pipe.values, self.unit.width
        moves = [width - mantissa.bit_length() for mantissa in unit.mantissas]
        mantissas = [m << move for m, move in zip(unit.mantissas, moves, strict=True)]
        s.scaled = s.dx_m * select(mantissas, s.index, width)
        # scaled has 2 * width bits; its lowest weighs 2**(dx_top + offset - bias - fraction + exponent)
        offset = self._dx_offset - fmt.bias - fmt.fraction + 2 * width
        shifts = [e - move + offset for e, move in zip(unit.exponents, moves, strict=True)]
        bits = max((shift if shift >= 0 else ~shift).bit_length() for shift in shifts) + 1
        s.before = (s.dx_top + select(shifts, s.index, signed(bits))).as_signed()
        pipe.cut("scale")
        most = (max(unit.segments) - 1).bit_length() + 1
        s.whole_bits = Mux(s.before < 0, 0, Mux(s.before > most, most, s.before))[: most.bit_length()]
        pipe.cut("whole")
        return most

    def _divide(self, pipe: Pipeline, whole: int) -> None:
        """The position's integer part, as the word's address, and the `rest`."""
        unit, s, width = self.unit, pipe.values, self.unit.width
        segment = s.scaled[2 * width - whole :] >> (whole - s.whole_bits)[: whole.bit_length()]
        s.address = (select(unit.bases[:-1], s.index) + segment)[: (len(unit.table) - 1).bit_length()]
        s.rest = s.scaled & (Const((1 << 2 * width) - 1, 2 * width) >> s.whole_bits)
        pipe.cut("address")
