"""Shells around a unit's hardware, with the port names integrators expect."""

from hdl.wrap.axi_stream import AxiStream
from hdl.wrap.packing import Packing

__all__ = ["AxiStream", "Packing"]
