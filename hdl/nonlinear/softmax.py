"""The softmax in hardware: three passes over a row, with two row buffers between them.

The first pass finds the maximum, the second exponentiates the distance to it and sums, the third scales by the
reciprocal of the sum, computed once per row by an iterative divider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.component import shape_of
from hdl.linear.scale import codes, codes_cuts, dynamic_scale, dynamic_scale_cuts, rounded_ratio, rounded_ratio_cuts
from hdl.nonlinear.exp import (
    di_exp_by_row,
    di_exp_by_row_cuts,
    ibert_exp_cuts,
    ibert_polynomial,
    shift_exp,
    shift_exp_cuts,
)
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap
from hdl.parts.divider import IterativeDivider
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import drop_bits
from hdl.parts.trees import Fold, larger, levels, smaller, total
from hdl.registry import realises
from intsim.nonlinear import softmax
from intsim.nonlinear.constants import DI_K_MAX, di_period
from intsim.nonlinear.softmax_rows import E16_MAX, INT32_MAX
from intsim.rounding import TIES_TO_EVEN, TO_NEG

__all__ = ["DIClippedSoftmax", "IBertSoftmax", "Shiftmax"]


def valid(word, lane: int) -> Value:
    """Whether an element takes part: its valid bit, where there are such."""
    return word.valid[lane] if "valid" in dict(word.shape()) else C(1, 1)


def maximum(x) -> Fold:
    """The largest valid `x` of a row."""
    return Fold(shape_of(x), larger, x.lo, lambda word, k: Mux(valid(word, k), word.x[k], x.lo))


def below_top(pipe: Pipeline) -> list[Value]:
    """``x - max x`` of every lane, registered, and ``counts``: which lanes take part."""
    s, word = pipe.values, pipe.payload.word
    lanes = range(len(word.x))
    s.below = [word.x[k] - pipe.payload.token.top for k in lanes]
    s.counts = [valid(word, k) for k in lanes]
    pipe.cut()
    return list(s.below)


class _ReciprocalSoftmax(RowComponent):
    """The three passes with one reciprocal per row: ``y = (e * floor(2**p / sum e)) >> shift``.

    ``cycles(n)`` is ``3 (w - 1)`` plus a constant, with ``w = ceil(n / lanes)`` transfers per row;
    ``sustained(n)`` is w, but not below the divider's time.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer
    """

    unit: Any

    passes = 2
    dividend: int
    drop: int

    def __init__(self, unit: Any, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._factor_bits = self._largest_factor.bit_length()
        self._divisor_bits = self._limit.bit_length()
        n_bits = self.dividend.bit_length()
        self._divider = IterativeDivider(
            n_bits, self._divisor_bits, q_bits=max(self._factor_bits, n_bits - self._divisor_bits), radix=4
        )
        self.pace = max(self._divider.interval, 2)
        scale = multiplier_cuts(self._e_bits + 1, self._factor_bits + 1)
        fold = levels(lanes) + 3  # from a row's last word to its token on the buffer's output
        self.overhead = fold + 1 + self._exp_cuts + fold + 1 + self._divider.latency + scale

    @property
    def _e_bits(self) -> int:
        raise NotImplementedError

    @property
    def _exp_cuts(self) -> int:
        raise NotImplementedError

    @property
    def _sum_bits(self) -> int:
        return self.unit.widths["sum"]

    @property
    def _limit(self) -> int:
        """The largest divisor."""
        raise NotImplementedError

    @property
    def _largest_factor(self) -> int:
        raise NotImplementedError

    def _append_exp(self, pipe: Pipeline, xs: list[Value]) -> None:
        raise NotImplementedError

    def elaborate(self, platform) -> Module:
        unit = self.unit
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
        row = flow.enter(self.i)
        row = flow.hold("top", row, {"top": maximum(unit.x)})
        row = flow.map("exp", row, {"e": unsigned(self._e_bits)}, self._exp)
        folds = {"total": total(self._sum_bits, "e")}
        row = flow.hold("sum", row, folds, then=[self._divisor(), self._divider])
        flow.leave(row, self.o, self._scale)
        return m

    def _exp(self, pipe: Pipeline):
        self._append_exp(pipe, below_top(pipe))
        s = pipe.values
        return {"e": [Mux(counts, e, 0) for counts, e in zip(s.counts, s.e, strict=True)]}

    def _divisor(self) -> TokenMap:
        """Dividend and divisor from the sum."""
        limit, bits = self._limit, self._divisor_bits

        def logic(pipe: Pipeline):
            s = pipe.values
            s.limited = Mux(pipe.payload.total > limit, limit, pipe.payload.total)[:bits]
            pipe.cut()
            return {"n": C(self.dividend), "d": s.limited}

        return TokenMap({"total": unsigned(self._sum_bits)}, {"n": self.dividend.bit_length(), "d": bits}, 1, logic)

    def _scale(self, pipe: Pipeline):
        s, payload = pipe.values, pipe.payload
        factor = payload.token.q[: self._factor_bits]
        multiply(pipe, "product", list(payload.word.e), [factor] * self.lanes)
        return {"y": [product[self.drop :] for product in s.product]}


@realises(softmax.Shiftmax)
class Shiftmax(_ReciprocalSoftmax):
    """:class:`intsim.nonlinear.softmax.Shiftmax`, both profiles."""

    unit: softmax.Shiftmax

    dividend = INT32_MAX

    @property
    def drop(self) -> int:  # type: ignore[override]
        return 32 - self.unit.out_bits

    @property
    def _e_bits(self) -> int:
        return self.unit.widths["e"]

    @property
    def _exp_cuts(self) -> int:
        return shift_exp_cuts(self.unit.x0, self.unit.n)

    @property
    def _limit(self) -> int:
        most = self.unit.top * self.unit.max_row
        return most if self.unit.profile == "ivit_tvm" else min(most, INT32_MAX)

    @property
    def _largest_factor(self) -> int:
        return max(self.dividend // min(self.unit.top, self._limit), 1)  # the maximum alone contributes `top`

    def _append_exp(self, pipe: Pipeline, xs: list[Value]) -> None:
        unit = self.unit
        shift_exp(pipe, "e", xs, x0=unit.x0, n=unit.n, tvm=unit.profile == "ivit_tvm")


@realises(softmax.IBertSoftmax)
class IBertSoftmax(_ReciprocalSoftmax):
    """:class:`intsim.nonlinear.softmax.IBertSoftmax`: the 16-bit requantisation stands in the second pass."""

    unit: softmax.IBertSoftmax

    dividend = 1 << 32

    @property
    def drop(self) -> int:  # type: ignore[override]
        return 32 - self.unit.out_bits

    @property
    def _e_bits(self) -> int:
        return 15

    @property
    def _exp_cuts(self) -> int:
        unit = self.unit
        widths = unit.widths["polynomial"] + 1, unit.e16_multiplier.bit_length() + 1
        return ibert_exp_cuts(unit.x0, unit.b, 30) - 1 + multiplier_cuts(*widths) + 3

    @property
    def _limit(self) -> int:
        return E16_MAX * self.unit.max_row

    @property
    def _largest_factor(self) -> int:
        return self.dividend // self.unit.e16_top

    def _append_exp(self, pipe: Pipeline, xs: list[Value]) -> None:
        unit, s = self.unit, pipe.values
        ibert_polynomial(pipe, "i", xs, x0=unit.x0, b=unit.b, c=unit.c, n=30)
        multiply(pipe, "scaled", list(s.i_polynomial), [C(unit.e16_multiplier)] * self.lanes)
        s.fine = [_two_fraction_bits(product, unit.e16_shift - 30) for product in s.scaled]
        pipe.cut()
        room = (1 << len(s.i_q[0])) - 1
        s.shifted = [Cat(C(0, room), fine) >> q for fine, q in zip(s.fine, s.i_q, strict=True)]
        pipe.cut()
        s.rounded = [floor + up for floor, up in (drop_bits(v, room + 2, TIES_TO_EVEN) for v in s.shifted)]
        pipe.cut()
        top = E16_MAX
        s.e = [Mux(value > top, top, value)[:15] for value in s.rounded]


def _two_fraction_bits(value: Value, shift: int) -> Value:
    """``value / 2**shift`` with two fraction bits, the lower one standing for all below it: enough for any rounding."""
    if shift < 2:
        return Cat(C(0, 2 - shift), value)
    return Cat(value[: shift - 1].any(), value[shift - 1 :])


@realises(softmax.DIClippedSoftmax)
class DIClippedSoftmax(RowComponent):
    """:class:`intsim.nonlinear.softmax.DIClippedSoftmax`, in all forms of the exponential.

    The first pass finds the range of a row, from it once per row the clip, the scale and its period; the second
    requantises, exponentiates and sums; the third divides every element by the sum. ``cycles(n)`` is ``3 (w - 1)``
    plus a constant, with ``w = ceil(n / lanes)`` transfers per row; ``sustained(n)`` is w, but not below the time of
    the period's division.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer
    """

    unit: softmax.DIClippedSoftmax

    passes = 2

    def __init__(self, unit: softmax.DIClippedSoftmax, *, lanes: int = 1):
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
        least = Fold(self._x, smaller, unit.x.hi, lambda word, k: Mux(valid(word, k), word.x[k], unit.x.hi))
        row = flow.hold("range", row, {"top": maximum(unit.x), "low": least}, then=self._per_row)
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
