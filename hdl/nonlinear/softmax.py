# amaranth: UnusedElaboratable=no
"""The softmax in hardware: three passes over a row, with two row buffers between them.

The first pass finds the maximum, the second exponentiates the distance to it and sums, the third scales by the
reciprocal of the sum, computed once per row by an iterative divider.
"""

from __future__ import annotations

import abc
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Value, unsigned

from hdl.nonlinear.clipped_softmax import DIClippedSoftmax
from hdl.nonlinear.exp import ibert_exp_cuts, ibert_polynomial, shift_exp, shift_exp_cuts
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, maximum, valid
from hdl.parts.divider import IterativeDivider
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import drop_bits
from hdl.parts.trees import levels, total
from hdl.registry import realises
from intsim.nonlinear import softmax
from intsim.nonlinear.softmax_rows import E16_MAX, INT32_MAX
from intsim.rounding import TIES_TO_EVEN

__all__ = ["DIClippedSoftmax", "IBertSoftmax", "Shiftmax"]


def below_top(pipe: Pipeline) -> list[Value]:
    """``x - max x`` of every lane, registered, and ``counts``: which lanes take part."""
    s, word = pipe.values, pipe.payload.word
    lanes = range(len(word.x))
    s.below = [word.x[k] - pipe.payload.token.top for k in lanes]
    s.counts = [valid(word, k) for k in lanes]
    pipe.cut()
    return list(s.below)


class _ReciprocalSoftmax(RowComponent, abc.ABC):
    """The three passes with one reciprocal per row: ``y = (e * floor(dividend / sum e)) >> (32 - out_bits)``.

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
    @abc.abstractmethod
    def _e_bits(self) -> int: ...

    @property
    @abc.abstractmethod
    def _exp_cuts(self) -> int: ...

    @property
    def _sum_bits(self) -> int:
        return self.unit.widths["sum"]

    @property
    @abc.abstractmethod
    def _limit(self) -> int:
        """The largest divisor."""

    @property
    @abc.abstractmethod
    def _largest_factor(self) -> int: ...

    @abc.abstractmethod
    def _append_exp(self, pipe: Pipeline, xs: list[Value]) -> None: ...

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
        return {"y": [product[32 - self.unit.out_bits :] for product in s.product]}


@realises(softmax.Shiftmax)
class Shiftmax(_ReciprocalSoftmax):
    """:class:`intsim.nonlinear.softmax.Shiftmax`, both profiles."""

    unit: softmax.Shiftmax

    dividend = INT32_MAX

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
