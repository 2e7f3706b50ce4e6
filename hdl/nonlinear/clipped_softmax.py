# amaranth: UnusedElaboratable=no
"""I-LLM's clipped softmax in hardware: its exponential has a scale found at run time, once per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.component import shape_of
from hdl.linear.scale import codes, codes_cuts, dynamic_scale, dynamic_scale_cuts, rounded_ratio, rounded_ratio_cuts
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, maximum, minimum, valid
from hdl.parts.divider import IterativeDivider, divide, steps
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.trees import levels, total
from hdl.registry import realises
from intsim.nonlinear import clipped_softmax
from intsim.nonlinear.constants import DI_K_MAX, di_period
from intsim.rounding import TO_NEG

__all__ = ["DIClippedSoftmax", "RowPeriod", "di_exp_by_row", "di_exp_by_row_cuts"]


def di_exp_by_row(
    pipe: Pipeline, name: str, depths: Sequence[Value], m: Value, k: Value, t: Value, *, form: str, headroom: int
) -> None:
    """As :func:`~hdl.nonlinear.exp.di_exp`, with a scale ``m / 2**k`` found at run time, once per row.

    Parameters
    ----------
    depths : ``-x``, unsigned values of the current stage, one per lane
    m, k, t : values of the current stage: the scale, k at most ``DI_K_MAX``, and its period
    form, headroom : as in :func:`intsim.nonlinear.exp.di_exp`
    """
    s = pipe.values
    if form == "fixed16":
        _di_exp_fixed16_by_row(pipe, name, depths, m, k)
        return
    bits = len(depths[0])
    setattr(s, f"{name}_t", t)
    divide(pipe, f"{name}_parts", list(depths), [t] * len(depths), bits, radix=4)
    quotients, rests = getattr(s, f"{name}_parts_q"), getattr(s, f"{name}_parts_r")
    period = getattr(s, f"{name}_t")
    if form == "headroom":  # limited to as many halvings
        pairs = [
            (Mux(q >= headroom, headroom, q), Mux(q >= headroom, 0, r)) for q, r in zip(quotients, rests, strict=True)
        ]
    else:
        pairs = list(zip(quotients, rests, strict=True))
    most = min(bits, 6)
    setattr(s, f"{name}_halvings", [Mux(q >= 63, 63, q)[:most] for q, _ in pairs])
    setattr(s, f"{name}_mantissa", [(period - ((r + 1) >> 1)).as_unsigned()[: len(t)] for _, r in pairs])
    pipe.cut()
    raised = headroom if form == "headroom" else 0
    lanes = zip(getattr(s, f"{name}_mantissa"), getattr(s, f"{name}_halvings"), strict=True)
    setattr(s, name, [Cat(C(0, raised), mantissa) >> halvings for mantissa, halvings in lanes])
    pipe.cut()


def di_exp_by_row_cuts(bits: int, form: str) -> int:
    """Cuts that :func:`di_exp_by_row` appends for depths of `bits` bits and a mantissa of 8."""
    if form == "fixed16":
        return multiplier_cuts(bits + 1, 18) + 4
    return steps(bits, 4) + 3


def _di_exp_fixed16_by_row(pipe: Pipeline, name: str, depths: Sequence[Value], m: Value, k: Value) -> None:
    """``z = depth m 369``, its point moved to a fixed place; the lowest bit goes first, as ``frac >> 1`` drops it."""
    s = pipe.values
    point = DI_K_MAX + 8
    setattr(s, f"{name}_slope", (m * 369)[: len(m) + 9])
    setattr(s, f"{name}_depths", list(depths))
    setattr(s, f"{name}_up", (C(DI_K_MAX) - k).as_unsigned()[:6])
    pipe.cut()
    values = list(getattr(s, f"{name}_depths"))
    multiply(pipe, f"{name}_z", values, [getattr(s, f"{name}_slope")] * len(values))
    up = getattr(s, f"{name}_up")
    setattr(s, f"{name}_moved", [Cat(C(0, 1), z[1:]) << up for z in getattr(s, f"{name}_z")])
    pipe.cut()
    moved = getattr(s, f"{name}_moved")
    setattr(s, f"{name}_level", [(C(1 << point) - (z[:point] >> 1))[point - 16 : point + 1] for z in moved])
    setattr(s, f"{name}_halvings", [Mux(z[point + 5 :].any(), 31, z[point : point + 5]) for z in moved])
    pipe.cut()
    pairs = zip(getattr(s, f"{name}_level"), getattr(s, f"{name}_halvings"), strict=True)
    setattr(s, name, [level >> halvings for level, halvings in pairs])
    pipe.cut()


@realises(clipped_softmax.DIClippedSoftmax)
class DIClippedSoftmax(RowComponent):
    """:class:`intsim.nonlinear.clipped_softmax.DIClippedSoftmax`, in all forms of the exponential.

    The first pass finds the range of a row, from it once per row the clip, the scale and its period; the second
    requantises, exponentiates and sums; the third divides every element by the sum. ``cycles(n)`` is ``3 (w - 1)``
    plus a constant, with ``w = ceil(n / lanes)`` transfers per row; ``sustained(n)`` is w, but not below the time of
    the period's division.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer
    """

    unit: clipped_softmax.DIClippedSoftmax

    passes = 2

    def __init__(self, unit: clipped_softmax.DIClippedSoftmax, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._x = shape_of(unit.x)
        self._low = signed(unit.x.bits + (not unit.x.signed))
        self._span_bits = max(unit.widths["span"], 1)
        self._k_bits = DI_K_MAX.bit_length()
        self._period_bits = max(di_period(128, DI_K_MAX).bit_length(), 1)
        self._e_bits = unit.widths["e"]
        self._sum_bits = unit.widths["sum"]
        self._scale_cuts = 3 + dynamic_scale_cuts(self._span_bits, unit.m, 8)
        self._exp_cuts = 1 + codes_cuts(unit.bits) + 1 + di_exp_by_row_cuts(unit.bits, unit.exp) + 1
        self._per_row = self._period()
        self.pace = max(2, *(part.interval for part in self._per_row))
        fold = levels(lanes) + 3
        per_row = sum(part.latency for part in self._per_row)
        self.overhead = fold + per_row + self._exp_cuts + fold + 1 + rounded_ratio_cuts(unit.out_bits)

    def _period(self) -> list:
        """From the ends of a row to its scale; with the period of the exponential where the form needs one."""
        unit = self.unit
        ends = {"top": self._x, "low": self._x}
        scale = {
            "low": self._low,
            "span": unsigned(self._span_bits),
            "most": unsigned(unit.bits),
            "m": unsigned(8),
            "k": unsigned(self._k_bits),
        }
        found = TokenMap(ends, scale, self._scale_cuts, self._scale)
        if unit.exp == "fixed16":
            return [found]
        return [found, RowPeriod(scale, self._period_bits)]

    def elaborate(self, platform) -> Module:
        unit = self.unit
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
        row = flow.enter(self.i)
        row = flow.hold("range", row, {"top": maximum(unit.x), "low": minimum(unit.x)}, then=self._per_row)
        row = flow.map("exp", row, {"e": unsigned(self._e_bits)}, self._exp)
        row = flow.hold("sum", row, {"total": total(self._sum_bits, "e")})
        flow.leave(row, self.o, self._divide)
        return m

    def _scale(self, pipe: Pipeline):
        unit, s = self.unit, pipe.values
        s.top, s.floor = pipe.payload.top, pipe.payload.low
        s.clipped = s.top - unit.reach
        pipe.cut()
        s.low = Mux(s.floor > s.clipped, s.floor, s.clipped)[: self._low.width].as_signed()
        pipe.cut()
        s.wide = (s.top - s.low).as_signed()
        s.flat = s.wide <= 0
        pipe.cut()
        s.span = Mux(s.flat, 1, s.wide)[: self._span_bits]
        dynamic_scale(pipe, "scale", s.span, unit.m, unit.bits, 8, TO_NEG)
        k = s.scale_shift + C(unit.k)
        k = Mux(k > DI_K_MAX, DI_K_MAX, k)[: self._k_bits]
        most = Mux(s.flat, 0, (1 << unit.bits) - 1)
        return {"low": s.low, "span": s.span, "most": most, "m": s.scale_m, "k": k}

    def _exp(self, pipe: Pipeline):
        unit, s, payload = self.unit, pipe.values, pipe.payload
        word, token = payload.word, payload.token
        s.counts = [valid(word, k) for k in range(self.lanes)]
        s.above = [Mux(x < token.low, 0, x - token.low)[: self._span_bits] for x in word.x]
        s.most, s.m, s.k = token.most, token.m, token.k
        s.t = token.t if unit.exp != "fixed16" else C(0)
        s.row_span = token.span
        pipe.cut()
        codes(pipe, "code", list(s.above), s.row_span, unit.bits)
        s.depth = [(s.most - code).as_unsigned()[: unit.bits] for code in s.code]
        pipe.cut()
        di_exp_by_row(pipe, "e", list(s.depth), s.m, s.k, s.t, form=unit.exp, headroom=unit.headroom)
        s.kept = [Mux(counts, e, 0)[: self._e_bits] for counts, e in zip(s.counts, s.e, strict=True)]
        pipe.cut()
        return {"e": s.kept}

    def _divide(self, pipe: Pipeline):
        s, payload, bits = pipe.values, pipe.payload, self.unit.out_bits
        s.dividend = [Cat(C(0, bits - 1), e) for e in payload.word.e]
        s.total = payload.token.total | (payload.token.total == 0)
        pipe.cut()
        rounded_ratio(pipe, "y", list(s.dividend), [s.total] * self.lanes, bits, self.unit.rounding)
        return {"y": s.y}


class RowPeriod(wiring.Component):
    """Adds to a row's scale the period of the exponential: ``t = max(round(2**k / mf), 1)``, a tie upwards.

    Parameters
    ----------
    scale : fields of the token, among them ``m`` and ``k``
    bits : width of ``t``

    Members
    -------
    i : In(stream of the fields of `scale`)
    o : Out(stream of the same and ``t``)

    Attributes
    ----------
    latency : the division's, of ``DI_K_MAX + 2`` bits in radix 4, and one more
    interval : ``latency + 1``
    """

    def __init__(self, scale: Mapping[str, Shape], bits: int):
        self._scale = dict(scale)
        self._bits = bits
        self._divider = IterativeDivider(DI_K_MAX + 2, 10, radix=4)
        self.latency = self._divider.latency + 1
        self.interval = self.latency + 1
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(self._scale))),
                "o": Out(stream.Signature(data.StructLayout({**self._scale, "t": bits}))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.divider = divider = self._divider
        kept = Signal(data.StructLayout(self._scale))
        period = Signal(self._bits)
        full = Signal()
        given, mantissa = self.i.payload, self.i.payload.m
        factor = mantissa + (mantissa >> 1) - (mantissa >> 4)
        m.d.comb += [
            divider.i.valid.eq(self.i.valid & ~full),
            self.i.ready.eq(divider.i.ready & ~full),
            divider.i.payload.n.eq((C(2) << given.k) + factor),
            divider.i.payload.d.eq(factor << 1),
            divider.o.ready.eq(~full),
            self.o.valid.eq(full),
            self.o.payload.t.eq(period),
            *(self.o.payload[name].eq(kept[name]) for name in self._scale),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += kept.eq(given)
        with m.If(divider.o.valid & divider.o.ready):
            m.d.sync += [period.eq(divider.o.payload.q | (divider.o.payload.q == 0)), full.eq(1)]
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        return m
