"""Activations in hardware: the GELUs of I-BERT and I-ViT, squared ReLU, hardswish. I-LLM's are in ``gated``."""

from __future__ import annotations

from amaranth.hdl import C, Module, Mux, signed, unsigned

from hdl.component import UnitComponent, shape_of
from hdl.nonlinear.exp import shift_exp, shift_exp_cuts
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, maximum
from hdl.parts.divider import divide, steps
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import shift_round
from hdl.parts.trees import levels
from hdl.registry import realises
from intsim.nonlinear import activations, constants, exp

__all__ = ["HardSwish", "IBertGELU", "ShiftGELU", "SquaredReLU"]


@realises(activations.SquaredReLU)
class SquaredReLU(UnitComponent):
    """:class:`intsim.nonlinear.activations.SquaredReLU`: latency 2 and the multiplier, one result per cycle."""

    unit: activations.SquaredReLU

    def __init__(self, unit: activations.SquaredReLU):
        super().__init__(unit)
        self._bits = max(unit.x.hi.bit_length(), 1)
        self.latency = 2 + multiplier_cuts(self._bits + 1, self._bits + 1)

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        s, x = pipe.values, pipe.payload.x
        s.positive = Mux(x > 0, x, 0)[: self._bits]
        pipe.cut()
        multiply(pipe, "square", [s.positive], [s.positive])
        s.y = shift_round(s.square[0], self.unit.shift, self.unit.rounding)
        pipe.cut()
        pipe.end(y=s.y)
        return m


@realises(activations.HardSwish)
class HardSwish(UnitComponent):
    """:class:`intsim.nonlinear.activations.HardSwish`: latency 2 and the multiplier, one result per cycle."""

    unit: activations.HardSwish

    def __init__(self, unit: activations.HardSwish):
        super().__init__(unit)
        self._gate_bits = unit.six.bit_length()
        self.latency = 2 + multiplier_cuts(unit.x.bits + (not unit.x.signed), self._gate_bits + 1)

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        s = pipe.values
        s.x = pipe.payload.x
        s.raised = s.x + C(self.unit.three)
        pipe.cut()
        six = self.unit.six
        s.gate = Mux(s.raised < 0, 0, Mux(s.raised > six, six, s.raised))[: self._gate_bits]
        pipe.cut()
        multiply(pipe, "product", [s.x], [s.gate])
        pipe.end(y=s.product[0])
        return m


@realises(activations.IBertGELU)
class IBertGELU(UnitComponent):
    """:class:`intsim.nonlinear.activations.IBertGELU`: latency 5 and two multipliers, one result per cycle.

    Notes
    -----
    ``a + b = -(-b - |x|)``, limited to 0 from below: the square needs its magnitude only.
    """

    unit: activations.IBertGELU

    def __init__(self, unit: activations.IBertGELU):
        super().__init__(unit)
        self._rest_bits = (-unit.b).bit_length()
        self._factor = signed(unit.factor_max.bit_length() + 1)
        x_bits = unit.x.bits + (not unit.x.signed)
        square = multiplier_cuts(self._rest_bits + 1, self._rest_bits + 1)
        self.latency = 5 + square + multiplier_cuts(x_bits, self._factor.width)

    def elaborate(self, platform) -> Module:
        unit = self.unit
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        s = pipe.values
        s.x = pipe.payload.x
        s.magnitude = Mux(s.x < 0, -s.x, s.x)
        pipe.cut()
        s.rest = Mux(s.magnitude >= -unit.b, 0, -unit.b - s.magnitude)[: self._rest_bits]
        pipe.cut()
        multiply(pipe, "square", [s.rest], [s.rest])
        s.polynomial = s.square[0] + C(unit.c)
        pipe.cut()
        s.erf = Mux(s.x == 0, 0, Mux(s.x < 0, -s.polynomial, s.polynomial) >> unit.shift)
        pipe.cut()
        s.factor = (s.erf + C(unit.one))[: self._factor.width].as_signed()
        pipe.cut()
        multiply(pipe, "product", [s.x], [s.factor])
        pipe.end(y=s.product[0])
        return m


@realises(activations.ShiftGELU)
class ShiftGELU(RowComponent):
    """:class:`intsim.nonlinear.activations.ShiftGELU`: two passes, with a pipelined division per lane.

    The row's maximum is found in the first pass, and its own exponential once per row. ``cycles(n)`` is
    ``2 (w - 1)`` plus a constant, ``sustained(n)`` is ``w = ceil(n / lanes)``, 2 at least.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer
    """

    unit: activations.ShiftGELU

    passes = 1

    def __init__(self, unit: activations.ShiftGELU, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        top, period = activations.INT32_MAX, -unit.x0
        self._e_bits = (period << unit.n).bit_length()
        self._factor_bits = (top // min(2 * period, top)).bit_length()  # no exponential is below |x0|
        self._highest = self._saturating_argument()
        self._sig_bits = unit.widths["sig"]
        self._minus_cuts = 2 + shift_exp_cuts(unit.x0, unit.n, self._highest)
        self.pace = 2
        divider = steps(self._factor_bits, 4) + 1
        factor = multiplier_cuts(self._e_bits + 1, self._factor_bits + 1)
        product = multiplier_cuts(unit.x.bits + (not unit.x.signed), self._sig_bits + 1)
        element = 1 + shift_exp_cuts(unit.x0, unit.n) + 2 + divider + factor + 1 + product
        self.overhead = levels(lanes) + 3 + self._minus_cuts + element

    def _saturating_argument(self) -> int:
        """The least argument from which on ``ShiftExp`` alone saturates the sum, or the largest there is."""
        unit = self.unit
        low, high = 0, max(-unit.x.lo, 0)

        def saturates(x: int) -> bool:
            return exp.shift_exp(x, unit.x0, unit.n, constants.shift_limit(unit.x0), False)[2] >= activations.INT32_MAX

        if not saturates(high):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if saturates(middle) else (middle, high)
        return high

    def elaborate(self, platform) -> Module:
        unit = self.unit
        x = shape_of(unit.x)
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
        row = flow.enter(self.i)
        minus = TokenMap({"top": x}, {"top": x, "minus": unsigned(31)}, self._minus_cuts, self._exponential_of_minus)
        row = flow.hold("top", row, {"top": maximum(unit.x)}, then=[minus])
        flow.leave(row, self.o, self._element)
        return m

    def _limited(self, top):
        """The row's maximum, at most the unit's limit."""
        unit = self.unit
        if unit.limit is None or unit.limit >= unit.x.hi:
            return top
        least = Mux(top > unit.limit, unit.limit, top)[: len(top)]
        return least.as_signed() if unit.x.signed else least

    def _exponential_of_minus(self, pipe: Pipeline):
        """``ShiftExp(-top)``, limited to what saturates the sum."""
        unit, s = self.unit, pipe.values
        s.top = self._limited(pipe.payload.top)
        s.negated = (-s.top).as_signed()
        pipe.cut()
        bits = max(self._highest.bit_length(), unit.x.hi.bit_length(), 1) + 1
        s.limited = Mux(s.negated > self._highest, self._highest, s.negated)[:bits].as_signed()
        pipe.cut()
        shift_exp(pipe, "minus", [s.limited], x0=unit.x0, n=unit.n, hi=self._highest)
        most = activations.INT32_MAX
        return {"top": s.top, "minus": Mux(s.minus[0] > most, most, s.minus[0])[:31]}

    def _element(self, pipe: Pipeline):
        unit, s, word = self.unit, pipe.values, pipe.payload.word
        most = activations.INT32_MAX
        lanes = range(self.lanes)
        s.x = list(word.x)
        s.minus = pipe.payload.token.minus
        below = [word.x[k] - pipe.payload.token.top for k in lanes]
        s.below = below if unit.limit is None else [Mux(v > 0, 0, v)[: len(v)].as_signed() for v in below]
        pipe.cut()
        shift_exp(pipe, "e", list(s.below), x0=unit.x0, n=unit.n)
        s.sum = [e + s.minus for e in s.e]
        pipe.cut()
        s.limited = [Mux(total > most, most, total)[:31] for total in s.sum]
        pipe.cut()
        divide(pipe, "factor", [C(most)] * self.lanes, list(s.limited), self._factor_bits, radix=4)
        multiply(pipe, "scaled", list(s.e), list(s.factor_q))
        s.sig = [scaled[32 - unit.out_bits :][: self._sig_bits] for scaled in s.scaled]
        pipe.cut()
        multiply(pipe, "product", list(s.x), list(s.sig))
        return {"y": s.product}
