"""Small units with hardware, for tests of the flows: two elementwise ports, a row unit, a row reduction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed

from hdl.component import UnitComponent, shape_of
from hdl.registry import realises
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.unit import Unit

__all__ = ["FromFirst", "Mean", "Total"]

S6, S8, S16, U5 = Int(6), Int(8), Int(16), Int(5, signed=False)


@exact
def mean(a, b, out):
    for k in range(a.size):
        out[k] = (a[k] + b[k]) >> 1


@dataclass(frozen=True)
class Mean(Unit):
    """Half the sum of two numbers of different widths, TO_NEG."""

    a: Int = S6
    b: Int = U5

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"a": self.a, "b": self.b}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(max(self.a.bits, self.b.bits + 1))}

    def _evaluate(self, a, b):
        out = np.empty(a.shape, dtype=self.outputs["y"].dtype)
        run(mean, a, b, out)
        return {"y": out}

    def _trace(self, a, b):
        return {"sum": a.astype(np.int64) + b, **self._evaluate(a, b)}


@realises(Mean)
class MeanHardware(UnitComponent):
    latency = 1

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(max(self.unit.a.bits, self.unit.b.bits + 1) + 1))
        m.d.comb += [total.eq(self.i.payload.a + self.i.payload.b), self.i.ready.eq(~self.o.valid | self.o.ready)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.y.eq(total >> 1)]
        return m


@exact
def from_first(x, out):
    for r in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[r, k] = x[r, k] - x[r, 0]


@dataclass(frozen=True)
class FromFirst(Unit):
    """Every element of a row less the row's first."""

    x: Int = S8
    max_row: int = 16

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(self.x.bits + 1)}

    def _evaluate(self, x):
        out = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(from_first, x, out)
        return {"y": out}


@realises(FromFirst)
class FromFirstHardware(UnitComponent):
    latency = 1

    def elaborate(self, platform):
        m = Module()
        start, first = Signal(init=1), Signal(shape_of(self.unit.x))
        i, o = self.i, self.o
        given = [i.payload.x] if self.lanes == 1 else [i.payload.x[k] for k in range(self.lanes)]
        taken = [o.payload.y] if self.lanes == 1 else [o.payload.y[k] for k in range(self.lanes)]
        base = Signal(shape_of(self.unit.x))
        m.d.comb += [i.ready.eq(~o.valid | o.ready), base.eq(Mux(start, given[0], first))]
        with m.If(i.ready):
            m.d.sync += [o.valid.eq(i.valid), o.payload.last.eq(i.payload.last)]
            m.d.sync += [y.eq(x - base) for x, y in zip(given, taken, strict=True)]
            if self.lanes > 1:
                m.d.sync += o.payload.keep.eq(i.payload.keep)
            with m.If(i.valid):
                m.d.sync += [first.eq(base), start.eq(i.payload.last)]
        return m


@exact
def total(x, out):
    for r in range(x.shape[0]):
        s = 0
        for k in range(x.shape[1]):
            s += x[r, k]
        out[r] = s


@dataclass(frozen=True)
class Total(Unit):
    """The sum of a row: one value per row, 17 to 24 bits wide (three bytes in the stream)."""

    x: Int = S16
    max_row: int = 8

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(self.x.bits + (self.max_row - 1).bit_length())}

    def _evaluate(self, x):
        out = np.empty(x.shape[0], dtype=self.outputs["y"].dtype)
        run(total, x, out)
        return {"y": out}


@realises(Total)
class TotalHardware(UnitComponent):
    latency = 1

    def elaborate(self, platform):
        m = Module()
        i, o = self.i, self.o
        acc = Signal(shape_of(self.unit.outputs["y"]))
        m.d.comb += [i.ready.eq(~o.valid | o.ready), o.payload.last.eq(1)]
        with m.If(i.ready):
            m.d.sync += o.valid.eq(i.valid & i.payload.last)
            m.d.sync += o.payload.y.eq(acc + i.payload.x)
            with m.If(i.valid):
                m.d.sync += acc.eq(Mux(i.payload.last, 0, acc + i.payload.x))
        return m
