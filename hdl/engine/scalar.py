# amaranth: UnusedElaboratable=no
"""What the engine computes once per row: one divider and one root, shared by both passes, one job at a time.

Two doors lead to it. The first asks for the pivot of a row (maximum, mean or zero), the second for its factor. The
second has precedence: it is nearer the output, so rows leave before others enter. A job is taken only while the
answer's register at its door is free; hence the divider never waits for anybody and the doors cannot block each
other.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.parts.divider import IterativeDivider
from hdl.parts.isqrt import IterativeSqrt
from hdl.parts.leading_one import leading_one
from intsim.engine import Engine, Mode

__all__ = ["Door", "RowScalars"]


class Door(wiring.Component):
    """One side of :class:`RowScalars` as a component of a row's token chain: wires only.

    Members
    -------
    i, o : the token chain's streams
    ask, answer : the same streams, towards the shared unit
    """

    interval = 1

    def __init__(self, question: data.StructLayout, answer: data.StructLayout, latency: int):
        self.latency = latency
        super().__init__(
            {
                "i": In(stream.Signature(question)),
                "ask": Out(stream.Signature(question)),
                "answer": In(stream.Signature(answer)),
                "o": Out(stream.Signature(answer)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.ask))
        wiring.connect(m, wiring.flipped(self.answer), wiring.flipped(self.o))
        return m


class RowScalars(wiring.Component):
    """Pivots and factors of rows, one after the other.

    Members
    -------
    pivot_i : In(stream of ``tag``, ``top``, ``sum``, ``n``), codes moved up by half their range (unsigned)
    pivot_o : Out(stream of ``tag``, ``pivot``)
    factor_i : In(stream of ``tag``, ``total``, ``n``)
    factor_o : Out(stream of ``tag``, ``factor``, ``amount``)
    places, epsilon : In, of both banks

    Attributes
    ----------
    cycles : (pivot, factor) -> mode -> cycles from a question taken to its answer
    """

    def __init__(self, unit: Engine):
        self.unit = unit
        width = unit.widths
        length, bits = width["length"], unit.bits
        self._q_bits = max(bits + 1, width["ratio"] + length)
        self._divider = IterativeDivider(
            max(bits + length + 2, width["dividend"]), max(width["divisor"], length + 1), q_bits=self._q_bits, radix=4
        )
        self._root = IterativeSqrt(self._q_bits)
        division = self._divider.latency + 1
        root = self._root.latency
        self.cycles = {
            Mode.TABLE: (1, 1),
            Mode.SOFTMAX: (1, 4 + division),
            Mode.LAYERNORM: (1 + division, 4 + division + root),
            Mode.RMSNORM: (1, 4 + division + root),
        }
        self.amount_bits = (width["sum"] + width["factor"]).bit_length()
        tag = unsigned(3)
        self.pivot_question = data.StructLayout({"tag": tag, "top": bits, "sum": bits + length, "n": length})
        self.pivot_answer = data.StructLayout({"tag": tag, "pivot": signed(bits)})
        self.factor_question = data.StructLayout({"tag": tag, "total": width["sum"], "n": length})
        self.factor_answer = data.StructLayout({"tag": tag, "factor": width["factor"], "amount": self.amount_bits})
        super().__init__(
            {
                "pivot_i": In(stream.Signature(self.pivot_question)),
                "pivot_o": Out(stream.Signature(self.pivot_answer)),
                "factor_i": In(stream.Signature(self.factor_question)),
                "factor_o": Out(stream.Signature(self.factor_answer)),
                "places": In(data.ArrayLayout(5, 2)),
                "epsilon": In(data.ArrayLayout(16, 2)),
            }
        )

    def doors(self) -> tuple[Door, Door]:
        """Both doors, to be put into token chains; :meth:`attach` connects them."""
        slowest = [max(cycles[door] for cycles in self.cycles.values()) for door in (0, 1)]
        wait = sum(slowest) + 2  # a job may find the other door's before it
        return Door(self.pivot_question, self.pivot_answer, wait), Door(self.factor_question, self.factor_answer, wait)

    def attach(self, m: Module, pivot: Door, factor: Door) -> None:
        """Connect the doors in the module that holds all three."""
        wiring.connect(m, pivot.ask, self.pivot_i)
        wiring.connect(m, self.pivot_o, pivot.answer)
        wiring.connect(m, factor.ask, self.factor_i)
        wiring.connect(m, self.factor_o, factor.answer)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit, width = self.unit, self.unit.widths
        m.submodules.divider = divider = self._divider
        m.submodules.root = root = self._root
        pivot = Signal(self.pivot_answer)
        factor = Signal(self.factor_answer)
        pivot_full, factor_full = Signal(), Signal()
        m.d.comb += [
            self.pivot_o.valid.eq(pivot_full),
            self.pivot_o.payload.eq(pivot),
            self.factor_o.valid.eq(factor_full),
            self.factor_o.payload.eq(factor),
        ]
        with m.If(self.pivot_o.ready):
            m.d.sync += pivot_full.eq(0)
        with m.If(self.factor_o.ready):
            m.d.sync += factor_full.eq(0)

        tag, n = Signal(3), Signal(width["length"])
        mode, bank = tag[:2], tag[2]
        total = Signal(width["sum"])
        extra = Signal(width["length"] + 16)
        up = Signal(range(width["sum"]))
        places = Signal(5)
        amount = Signal(signed(self.amount_bits + 1))
        half = C(1 << (unit.bits - 1), unit.bits)
        drop = width["ratio"] - width["factor"] + 1
        asked = self.pivot_i.payload

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.factor_i.valid & ~factor_full):
                    question = self.factor_i.payload
                    m.d.comb += self.factor_i.ready.eq(1)
                    m.d.sync += [tag.eq(question.tag), n.eq(question.n), total.eq(question.total)]
                    m.d.sync += factor.tag.eq(question.tag)
                    with m.If(question.tag[:2] == Mode.TABLE):
                        m.d.sync += [factor.factor.eq(1), factor.amount.eq(0), factor_full.eq(1)]
                    with m.Else():
                        m.next = "ENLARGE"
                with m.Elif(self.pivot_i.valid & ~pivot_full):
                    m.d.comb += self.pivot_i.ready.eq(1)
                    m.d.sync += [tag.eq(asked.tag), pivot.tag.eq(asked.tag)]
                    m.d.sync += pivot.pivot.eq(Mux(asked.tag[:2] == Mode.SOFTMAX, asked.top ^ half, 0))
                    m.d.sync += [total.eq(Cat(C(0, 1), asked.sum) + asked.n), n.eq(asked.n)]
                    with m.If(asked.tag[:2] == Mode.LAYERNORM):
                        m.next = "MEAN"
                    with m.Else():
                        m.d.sync += pivot_full.eq(1)

            with m.State("MEAN"):  # floor((2 * sum + n) / (2 * n)): the mean, ties upwards
                m.d.comb += [
                    divider.i.valid.eq(1),
                    divider.i.payload.n.eq(total),
                    divider.i.payload.d.eq(n << 1),
                ]
                m.next = "MEAN_READY"
            with m.State("MEAN_READY"):
                m.d.comb += divider.o.ready.eq(1)
                with m.If(divider.o.valid):
                    m.d.sync += [pivot.pivot.eq(divider.o.payload.q[: unit.bits] ^ half), pivot_full.eq(1)]
                    m.next = "IDLE"

            with m.State("ENLARGE"):
                m.d.sync += extra.eq(Mux(mode == Mode.SOFTMAX, 0, n * self.epsilon.as_value().word_select(bank, 16)))
                m.d.sync += places.eq(self.places.as_value().word_select(bank, 5))
                m.next = "AT_LEAST_ONE"
            with m.State("AT_LEAST_ONE"):
                grown = (total + extra)[: width["sum"]]
                m.d.sync += total.eq(Mux(grown == 0, 1, grown))
                m.next = "NORMALISE"
            with m.State("NORMALISE"):
                index, _ = leading_one(total)
                zeros = (width["sum"] - 1 - index)[: len(up)]
                even = Cat(C(0, 1), zeros[1:])
                m.d.sync += [up.eq(even), total.eq(total << even)]
                m.next = "DIVIDE"
            with m.State("DIVIDE"):
                one = Mux(mode == Mode.SOFTMAX, 1, n)
                m.d.comb += [
                    divider.i.valid.eq(1),
                    divider.i.payload.n.eq(one << (width["divisor"] - 2 + width["ratio"])),
                    divider.i.payload.d.eq(total[width["sum"] - width["divisor"] :]),
                ]
                m.d.sync += amount.eq(
                    Mux(
                        mode == Mode.SOFTMAX,
                        C(width["sum"] + width["factor"] - 3) - up,
                        C((width["sum"] + width["ratio"] - 2) // 2) - up[1:],
                    )
                    - places
                )
                m.next = "QUOTIENT"
            with m.State("QUOTIENT"):
                m.d.comb += [divider.o.ready.eq(1), root.i.payload.x.eq(divider.o.payload.q)]
                m.d.sync += factor.amount.eq(Mux(amount < 0, 0, amount))
                with m.If(divider.o.valid):
                    with m.If(mode == Mode.SOFTMAX):
                        m.d.sync += [factor.factor.eq(divider.o.payload.q >> drop), factor_full.eq(1)]
                        m.next = "IDLE"
                    with m.Else():
                        m.d.comb += root.i.valid.eq(1)
                        m.next = "ROOT"
            with m.State("ROOT"):
                m.d.comb += root.o.ready.eq(1)
                with m.If(root.o.valid):
                    m.d.sync += [factor.factor.eq(root.o.payload.root), factor_full.eq(1)]
                    m.next = "IDLE"
        return m
