"""From a unit to checked hardware: Verilog, simulation, verification, synthesis, place and route."""

from hdl.flow.delivery import verilog
from hdl.flow.emission import rtl
from hdl.flow.placement import place
from hdl.flow.simulation import model
from hdl.flow.synthesis import synth
from hdl.flow.verification import verify

__all__ = ["model", "place", "rtl", "synth", "verify", "verilog"]
