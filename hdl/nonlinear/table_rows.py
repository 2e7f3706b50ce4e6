# amaranth: UnusedElaboratable=no
"""What the softmax units over tables share: exponentials from a ROM per lane, one normalised reciprocal per row."""

from __future__ import annotations

import abc
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, unsigned
from amaranth.lib.memory import Memory

from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, fields_of, maximum
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import drop_bits
from hdl.parts.trees import levels, total
from hdl.tables.range_reduced import NORMAL_CUTS, RECIPROCAL_CUTS, NormalDivider, append_normal, append_reciprocal

__all__ = ["TableSoftmax"]


class TableSoftmax(RowComponent, abc.ABC):
    """Base: maximum, exponentials, sum, reciprocal by table or divider, product and one rounding.

    ``cycles(n)`` is ``3 (w - 1)`` plus a constant, with ``w = ceil(n / lanes)`` transfers per row; ``sustained(n)`` is
    w, but not below 2 or the divider's time.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer

    Attributes
    ----------
    e_bits : width of an exponential
    exp_cuts : cycles from an element with its row's maximum to its exponential
    """

    unit: Any
    passes = 2
    e_bits: int
    exp_cuts: int

    def __init__(self, unit: Any, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        fold = levels(lanes) + 3  # from a row's last word to its token on the buffer's output
        scale = multiplier_cuts(self.e_bits + 1, unit.factor.bits + 2) + 3
        self._reciprocal = self._tokens()
        self.overhead = fold + self.exp_cuts + fold + sum(part.latency for part in self._reciprocal) + scale
        self.pace = max(2, *(part.interval for part in self._reciprocal))

    def elaborate(self, platform) -> Module:
        unit = self.unit
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
        row = flow.hold("top", flow.enter(self.i), {"top": maximum(unit.x)})
        row = self._exponentials(m, flow, row)
        folds = {"total": total(unit.widths["sum"], "e")}
        row = flow.hold("sum", row, folds, then=self._reciprocal)
        flow.leave(row, self.o, self._scale)
        return m

    def _tokens(self) -> list[Any]:
        """Components from the sum of a row to mantissa and exponent of its reciprocal."""
        factor, bits = self.unit.factor, self.unit.widths["sum"]
        before = {"total": unsigned(bits)}
        if factor.index_bits:
            after = {"mantissa": unsigned(factor.bits + 1), "exponent": factor.outputs["exponent"].bits}
            return [TokenMap(before, after, RECIPROCAL_CUTS, lambda p: append_reciprocal(p, factor, p.payload.total))]
        divider = NormalDivider(bits, factor)
        normal = TokenMap(
            before, fields_of(divider.i), NORMAL_CUTS, lambda pipe: append_normal(pipe, factor, pipe.payload.total)
        )
        return [normal, divider]

    @abc.abstractmethod
    def _exponentials(self, m: Module, flow: RowFlow, row):
        """The row stream with the field ``e``, an exponential per lane."""

    def _rom(self, m: Module, pipe: Pipeline, words: list[int]) -> None:
        """Names ``e``: the words at ``address``, one per lane, 0 where it does not count; appends two cuts."""
        s = pipe.values
        for k in range(self.lanes):
            memory = Memory(shape=unsigned(self.e_bits), depth=len(words), init=words)
            m.submodules[f"exp_table{k}"] = memory
            pipe.read(f"word{k}", memory.read_port(), s.address[k])
        pipe.cut()
        s.e = [Mux(counts, getattr(s, f"word{k}"), 0) for k, counts in enumerate(s.counts)]
        pipe.cut()

    def _scale(self, pipe: Pipeline):
        unit, s, payload = self.unit, pipe.values, pipe.payload
        s.weight = payload.token.exponent
        factor = [payload.token.mantissa] * self.lanes
        multiply(pipe, "product", list(payload.word.e), factor)
        # product / 2**(exponent - out_bits + 1): to the left by out_bits - 1, then to the right by the exponent
        room = unit.factor.bits + unit.widths["sum"]
        s.amount = s.weight
        s.wide = [Cat(Const(0, room), product, Const(0, 1)) for product in s.product]
        pipe.cut()
        s.aligned = [wide >> s.amount for wide in s.wide]
        pipe.cut()
        rounded = [drop_bits(aligned, room - unit.out_bits + 1, unit.rounding) for aligned in s.aligned]
        s.floor, s.up = [floor for floor, _ in rounded], [up for _, up in rounded]
        pipe.cut()
        return {"y": [(floor + up)[: unit.out_bits] for floor, up in zip(s.floor, s.up, strict=True)]}
