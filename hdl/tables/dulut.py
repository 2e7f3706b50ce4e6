# amaranth: UnusedElaboratable=no
"""DULUT in hardware: two equal-step engines in series, as the paper passes the data twice through the ordinary one."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring

from hdl.component import UnitComponent
from hdl.registry import realises
from hdl.tables.memory import check_kind
from hdl.tables.uniform import Uniform
from intsim import tables

__all__ = ["DULUT"]


@realises(tables.DULUT)
class DULUT(UnitComponent):
    """Streaming hardware of :class:`intsim.tables.DULUT`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.DULUT
    stages : depth of each of the two engines, as for :class:`hdl.tables.uniform.Uniform`
    memory : of both tables; their few words fit gates (``"logic"``) as well as a block RAM

    Attributes
    ----------
    latency : twice `stages`
    """

    unit: tables.DULUT

    def __init__(self, unit: tables.DULUT, *, stages: int = 8, memory: str = "logic"):
        super().__init__(unit)
        check_kind(memory)
        self._mapper = Uniform(unit.mapper, stages=stages, memory=memory)
        self._values = Uniform(unit.values, stages=stages, memory=memory)
        self.latency = self._mapper.latency + self._values.latency

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.mapper = mapper = self._mapper
        m.submodules.values = values = self._values
        wiring.connect(m, wiring.flipped(self.i), mapper.i)
        m.d.comb += [
            values.i.valid.eq(mapper.o.valid),
            values.i.payload.x.eq(mapper.o.payload.y),
            mapper.o.ready.eq(values.i.ready),
        ]
        wiring.connect(m, values.o, wiring.flipped(self.o))
        return m
