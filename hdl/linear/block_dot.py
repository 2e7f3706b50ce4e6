"""The block dot product in hardware: a product per lane, a tree, an accumulator; exact."""

from __future__ import annotations

from amaranth.hdl import C, Module, Mux, Value, signed
from amaranth.lib import wiring

from hdl.nonlinear.rows import RowComponent, RowFlow
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.trees import Fold, RowFold, levels
from hdl.registry import realises
from intsim import linear

__all__ = ["BlockDot"]


@realises(linear.BlockDot)
class BlockDot(RowComponent):
    """:class:`intsim.linear.BlockDot`: one result per block, in lane 0 of a transfer of its own.

    Parameters
    ----------
    lanes : elements per transfer
    """

    unit: linear.BlockDot
    passes = 0
    pace = 2

    def __init__(self, unit: linear.BlockDot, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._widths = [fmt.bits + fmt.delta + (not fmt.signed) for fmt in (unit.a, unit.b)]
        self._product = sum(self._widths)
        self.overhead = 1 + multiplier_cuts(*self._widths) + levels(lanes) + 2

    def elaborate(self, platform) -> Module:
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=self.unit.max_row)
        row = flow.map("products", flow.enter(self.i), {"p": signed(self._product)}, self._products)
        bits = self.unit.outputs["y"].bits
        total = Fold(signed(bits), lambda a, b: (a + b)[:bits].as_signed(), 0, lambda word, k: word.p[k])
        m.submodules.fold = fold = RowFold(row.payload.word.shape(), self.lanes, {"y": total})
        wiring.connect(m, row, fold.i)
        result = self.o.payload.y if self.lanes == 1 else self.o.payload.y[0]
        m.d.comb += [
            self.o.valid.eq(fold.o.valid),
            fold.o.ready.eq(self.o.ready),
            result.eq(fold.o.payload.y),
            self.o.payload.last.eq(1),
        ]
        if self.lanes > 1:
            m.d.comb += self.o.payload.keep.eq(1)
        return m

    def _products(self, pipe: Pipeline):
        s, word = pipe.values, pipe.payload.word
        s.a, s.b = self._moved(word, "a", self.unit.a.delta), self._moved(word, "b", self.unit.b.delta)
        pipe.cut()
        multiply(pipe, "product", list(s.a), list(s.b))
        return {"p": [(product + C(0, signed(1)))[: self._product].as_signed() for product in s.product]}

    def _moved(self, word, name: str, delta: int) -> list[Value]:
        """Mantissas, to the left where the tag says the larger exponent."""
        values = [word[name][k] for k in range(self.lanes)]
        if not delta:
            return values
        return [Mux(word[f"{name}_tag"][k], value << delta, value) for k, value in enumerate(values)]
