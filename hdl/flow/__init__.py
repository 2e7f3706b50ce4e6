"""From a unit to checked hardware: Verilog, simulation, verification, synthesis, place and route."""

from hdl.flow.c_model import export_c
from hdl.flow.delivery import verilog
from hdl.flow.design import read_design
from hdl.flow.emission import rtl
from hdl.flow.placement import place
from hdl.flow.simulation import model
from hdl.flow.synthesis import synth
from hdl.flow.vector_files import vectors
from hdl.flow.verification import verify

__all__ = [
    "export_c",
    "model",
    "mutate",
    "place",
    "prove",
    "read_design",
    "rtl",
    "specifies",
    "synth",
    "vectors",
    "verify",
    "verilog",
]


def __getattr__(name: str):
    if name in ("prove", "specifies"):  # they load z3
        from hdl.flow import proof

        return getattr(proof, name)
    if name == "mutate":
        from hdl.flow import mutation

        return mutation.mutate
    raise AttributeError(f"module 'hdl.flow' has no attribute {name!r}")
