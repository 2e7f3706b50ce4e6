"""Registers behind a bus, written as a list of what stands at which address."""

from __future__ import annotations

from amaranth.hdl import C, Module, Signal, Value

from intsim.registers import RegisterMap

__all__ = ["RegisterFile"]


class RegisterFile:
    """Decodes the accesses of a :class:`~hdl.wrap.registers.RegisterBus` for one register map.

    What is not added is answered with an error.

    Parameters
    ----------
    m : the module that gets the decoders
    bus : the unit's side of the bus
    registers : where everything lies
    """

    def __init__(self, m: Module, bus, registers: RegisterMap):
        self._m, self._bus, self._map = m, bus, registers
        m.d.comb += [bus.read_error.eq(1), bus.write_error.eq(1)]

    def read(self, name: str, value, index: int = 0, *, when=1) -> None:
        """`value` can be read at a register, where `when` allows it."""
        bus = self._bus
        with self._m.If((bus.read_address == self._place(name, index)) & when):
            self._m.d.comb += [bus.read_data.eq(value), bus.read_error.eq(0)]

    def write(self, name: str, index: int = 0, *, when=1) -> Signal:
        """A register can be written where `when` allows it; the signal is 1 in the cycle of a write."""
        bus = self._bus
        written = Signal(name=f"{name.lower()}{index}_written")
        with self._m.If((bus.write_address == self._place(name, index)) & when):
            self._m.d.comb += [bus.write_error.eq(0), written.eq(bus.write)]
        return written

    def behind(self, inner, base: int) -> None:
        """Everything from the byte address `base`, a power of two, belongs to another unit's bus."""
        m, bus = self._m, self._bus
        at, size = (base >> 2).bit_length() - 1, len(inner.read_address)

        def known(address: Value) -> Value:
            return ~address[size:at].any() if size < at else C(1, 1)

        m.d.comb += [
            inner.write_address.eq(bus.write_address[:at]),
            inner.write_data.eq(bus.write_data),
            inner.write.eq(bus.write & bus.write_address[at] & known(bus.write_address)),
            inner.read_address.eq(bus.read_address[:at]),
        ]
        with m.If(bus.write_address[at]):
            m.d.comb += bus.write_error.eq(inner.write_error | ~known(bus.write_address))
        with m.If(bus.read_address[at]):
            m.d.comb += bus.read_data.eq(inner.read_data)
            m.d.comb += bus.read_error.eq(inner.read_error | ~known(bus.read_address))

    def _place(self, name: str, index: int) -> int:
        return self._map.address(name, index) >> 2
