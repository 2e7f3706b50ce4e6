# amaranth: UnusedElaboratable=no
"""The nonlinear engine: lanes of loadable tables, two row buffers, one divider and root, two banks of registers.

A row's mode and bank are sampled with its first word and travel with it as its **tag**, so the next row may have
another mode without a word of the pipeline being drained. A bank that is selected, or that a row on its way still
uses, refuses to be written.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In

from hdl.component import UnitComponent
from hdl.engine.lane import LANE_CUTS, WordMemory, lanes
from hdl.engine.scalar import RowScalars
from hdl.nonlinear.rows import RowComponent, RowFlow, words_of
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.row_buffer import RowBuffer
from hdl.parts.row_end import row_end
from hdl.parts.shift_round import shift_round_by
from hdl.parts.trees import Fold, count, larger, levels, total
from hdl.registry import realises
from hdl.wrap.registers import RegisterBus
from intsim import engine as golden
from intsim.engine import Mode, register_map
from intsim.engine.registers import IDENTITY
from intsim.errors import IntsimError
from intsim.rounding import TIES_TO_POS

__all__ = ["Engine"]

MAX_LANES = 16


@realises(golden.Engine)
class Engine(RowComponent):
    """Hardware of :class:`intsim.engine.Engine`. After configuration it holds what the unit holds.

    A reset restores mode and bank and drops the rows inside. The contents of the banks, tables in memory and registers
    alike, stay as they were loaded.
    A row without an end is cut after as many words as the longest row has.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer, 1 to 16

    Members
    -------
    bus : In(:class:`~hdl.wrap.registers.RegisterBus`), the registers of :func:`intsim.engine.register_map`. Without a
        shell that drives it, the engine stays as it is after configuration

    Attributes
    ----------
    registers : their map
    """

    unit: golden.Engine
    passes = 2

    def __init__(self, unit: golden.Engine, *, lanes: int = 1):
        if not isinstance(lanes, int) or not 1 <= lanes <= MAX_LANES:
            raise IntsimError(f"the engine has 1 to {MAX_LANES} lanes, got {lanes}")
        self.registers = register_map(unit)
        bus = RegisterBus(self.registers.address_bits - 2)
        UnitComponent.__init__(self, unit, lanes=lanes, members={"bus": In(bus)})
        self.interval = 1
        self._scalars = RowScalars(unit)
        width = unit.widths
        self._scale_cuts = multiplier_cuts(width["difference"], width["factor"] + 1) + 3

    def mode_overhead(self, mode: Mode) -> int:
        """Cycles of a lone row beside its words: registers, and what is computed once."""
        fold = levels(self.lanes) + 2 + RowBuffer.latency - 1
        return 2 * fold + sum(self._scalars.cycles[mode]) + LANE_CUTS + self._scale_cuts - 1

    @property
    def overhead(self) -> int:  # type: ignore[override]
        return self.mode_overhead(self.unit.mode)

    @property
    def pace(self) -> int:  # type: ignore[override]
        return self.mode_pace(self.unit.mode)

    def mode_pace(self, mode: Mode) -> int:
        """Least cycles between rows: the jobs of a row behind each other in the one divider, and never below 2."""
        return max(self._scalars.busy[mode], 2)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit, width = self.unit, self.unit.widths
        memories = [WordMemory(unit) for _ in range(self.lanes)]
        for k, memory in enumerate(memories):
            m.submodules[f"words{k}"] = memory.memory
        m.submodules.scalars = scalars = self._scalars
        tag = self._enter(m)
        stored = self._registers(m, memories, scalars)

        flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
        row = flow.enter(tag)
        bits, length = unit.bits, width["length"]
        half = C(1 << (bits - 1), bits)
        pivot, factor = scalars.doors()
        folds = {
            "tag": _tag(),
            "top": Fold(unsigned(bits), larger, 0, lambda word, k: word.x[k].as_unsigned() ^ half),
            "sum": Fold(
                unsigned(bits + length),
                lambda a, b: (a + b)[: bits + length],
                0,
                lambda word, k: word.x[k].as_unsigned() ^ half,
            ),
            "n": count(length),
        }
        row = flow.hold("pivot", row, folds, then=[pivot], store=("x",))
        shapes: dict = {"v": signed(width["difference"]), "energy": unsigned(2 * bits), "tag": unsigned(3)}
        row = flow.map("lanes", row, shapes, lambda pipe: lanes(m, pipe, unit, memories, stored))
        folds = {"tag": _tag(), "total": total(width["sum"], "energy"), "n": count(length)}
        row = flow.hold("factor", row, folds, then=[factor], store=("v",))
        scalars.attach(m, pivot, factor)
        flow.leave(row, self._left, self._scale)
        return m

    def _enter(self, m: Module):
        """The input stream with each row's tag, sampled at its first word; counts the rows of each bank."""
        unit = self.unit
        self._control = control = Signal(5, init=int(unit.mode) | unit.bank << 4)
        fields: dict[str, Any] = dict(self._layout({"x": unit.inputs["x"]}, True, self.lanes).members)
        fields["tag"] = unsigned(3) if self.lanes == 1 else data.ArrayLayout(unsigned(3), self.lanes)
        entering = stream.Signature(data.StructLayout(fields)).create(path=("entering",))
        leaving = stream.Signature(
            data.StructLayout({**dict(self._layout(unit.outputs, True, self.lanes).members), "bank": 1})
        ).create(path=("leaving",))
        self._left = leaving
        inside = Signal()
        kept = Signal(3)
        tag = Signal(3)
        ends = row_end(m, self.i, words_of(unit.max_row, self.lanes))
        m.d.comb += [
            tag.eq(Mux(inside, kept, Cat(control[:2], control[4]))),
            entering.valid.eq(self.i.valid),
            self.i.ready.eq(entering.ready),
            *(entering.payload[name].eq(self.i.payload[name]) for name in self.i.payload.shape().members),
            entering.payload.last.eq(ends),
            (entering.payload.tag if self.lanes == 1 else entering.payload.tag[0]).eq(tag),
            self.o.valid.eq(leaving.valid),
            leaving.ready.eq(self.o.ready),
            *(self.o.payload[name].eq(leaving.payload[name]) for name in self.o.payload.shape().members),
        ]
        taken = self.i.valid & self.i.ready
        with m.If(taken):
            m.d.sync += [inside.eq(~ends), kept.eq(tag)]
        sent = leaving.valid & leaving.ready & leaving.payload.last
        self._busy = Signal(2)
        for b in range(2):
            rows = Signal(16, name=f"rows_of_bank{b}")
            begins = taken & ~inside & (tag[2] == b)
            m.d.sync += rows.eq(rows + begins - (sent & (leaving.payload.bank == b)))
            m.d.comb += self._busy[b].eq(rows != 0)
        return entering

    def _registers(self, m: Module, memories, scalars: RowScalars) -> dict[str, list[list[Signal]]]:
        """Registers and table words behind the bus."""
        unit, bus = self.unit, self.bus
        registers = self.registers
        initial = [
            {"CUT": b.table.cuts, "MANTISSA": b.table.mantissas, "SHIFT": b.table.shifts, "PLACES": (b.places,),
             "EPSILON": (b.epsilon,)}
            for b in unit.banks
        ]  # fmt: skip
        fixed = {
            "ID": IDENTITY,
            "SHAPE": registers["SHAPE"].packed(LANES=self.lanes, MAX_ROW=unit.max_row),
            "TABLES": registers["TABLES"].packed(
                INTERVALS=unit.intervals,
                BINS=unit.bins,
                T_BITS=unit.t_bits,
                MANTISSA_BITS=unit.mantissa_bits,
                BITS=unit.bits,
            ),
            "CONTROL": self._control,
            "STATUS": self._busy,
        }
        m.d.comb += [bus.read_error.eq(1), bus.write_error.eq(1)]
        with m.Switch(bus.read_address):
            for name, value in fixed.items():
                with m.Case(registers.address(name) >> 2):
                    m.d.comb += [bus.read_data.eq(value), bus.read_error.eq(0)]
        with m.If(bus.write_address == registers.address("CONTROL") >> 2):
            m.d.comb += bus.write_error.eq(0)
            with m.If(bus.write):
                m.d.sync += self._control.eq(bus.write_data & 0b10011)

        banked: dict[str, list[list[Signal]]] = {}
        for b in range(2):
            free = Signal(name=f"bank{b}_free")
            m.d.comb += free.eq((self._control[4] != b) & ~self._busy[b])
            for register in registers.registers:
                if not register.banked:
                    continue
                first, size = registers.address(register.name, 0, b) >> 2, register.count
                place = Signal(range(1 << 9), name=f"{register.name.lower()}_of_bank{b}")
                hit = Signal(name=f"{register.name.lower()}_hit{b}")
                m.d.comb += [
                    place.eq(bus.write_address - first),
                    hit.eq(free & (bus.write_address >= first) & (bus.write_address < first + size)),
                ]
                with m.If(hit):
                    m.d.comb += bus.write_error.eq(0)
                if register.name == "WORD":
                    self._load(m, memories, b, hit & bus.write, place)
                    continue
                shape = signed(register.bits) if register.signed else unsigned(register.bits)
                cells = [
                    Signal(shape, init=value, reset_less=True, name=f"bank{b}_{register.name.lower()}{k}")
                    for k, value in enumerate(initial[b][register.name])
                ]
                for k, cell in enumerate(cells):
                    with m.If(hit & bus.write & (place == k)):
                        m.d.sync += cell.eq(bus.write_data)
                banked.setdefault(register.name.lower(), []).append(cells)
        for b in range(2):
            m.d.comb += [
                scalars.places[b].eq(banked["places"][b][0]),
                scalars.epsilon[b].eq(banked["epsilon"][b][0]),
            ]
        return banked

    def _load(self, m: Module, memories, b: int, enable: Value, place: Value) -> None:
        """The write of a table word of bank `b`, into all lanes at once; both banks share one port."""
        if b == 0:
            self._ports = [memory.memory.write_port() for memory in memories]
        width = memories[0].address_bits
        with m.If(enable):
            for port in self._ports:
                m.d.comb += [
                    port.en.eq(1),
                    port.addr.eq(Cat(place[:width], C(b, 1))),
                    port.data.eq(self.bus.write_data[: self.unit.bits]),
                ]

    def _scale(self, pipe: Pipeline):
        """Product with the row's factor, shifted, rounded, saturated."""
        unit, s, token = self.unit, pipe.values, pipe.payload.token
        hi = (1 << (unit.bits - 1)) - 1
        s.bank, s.amount = token.tag[2], token.amount
        multiply(pipe, "product", list(pipe.payload.word.v), [token.factor] * self.lanes)
        s.operand = list(s.product)
        s.down = s.amount
        pipe.cut()
        rounded = [shift_round_by(product, s.down, TIES_TO_POS) for product in s.operand]
        s.floor, s.up = [floor for floor, _ in rounded], [up for _, up in rounded]
        pipe.cut()
        s.whole = [floor + up for floor, up in zip(s.floor, s.up, strict=True)]
        pipe.cut()
        y = [Mux(whole > hi, hi, Mux(whole < -hi - 1, -hi - 1, whole))[: unit.bits] for whole in s.whole]
        return {"y": y, "bank": [s.bank]}


def _tag() -> Fold:
    """The tag of a row, which the first lane carries."""
    return Fold(unsigned(3), lambda a, b: a | b, 0, lambda word, k: word.tag[k])
