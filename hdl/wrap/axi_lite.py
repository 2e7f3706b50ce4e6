"""AXI4-Lite in front of a unit's registers."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.wrap.registers import RegisterBus

__all__ = ["OKAY", "SLVERR", "AxiLite", "channels"]

OKAY, SLVERR = 0b00, 0b10


def channels(address_bits: int) -> dict[str, wiring.Member]:
    """The signals of a subordinate, without the prefix; `address_bits` of a byte address."""
    return {
        "awaddr": In(address_bits),
        "awprot": In(3),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(32),
        "wstrb": In(4),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(2),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(address_bits),
        "arprot": In(3),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(32),
        "rresp": Out(2),
        "rvalid": Out(1),
        "rready": In(1),
    }


class AxiLite(wiring.Component):
    """An AXI4-Lite subordinate that turns every transfer into one access of a register bus.

    Every address and every write is answered, whatever it is: an address that is not a multiple of 4, a write of
    less than a whole word, and what the unit refuses get ``SLVERR`` and change nothing; reads then give 0. Address and
    data of a write may come in any order. All outputs are registers or functions of registers; protection bits are
    ignored.

    Parameters
    ----------
    address_bits : of a byte address

    Members
    -------
    axil : the five channels
    bus : Out(:class:`~hdl.wrap.registers.RegisterBus`)

    Attributes
    ----------
    latency : 2 cycles from the last of a write's address and data, or a read's address, to the answer
    interval : 2 cycles per write and per read, which go on beside each other
    """

    latency = 2
    interval = 2

    def __init__(self, address_bits: int):
        super().__init__(
            {
                "axil": Out(wiring.Signature(channels(address_bits))),
                "bus": Out(RegisterBus(address_bits - 2)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        a, bus = self.axil, self.bus
        self._writes(m, a, bus)
        self._reads(m, a, bus)
        return m

    def _writes(self, m: Module, a, bus) -> None:
        where = Signal.like(a.awaddr)
        what = Signal(32)
        whole = Signal()
        has_address = Signal()
        has_data = Signal()
        go = Signal()
        legal = Signal()
        m.d.comb += [
            a.awready.eq(~has_address),
            a.wready.eq(~has_data),
            go.eq(has_address & has_data & ~a.bvalid),
            legal.eq((where[:2] == 0) & whole),
            bus.write_address.eq(where[2:]),
            bus.write_data.eq(what),
            bus.write.eq(go & legal),
        ]
        with m.If(a.awvalid & a.awready):
            m.d.sync += [where.eq(a.awaddr), has_address.eq(1)]
        with m.If(a.wvalid & a.wready):
            m.d.sync += [what.eq(a.wdata), whole.eq(a.wstrb.all()), has_data.eq(1)]
        with m.If(a.bvalid & a.bready):
            m.d.sync += a.bvalid.eq(0)
        with m.If(go):
            answer = Mux(legal & ~bus.write_error, Const(OKAY, 2), Const(SLVERR, 2))
            m.d.sync += [has_address.eq(0), has_data.eq(0), a.bvalid.eq(1), a.bresp.eq(answer)]

    def _reads(self, m: Module, a, bus) -> None:
        where = Signal.like(a.araddr)
        has_address = Signal()
        legal = Signal()
        m.d.comb += [
            a.arready.eq(~has_address),
            bus.read_address.eq(where[2:]),
            legal.eq((where[:2] == 0) & ~bus.read_error),
        ]
        with m.If(a.arvalid & a.arready):
            m.d.sync += [where.eq(a.araddr), has_address.eq(1)]
        with m.If(a.rvalid & a.rready):
            m.d.sync += a.rvalid.eq(0)
        with m.If(has_address & ~a.rvalid):
            m.d.sync += [
                has_address.eq(0),
                a.rvalid.eq(1),
                a.rdata.eq(Mux(legal, bus.read_data, 0)),
                a.rresp.eq(Mux(legal, Const(OKAY, 2), Const(SLVERR, 2))),
            ]
