"""Shells around a unit's hardware, with the port names integrators expect."""

from hdl.wrap.axi_lite import AxiLite
from hdl.wrap.axi_stream import AxiStream
from hdl.wrap.packing import Packing
from hdl.wrap.registers import RegisterBus

__all__ = ["AxiLite", "AxiStream", "Packing", "RegisterBus"]
