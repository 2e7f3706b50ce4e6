"""From a unit to checked hardware: Verilog, simulation, verification, synthesis, place and route."""

from hdl.flow.emission import rtl
from hdl.flow.simulation import model
from hdl.flow.verification import verify

__all__ = ["model", "rtl", "verify"]
