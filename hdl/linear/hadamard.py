# amaranth: UnusedElaboratable=no
"""The Hadamard transform in hardware: all channels of a block at once, a register behind every stage of adders."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Value

from hdl.component import UnitComponent
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import drop_bits
from hdl.parts.trees import levels
from hdl.registry import realises
from intsim import linear

__all__ = ["Hadamard"]


@realises(linear.Hadamard)
class Hadamard(UnitComponent):
    """:class:`intsim.linear.Hadamard`, one block per cycle: trees of adders for the base matrix, then butterflies.

    Halving behind a second stage and its rounding share that stage's cycle; the requantisation takes two more.

    Attributes
    ----------
    latency : levels of the trees, plus the stages (one cycle at least), plus 2 for ``requantised``
    """

    unit: linear.Hadamard

    def __init__(self, unit: linear.Hadamard):
        super().__init__(unit)
        self.latency = levels(len(unit.base)) + unit.stages + 2 * (unit.form == "requantised")

    def elaborate(self, platform) -> Module:
        m = Module()
        unit = self.unit
        pipe = Pipeline(m, self.i, self.o)
        s = pipe.values
        values: list[Value] = self._multiply_base(pipe, [pipe.payload[f"x{k}"] for k in range(unit.size)])
        distance = len(unit.base)
        for stage in range(unit.stages):
            values = [self._butterfly(values, k, distance) for k in range(unit.size)]
            if unit.form == "shifted" and stage % 2:
                values = [floor + up for floor, up in (drop_bits(v, 1, unit.rounding) for v in values)]
                values = [v[:-1].as_signed() for v in values]  # two bits of growth, one of them halved away
            setattr(s, f"stage{stage}", values)
            pipe.cut()
            values = list(getattr(s, f"stage{stage}"))
            distance *= 2
        if unit.form == "requantised":
            values = self._requantise(pipe, values)
        pipe.end(**{f"y{k}": value for k, value in enumerate(values)})
        return m

    def _butterfly(self, values: list[Value], k: int, distance: int) -> Value:
        """Sum at the lower place of a pair, difference at the upper."""
        if k // distance % 2 == 0:
            return values[k] + values[k + distance]
        return values[k - distance] - values[k]

    def _multiply_base(self, pipe: Pipeline, values: list[Value]) -> list[Value]:
        """Every block of K channels times the base matrix: one cut per level of the trees of adders."""
        base, small = self.unit.base, len(self.unit.base)
        if small == 1:
            return values
        sums = [
            [(values[block + j], int(base[j, i])) for j in range(small)]
            for block in range(0, len(values), small)
            for i in range(small)
        ]
        terms = [[v if sign > 0 else -v for v, sign in group] for group in sums]
        for level in range(levels(small)):
            terms = [
                [a + b for a, b in zip(group[::2], group[1::2], strict=False)] + group[len(group) & ~1 :]
                for group in terms
            ]
            setattr(pipe.values, f"level{level}", terms)
            pipe.cut()
            terms = [list(group) for group in getattr(pipe.values, f"level{level}")]
        return [group[0] for group in terms]

    def _requantise(self, pipe: Pipeline, values: list[Value]) -> list[Value]:
        unit, s = self.unit, pipe.values
        fmt = unit.outputs["y0"]
        s.products = [v * Const(unit.multiplier) for v in values]
        pipe.cut()
        rounded = [floor + up for floor, up in (drop_bits(v, unit.shift, unit.rounding) for v in s.products)]
        s.limited = [Mux(v > fmt.hi, fmt.hi, Mux(v < fmt.lo, fmt.lo, v))[: fmt.bits].as_signed() for v in rounded]
        pipe.cut()
        return list(s.limited)
