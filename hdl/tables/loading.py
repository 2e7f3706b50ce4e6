"""Tables whose words are registers: the bus that such a unit has, and what a write does."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hdl.tables.memory import Table
from hdl.wrap.registers import RegisterBus
from intsim.registers import RegisterMap

__all__ = ["connect", "members"]


def members(registers: RegisterMap | None) -> Mapping[str, wiring.Member]:
    """What a component has beside its streams: the bus of its registers, if it has any."""
    return {} if registers is None else {"bus": In(RegisterBus(registers.address_bits - 2))}


def connect(m: Module, bus, table: Table) -> None:
    """Every write of a word's register changes the word, at once; nothing can be read back."""
    port = table.write_port()
    known = bus.write_address < len(table.words)
    m.d.comb += [
        port.addr.eq(bus.write_address),
        port.data.eq(bus.write_data),
        port.en.eq(bus.write & known),
        bus.write_error.eq(~known),
        bus.read_error.eq(1),
    ]
