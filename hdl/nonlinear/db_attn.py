"""DB-Attn's softmax in hardware: distances, a pivot per block, encoder, DH-LUT, reciprocal, product.

Passes: maximum of the row; largest distance of each block, whose leading one is the pivot exponent; exponentials and
their sum; product. Blocks are rows of their own to the pass that finds the pivot, so it costs one block of latency.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.memory import Memory

from hdl.linear.block_encoder import ENCODE_CUTS, PIVOT_CUTS, encode, largest_of, pivot_token
from hdl.nonlinear.rows import RowFlow, words_of
from hdl.nonlinear.softmax import below_top
from hdl.nonlinear.table_rows import TableSoftmax
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.shift_round import shift_round
from hdl.parts.trees import levels
from hdl.registry import realises
from intsim.errors import IntsimError
from intsim.nonlinear import db_attn

__all__ = ["DBAttnSoftmax"]


@realises(db_attn.DBAttnSoftmax)
class DBAttnSoftmax(TableSoftmax):
    """:class:`intsim.nonlinear.DBAttnSoftmax`: maximum pivot, multi-pass form; its reciprocal is a table or a divider.

    Other pivots and the single-pass form are golden models only and refused here.

    Parameters
    ----------
    lanes : elements per transfer; divides the group
    """

    unit: db_attn.DBAttnSoftmax

    def __init__(self, unit: db_attn.DBAttnSoftmax, *, lanes: int = 1):
        fmt = unit.format
        if fmt.pivot != 100 or unit.online:
            raise IntsimError(
                "hardware exists for pivot=100 (a clipped maximum with hi) and online=False; choose these"
            )
        if fmt.group % lanes:
            raise IntsimError(f"{lanes} lanes do not divide blocks of {fmt.group}; use a divisor")
        self.e_bits = unit.table.frac + 1
        self._d_bits = unit.widths["distance"]
        self._factored = unit.table.low_bits > 0
        self._distance_cuts = 1 + multiplier_cuts(unit.x.bits + 1, unit.multiplier.bit_length() + 1)
        lookup = 2 + (2 if self._factored else 0)
        fold = levels(lanes) + 3
        self.exp_cuts = self._distance_cuts + fold + PIVOT_CUTS + ENCODE_CUTS + lookup
        super().__init__(unit, lanes=lanes)

    def cycles(self, n: int) -> int:
        """As for every row unit, and the words of a block but one."""
        words = words_of(n, self.lanes)
        return super().cycles(n) + min(words, self._block_words) - 1

    def sustained(self, n: int) -> int:
        """As for every row unit; a block of a single word takes two cycles."""
        words, block = words_of(n, self.lanes), self._block_words
        alone = words if block == 1 else words % block == 1
        return max(super().sustained(n), words + alone)

    @property
    def _block_words(self) -> int:
        return self.unit.format.group // self.lanes

    def _exponentials(self, m, flow: RowFlow, row):
        fmt = self.unit.format
        row = flow.map("distance", row, {"d": unsigned(self._d_bits), "counts": unsigned(1)}, self._distances)
        blocks = self._as_blocks(m, flow, row)
        below = RowFlow(m, lanes=self.lanes, max_row=fmt.group)
        pivot = pivot_token(fmt, self.unit.frac, self._d_bits)
        blocks = below.hold("pivot", blocks, {"most": largest_of("d", self._d_bits)}, then=[pivot])
        row = self._as_rows(m, blocks)
        return flow.map("exp", row, {"e": unsigned(self.e_bits)}, lambda pipe: self._encode(m, pipe))

    def _distances(self, pipe):
        below = below_top(pipe)
        s = pipe.values
        distances = [Mux(keep, (-value)[: self.unit.x.bits], 0) for value, keep in zip(below, s.counts, strict=True)]
        multiply(pipe, "distance", distances, [C(self.unit.multiplier)] * self.lanes)
        return {"d": [d[: self._d_bits] for d in s.distance], "counts": list(s.counts)}

    def _as_blocks(self, m, flow: RowFlow, row):
        """The same words, ``last`` at the end of every block, and the row's end as a field."""
        out = flow._stream("blocks", {"d": unsigned(self._d_bits), "counts": unsigned(1), "end": unsigned(1)})
        place = Signal(range(max(self._block_words, 2)), name="block_place")
        whole = place == self._block_words - 1
        word = out.payload.word
        m.d.comb += [
            out.valid.eq(row.valid),
            row.ready.eq(out.ready),
            out.payload.last.eq(row.payload.last | whole),
            word.d.eq(row.payload.word.d),
            word.counts.eq(row.payload.word.counts),
            *(word.end[k].eq(row.payload.last) for k in range(self.lanes)),
        ]
        if self.lanes > 1:
            m.d.comb += word.keep.eq(row.payload.word.keep)
        with m.If(out.valid & out.ready):
            m.d.sync += place.eq(Mux(out.payload.last, 0, place + 1))
        return out

    def _as_rows(self, m, blocks):
        """The same stream, ``last`` at the end of the row again."""
        out = stream.Signature(blocks.payload.shape()).create(path=("rejoined",))
        m.d.comb += [
            out.valid.eq(blocks.valid),
            blocks.ready.eq(out.ready),
            out.payload.word.eq(blocks.payload.word),
            out.payload.token.eq(blocks.payload.token),
            out.payload.last.eq(blocks.payload.word.end[0]),
        ]
        return out

    def _encode(self, m, pipe):
        """Mantissa and table address; then the table, or the product of two."""
        unit, fmt, s = self.unit, self.unit.format, pipe.values
        word, exponent = pipe.payload.word, pipe.payload.token.exponent
        s.counts, s.row = list(word.counts), exponent
        encode(pipe, fmt, unit.frac, list(word.d), exponent)
        bits = (unit.table.hi - unit.table.lo).bit_length()
        lines = [(s.row + Mux(fine, 0, fmt.delta))[:bits] for fine in s.fine]
        s.address = [Cat(q, line) for q, line in zip(s.q, lines, strict=True)]
        if not self._factored:
            self._rom(m, pipe, list(unit.table.high))
            return {"e": list(s.e)}
        return self._factored_exp(m, pipe)

    def _factored_exp(self, m, pipe):
        table, s = self.unit.table, pipe.values
        low, bits = table.low_bits, table.bits
        for k in range(self.lanes):
            address = s.address[k]
            places = {"high": address[low:], "low": Cat(address[:low], address[bits:])}
            for name, place in places.items():
                words = getattr(table, name)
                m.submodules[f"{name}_table{k}"] = memory = Memory(
                    shape=unsigned(table.frac + 1), depth=len(words), init=list(words)
                )
                pipe.read(f"{name}{k}", memory.read_port(), place)
        pipe.cut()
        s.first = [getattr(s, f"high{k}") for k in range(self.lanes)]
        s.second = [getattr(s, f"low{k}") for k in range(self.lanes)]
        pipe.cut()
        s.both = [a * b for a, b in zip(s.first, s.second, strict=True)]
        pipe.cut()
        rounded = [shift_round(both, table.frac, table.rounding)[: self.e_bits] for both in s.both]
        s.e = [Mux(counts, e, 0) for counts, e in zip(s.counts, rounded, strict=True)]
        pipe.cut()
        return {"e": list(s.e)}
