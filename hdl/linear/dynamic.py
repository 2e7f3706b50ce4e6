"""The output stage of DI-MatMul: a row's range while accumulators stream in, then scale, zero point and codes."""

from __future__ import annotations

from amaranth.hdl import C, Module, Mux, signed, unsigned

from hdl.component import shape_of
from hdl.linear.scale import codes, codes_cuts, dynamic_scale, dynamic_scale_cuts
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, maximum, minimum
from hdl.parts.divider import divide_signed, divide_signed_cuts
from hdl.parts.pipeline import Pipeline
from hdl.parts.trees import levels
from hdl.registry import realises
from intsim.linear import dynamic
from intsim.rounding import TIES_AWAY

__all__ = ["DynamicRequantize"]


@realises(dynamic.DynamicRequantize)
class DynamicRequantize(RowComponent):
    """:class:`intsim.linear.dynamic.DynamicRequantize`: two passes.

    Every element of a row carries the row's ``m``, ``k`` and ``zero_point``. ``cycles(n)`` is ``2 (w - 1)`` plus a
    constant and ``sustained(n)`` is ``w = ceil(n / lanes)``, 2 at least.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer
    """

    unit: dynamic.DynamicRequantize

    passes = 1
    pace = 2

    def __init__(self, unit: dynamic.DynamicRequantize, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._x = shape_of(unit.x)
        self._low = signed(unit.x.bits + (not unit.x.signed))
        self._span_bits = max((unit.x.hi - unit.x.lo).bit_length(), unit.x.bits)
        zero = unit.outputs["zero_point"]
        self._zero_bits = zero.bits - zero.signed
        scale = dynamic_scale_cuts(self._span_bits, unit.m, unit.mantissa_bits)
        self._per_row = 1 + scale + 1 + divide_signed_cuts(self._zero_bits)
        self.overhead = levels(lanes) + 3 + self._per_row + 1 + codes_cuts(unit.bits)

    def elaborate(self, platform) -> Module:
        unit = self.unit
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
        row = flow.enter(self.i)
        folds = {"top": maximum(unit.x), "low": minimum(unit.x)}
        ends = {"top": self._x, "low": self._x}
        outputs = {name: shape_of(fmt) for name, fmt in unit.outputs.items() if name != "y"}
        found = {"low": self._low, "span": unsigned(self._span_bits), **outputs}
        row = flow.hold("range", row, folds, then=[TokenMap(ends, found, self._per_row, self._scale)])
        flow.leave(row, self.o, self._codes)
        return m

    def _scale(self, pipe: Pipeline):
        unit, s = self.unit, pipe.values
        top, low = pipe.payload.top, pipe.payload.low
        if unit.include_zero:  # zero counts also where a row has one sign only
            top, low = Mux(top < 0, 0, top), Mux(low > 0, 0, low)
        s.least = low
        s.span_raw = top - low
        pipe.cut()
        s.span = (s.span_raw | (s.span_raw == 0))[: self._span_bits]
        dynamic_scale(pipe, "scale", s.span, unit.m, unit.bits, unit.mantissa_bits, unit.rounding)
        s.numerator = ((s.least << unit.bits) - s.least) * C(-1, signed(2))
        pipe.cut()
        divide_signed(pipe, "zero", [s.numerator], [s.span], self._zero_bits, TIES_AWAY)
        k = s.scale_shift + C(unit.k)  # not sliced: it may be narrower than its port, and negative
        return {"low": s.least, "span": s.span, "m": s.scale_m, "k": k, "zero_point": s.zero[0]}

    def _codes(self, pipe: Pipeline):
        s, token = pipe.values, pipe.payload.token
        s.above = [(x - token.low)[: self._span_bits] for x in pipe.payload.word.x]
        s.m, s.k, s.zero_point, s.span = token.m, token.k, token.zero_point, token.span
        pipe.cut()
        codes(pipe, "y", list(s.above), s.span, self.unit.bits)
        shared = {name: [getattr(s, name)] * self.lanes for name in ("m", "k", "zero_point")}
        return {"y": s.y, **shared}
