# amaranth: UnusedElaboratable=no
"""The parts dressed as units, each with a one-line golden model, so that the flows' comparison serves them too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, signed
from amaranth.lib import wiring

from hdl.component import UnitComponent, shape_of
from hdl.nonlinear.rows import RowComponent, RowFlow
from hdl.parts.divider import FloorDivider, IterativeDivider, PipelinedDivider, divide_by_constant
from hdl.parts.isqrt import IterativeSqrt
from hdl.parts.leading_one import leading_one
from hdl.parts.multiplier import PipelinedMultiplier
from hdl.parts.pipeline import Pipeline
from hdl.parts.trees import Fold, larger, smaller, tree
from hdl.registry import realises
from intsim.formats import Format, Int
from intsim.unit import Unit

__all__ = ["ByConstant", "Leading", "Product", "Quotient", "Root", "RowExtremes", "Tree", "make_divider"]


def make_divider(kind: str, n_bits: int, d_bits: int, q_bits: int) -> wiring.Component:
    """One of the dividers by name."""
    match kind:
        case "radix2" | "radix4":
            return IterativeDivider(n_bits, d_bits, q_bits=q_bits, radix=int(kind[-1]))
        case "nonrestoring":
            return IterativeDivider(n_bits, d_bits, q_bits=q_bits, restoring=False)
        case "pipelined2" | "pipelined4":
            return PipelinedDivider(n_bits, d_bits, q_bits=q_bits, radix=int(kind[-1]))
    return FloorDivider(n_bits, d_bits, q_bits=q_bits - 1, radix=int(kind[-1]))


@dataclass(frozen=True)
class Quotient(Unit):
    """``floor(n / d)`` and the remainder; zeros where d is 0 or the quotient does not fit."""

    kind: str
    n_bits: int
    d_bits: int
    q_bits: int

    @property
    def signed(self) -> bool:
        return self.kind.startswith("floor")

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"n": Int(self.n_bits, self.signed), "d": Int(self.d_bits, signed=False)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"q": Int(self.q_bits, self.signed), "r": Int(self.d_bits, signed=False)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        n, d = (column.astype(np.int64) for column in columns)
        q, r = n // np.maximum(d, 1), n % np.maximum(d, 1)
        fits = (d > 0) & (q >= self.outputs["q"].lo) & (q <= self.outputs["q"].hi)
        return {
            "q": np.where(fits, q, 0).astype(self.outputs["q"].dtype),
            "r": (r * fits).astype(self.outputs["r"].dtype),
        }


class _Dressed(UnitComponent):
    """A part with the streams of a unit: what is asked of it, and its answers by name."""

    def __init__(self, unit: Unit, part: wiring.Component):
        super().__init__(unit)
        self.part = part
        self.latency, self.interval = part.latency, part.interval

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.part = part = self.part
        m.d.comb += [
            part.i.valid.eq(self.i.valid),
            self.i.ready.eq(part.i.ready),
            self.o.valid.eq(part.o.valid),
            part.o.ready.eq(self.o.ready),
            *self._ask(),
            *(self.o.payload[port].eq(part.o.payload[port]) for port in self.unit.outputs),
        ]
        return m

    def _ask(self) -> list:
        return [self.part.i.payload.eq(self.i.payload)]


@realises(Quotient)
class QuotientHardware(_Dressed):
    """Keeps the promise of the divider: a quotient that would not fit is asked for as 0 by 1, and answered so."""

    def __init__(self, unit: Quotient):
        super().__init__(unit, make_divider(unit.kind, unit.n_bits, unit.d_bits, unit.q_bits))

    def _ask(self) -> list:
        n, d, asked = self.i.payload.n, self.i.payload.d, self.part.i.payload
        bits = self.unit.q_bits - self.unit.signed
        fits = (d != 0) & (Mux(n < 0, ~n, n) < (d << bits))
        return [asked.n.eq(Mux(fits, n, 0)), asked.d.eq(Mux(fits, d, 1))]


@dataclass(frozen=True)
class Root(Unit):
    """``floor(sqrt(x))`` and what remains."""

    bits: int

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": Int(self.bits, signed=False)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        digits = (self.bits + 1) // 2
        return {"root": Int(digits, signed=False), "rest": Int(digits + 1, signed=False)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        root = np.array([math.isqrt(int(v)) for v in columns[0]])
        rest = columns[0].astype(np.int64) - root * root
        return {k: v.astype(self.outputs[k].dtype) for k, v in (("root", root), ("rest", rest))}


@realises(Root)
class RootHardware(_Dressed):
    def __init__(self, unit: Root):
        super().__init__(unit, IterativeSqrt(unit.bits))


@dataclass(frozen=True)
class Product(Unit):
    """``a * b``."""

    a: Int
    b: Int

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"a": self.a, "b": self.b}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"p": Int(self.a.bits + self.b.bits, self.a.signed or self.b.signed)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        exactly = columns[0].astype(object) * columns[1].astype(object)
        return {"p": exactly.astype(self.outputs["p"].dtype)}


@realises(Product)
class ProductHardware(_Dressed):
    def __init__(self, unit: Product):
        super().__init__(unit, PipelinedMultiplier(shape_of(unit.a), shape_of(unit.b)))


@dataclass(frozen=True)
class Leading(Unit):
    """Index of the highest set bit, and whether there is one."""

    bits: int

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": Int(self.bits, signed=False)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"index": Int(max((self.bits - 1).bit_length(), 1), signed=False), "found": Int(1, signed=False)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        index = np.array([max(int(v).bit_length() - 1, 0) for v in columns[0]], dtype=np.uint8)
        return {"index": index, "found": (columns[0] != 0).astype(np.uint8)}


@realises(Leading)
class LeadingHardware(UnitComponent):
    latency = 1

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        pipe.values.index, pipe.values.found = leading_one(pipe.payload.x)
        pipe.cut()
        pipe.end(index=pipe.values.index, found=pipe.values.found)
        return m


@dataclass(frozen=True)
class ByConstant(Unit):
    """``floor(n / divisor)`` and the remainder, for n below ``divisor << q_bits``."""

    divisor: int
    q_bits: int

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"n": Int(((self.divisor << self.q_bits) - 1).bit_length(), signed=False)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"q": Int(self.q_bits, signed=False), "r": Int(max((self.divisor - 1).bit_length(), 1), signed=False)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        n = np.minimum(columns[0].astype(np.int64), (self.divisor << self.q_bits) - 1)
        return {
            "q": (n // self.divisor).astype(self.outputs["q"].dtype),
            "r": (n % self.divisor).astype(self.outputs["r"].dtype),
        }


@realises(ByConstant)
class ByConstantHardware(UnitComponent):
    def __init__(self, unit: ByConstant):
        super().__init__(unit)
        self.latency = 1 + unit.q_bits

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        s, most = pipe.values, (self.unit.divisor << self.unit.q_bits) - 1
        n = pipe.payload.n
        s.n = Mux(n > most, most, n)[: len(n)]
        pipe.cut()
        divide_by_constant(pipe, "by", [s.n], self.unit.divisor, self.unit.q_bits)
        pipe.end(q=s.by_q[0], r=s.by_r[0])
        return m


@dataclass(frozen=True)
class Tree(Unit):
    """The largest of five numbers, cut out of one word, by a pipelined tree."""

    bits: int = 4

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {name: Int(self.bits) for name in "abcde"}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"most": Int(self.bits)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        return {"most": np.max(columns, axis=0)}


@realises(Tree)
class TreeHardware(UnitComponent):
    latency = 3

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        tree(pipe, "most", [pipe.payload[name] for name in "abcde"], larger)
        pipe.end(most=pipe.values.most)
        return m


@dataclass(frozen=True)
class RowExtremes(Unit):
    """Each element's distance to the row's maximum and minimum: fold, token, row buffer and nothing else."""

    bits: int = 8
    max_row: int = 16

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": Int(self.bits)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"above": Int(self.bits, signed=False), "below": Int(self.bits, signed=False)}

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x = columns[0].astype(np.int64)
        most, least = x.max(axis=1, keepdims=True), x.min(axis=1, keepdims=True)
        dtype = self.outputs["above"].dtype
        return {"above": (most - x).astype(dtype), "below": (x - least).astype(dtype)}


@realises(RowExtremes)
class RowExtremesHardware(RowComponent):
    passes = 1
    pace = 2

    def __init__(self, unit: RowExtremes, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self.overhead = (lanes - 1).bit_length() + 4

    def elaborate(self, platform) -> Module:
        m = Module()
        x = self.unit.inputs["x"]
        shape = signed(x.bits)
        flow = RowFlow(m, lanes=self.lanes, max_row=self.unit.max_row)
        folds = {
            "most": Fold(shape, larger, x.lo, lambda word, k: word.x[k]),
            "least": Fold(shape, smaller, x.hi, lambda word, k: word.x[k]),
        }
        row = flow.hold("ends", flow.enter(self.i), folds)

        def distances(pipe: Pipeline):
            s, word, token = pipe.values, pipe.payload.word, pipe.payload.token
            s.above = [(token.most - v)[: x.bits] for v in word.x]
            s.below = [(v - token.least)[: x.bits] for v in word.x]
            pipe.cut()
            return {"above": s.above, "below": s.below}

        flow.leave(row, self.o, distances)
        return m
