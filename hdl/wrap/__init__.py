# amaranth: UnusedElaboratable=no
"""Shells around a unit's hardware, with the port names integrators expect."""

from __future__ import annotations

from hdl.component import UnitComponent
from hdl.wrap.axi_lite import AxiLite
from hdl.wrap.axi_stream import AxiStream
from hdl.wrap.packing import Packing
from hdl.wrap.registers import RegisterBus
from hdl.wrap.shell import AxiLiteShell
from hdl.wrap.unit_registers import Addressed, Identified
from intsim.errors import UnknownName

__all__ = [
    "SHELLS",
    "Addressed",
    "AxiLite",
    "AxiLiteShell",
    "AxiStream",
    "Identified",
    "Packing",
    "RegisterBus",
    "wrap",
]

SHELLS = {
    "stream": "elements over AXI4-Stream; the unit's own registers, where it has any, over AXI4-Lite",
    "both": "elements over AXI4-Stream; registers over AXI4-Lite that say who the unit is and what it does",
    "lite": "all over AXI4-Lite: elements go through registers, one at a time",
}
"""Name -> what the shell carries."""


def wrap(component: UnitComponent, shell: str = "stream") -> AxiStream | AxiLiteShell:
    """A unit's hardware in one of :data:`SHELLS`."""
    if shell not in SHELLS:
        raise UnknownName("shell", shell, SHELLS)
    if shell == "lite":
        return AxiLiteShell(Addressed(component))
    return AxiStream(Identified(component) if shell == "both" else component)
