"""What is common to all shells: clock, reset, flat names, and AXI4-Lite where there are registers."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hdl.wrap.axi_lite import AxiLite

__all__ = ["AxiLiteShell"]


class AxiLiteShell(Elaboratable):
    """Hardware behind AXI4-Lite: ``clk``, ``rst`` (synchronous, active high) and, where it has registers, ``s_axil_*``.

    Parameters
    ----------
    inner : a component; it stays a module of its own, named ``unit``. If it has a member ``bus``, a
        :class:`~hdl.wrap.registers.RegisterBus`, that is what the registers are reached by
    """

    def __init__(self, inner: wiring.Component):
        self.inner = inner
        self._domain = ClockDomain("sync")
        self._domain.clk = Signal(name="clk")
        self._domain.rst = Signal(name="rst")
        self._lite = AxiLite(inner.bus.signature.address_bits + 2) if hasattr(inner, "bus") else None
        channels = self._lite.axil.signature.members if self._lite else {}
        self._a = {name: Signal(member.shape, name=f"s_axil_{name}") for name, member in channels.items()}

    @property
    def ports(self) -> list[Signal]:
        """The shell's signals, in the order of the Verilog ports."""
        return [self._domain.clk, self._domain.rst, *self._streams(), *self._a.values()]

    @property
    def directions(self) -> dict[str, bool]:
        """Port name -> whether it is an input, in the order of :attr:`ports`."""
        found = {port.name: port.name.startswith("s_axis") != port.name.endswith("tready") for port in self._streams()}
        channels = self._lite.axil.signature.members if self._lite else {}
        lite = {f"s_axil_{name}": member.flow == In for name, member in channels.items()}
        return {"clk": True, "rst": True, **found, **lite}

    def _streams(self) -> list[Signal]:
        return []

    def elaborate(self, platform) -> Module:
        m = Module()
        m.domains += self._domain
        m.submodules.unit = self.inner
        if self._lite is not None:
            m.submodules.registers = self._lite
            wiring.connect(m, self._lite.bus, self.inner.bus)
            for channel, outer in self._a.items():
                own = getattr(self._lite.axil, channel)
                m.d.comb += own.eq(outer) if self.directions[outer.name] else outer.eq(own)
        return m
