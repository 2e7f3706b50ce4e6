"""Any unit with registers around it: who it is and what it does, and, if wanted, its elements too."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.component import UnitComponent
from hdl.nonlinear.rows import words_of
from hdl.parts.row_end import row_end
from hdl.wrap.register_file import RegisterFile
from hdl.wrap.registers import RegisterBus
from intsim.errors import IntsimError
from intsim.shell import IDENTITY, VERSION, element_words, own_base, sha_words, shell_map
from intsim.unit import Unit

__all__ = ["Addressed", "Identified"]


class Identified(UnitComponent):
    """A unit with its streams as they are, and registers beside them.

    Parameters
    ----------
    inner : the unit's component. If it has a member ``bus``, its registers lie behind the shell's

    Members
    -------
    i, o : the unit's own streams
    bus : In(:class:`~hdl.wrap.registers.RegisterBus`), the registers of :func:`intsim.shell.shell_map`

    A row that is longer than the longest is cut there, and its rest is another row.

    Attributes
    ----------
    registers : the map
    latency, interval : the unit's own
    """

    def __init__(self, inner: UnitComponent):
        self._take(inner, elements=False)
        wiring.Component.__init__(
            self,
            {
                "i": In(stream.Signature(inner.i.payload.shape())),
                "o": Out(stream.Signature(inner.o.payload.shape())),
                "bus": In(RegisterBus(self.registers.address_bits - 2)),
            },
        )

    def _take(self, inner: UnitComponent, *, elements: bool) -> None:
        self.inner, self.unit, self.lanes = inner, inner.unit, inner.lanes
        self.latency, self.interval = inner.latency, inner.interval
        self._own = getattr(inner, "registers", None)
        self.registers = shell_map(inner.unit, data=elements, own=self._own)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.inner = self.inner
        wiring.connect(m, wiring.flipped(self.i), self.inner.i)
        wiring.connect(m, self.inner.o, wiring.flipped(self.o))
        file = RegisterFile(m, self.bus, self.registers)
        self._facts(file, elements=False)
        if self.unit.is_row:
            self._end_rows(m, file)
        file.read("STATUS", self._counts(m, file))
        return m

    def _end_rows(self, m: Module, file: RegisterFile) -> None:
        """Rows that are too long are cut and counted, so that the unit never waits for an end that does not come."""
        i = self.inner.i
        ends = row_end(m, self.i, words_of(longest(self.unit), self.lanes))
        cut_rows = Signal(32)
        m.d.comb += i.payload.last.eq(ends)
        m.d.sync += cut_rows.eq(cut_rows + (i.valid & i.ready & ends & ~self.i.payload.last))
        file.read("CUT_ROWS", cut_rows)

    def _facts(self, file: RegisterFile, *, elements: bool) -> None:
        """What never changes, and the unit's own registers."""
        unit = self.unit
        file.read("ID", IDENTITY)
        file.read("VERSION", VERSION)
        shape = {"IN_WORDS": len(element_words(unit.inputs)), "OUT_WORDS": len(element_words(unit.outputs))}
        file.read("SHAPE", self.registers["SHAPE"].packed(**shape, ROWS=unit.is_row, DATA=elements))
        file.read("MAX_ROW", getattr(unit, "max_row", 0))
        for k, word in enumerate(sha_words(unit)):
            file.read("SHA256", word, k)
        if self._own is not None:
            file.behind(self.inner.bus, own_base(self._own))

    def _counts(self, m: Module, file: RegisterFile) -> Value:
        """The counters of transfers; whether something is inside."""
        i, o = self.inner.i, self.inner.o
        taken = Signal(32)
        given = Signal(32)
        enters = Signal()
        leaves = Signal()
        m.d.comb += [enters.eq(i.valid & i.ready), leaves.eq(o.valid & o.ready)]
        m.d.sync += [taken.eq(taken + enters), given.eq(given + leaves)]
        file.read("TAKEN", taken)
        file.read("GIVEN", given)
        if not self.unit.is_row:
            return taken != given
        # Rows: as many transfers leave as enter, or one for each row. A row is inside until its last has left.
        begun = Signal(32)
        inside = Signal()
        with m.If(enters):
            m.d.sync += inside.eq(~i.payload.last)
        m.d.sync += begun.eq(begun + (enters & ~inside) - (leaves & o.payload.last))
        return begun != 0


class Addressed(Identified):
    """A unit whose elements go through registers, one at a time: the streams end here.

    Parameters
    ----------
    inner : the unit's component, of one lane

    Members
    -------
    bus : In(:class:`~hdl.wrap.registers.RegisterBus`)

    Raises
    ------
    IntsimError
        The component takes several elements per transfer.
    """

    def __init__(self, inner: UnitComponent):
        for port in (inner.i, inner.o):
            if any(isinstance(field.shape, data.ArrayLayout) for _, field in port.payload.shape()):
                raise IntsimError("registers carry one element at a time: leave lanes at 1, or use the shell 'both'")
        self._take(inner, elements=True)
        wiring.Component.__init__(self, {"bus": In(RegisterBus(self.registers.address_bits - 2))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.inner = self.inner
        file = RegisterFile(m, self.bus, self.registers)
        self._facts(file, elements=True)
        room = self._send(m, file)
        result, last = self._receive(m, file)
        file.read("STATUS", Cat(result, last, room, self._counts(m, file) | ~room))
        return m

    def _send(self, m: Module, file: RegisterFile) -> Value:
        """The element's words, kept until the last is written and then offered; whether one may be written."""
        i, bus = self.inner.i, self.bus
        offering = Signal()
        words = element_words(self.unit.inputs)
        parts: dict[str, list[Signal]] = {}
        for index, (port, low, width) in enumerate(words):
            part = Signal(width, name=f"{port}_from_{low}", reset_less=True)
            written = file.write("INPUT", index, when=~offering)
            with m.If(written):
                m.d.sync += part.eq(bus.write_data)
                if index == len(words) - 1:
                    m.d.sync += offering.eq(1)
            parts.setdefault(port, []).append(part)
        m.d.comb += i.valid.eq(offering)
        m.d.comb += [i.payload[port].eq(Cat(pieces)) for port, pieces in parts.items()]
        with m.If(i.valid & i.ready):
            m.d.sync += offering.eq(0)
        if self.unit.is_row:
            self._count_row(m, file, offering)
        return ~offering

    def _count_row(self, m: Module, file: RegisterFile, offering: Value) -> None:
        """The length of rows, which changes between rows only, and the end of each."""
        i, bus = self.inner.i, self.bus
        fixed, most = getattr(self.unit, "row_length", None), longest(self.unit)
        length = Signal(range(most + 1), init=most)
        place = Signal(range(most))
        legal = bus.write_data == fixed if fixed else (bus.write_data != 0) & (bus.write_data <= most)
        with m.If(file.write("LENGTH", when=(place == 0) & ~offering & legal)):
            m.d.sync += length.eq(bus.write_data)
        file.read("LENGTH", length)
        m.d.comb += i.payload.last.eq(place == length - 1)
        with m.If(i.valid & i.ready):
            m.d.sync += place.eq(Mux(i.payload.last, 0, place + 1))

    def _receive(self, m: Module, file: RegisterFile) -> tuple[Value, Value]:
        """The oldest result's words; whether there is one, and whether it is the last of its row."""
        o = self.inner.o
        for index, (port, low, width) in enumerate(element_words(self.unit.outputs)):
            word = Value.cast(o.payload[port])[low : low + width]
            signed = self.unit.outputs[port].signed and low + width == self.unit.outputs[port].bits
            file.read("OUTPUT", word.as_signed() if signed else word, index, when=o.valid)
        m.d.comb += o.ready.eq(file.write("NEXT", when=o.valid))
        last = o.valid & o.payload.last if self.unit.is_row else Const(0)
        return o.valid, last


def longest(unit: Unit) -> int:
    """Elements of the longest row that a row unit takes; of every row, where all have the same number."""
    return getattr(unit, "row_length", None) or unit.max_row  # type: ignore[attr-defined]
