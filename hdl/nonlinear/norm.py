# amaranth: UnusedElaboratable=no
"""DI-Norm and the L1 norm in hardware. Both divide every element by something found once per row.

DI-Norm divides by the root of the mean square, the L1 norm by the sum of the distances; the division per element is
pipelined, one lane each, so a word leaves per cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import C, Module, Mux, Shape, Value, signed, unsigned
from amaranth.lib import wiring

from hdl.component import shape_of
from hdl.nonlinear.layernorm import centred
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, channel_table, fields_of, row_mean
from hdl.parts.divider import IterativeDivider, divide_signed, divide_signed_cuts
from hdl.parts.isqrt import IterativeSqrt
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.trees import Fold, count, levels, total
from hdl.registry import realises
from intsim.nonlinear import norm
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN

__all__ = ["DINorm", "L1Norm"]


class _Centring(RowComponent):
    """Base of both: an optional pass that subtracts the row's rounded mean."""

    unit: Any

    _centre: bool
    _x: Shape  # of the elements that are centred

    def _plan_mean(self) -> int:
        """Plans the first pass; the cycles it costs."""
        self._folds: dict[str, Fold] = {}
        self._mean: list[wiring.Component] = []
        self._d_bits = self._x.width + (not self._x.signed) + 1
        if not self._centre:
            return 1
        self._folds, self._mean = row_mean(self._x, self._longest, TIES_TO_EVEN)
        return levels(self.lanes) + 3 + sum(part.latency for part in self._mean) + 1

    @property
    def _longest(self) -> int:
        return self.unit.row_length or self.unit.max_row

    def _distances(self, pipe: Pipeline) -> list[Value]:
        """The elements, without their mean where that is asked for; registered, signed."""
        if self._centre:
            return centred(pipe)
        pipe.values.d = [Value.cast(x) + C(0, signed(1)) for x in pipe.payload.word.x]
        pipe.cut()
        return list(pipe.values.d)

    def _centred_rows(self, flow: RowFlow, row):
        return flow.hold("mean", row, self._folds, then=self._mean) if self._centre else row


@realises(norm.DINorm)
class DINorm(_Centring):
    """:class:`intsim.nonlinear.norm.DINorm`: RMSNorm in two passes, LayerNorm in three.

    ``cycles(n)`` is ``2 (w - 1)``, centred ``3 (w - 1)``, plus a constant, with ``w = ceil(n / lanes)`` transfers per
    row; ``sustained(n)`` is w, but not below the time of the slowest of division and root.

    Parameters
    ----------
    unit : the golden model; with a scale per channel every row has as many elements
    lanes : elements per transfer
    """

    unit: norm.DINorm

    def __init__(self, unit: norm.DINorm, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._factor_bits = max(unit.factors).bit_length()
        x_bits = unit.x.bits + (not unit.x.signed)
        self._scaled = max(unit.factors) > 1
        scaling = 0
        if self._scaled:
            scaling = multiplier_cuts(x_bits, self._factor_bits + 1) + 1 + (len(unit.factors) > 1)
        self._x = signed(x_bits + (self._factor_bits if self._scaled else 0))
        self._centre = unit.center
        mean = self._plan_mean()
        self.passes = 1 + unit.center

        length = self._longest.bit_length()
        self._energy_bits = 2 * (self._d_bits - 1) + length
        mean_square = 2 * (self._d_bits - 1) + 2 * unit.F
        self._quotient = IterativeDivider(self._energy_bits + 2 * unit.F, length, q_bits=mean_square, radix=4)
        self._root = IterativeSqrt(mean_square)
        self._q_bits = unit.outputs["y"].bits - 1
        tail = self._tail()
        self.pace = max(2, *(part.interval for part in [*self._mean, *tail]))
        square = multiplier_cuts(self._d_bits, self._d_bits)
        fold = levels(lanes) + 3
        per_row = sum(part.latency for part in tail)
        self.overhead = scaling + mean + square + fold + per_row + divide_signed_cuts(self._q_bits)
        self._per_row = tail

    def _tail(self) -> Sequence[wiring.Component]:
        """Mean square, its root, at least 1."""
        shift = 2 * self.unit.F
        length = len(self._quotient.i.payload.d)

        def ask(pipe: Pipeline):
            s = pipe.values
            s.energy, s.d = pipe.payload.x, pipe.payload.d
            pipe.cut()
            return {"n": s.energy << shift, "d": s.d}

        def radicand(pipe: Pipeline):
            pipe.values.x = pipe.payload.q
            pipe.cut()
            return {"x": pipe.values.x}

        def at_least_one(pipe: Pipeline):
            pipe.values.root = pipe.payload.root | (pipe.payload.root == 0)
            pipe.cut()
            return {"root": pipe.values.root}

        folded = {"x": unsigned(self._energy_bits), "d": unsigned(length)}
        return [
            TokenMap(folded, fields_of(self._quotient.i), 1, ask),
            self._quotient,
            TokenMap(fields_of(self._quotient.o), fields_of(self._root.i), 1, radicand),
            self._root,
            TokenMap(fields_of(self._root.o), {"root": unsigned(self._root.digits)}, 1, at_least_one),
        ]

    def elaborate(self, platform) -> Module:
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=self._longest)
        row = flow.enter(self.i)
        if self._scaled:
            row = flow.map("scale", row, {"x": self._x}, lambda pipe: self._scale(m, pipe))
        row = self._centred_rows(flow, row)
        fields = {"d": signed(self._d_bits), "square": unsigned(2 * (self._d_bits - 1))}
        row = flow.map("square", row, fields, self._square)
        folds = {"x": total(self._energy_bits, "square"), "d": count(self._longest.bit_length())}
        row = flow.hold("root", row, folds, then=self._per_row, store=("d",))
        flow.leave(row, self.o, self._divide)
        return m

    def _scale(self, m: Module, pipe: Pipeline):
        s, factors = pipe.values, self.unit.factors
        s.raw = list(pipe.payload.word.x)
        if len(factors) > 1:
            channel_table(m, pipe, "ratio", factors, unsigned(self._factor_bits), self.lanes)
            ratios = list(s.ratio)
        else:
            ratios = [C(factors[0])] * self.lanes
        multiply(pipe, "product", list(s.raw), ratios)
        s.scaled = list(s.product)
        pipe.cut()
        return {"x": s.scaled}

    def _square(self, pipe: Pipeline):
        distances = self._distances(pipe)
        multiply(pipe, "square", distances, distances)
        return {"d": pipe.values.d, "square": pipe.values.square}

    def _divide(self, pipe: Pipeline):
        places = self.unit.F + self.unit.G
        word, root = pipe.payload.word, pipe.payload.token.root
        raised = [(d << places).as_signed() for d in word.d]
        divide_signed(pipe, "y", raised, [root] * self.lanes, self._q_bits, TIES_AWAY)
        return {"y": pipe.values.y}


@realises(norm.L1Norm)
class L1Norm(_Centring):
    """:class:`intsim.nonlinear.norm.L1Norm`: two passes, centred three; times as for :class:`DINorm`."""

    unit: norm.L1Norm

    def __init__(self, unit: norm.L1Norm, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._x = shape_of(unit.x)
        self._centre = unit.center
        mean = self._plan_mean()
        self.passes = 1 + unit.center
        self._count = unit.max_row.bit_length()
        self._sum_bits = self._d_bits + self._count
        self._q_bits = (unit.max_row << unit.G).bit_length()
        self.pace = max([2, *(part.interval for part in self._mean)])
        product = multiplier_cuts(self._d_bits, self._count + 1)
        self.overhead = mean + 1 + levels(lanes) + 3 + product + divide_signed_cuts(self._q_bits)

    def elaborate(self, platform) -> Module:
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=self._longest)
        row = self._centred_rows(flow, flow.enter(self.i))
        fields = {"d": signed(self._d_bits), "size": unsigned(self._d_bits)}
        row = flow.map("distance", row, fields, self._distance)
        folds = {"total": total(self._sum_bits, "size"), "n": count(self._count)}
        row = flow.hold("total", row, folds, store=("d",))
        flow.leave(row, self.o, self._divide)
        return m

    def _distance(self, pipe: Pipeline):
        s = pipe.values
        s.size = [Mux(d < 0, -d, d) for d in self._distances(pipe)]
        pipe.cut()
        return {"d": s.d, "size": s.size}

    def _divide(self, pipe: Pipeline):
        s, token = pipe.values, pipe.payload.token
        s.total = token.total | (token.total == 0)
        multiply(pipe, "product", list(pipe.payload.word.d), [token.n] * self.lanes)
        raised = [(product << self.unit.G).as_signed() for product in s.product]
        divide_signed(pipe, "y", raised, [s.total] * self.lanes, self._q_bits, self.unit.rounding)
        return {"y": s.y}
