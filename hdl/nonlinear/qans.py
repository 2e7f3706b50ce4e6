"""QANS in hardware: the quantiser stands between the maximum and a table of the exponential."""

from __future__ import annotations

from amaranth.hdl import C, Mux, unsigned

from hdl.nonlinear.softmax import below_top
from hdl.nonlinear.table_rows import TableSoftmax
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.shift_round import drop_bits
from hdl.registry import realises
from intsim.errors import IntsimError
from intsim.nonlinear import qans

__all__ = ["QANSSoftmax"]

_MOST = 1 << 12  # words of a lane's table


@realises(qans.QANSSoftmax)
class QANSSoftmax(TableSoftmax):
    """:class:`intsim.nonlinear.QANSSoftmax` with a table reciprocal.

    Whatever unit computes the exponential, its values for the quantiser's codes are a ROM here, one per lane; codes
    of more than 12 bits are refused.
    """

    unit: qans.QANSSoftmax

    def __init__(self, unit: qans.QANSSoftmax, *, lanes: int = 1):
        if unit.top >= _MOST:
            raise IntsimError(f"a lane's table would hold {unit.top + 1} words, {_MOST} are allowed; use fewer bits")
        self.e_bits = unit.widths["e"]
        self._bits = (unit.x.bits + 1, unit.multiplier.bit_length() + 1)
        self.exp_cuts = 1 + multiplier_cuts(*self._bits) + 2 + 2
        super().__init__(unit, lanes=lanes)

    def _exponentials(self, m, flow, row):
        unit = self.unit

        def logic(pipe):
            below = below_top(pipe)
            s = pipe.values
            distances = [(-value)[: unit.x.bits] for value in below]
            multiply(pipe, "scaled", distances, [C(unit.multiplier)] * self.lanes)
            rounded = [drop_bits(value, unit.shift, unit.rounding) for value in s.scaled]
            s.floor, s.up = [floor for floor, _ in rounded], [up for _, up in rounded]
            pipe.cut()
            codes = [floor + up for floor, up in zip(s.floor, s.up, strict=True)]
            s.address = [Mux(code > unit.top, unit.top, code)[: unit.top.bit_length()] for code in codes]
            pipe.cut()
            self._rom(m, pipe, [int(word) for word in unit.words])
            return {"e": list(s.e)}

        return flow.map("exp", row, {"e": unsigned(self.e_bits)}, logic)
