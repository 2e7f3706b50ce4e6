# amaranth: UnusedElaboratable=no
"""QANS in hardware: the quantiser stands between the maximum and the exponential, which is a unit of its own."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Value, unsigned

from hdl.component import shape_of
from hdl.nonlinear.rows import RowFlow
from hdl.nonlinear.softmax import below_top
from hdl.nonlinear.table_rows import TableSoftmax
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import drop_bits
from hdl.registry import create, has_hardware, realises
from intsim.errors import IntsimError
from intsim.formats import Format
from intsim.nonlinear import qans

__all__ = ["QANSSoftmax"]

_MOST = 1 << 12  # words of a lane's ROM


@realises(qans.QANSSoftmax)
class QANSSoftmax(TableSoftmax):
    """:class:`intsim.nonlinear.QANSSoftmax`.

    Every lane has an engine for the exponential: the hardware of the unit ``exp``, of the depth it has by default.
    A unit without hardware, such as a direct table, is a ROM of its values for the quantiser's codes, of at most
    12 bits.
    """

    unit: qans.QANSSoftmax

    def __init__(self, unit: qans.QANSSoftmax, *, lanes: int = 1):
        self._engines = [create(unit.exp) for _ in range(lanes)] if has_hardware(unit.exp) else []
        if not self._engines and unit.top >= _MOST:
            raise IntsimError(
                f"{unit.exp.name} has no hardware, and a ROM per lane would hold {unit.top + 1} words, "
                f"{_MOST} are allowed; use fewer bits, or a unit with hardware such as NLI"
            )
        self.e_bits = unit.widths["e"]
        self._bits = (unit.x.bits + 1, unit.multiplier.bit_length() + 1)
        look_up = self._engines[0].latency if self._engines else 2
        self.exp_cuts = 1 + multiplier_cuts(*self._bits) + 2 + look_up
        super().__init__(unit, lanes=lanes)

    def _exponentials(self, m: Module, flow: RowFlow, row):
        unit, e = self.unit, unsigned(self.e_bits)
        if not self._engines:
            return flow.map("exp", row, {"e": e}, lambda pipe: self._read(m, pipe))
        (code,) = unit.exp.inputs.values()
        shapes = {"code": shape_of(code)}
        if unit.masked:
            shapes["counts"] = unsigned(1)
        row = flow.map("quantise", row, shapes, lambda pipe: self._quantise(pipe, code))
        return flow.engines("exp", row, self._engines, "code", "e", e)

    def _round(self, pipe: Pipeline) -> None:
        """Names ``floor`` and ``up``, whose sum is the code before it is limited; appends all cuts but one."""
        unit = self.unit
        below = below_top(pipe)
        s = pipe.values
        distances = [(-value)[: unit.x.bits] for value in below]
        multiply(pipe, "scaled", distances, [C(unit.multiplier)] * self.lanes)
        rounded = [drop_bits(value, unit.shift, unit.rounding) for value in s.scaled]
        s.floor, s.up = [floor for floor, _ in rounded], [up for _, up in rounded]
        pipe.cut()

    def _quantise(self, pipe: Pipeline, code: Format):
        """Codes for the engines, negative where those take signed ones."""
        self._round(pipe)
        s, top = pipe.values, self.unit.top
        pairs = list(zip(s.floor, s.up, strict=True))
        over = [floor + up > top for floor, up in pairs]
        # -(floor + up) is the complement of floor and that of the carry: one adder, as without the sign
        codes = [_negated(floor, up) if code.signed else floor + up for floor, up in pairs]
        last = -top if code.signed else top
        limited = [Mux(beyond, last, value)[: code.bits] for beyond, value in zip(over, codes, strict=True)]
        s.code = [value.as_signed() if code.signed else value for value in limited]
        pipe.cut()
        return {"code": list(s.code), **({"counts": list(s.counts)} if self.unit.masked else {})}

    def _read(self, m: Module, pipe: Pipeline):
        """The words of a ROM."""
        self._round(pipe)
        s, top = pipe.values, self.unit.top
        codes = [floor + up for floor, up in zip(s.floor, s.up, strict=True)]
        s.address = [Mux(code > top, top, code)[: top.bit_length()] for code in codes]
        pipe.cut()
        self._rom(m, pipe, [int(word) for word in self.unit.words])
        return {"e": list(s.e)}


def _negated(floor: Value, up: Value) -> Value:
    """``-(floor + up)`` of an unsigned number and a bit."""
    return Cat(~floor, C(1, 1)).as_signed() + ~up
