"""The sources of a design to simulate: the unit's own, or somebody else's inside an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hdl.flow import foreign
from hdl.flow.build import Source
from hdl.flow.emission import rtl as emit
from hdl.flow.portmap import PortMap
from hdl.registry import has_hardware
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError
from intsim.unit import Unit

__all__ = ["Design", "read_design"]


@dataclass(frozen=True)
class Design:
    """Sources whose top module has the ports of an AXI4-Stream shell.

    Attributes
    ----------
    inputs, outputs : how values lie in its streams
    ports : the map by which a foreign design inside is connected; None where there is none
    """

    source: Source
    inputs: Packing
    outputs: Packing
    ports: PortMap | None = None


def read_design(
    unit: Unit,
    rtl: str | Path | Sequence[str | Path] | None = None,
    *,
    top: str | None = None,
    params: Mapping[str, int | str] | None = None,
    ports: PortMap | str | Path | None = None,
    **options: Any,
) -> Design:
    """The hardware of `unit`, or the design in files.

    Parameters
    ----------
    unit : any unit with hardware; with `rtl`, any unit
    rtl : Verilog or SystemVerilog files to take instead
    top : name of the top module; the unit's name by default
    params : parameters of the top module, with `rtl`
    ports : how the design in `rtl` is connected, if not like :class:`hdl.wrap.axi_stream.AxiStream`: a
        :class:`~hdl.flow.portmap.PortMap` or the TOML file of one
    **options : the component's own, such as ``stages`` or ``lanes``

    Raises
    ------
    IntsimError
        A file is missing or does not compile, or the port map does not fit it.
    """
    if rtl is None:
        if ports is not None or params:
            raise IntsimError("a port map or parameters belong to a design in files; give rtl=")
        own = emit(unit, top=top, **options)
        return Design(Source(own.top, {f"{own.top}.v": own.verilog()}), own.inputs, own.outputs)
    paths = [rtl] if isinstance(rtl, (str, Path)) else list(rtl)
    source = foreign.read_sources(paths, top or unit.name)
    connected = PortMap.load(ports, unit) if isinstance(ports, (str, Path)) else ports
    if connected is None:
        inputs, outputs = _packings(unit, options)
        return Design(foreign.with_parameters(source, params or {}), inputs, outputs)
    connected = replace(connected, parameters={**connected.parameters, **(params or {})})
    inputs, outputs = foreign.packings(unit, connected, options.get("lanes", 1))
    return Design(foreign.adapt(source, connected, inputs, outputs), inputs, outputs, connected)


def _packings(unit: Unit, options: dict[str, Any]) -> tuple[Packing, Packing]:
    """Both streams of a unit whose RTL is given: from its own hardware if it has some, else from its ports."""
    if has_hardware(unit):
        design = emit(unit, **options)
        return design.inputs, design.outputs
    lanes = options.get("lanes", 1)
    return Packing.of(unit.inputs, lanes, unit.is_row), Packing.of(unit.outputs, lanes, unit.is_row)
