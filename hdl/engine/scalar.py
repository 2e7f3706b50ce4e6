# amaranth: UnusedElaboratable=no
"""What the engine computes once per row: one divider and one root, shared by both passes, one job at a time.

Two doors lead to it. The first asks for the pivot of a row (maximum, mean or zero), the second for its factor. The
second has precedence: it is nearer the output, so rows leave before others enter. A job is taken only while there is
room for its answer at its door; hence the divider never waits for anybody and the doors cannot block each other. There
is room for two answers, so that the next is worked on while one waits for the row before it to leave. What needs no
division (all but the mean of a LayerNorm at the first door, tables at the second) is answered in one cycle, beside the
divider's work for the other door.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed, unsigned
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
    cycles : mode -> (pivot, factor) -> cycles from a question taken to its answer
    busy : mode -> cycles that the divider and root are taken for a row
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
            Mode.SOFTMAX: (1, 5 + division),
            Mode.LAYERNORM: (1 + division, 5 + division + root),
            Mode.RMSNORM: (1, 5 + division + root),
        }
        self.busy = {mode: sum(cycles for cycles in pair if cycles > 1) for mode, pair in self.cycles.items()}
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
        m.submodules.square_root = root = self._root
        pivot = _Answers(m, "pivot", self.pivot_o)
        factor = _Answers(m, "factor", self.factor_o)

        tag = Signal(3)
        n = Signal(width["length"])
        mode, bank = tag[:2], tag[2]
        total = Signal(width["sum"])
        extra = Signal(width["length"] + 16)
        zeros = Signal(range(width["sum"]))
        up = Signal(range(width["sum"]))
        places = Signal(5)
        amount = Signal(signed(self.amount_bits + 1))
        limited = Mux(amount < 0, 0, amount)[: self.amount_bits]
        half = C(1 << (unit.bits - 1), unit.bits)
        drop = width["ratio"] - width["factor"] + 1
        asked = self.pivot_i.payload

        # What needs no divider is answered at once, unless the job before it at the same door is still at work.
        mean_at_work = Signal()
        factor_at_work = Signal()
        pivot_simple = Signal()
        factor_simple = Signal()
        pivot_asks = Signal()
        factor_asks = Signal()
        m.d.comb += [
            pivot_simple.eq(asked.tag[:2] != Mode.LAYERNORM),
            factor_simple.eq(self.factor_i.payload.tag[:2] == Mode.TABLE),
            pivot_asks.eq(self.pivot_i.valid & pivot.room & ~mean_at_work),
            factor_asks.eq(self.factor_i.valid & factor.room & ~factor_at_work),
        ]
        with m.If(pivot_asks & pivot_simple):
            m.d.comb += self.pivot_i.ready.eq(1)
            pivot.give(tag=asked.tag, pivot=Mux(asked.tag[:2] == Mode.SOFTMAX, asked.top ^ half, 0))
        with m.If(factor_asks & factor_simple):
            m.d.comb += self.factor_i.ready.eq(1)
            factor.give(tag=self.factor_i.payload.tag, factor=1, amount=0)

        with m.FSM() as fsm:
            m.d.comb += mean_at_work.eq(fsm.ongoing("MEAN") | fsm.ongoing("MEAN_READY"))
            m.d.comb += factor_at_work.eq(~fsm.ongoing("IDLE") & ~mean_at_work)
            with m.State("IDLE"):
                with m.If(factor_asks & ~factor_simple):
                    question = self.factor_i.payload
                    m.d.comb += self.factor_i.ready.eq(1)
                    m.d.sync += [tag.eq(question.tag), n.eq(question.n), total.eq(question.total)]
                    m.next = "ENLARGE"
                with m.Elif(pivot_asks & ~pivot_simple):
                    m.d.comb += self.pivot_i.ready.eq(1)
                    m.d.sync += [tag.eq(asked.tag), n.eq(asked.n)]
                    m.d.sync += total.eq(Cat(C(0, 1), asked.sum) + asked.n)
                    m.next = "MEAN"

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
                    pivot.give(tag=tag, pivot=divider.o.payload.q[: unit.bits] ^ half)
                    m.next = "IDLE"

            with m.State("ENLARGE"):
                m.d.sync += extra.eq(Mux(mode == Mode.SOFTMAX, 0, n * Mux(bank, self.epsilon[1], self.epsilon[0])))
                m.d.sync += places.eq(Mux(bank, self.places[1], self.places[0]))
                m.next = "AT_LEAST_ONE"
            with m.State("AT_LEAST_ONE"):
                grown = (total + extra)[: width["sum"]]
                m.d.sync += total.eq(Mux(grown == 0, 1, grown))
                m.next = "NORMALISE"
            with m.State("NORMALISE"):
                index, _ = leading_one(total)
                m.d.sync += zeros.eq(width["sum"] - 1 - index)
                m.next = "SHIFT"
            with m.State("SHIFT"):
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
                with m.If(divider.o.valid):
                    with m.If(mode == Mode.SOFTMAX):
                        factor.give(tag=tag, factor=divider.o.payload.q >> drop, amount=limited)
                        m.next = "IDLE"
                    with m.Else():
                        m.d.comb += root.i.valid.eq(1)
                        m.next = "ROOT"
            with m.State("ROOT"):
                m.d.comb += root.o.ready.eq(1)
                with m.If(root.o.valid):
                    factor.give(tag=tag, factor=root.o.payload.root, amount=limited)
                    m.next = "IDLE"
        return m


class _Answers:
    """The answers at one door, in order: room for two.

    Attributes
    ----------
    room : Signal, 1 where a job may begin, which then has a place for its answer
    """

    def __init__(self, m: Module, name: str, o) -> None:
        layout = o.payload.shape()
        self._m = m
        self._given, self._answer = Signal(name=f"{name}_given"), Signal(layout, name=f"{name}_answer")
        first, second = Signal(layout, name=f"{name}_first"), Signal(layout, name=f"{name}_second")
        one, two, leaves = Signal(name=f"{name}_one"), Signal(name=f"{name}_two"), Signal(name=f"{name}_leaves")
        self.room = ~two
        m.d.comb += [o.valid.eq(one), o.payload.eq(first), leaves.eq(one & o.ready)]
        with m.If(leaves):
            m.d.sync += [first.eq(second), one.eq(two), two.eq(0)]
        with m.If(self._given & one & ~leaves):
            m.d.sync += [second.eq(self._answer), two.eq(1)]
        with m.Elif(self._given):
            m.d.sync += [first.eq(self._answer), one.eq(1)]

    def give(self, **fields: Value | int) -> None:
        """The answer is there; to be used inside the state that has it."""
        self._m.d.comb += [self._given.eq(1), *(self._answer[name].eq(value) for name, value in fields.items())]
