# amaranth: UnusedElaboratable=no
"""LayerNorm in hardware, I-ViT's and I-BERT's: three passes with two row buffers between them.

The first pass sums the row and divides by its length, the second squares the distances to the mean and sums those,
the third scales by a reciprocal root found once per row. Ten Newton steps with a division each take longer than a
short row: see ``pace``.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import C, Module, Mux, Value, signed, unsigned
from amaranth.lib import wiring

from hdl.component import shape_of
from hdl.nonlinear.roots import NewtonRoot
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, channel_table, fields_of, row_mean
from hdl.parts.divider import IterativeDivider
from hdl.parts.isqrt import IterativeSqrt
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import shift_round
from hdl.parts.trees import levels, total
from hdl.registry import realises
from intsim.nonlinear import layernorm
from intsim.rounding import TIES_TO_EVEN, TO_NEG, TO_ZERO, Rounding

__all__ = ["IBertLayerNorm", "IViTLayerNorm", "centred"]


def centred(pipe: Pipeline) -> list[Value]:
    """``x - mean`` of every lane, registered; signed."""
    s, payload = pipe.values, pipe.payload
    s.d = [(x - payload.token.mean).as_signed() for x in payload.word.x]
    pipe.cut()
    return list(s.d)


class _LayerNorm(RowComponent, abc.ABC):
    """The three passes: ``y = ((x - mean) factor >> 1) + bias``.

    ``cycles(n)`` is ``3 (w - 1)`` plus a constant, with ``w = ceil(n / lanes)`` transfers per row;
    ``sustained(n)`` is w, but not below the time of root and divisions.

    Parameters
    ----------
    unit : the golden model; with a bias per channel every row has as many elements
    lanes : elements per transfer
    """

    unit: Any

    passes = 2
    mode: Rounding
    halving: Rounding
    drop: int

    def __init__(self, unit: Any, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._x = shape_of(unit.x)
        self._d_bits = self._x.width + 1 + (not self._x.signed)
        self._energy_bits = unit.widths["energy"]
        self._folds, self._mean = row_mean(self._x, unit.longest, self.mode)
        self._tail = self._reciprocal_root()
        self.pace = max(2, *(component.interval for component in [*self._mean, *self._tail]))
        square = multiplier_cuts(self._d_bits - self.drop, self._d_bits - self.drop)
        scale = multiplier_cuts(self._d_bits, self._factor_bits + 1)
        fold = levels(lanes) + 3
        per_row = sum(component.latency for component in [*self._mean, *self._tail])
        self.overhead = fold + 1 + square + fold + scale + 1 + 2 * bool(unit.bias) + per_row

    @property
    @abc.abstractmethod
    def _factor_bits(self) -> int: ...

    @abc.abstractmethod
    def _reciprocal_root(self) -> Sequence[wiring.Component]:
        """From the token ``energy`` to the token ``factor``."""

    def elaborate(self, platform) -> Module:
        unit = self.unit
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=unit.longest)
        row = flow.enter(self.i)
        row = flow.hold("mean", row, self._folds, then=self._mean)
        fields = {"d": signed(self._d_bits), "square": unsigned(2 * (self._d_bits - self.drop))}
        row = flow.map("square", row, fields, self._square)
        folds = {"x": total(self._energy_bits, "square")}
        row = flow.hold("root", row, folds, then=self._tail, store=("d",))
        flow.leave(row, self.o, lambda pipe: self._scale(m, pipe))
        return m

    def _square(self, pipe: Pipeline):
        s = pipe.values
        short = [d >> self.drop for d in centred(pipe)]
        multiply(pipe, "square", short, short)
        return {"d": s.d, "square": s.square}

    def _scale(self, m: Module, pipe: Pipeline):
        s, payload = pipe.values, pipe.payload
        multiply(pipe, "product", list(payload.word.d), [payload.token.factor] * self.lanes)
        s.core = [shift_round(product, 1, self.halving) for product in s.product]
        pipe.cut()
        if not self.unit.bias:
            return {"y": s.core}
        shape = shape_of(self.unit.outputs["y"])
        channel_table(m, pipe, "bias", self.unit.bias, shape, self.lanes)
        pipe.cut()  # a block RAM gives its word late in the cycle
        return {"y": [core + bias for core, bias in zip(s.core, s.bias, strict=True)]}


def _factor(dividend: int, d_bits: int, factor_bits: int) -> IterativeDivider:
    n_bits = dividend.bit_length()
    return IterativeDivider(n_bits, d_bits, q_bits=max(factor_bits, n_bits - d_bits), radix=4)


@realises(layernorm.IViTLayerNorm)
class IViTLayerNorm(_LayerNorm):
    """:class:`intsim.nonlinear.layernorm.IViTLayerNorm`, both profiles."""

    unit: layernorm.IViTLayerNorm

    drop = 0

    def __init__(self, unit: layernorm.IViTLayerNorm, *, lanes: int = 1):
        tvm = unit.profile == "ivit_tvm"
        self.mode, self.halving = (TO_ZERO, TO_ZERO) if tvm else (TIES_TO_EVEN, TO_NEG)
        super().__init__(unit, lanes=lanes)

    @property
    def _factor_bits(self) -> int:
        return self.unit.widths["factor"]  # ten halvings leave at least 64 of 2**16

    def _reciprocal_root(self) -> Sequence[wiring.Component]:
        root = NewtonRoot(self._energy_bits)
        divider = _factor(layernorm.INT32_MAX, root.root_bits, self._factor_bits)

        def ask(pipe: Pipeline):
            pipe.values.d = pipe.payload.root
            pipe.cut()
            return {"n": C(layernorm.INT32_MAX), "d": pipe.values.d}

        def answer(pipe: Pipeline):
            pipe.values.q = pipe.payload.q[: self._factor_bits]
            pipe.cut()
            return {"factor": pipe.values.q}

        return [
            root,
            TokenMap({"root": unsigned(root.root_bits)}, fields_of(divider.i), 1, ask),
            divider,
            TokenMap(fields_of(divider.o), {"factor": unsigned(self._factor_bits)}, 1, answer),
        ]


@realises(layernorm.IBertLayerNorm)
class IBertLayerNorm(_LayerNorm):
    """:class:`intsim.nonlinear.layernorm.IBertLayerNorm`, with the exact root by digit recurrence."""

    unit: layernorm.IBertLayerNorm

    mode, halving = TIES_TO_EVEN, TO_NEG

    @property
    def drop(self) -> int:  # type: ignore[override]
        return self.unit.shift

    @property
    def _factor_bits(self) -> int:
        return self.unit.widths["factor"]

    def _reciprocal_root(self) -> Sequence[wiring.Component]:
        root = IterativeSqrt(self._energy_bits)
        divider = _factor(1 << 31, root.digits + self.unit.shift, self._factor_bits)

        def ask(pipe: Pipeline):
            pipe.values.d = pipe.payload.root << self.unit.shift
            pipe.cut()
            return {"n": C(1 << 31), "d": pipe.values.d}

        def answer(pipe: Pipeline):
            pipe.values.q = Mux(pipe.payload.d == 0, 0, pipe.payload.q[: self._factor_bits])
            pipe.cut()
            return {"factor": pipe.values.q}

        return [
            root,
            TokenMap(fields_of(root.o), fields_of(divider.i), 1, ask),
            divider,
            TokenMap(fields_of(divider.o), {"factor": unsigned(self._factor_bits)}, 1, answer),
        ]
